/** Reads what the guest side says of a cell's end. It comes out of an isolate, so nothing in it is taken on trust. */
import { CALL_FAULTS, type CellOutcome, type GuestErrorReport } from '../protocol.ts';
import { type CellSource, codeFrame, userStack } from './stack.ts';

const TEXT_MAX = 16_384;
const UNDEFINED_NAME = /^([\p{ID_Start}$_][\p{ID_Continue}$]{0,255}) is not defined$/u;
const UNREADABLE: CellOutcome = {
  status: 'error',
  error: { code: 'RUNTIME_ERROR', name: null, message: 'The result of this cell could not be read.', stack: '' },
};

export type Loose = Readonly<Record<string, unknown>>;

/** @param text JSON made by `guest/marshal.ts`, or anything at all */
export const readOutcome = (text: string, cellSource: (cell: number) => CellSource | undefined): CellOutcome =>
  readReport(text, (error) => readError(error, cellSource, 0));

/** @param readError reads what a language says of an error */
export function readReport(text: string, readError: (error: Loose) => GuestErrorReport): CellOutcome {
  let report: Loose | null;
  try {
    report = JSON.parse(text);
  } catch {
    return UNREADABLE;
  }
  if (typeof report !== 'object' || report === null) return UNREADABLE;
  const { status, json, type, text: preview, error } = report;
  if (status === 'value' && typeof json === 'string')
    return { status, json, ...(typeof preview === 'string' ? { text: preview.slice(0, TEXT_MAX) } : {}) };
  if (status === 'preview' && typeof type === 'string' && typeof preview === 'string')
    return { status, type, text: preview };
  if (status === 'error' && typeof error === 'object' && error !== null)
    return { status, error: readError(error as Loose) };
  return UNREADABLE;
}

function readError(
  error: Loose,
  cellSource: (cell: number) => CellSource | undefined,
  depth: number,
): GuestErrorReport {
  const message = typeof error['message'] === 'string' ? error['message'] : '';
  const name = typeof error['name'] === 'string' ? error['name'] : null;
  const { frames, top } = userStack(typeof error['stack'] === 'string' ? error['stack'] : '', cellSource);
  const frame = top === undefined ? undefined : codeFrame(cellSource(top.cell)?.source ?? '', top.line, top.column);
  const undefinedName = name === 'ReferenceError' ? UNDEFINED_NAME.exec(message)?.[1] : undefined;
  const capability = typeof error['capability'] === 'string' ? error['capability'] : undefinedName;
  const nested = (value: unknown): GuestErrorReport[] =>
    typeof value === 'object' && value !== null && depth < 4 ? [readError(value as Loose, cellSource, depth + 1)] : [];
  const [cause] = nested(error['cause']);
  const errors = Array.isArray(error['errors']) ? error['errors'].slice(0, 10).flatMap(nested) : [];
  return {
    code: CALL_FAULTS.find((code) => code === error['code']) ?? 'RUNTIME_ERROR',
    name,
    message,
    stack: frames,
    ...(typeof error['thrownType'] === 'string' ? { thrownType: error['thrownType'] } : {}),
    ...(top === undefined ? {} : { line: top.line, column: top.column }),
    ...(frame === undefined || frame.startsWith('\n') ? {} : { frame }),
    ...(capability === undefined ? {} : { capability }),
    ...(cause === undefined ? {} : { cause }),
    ...(errors.length === 0 ? {} : { errors }),
  };
}
