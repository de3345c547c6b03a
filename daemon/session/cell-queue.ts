/**
 * The cells of one session, waiting and running.
 *
 * I1: one cell runs at a time; cells start in the order in which they were accepted.
 * I2: every accepted execution gets exactly one result, and one `execution.finished` event before it.
 * I3: the same executionId is one execution and one result.
 * I4: a result is given to nobody before it is in the journal, and what was accepted is there before it is acknowledged.
 */
import { hash, randomUUID } from 'node:crypto';
import type { EventBody, ExecutionResult, FaultCode } from '../../client/protocol.ts';
import type { Limits } from '../../policies/limits.ts';
import type { CellUsage } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { Rebuilt } from '../durability/rebuilt.ts';
import type { Recorded, SessionJournal } from '../durability/session-journal.ts';
import { Fault } from '../fault.ts';
import { HOST_LIMITS } from '../hosts/host-limits.ts';
import { Answers } from './answers.ts';
import { Execution, type ExecutionEnd } from './execution.ts';
import { faultError, plainError } from './execution-error.ts';
import type { Executions } from './executions.ts';
import type { SessionLife } from './session-life.ts';

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
  readonly executions: Pick<Executions, 'began' | 'ended'>;
  /** The last of the cells has ended. */
  readonly rested: () => void;
  readonly journal: Pick<SessionJournal, 'assertWritable' | 'answer' | 'whenCommitted'>;
  readonly life: Pick<SessionLife, 'accepted' | 'audited' | 'ended' | 'stopAsked'>;
}

export interface AskedExecution {
  readonly executionId?: string | undefined;
  readonly timeoutMs?: number | undefined;
  /** Where it fails, the session is to be as it was before it. */
  readonly rollback?: boolean | undefined;
}
/** `pending`: timers and calls that it has left behind, where its host has said so. */
type EndUsage = Pick<CellUsage, 'cpuMs' | 'heapBytes'> & { readonly pending?: number | undefined };

/** Cells of one session that its host holds at once. */
const HANDED_MAX = 16;
export const NOT_STARTED = plainError('INTERRUPTED', 'The cell was taken out of the queue before it started.');
/** Ends of cells that are not their code's own doing, but a limit's. */
const LIMITS_HIT: ReadonlySet<FaultCode> = new Set(['CPU_EXCEEDED', 'TIMED_OUT', 'MEMORY_EXCEEDED']);
/** What a cell used that was ended without a word of its host. */
const NO_USAGE: EndUsage = { cpuMs: 0, heapBytes: 0 };
/** What an answer without a value takes up, roughly. */
const SMALL_ANSWER = 1024;

export class CellQueue {
  readonly #powers: CellQueuePowers;
  readonly #answers = new Answers();
  readonly #waiting: Execution[] = [];
  /** Handed to the isolate; the first one runs, the others wait behind it in the host. */
  readonly #handed: Execution[] = [];
  /** Ended, and their results on their way into the journal. */
  readonly #unsettled = new Set<Execution>();
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

  /** What the running cell has written is part of its result; what an ended one left behind is not. */
  written({ executionId, stream, text }: Extract<EventBody, { kind: 'output' }>): void {
    if (this.running?.executionId === executionId) this.running[stream].append(text);
  }

  /** Calls that wait for a person or a timer. */
  get patientCalls(): number {
    return this.#patientCalls;
  }

  /** Cells accepted so far. */
  get cells(): number {
    return this.#cells;
  }

  /** Fails with TOO_LARGE, BUSY or EXECUTION_CONFLICT; an accepted execution always settles with a result. */
  execute(
    source: string,
    { executionId: askedId, timeoutMs, rollback = false }: AskedExecution,
  ): Promise<ExecutionResult> {
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
    this.#powers.journal.assertWritable();
    const wallMs = Math.min(timeoutMs ?? cellWallMsMax, cellWallMsMax);
    const execution = new Execution({ executionId, source, wallMs, rollback, cell: ++this.#cells });
    this.#powers.life.accepted(execution);
    this.#answers.add(executionId, source, execution.result);
    this.#waiting.push(execution);
    this.handOver();
    return execution.result;
  }

  /** What an earlier daemon had accepted: answers are given again, and what had not ended goes on. */
  restore(
    { answers, events }: Pick<Recorded, 'answers' | 'events'>,
    rebuilt: Pick<Rebuilt, 'unended' | 'audited' | 'stops' | 'calls'> | undefined,
  ): void {
    for (const { executionId, source, result, cell } of answers) {
      this.#answers.add(executionId, source, Promise.resolve(result));
      this.#answers.ended(executionId, JSON.stringify(result).length);
      this.#cells = Math.max(this.#cells, cell);
    }
    for (const record of rebuilt?.unended ?? []) {
      const execution = new Execution(record);
      execution.restore(events, rebuilt?.audited.has(record.cell) ?? false);
      execution.stopAsked = rebuilt?.stops.has(record.cell) ?? false;
      for (const call of rebuilt?.calls.values() ?? [])
        if (call.record.executionId === record.executionId) execution.capabilityCalls++;
      this.#answers.add(record.executionId, record.source, execution.result);
      this.#waiting.push(execution);
      this.#cells = Math.max(this.#cells, record.cell);
    }
  }

  hasAnswer(executionId: string): boolean {
    return this.#answers.has(executionId);
  }

  /** Whether nothing is to be done now: no cell, or one that waits. */
  get canWait(): boolean {
    return (
      this.unended.length === 0 || (this.unended.length === 1 && this.#handed.length === 1 && this.#patientCalls > 0)
    );
  }

  /** Accepted and not ended, in their order. */
  get unended(): readonly Execution[] {
    return [...this.#handed, ...this.#waiting];
  }

  /** The lost isolate is made again: the running cell goes on in it, and those behind it follow. */
  goOn(): void {
    const { running } = this;
    const end = running === undefined ? undefined : this.#powers.run(running);
    if (end === undefined) this.handOver();
    else this.finish(end);
  }

  /** Hands cells over, a few ahead of the one that runs, so that the host need not wait for us between two of them. */
  handOver(): void {
    // What follows a cell that may be taken back waits for its end.
    while (this.#handed.length < HANDED_MAX && !this.#handed.at(-1)?.rollback) {
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
      this.#powers.life.audited(execution.cell);
      return undefined;
    } catch (error) {
      return { status: 'error', error: faultError(error) };
    }
  }

  #begin(execution: Execution): void {
    execution.startedMs = this.#powers.monotonicMs();
    if (!execution.announced)
      this.#powers.emit({ kind: 'execution.started', executionId: execution.executionId, cell: execution.cell });
    execution.announced = true;
    this.#armDeadline();
    this.#powers.executions.began(execution);
  }

  /** Ends the running cell, if there is one, and starts the next. */
  finish(end: ExecutionEnd, usage: EndUsage = NO_USAGE): void {
    const execution = this.running;
    if (execution === undefined) return;
    this.#finish(execution, end, usage);
    this.handOver();
    if (this.unended.length === 0) this.#powers.rested();
  }

  #finish(execution: Execution, end: ExecutionEnd, usage: EndUsage = NO_USAGE): void {
    const wasRunning = this.running === execution;
    this.#handed.splice(this.#handed.indexOf(execution), 1);
    const { executionId } = execution;
    const { audit, sessionId, emit, monotonicMs, executions } = this.#powers;
    const code: { readonly code?: FaultCode } = end.status === 'error' ? { code: end.error.code } : {};
    audit.note('execution.finished', { sessionId, executionId, status: end.status, ...code });
    if (code.code !== undefined && LIMITS_HIT.has(code.code))
      audit.note('limit.hit', { sessionId, executionId, code: code.code });
    if (wasRunning) clearTimeout(this.#deadline);
    emit({ kind: 'execution.finished', executionId, status: end.status, ...code });
    this.#settle(execution, end, usage, wasRunning ? monotonicMs() - execution.startedMs : 0);
    executions.ended(execution);
    if (wasRunning && this.running !== undefined) this.#begin(this.running);
  }

  /** The host has taken a cell out of its queue that had not begun. */
  stopped(cell: number): void {
    const execution = this.#handed.find((handed) => handed.cell === cell);
    if (execution !== undefined && execution !== this.running) {
      this.#finish(execution, { status: 'error', error: NOT_STARTED });
      this.handOver();
    }
  }

  /** The isolate is gone, and with it what waited behind the running cell; those cells are handed over again. */
  isolateGone(): void {
    this.#waiting.unshift(...this.#handed.splice(1));
  }

  #settle(execution: Execution, end: ExecutionEnd, usage: EndUsage, durationMs: number) {
    const { journal, life } = this.#powers;
    const { cell, executionId, source } = execution;
    const result = execution.finish(end, usage, durationMs);
    life.ended(cell, usage.pending === undefined ? undefined : { pending: usage.pending, cpuMs: usage.cpuMs });
    journal.answer({ cell, executionId, source, result });
    this.#unsettled.add(execution);
    journal.whenCommitted(() => {
      this.#unsettled.delete(execution);
      execution.settle(result);
    });
    const { output } = result;
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

  /** The cell, which the host holds, is to end; it is once that is in the journal, in this isolate or another. */
  askStop(cell: number): void {
    const execution = this.#handed.find((handed) => handed.cell === cell);
    if (execution === undefined || execution.stopAsked) return;
    execution.stopAsked = true;
    this.#powers.life.stopAsked(cell);
  }

  withdrawAll(): void {
    this.isolateGone();
    this.#endWaiting(this.#waiting.splice(0));
  }

  /** The session is another daemon's: there is nothing to run or to answer here any more. */
  moved(fault: Fault): void {
    clearTimeout(this.#deadline);
    for (const execution of [...this.#handed.splice(0), ...this.#waiting.splice(0)]) execution.moved(fault);
    for (const execution of this.#unsettled) execution.moved(fault);
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

  /** The lost isolate is as it was, and gives the running cell all of its time again. */
  timeAgain(): void {
    const execution = this.running;
    if (execution === undefined) return;
    execution.startedMs = this.#powers.monotonicMs();
    execution.patientMs = 0;
    this.#armDeadline();
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
  waitPatiently(): () => void {
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
