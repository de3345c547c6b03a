/** One execution: what was asked, what it has written so far, and its result. */
import type { ExecutionError, ExecutionResult, Value } from '../../client/protocol.ts';
import type { CellOutcome, CellUsage, GuestErrorReport } from '../../sandbox/protocol.ts';
import type { StoredEvents } from '../durability/journal-records.ts';
import type { CellRecord } from '../durability/rebuilt.ts';
import type { Fault } from '../fault.ts';
import { plainError } from './execution-error.ts';
import { OutputTail } from './output-tail.ts';
import { SESSION_LIMITS } from './session-limits.ts';

/** How an execution ended, before its figures are put beside it. */
export type ExecutionEnd =
  | { readonly status: 'ok'; readonly value: Value /** Characters that the value takes up. */; readonly size: number }
  | { readonly status: 'error'; readonly error: ExecutionError };

export class Execution {
  readonly executionId: string;
  readonly source: string;
  readonly wallMs: number;
  readonly rollback: boolean;
  readonly result: Promise<ExecutionResult>;
  readonly stdout = new OutputTail(SESSION_LIMITS.outputTailBytes);
  readonly stderr = new OutputTail(SESSION_LIMITS.outputTailBytes);
  truncated = false;
  capabilityCalls = 0;
  /** Its number in the session, in the order of acceptance. */
  readonly cell: number;
  /** Its start is in the audit log. */
  recorded = false;
  /** It is to end, in whichever isolate it is. */
  stopAsked = false;
  /** Clients were told that it began. */
  announced = false;
  startedMs = 0;
  /** Time it has spent waiting for people, which no limit counts. */
  patientMs = 0;
  #resolve!: (result: ExecutionResult) => void;
  #reject!: (fault: Fault) => void;

  constructor({ executionId, source, wallMs, rollback, cell }: Omit<CellRecord, 'r'>) {
    this.executionId = executionId;
    this.source = source;
    this.wallMs = wallMs;
    this.rollback = rollback;
    this.cell = cell;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whether or not anybody waits for it.
    this.result.catch(() => undefined);
  }

  /** What an earlier daemon had told of it is not told again, and is part of its result. */
  restore(events: readonly StoredEvents[], recorded: boolean): void {
    this.recorded = recorded;
    for (const event of events.flatMap(({ bodies }) => bodies)) {
      if (!('executionId' in event) || event.executionId !== this.executionId) continue;
      if (event.kind === 'execution.started') this.announced = true;
      else if (event.kind === 'output') this[event.stream].append(event.text);
      else if (event.kind === 'output.truncated') this.truncated = true;
    }
  }

  /** The result, which nobody is given before `settle`. */
  finish(end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'>, durationMs: number): ExecutionResult {
    return {
      executionId: this.executionId,
      cell: this.cell,
      ...(end.status === 'ok' ? { status: 'ok', value: end.value } : { status: 'error', error: end.error }),
      output: { stdout: this.stdout.text, stderr: this.stderr.text, truncated: this.truncated },
      durationMs: round(durationMs),
      cpuMs: round(usage.cpuMs),
      heapBytes: usage.heapBytes,
      capabilityCalls: this.capabilityCalls,
    };
  }

  settle(result: ExecutionResult): void {
    this.#resolve(result);
  }

  /** It goes on in another daemon: who waits for the result has to ask there. */
  moved(fault: Fault): void {
    this.#reject(fault);
  }
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;

/** What a session's limits say when one of them ended a cell. */
export interface LimitWords {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** @param denial words the denial of a name that is a capability the session was not given; undefined for any other name */
export function endOf(
  outcome: CellOutcome,
  limits: LimitWords,
  denial: (name: string) => Fault | undefined,
): ExecutionEnd {
  switch (outcome.status) {
    case 'value': {
      const { json, text } = outcome;
      const parsed = parseValue(json);
      if (parsed === undefined)
        return { status: 'error', error: plainError('INTERNAL', 'The value could not be read.') };
      const value = { kind: 'json', json: parsed.value, ...(text === undefined ? {} : { text }) } as const;
      return { status: 'ok', value, size: json.length + (text?.length ?? 0) };
    }
    case 'preview': {
      const { text, type } = outcome;
      return { status: 'ok', value: { kind: 'preview', text, type }, size: text.length };
    }
    case 'stopped':
      return { status: 'error', error: stoppedError(outcome.by, limits) };
    case 'error':
      return { status: 'error', error: errorOf(outcome.error, denial) };
  }
}

/** @param why the session stays as the failed cell has left it, though it was to be taken back */
export function notTakenBack(end: ExecutionEnd, why: string): ExecutionEnd {
  if (end.status === 'ok') return end;
  return { ...end, error: { ...end.error, details: { ...end.error.details, notRolledBack: why } } };
}

export function outcomeValue(outcome: CellOutcome): Value | undefined {
  const end = endOf(outcome, { cpuMs: 0, wallMs: 0 }, () => undefined);
  return end.status === 'ok' ? end.value : undefined;
}

function parseValue(json: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(json) };
  } catch {
    return undefined;
  }
}

function stoppedError(by: 'cpu' | 'wall' | 'request', { cpuMs, wallMs }: LimitWords): ExecutionError {
  const kept = 'the session keeps its state.';
  switch (by) {
    case 'cpu':
      return plainError(
        'CPU_EXCEEDED',
        `The cell used more than its ${cpuMs} ms of CPU time and was stopped; ${kept}`,
        {
          cellCpuMsMax: cpuMs,
        },
      );
    case 'wall':
      return plainError('TIMED_OUT', `The cell took longer than ${wallMs} ms and was stopped; ${kept}`, {
        timeoutMs: wallMs,
      });
    case 'request':
      return plainError('INTERRUPTED', `The cell was interrupted; ${kept}`);
  }
}

function errorOf(report: GuestErrorReport, denial: (name: string) => Fault | undefined): ExecutionError {
  const { capability, cause, errors, ...rest } = report;
  const refused = capability === undefined ? undefined : denial(capability);
  const nested = {
    ...(cause === undefined ? {} : { cause: errorOf(cause, () => undefined) }),
    ...(errors === undefined ? {} : { errors: errors.map((error) => errorOf(error, () => undefined)) }),
  };
  if (refused === undefined) return { ...rest, ...nested };
  const message = rest.code === 'CAPABILITY_DENIED' ? rest.message : `${rest.message}: ${refused.message}`;
  return {
    ...rest,
    ...nested,
    code: 'CAPABILITY_DENIED',
    message,
    ...(refused.details === undefined ? {} : { details: refused.details }),
  };
}
