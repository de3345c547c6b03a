/** Reads what the guest side of Python says of a cell's end. It comes out of an isolate, so nothing in it is taken on trust. */
import { type Loose, readReport } from '../javascript/outcome.ts';
import { CALL_FAULTS, type CellOutcome, type GuestErrorReport } from '../protocol.ts';

const TEXT_MAX = 16_384;
const DEPTH_MAX = 4;

/** @param text JSON made by `guest/runner/reports.py`, or anything at all */
export const readPythonOutcome = (text: string): CellOutcome => readReport(text, (error) => readError(error, 0));

function readError(error: Loose, depth: number): GuestErrorReport {
  const text = (name: string): string | undefined => {
    const value = error[name];
    return typeof value === 'string' ? value.slice(0, TEXT_MAX) : undefined;
  };
  const place = (name: string): number | undefined => {
    const value = error[name];
    return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined;
  };
  const nested = (value: unknown): GuestErrorReport[] =>
    typeof value === 'object' && value !== null && depth < DEPTH_MAX ? [readError(value as Loose, depth + 1)] : [];
  const [line, column, frame] = [place('line'), place('column'), text('frame')];
  const exitStatus = error['exitStatus'];
  const capability = text('capability')?.slice(0, 256);
  const [cause] = nested(error['cause']);
  const errors = Array.isArray(error['errors']) ? error['errors'].slice(0, 10).flatMap(nested) : [];
  return {
    code: CODES.find((code) => code === error['code']) ?? 'RUNTIME_ERROR',
    name: text('name') ?? null,
    message: text('message') ?? '',
    stack: text('stack') ?? '',
    ...(line === undefined ? {} : { line, column: column ?? 1 }),
    ...(frame === undefined ? {} : { frame }),
    ...(Number.isSafeInteger(exitStatus) ? { exitStatus: exitStatus as number } : {}),
    ...(capability === undefined ? {} : { capability }),
    ...(cause === undefined ? {} : { cause }),
    ...(cause !== undefined && error['whileHandling'] === true ? { whileHandling: true } : {}),
    ...(errors.length === 0 ? {} : { errors }),
  };
}

const CODES = ['SYNTAX_ERROR', ...CALL_FAULTS] as const;
