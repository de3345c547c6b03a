/**
 * The cells of one session, waiting and running.
 *
 * I1: one cell runs at a time; cells start in the order in which they were accepted.
 * I2: every accepted execution gets exactly one result, and one `execution.finished` event before it.
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
  /** Whether the host has started, and can have begun the cell. */
  readonly ready: () => boolean;
  /** The cell is far over its time and its host did not stop it. */
  readonly overdue: (message: string) => void;
  readonly executed: () => void;
}

/** Cells of one session that its host holds at once. */
const HANDED_MAX = 16;
const NOT_STARTED = plainError('INTERRUPTED', 'The cell was taken out of the queue before it started.');
const NO_USAGE = { cpuMs: 0, heapBytes: 0 };
/** What an answer without a value takes up, roughly. */
const SMALL_ANSWER = 1024;

export class CellQueue {
  readonly #powers: CellQueuePowers;
  readonly #answers = new Answers();
  readonly #waiting: Execution[] = [];
  /** Handed to the isolate; the first one runs, the others wait behind it in the host. */
  readonly #handed: Execution[] = [];
  #deadline: NodeJS.Timeout | undefined;
  #patientCalls = 0;
  #patientSince = 0;
  #cells = 0;

  constructor(powers: CellQueuePowers) {
    this.#powers = powers;
  }

  get running(): Execution | undefined {
    return this.#handed[0];
  }

  get waiting(): number {
    return this.#waiting.length + Math.max(0, this.#handed.length - 1);
  }

  /** Cells accepted so far. */
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
    if (this.waiting >= queueLengthMax) {
      const message = `${queueLengthMax} cells wait in this session already; send more when some have ended.`;
      throw new Fault('BUSY', message, { queueLengthMax });
    }
    const wallMs = Math.min(timeoutMs ?? cellWallMsMax, cellWallMsMax);
    const execution = new Execution(executionId, source, wallMs, ++this.#cells);
    this.#answers.add(executionId, source, execution.result);
    this.#waiting.push(execution);
    this.#handOver();
    return execution.result;
  }

  /** Hands cells over, a few ahead of the one that runs, so that the host need not wait for us between two of them. */
  #handOver(): void {
    while (this.#handed.length < HANDED_MAX) {
      const execution = this.#waiting.shift();
      if (execution === undefined) return;
      this.#handed.push(execution);
      if (this.#handed.length === 1) this.#begin(execution);
      const end = this.#record(execution) ?? this.#powers.run(execution);
      if (end !== undefined) this.#finish(execution, end);
    }
  }

  /** Before a cell is handed over its start is on record; answers how it ended where it cannot be. */
  #record(execution: Execution): ExecutionEnd | undefined {
    const { audit, sessionId } = this.#powers;
    const { executionId, source } = execution;
    if (execution.recorded) return undefined;
    try {
      audit.append('execution.started', { sessionId, executionId, sourceSha256: hash('sha256', source) });
      execution.recorded = true;
      return undefined;
    } catch (error) {
      return { status: 'error', error: faultError(error) };
    }
  }

  #begin(execution: Execution): void {
    execution.startedMs = this.#powers.monotonicMs();
    this.#powers.emit({ kind: 'execution.started', executionId: execution.executionId, cell: execution.cell });
    this.#armDeadline();
  }

  /** Ends the running cell, if there is one, and starts the next. */
  finish(end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'> = NO_USAGE): void {
    const execution = this.running;
    if (execution === undefined) return;
    this.#finish(execution, end, usage);
    this.#handOver();
  }

  #finish(execution: Execution, end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'> = NO_USAGE): void {
    const wasRunning = this.running === execution;
    this.#handed.splice(this.#handed.indexOf(execution), 1);
    const { executionId } = execution;
    const { audit, sessionId, emit, monotonicMs, executed } = this.#powers;
    const code = end.status === 'error' ? { code: end.error.code } : {};
    audit.note('execution.finished', { sessionId, executionId, status: end.status, ...code });
    if (wasRunning) clearTimeout(this.#deadline);
    emit({ kind: 'execution.finished', executionId, status: end.status, ...code });
    this.#settle(execution, end, usage, wasRunning ? monotonicMs() - execution.startedMs : 0);
    executed();
    if (wasRunning && this.running !== undefined) this.#begin(this.running);
  }

  /** The host has taken a cell out of its queue that had not begun. */
  stopped(cell: number): void {
    const execution = this.#handed.find((handed) => handed.cell === cell);
    if (execution !== undefined && execution !== this.running) {
      this.#finish(execution, { status: 'error', error: NOT_STARTED });
      this.#handOver();
    }
  }

  /** The isolate is gone, and with it what waited behind the running cell; those cells are handed over again. */
  isolateGone(): void {
    this.#waiting.unshift(...this.#handed.splice(1));
  }

  #settle(execution: Execution, end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'>, durationMs: number) {
    const { output } = execution.finish(end, usage, durationMs);
    const written = output.stdout.length + output.stderr.length;
    this.#answers.ended(execution.executionId, written + (end.status === 'ok' ? end.size : SMALL_ANSWER));
  }

  /**
   * Takes a cell out of the queue that has not begun. Answers the number of one that the host holds already and must give back;
   * undefined where no cell of that id waits.
   */
  withdraw(executionId: string): 'withdrawn' | number | undefined {
    const index = this.#waiting.findIndex((waiting) => waiting.executionId === executionId);
    if (index === -1) return this.#handed.slice(1).find((handed) => handed.executionId === executionId)?.cell;
    this.#endWaiting(this.#waiting.splice(index, 1));
    return 'withdrawn';
  }

  withdrawAll(): void {
    this.isolateGone();
    this.#endWaiting(this.#waiting.splice(0));
  }

  #endWaiting(executions: readonly Execution[]): void {
    const { audit, sessionId } = this.#powers;
    for (const execution of executions) {
      const { executionId, recorded } = execution;
      if (recorded)
        audit.note('execution.finished', { sessionId, executionId, status: 'error', code: NOT_STARTED.code });
      this.#powers.emit({ kind: 'execution.finished', executionId, status: 'error', code: NOT_STARTED.code });
      this.#settle(execution, { status: 'error', error: NOT_STARTED }, NO_USAGE, 0);
    }
  }

  /** The daemon's own deadline behind the host's. It stands still while the cell waits for a person. */
  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const execution = this.running;
    if (execution === undefined || this.#patientCalls > 0) return;
    const leftMs = execution.wallMs - this.usedMs(execution);
    this.#deadline = setTimeout(() => this.#overdue(execution), Math.max(1, leftMs) + HOST_LIMITS.stopGraceMs);
  }

  /** A host that has still to start has not had the cell's time yet: the time counts from when it is ready. */
  #overdue(execution: Execution): void {
    if (this.#powers.ready()) {
      this.#powers.overdue(`The cell could not be stopped after its ${execution.wallMs} ms.`);
      return;
    }
    execution.startedMs = this.#powers.monotonicMs();
    this.#armDeadline();
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
      const execution = this.running;
      if (--this.#patientCalls === 0 && execution !== undefined) {
        execution.patientMs += this.#powers.monotonicMs() - Math.max(this.#patientSince, execution.startedMs);
      }
      this.#armDeadline();
    };
  }
}
