/**
 * The cells of one session, waiting and running.
 *
 * I1: one cell runs at a time; cells start in the order in which they were accepted.
 * I2: every accepted execution gets exactly one result; one that started has exactly one `execution.finished` event before it.
 * I3: the same executionId is one execution and one result.
 */
import { hash, randomUUID } from 'node:crypto';
import type { EventBody, ExecutionResult } from '../../client/protocol.ts';
import type { Limits } from '../../policies/limits.ts';
import type { CellUsage } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import { Fault } from '../fault.ts';
import { HOST_LIMITS } from '../hosts/host-limits.ts';
import { Answers } from './answers.ts';
import { Execution, type ExecutionEnd } from './execution.ts';
import { faultError, plainError } from './execution-error.ts';

export interface CellQueuePowers {
  readonly sessionId: string;
  readonly audit: Audit;
  readonly monotonicMs: () => number;
  readonly limits: () => Limits;
  readonly emit: (event: EventBody) => void;
  /** Hands the cell to the isolate; answers how it ended where it cannot run at all. */
  readonly run: (execution: Execution) => ExecutionEnd | undefined;
  /** The cell is far over its time and its host did not stop it. */
  readonly overdue: (message: string) => void;
  readonly executed: () => void;
}

const NO_USAGE = { cpuMs: 0, heapBytes: 0 };
/** What an answer without a value takes up, roughly. */
const SMALL_ANSWER = 1024;

export class CellQueue {
  readonly #powers: CellQueuePowers;
  readonly #answers = new Answers();
  readonly #waiting: Execution[] = [];
  #running: Execution | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #patientCalls = 0;
  #patientSince = 0;
  #cells = 0;

  constructor(powers: CellQueuePowers) {
    this.#powers = powers;
  }

  get running(): Execution | undefined {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Cells that have started so far. */
  get cells(): number {
    return this.#cells;
  }

  /** Fails with TOO_LARGE, BUSY or EXECUTION_CONFLICT; an accepted execution always settles with a result. */
  execute(source: string, askedId?: string, timeoutMs?: number): Promise<ExecutionResult> {
    const executionId = askedId ?? `exe_${randomUUID()}`;
    const known = askedId === undefined ? undefined : this.#answers.find(askedId, source);
    if (known !== undefined) return known;
    const { sourceBytesMax, queueLengthMax, cellWallMsMax } = this.#powers.limits();
    if (source.length > sourceBytesMax || Buffer.byteLength(source) > sourceBytesMax) {
      const message = `The source of a cell may have at most ${sourceBytesMax} bytes; this one has ${Buffer.byteLength(source)}.`;
      throw new Fault('TOO_LARGE', message, { sourceBytesMax });
    }
    if (this.#waiting.length >= queueLengthMax) {
      const message = `${queueLengthMax} cells wait in this session already; send more when some have ended.`;
      throw new Fault('BUSY', message, { queueLengthMax });
    }
    const execution = new Execution(executionId, source, Math.min(timeoutMs ?? cellWallMsMax, cellWallMsMax));
    this.#answers.add(executionId, source, execution.result);
    this.#waiting.push(execution);
    this.#next();
    return execution.result;
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const execution = this.#waiting.shift();
    if (execution === undefined) return;
    this.#running = execution;
    execution.cell = ++this.#cells;
    execution.startedMs = this.#powers.monotonicMs();
    const { executionId, cell, source } = execution;
    const { audit, sessionId, emit, run } = this.#powers;
    emit({ kind: 'execution.started', executionId, cell });
    try {
      audit.append('execution.started', { sessionId, executionId, sourceSha256: hash('sha256', source) });
    } catch (error) {
      this.finish({ status: 'error', error: faultError(error) });
      return;
    }
    this.#armDeadline();
    const end = run(execution);
    if (end !== undefined) this.finish(end);
  }

  /** Ends the running cell, if there is one, and starts the next. */
  finish(end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'> = NO_USAGE): void {
    const execution = this.#running;
    if (execution === undefined) return;
    clearTimeout(this.#deadline);
    this.#running = undefined;
    const { executionId } = execution;
    const { audit, sessionId, emit, monotonicMs, executed } = this.#powers;
    const code = end.status === 'error' ? { code: end.error.code } : {};
    audit.note('execution.finished', { sessionId, executionId, status: end.status, ...code });
    emit({ kind: 'execution.finished', executionId, status: end.status, ...code });
    this.#settle(execution, end, usage, monotonicMs() - execution.startedMs);
    executed();
    this.#next();
  }

  #settle(execution: Execution, end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'>, durationMs: number) {
    const { output } = execution.finish(end, usage, durationMs);
    const written = output.stdout.length + output.stderr.length;
    this.#answers.ended(execution.executionId, written + (end.status === 'ok' ? end.size : SMALL_ANSWER));
  }

  /** Takes a waiting cell out of the queue; false where none of that id waits. */
  withdraw(executionId: string): boolean {
    const index = this.#waiting.findIndex((waiting) => waiting.executionId === executionId);
    if (index === -1) return false;
    this.#endWaiting(this.#waiting.splice(index, 1));
    return true;
  }

  withdrawAll(): void {
    this.#endWaiting(this.#waiting.splice(0));
  }

  #endWaiting(executions: readonly Execution[]): void {
    const error = plainError('INTERRUPTED', 'The cell was taken out of the queue before it started.');
    for (const execution of executions) this.#settle(execution, { status: 'error', error }, NO_USAGE, 0);
  }

  /** The daemon's own deadline behind the host's. It stands still while the cell waits for a person. */
  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const execution = this.#running;
    if (execution === undefined || this.#patientCalls > 0) return;
    const leftMs = execution.wallMs - this.usedMs(execution);
    const overdue = () => this.#powers.overdue(`The cell could not be stopped after its ${execution.wallMs} ms.`);
    this.#deadline = setTimeout(overdue, Math.max(1, leftMs) + HOST_LIMITS.stopGraceMs);
  }

  /** Time that counts against the cell's wall limit. */
  usedMs(execution: Execution): number {
    return this.#powers.monotonicMs() - execution.startedMs - execution.patientMs;
  }

  /** A call that waits for a person begins; the answer says that it has ended. */
  waitForPerson(): () => void {
    if (this.#patientCalls++ === 0) this.#patientSince = this.#powers.monotonicMs();
    this.#armDeadline();
    return () => {
      const execution = this.#running;
      if (--this.#patientCalls === 0 && execution !== undefined) {
        execution.patientMs += this.#powers.monotonicMs() - Math.max(this.#patientSince, execution.startedMs);
      }
      this.#armDeadline();
    };
  }
}
