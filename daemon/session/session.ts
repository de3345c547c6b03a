/**
 * One session: its cells, the isolate they run in, and the events that tell what happened.
 *
 * I1: what guest code says is passed on in the order in which it was said, before the end of the cell that said it.
 * I2: a closed session holds nothing and starts nothing.
 */
import { randomBytes } from 'node:crypto';
import {
  type EventBody,
  type ExecutionResult,
  type FaultCode,
  FRAME_BYTES_MAX,
  type Language,
  type SessionInfo,
} from '../../client/protocol.ts';
import type { LevelName, Policy } from '../../policies/policy.ts';
import type { CellOutcome, CellUsage } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import { denied, type Gate } from '../capabilities/gate.ts';
import { capabilityOfGlobal } from '../capabilities/registry.ts';
import { Fault } from '../fault.ts';
import type { HostPool, IsolateLoss } from '../hosts/host-pool.ts';
import type { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { CapabilityDesk } from './capability-desk.ts';
import { CellQueue } from './cell-queue.ts';
import { type Execution, type ExecutionEnd, endOf } from './execution.ts';
import { plainError } from './execution-error.ts';
import { Inputs } from './inputs.ts';
import { isolatePlan, moveGrant, type Narrowing, publicLimits, type SessionGrant } from './session-grant.ts';
import { type GuestMessage, SessionIsolate } from './session-isolate.ts';
import { SessionQuestions } from './session-questions.ts';

export interface SessionPowers {
  readonly pool: Pick<HostPool, 'open'>;
  readonly gate: Gate;
  readonly audit: Audit;
  readonly policy: () => Policy;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  /** Its host broke the protocol while it ran code: the session is to be ended. */
  readonly violated: (session: Session) => void;
  /** An execution has ended, for the daemon's figures. */
  readonly executed: () => void;
}

export interface SessionSetup {
  readonly sessionId: string;
  readonly principal: Principal;
  readonly name: string | null;
  readonly language: Language;
  readonly labels: Readonly<Record<string, string>>;
  readonly grant: SessionGrant;
  readonly asked: Narrowing;
  readonly events: EventQueue;
}

export class Session {
  readonly sessionId: string;
  readonly principal: Principal;
  readonly events: EventQueue;
  readonly questions: SessionQuestions;
  readonly #setup: SessionSetup;
  readonly #powers: SessionPowers;
  readonly #isolate: SessionIsolate;
  readonly #cells: CellQueue;
  readonly #inputs: Inputs;
  readonly #desk: CapabilityDesk;
  readonly #createdAt: string;
  #grant: SessionGrant;
  #asked: Narrowing;
  #capabilities: ReadonlySet<string>;
  /** Whether the isolate holds anything that a user would miss. */
  #stateful = false;
  /** What a lost isolate took with it, until the client has been told in an answer. */
  #loss: string | undefined;
  /** Ends with the isolate; calls that it made are of no use to the next one. */
  #isolateLife = new AbortController();
  #closed = false;

  constructor(setup: SessionSetup, powers: SessionPowers) {
    const { sessionId, principal, events, grant, asked } = setup;
    this.sessionId = sessionId;
    this.principal = principal;
    this.events = events;
    this.#setup = setup;
    this.#powers = powers;
    this.#grant = grant;
    this.#asked = asked;
    this.#capabilities = new Set(grant.grants.keys());
    this.#createdAt = new Date(powers.nowMs()).toISOString();
    this.#inputs = new Inputs((event) => this.#emit(event));
    this.#cells = this.#makeCells();
    this.#isolate = this.#makeIsolate();
    this.#desk = new CapabilityDesk({
      gate: powers.gate,
      audit: powers.audit,
      settle: (call, ok, json) => this.#isolate.settleCall(call, ok, json),
      waitForPerson: () => this.#cells.waitForPerson(),
    });
    this.questions = new SessionQuestions({
      isolate: () => this.#readyIsolate(),
      valueBytesMax: () => this.#grant.limits.valueBytesMax,
      stateful: () => {
        this.#stateful = true;
      },
    });
    this.#openIsolate();
  }

  #makeCells(): CellQueue {
    const { audit, monotonicMs, executed } = this.#powers;
    return new CellQueue({
      sessionId: this.sessionId,
      audit,
      monotonicMs,
      executed,
      limits: () => this.#grant.limits,
      emit: (event) => this.#emit(event),
      run: (execution) => this.#run(execution),
      ready: () => this.#isolate.ready,
      overdue: (message) => this.#isolate.killHost(message),
    });
  }

  #makeIsolate(): SessionIsolate {
    const cells = this.#cells;
    return new SessionIsolate(this.#powers.pool, {
      onMessage: (message) => this.#guestSays(message),
      onCellDone: (cell, outcome, usage) => this.#cellDone(cell, outcome, usage),
      onLost: (loss) => this.#lost(loss),
      get executing() {
        return cells.running !== undefined;
      },
    });
  }

  info(): SessionInfo {
    return {
      sessionId: this.sessionId,
      name: this.#setup.name,
      language: this.#setup.language,
      level: this.#grant.level,
      state: this.#closed ? 'closed' : this.running ? 'running' : 'idle',
      createdAt: this.#createdAt,
      cells: this.#cells.cells,
      queued: this.#cells.waiting,
      seq: this.events.lastSeq,
      capabilities: [...this.#capabilities],
      limits: publicLimits(this.#grant.limits),
      labels: this.#setup.labels,
    };
  }

  get level(): LevelName {
    return this.#grant.level;
  }

  get running(): boolean {
    return this.#cells.running !== undefined;
  }

  // --- cells ---------------------------------------------------------------------------------------------------------

  /** Fails with TOO_LARGE, BUSY or EXECUTION_CONFLICT; an accepted execution always settles with a result. */
  execute(source: string, executionId?: string, timeoutMs?: number): Promise<ExecutionResult> {
    this.#assertOpen();
    return this.#cells.execute(source, executionId, timeoutMs);
  }

  #run({ cell, source, wallMs }: Execution): ExecutionEnd | undefined {
    const loss = this.#takeLoss();
    if (loss !== undefined) return { status: 'error', error: plainError('SESSION_LOST', loss) };
    this.#openIsolate();
    const { cellCpuMsMax, cellOutputBytesMax } = this.#grant.limits;
    this.#isolate.run(cell, source, { cpuMs: cellCpuMsMax, wallMs, outputBytes: cellOutputBytesMax });
    return undefined;
  }

  #cellDone(cell: number, outcome: CellOutcome, usage: CellUsage): void {
    const execution = this.#cells.running;
    if (execution?.cell !== cell) {
      this.#cells.stopped(cell);
      return;
    }
    this.#stateful = usage.stateful;
    const limits = { cpuMs: this.#grant.limits.cellCpuMsMax, wallMs: execution.wallMs };
    const end = endOf(outcome, limits, (name) => this.#denialOf(name));
    this.#cells.finish(end, usage);
  }

  #denialOf(name: string): Fault | undefined {
    const capability = capabilityOfGlobal(name);
    if (capability === undefined || this.#capabilities.has(capability)) return undefined;
    return denied(this.#powers.policy(), this.#grant.level, capability);
  }

  /** Stops the running cell, or takes a waiting one out of the queue; false where there is no such cell. */
  interrupt(executionId?: string): boolean {
    this.#assertOpen();
    const waiting = executionId === undefined ? undefined : this.#cells.withdraw(executionId);
    if (typeof waiting === 'number') this.#isolate.stop(waiting);
    if (waiting !== undefined) return true;
    const execution = this.#cells.running;
    if (execution === undefined || (executionId ?? execution.executionId) !== execution.executionId) return false;
    this.#isolate.stop(execution.cell);
    return true;
  }

  // --- what guest code says ------------------------------------------------------------------------------------------

  #guestSays(message: GuestMessage): void {
    const running = this.#cells.running;
    const execution = running !== undefined && running.cell === message.cell ? running : undefined;
    const executionId = execution?.executionId ?? null;
    switch (message.kind) {
      case 'output':
        execution?.[message.stream].append(message.text);
        this.#emit({ kind: 'output', executionId, stream: message.stream, text: message.text });
        return;
      case 'output.truncated':
        if (execution !== undefined) execution.truncated = true;
        this.#emit({ kind: 'output.truncated', executionId, limitBytes: this.#grant.limits.cellOutputBytesMax });
        return;
      case 'display': {
        const data = parseObject(message.dataJson);
        if (data !== undefined) this.#emit({ kind: 'display', executionId, data });
        return;
      }
      case 'log':
        this.#emit({ kind: 'log', executionId, level: message.level, text: message.text });
        return;
      case 'call':
        if (execution !== undefined) execution.capabilityCalls++;
        this.#call(message, executionId);
        return;
    }
  }

  #call(call: Extract<GuestMessage, { kind: 'call' }>, executionId: string | null): void {
    const caller = {
      sessionId: this.sessionId,
      level: this.#grant.level,
      capabilities: this.#capabilities,
      executionId,
    };
    const context = {
      requestInput: (prompt: string, waitMs: number) => this.#inputs.request(prompt, executionId, waitMs),
      signal: this.#isolateLife.signal,
    };
    void this.#desk.handle(call, caller, context);
  }

  answerInput(requestId: string, text: string | null): void {
    this.#assertOpen();
    this.#inputs.answer(requestId, text);
  }

  // --- the isolate ---------------------------------------------------------------------------------------------------

  #openIsolate(): void {
    this.#isolate.open(() => isolatePlan(this.#grant, this.#setup.language, randomBytes(16).toString('hex')));
  }

  #readyIsolate(): SessionIsolate {
    this.#assertOpen();
    const loss = this.#takeLoss();
    if (loss !== undefined) throw new Fault('SESSION_LOST', loss);
    this.#openIsolate();
    return this.#isolate;
  }

  #takeLoss(): string | undefined {
    const loss = this.#loss;
    this.#loss = undefined;
    return loss;
  }

  #lost(loss: IsolateLoss): void {
    const execution = this.#cells.running;
    const stateLost = this.#stateful;
    const code = this.#lossCode(loss, execution);
    this.#forgetIsolate();
    this.#cells.isolateGone();
    if (execution === undefined && !stateLost) return;
    const goesOn = code !== 'SECURITY_VIOLATION';
    const message =
      stateLost && goesOn
        ? `${loss.message} Its variables are gone; the next cell runs in a fresh session.`
        : loss.message;
    this.#powers.audit.note('session.lost', { sessionId: this.sessionId, code, message });
    this.#emit({ kind: 'session.lost', code, message });
    // Nothing more is to run in a session that broke out; what waits in it ends with it.
    if (!goesOn) this.#cells.withdrawAll();
    if (execution === undefined) this.#loss = message;
    else this.#cells.finish({ status: 'error', error: plainError(code, message, { stateLost }) });
    if (!goesOn) this.#powers.violated(this);
  }

  /** A cell that had to be ended with its host broke a limit; one whose host just died brought it down. */
  #lossCode(loss: IsolateLoss, execution: Execution | undefined): FaultCode {
    if (loss.by === 'memory') return 'MEMORY_EXCEEDED';
    if (loss.by === 'breach' && loss.culprit) return 'SECURITY_VIOLATION';
    if (!loss.culprit || execution === undefined) return 'SESSION_LOST';
    if (loss.by === 'host') return 'HOST_CRASHED';
    return this.#cells.usedMs(execution) >= execution.wallMs ? 'TIMED_OUT' : 'CPU_EXCEEDED';
  }

  #forgetIsolate(): void {
    this.#stateful = false;
    this.#isolateLife.abort();
    this.#isolateLife = new AbortController();
    this.#inputs.cancelAll();
  }

  // --- its life ------------------------------------------------------------------------------------------------------

  /** A fresh isolate and an empty namespace; what runs or waits is ended. */
  reset(): void {
    this.#assertOpen();
    this.#end('INTERRUPTED', 'The session was reset while the cell was running.');
    this.#openIsolate();
    this.#emit({ kind: 'session.reset' });
  }

  /**
   * Moves the session to a level at or below its own. Sessions of different levels never share a process, so it starts again in
   * a fresh isolate.
   */
  lowerLevel(level: LevelName): void {
    this.#assertOpen();
    if (level === this.#grant.level) return;
    const { grant, asked } = moveGrant(this.#powers.policy(), level, this.#asked);
    this.#powers.audit.append('session.level', { sessionId: this.sessionId, from: this.#grant.level, to: level });
    this.#grant = grant;
    this.#asked = asked;
    this.#capabilities = new Set(grant.grants.keys());
    this.#end('INTERRUPTED', 'The session was moved to another level while the cell was running.');
    this.#openIsolate();
    this.#emit({ kind: 'session.reset' });
    this.#emit({ kind: 'session.level', level });
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end('SESSION_CLOSED', 'The session was closed while the cell was running.');
    this.#emit({ kind: 'session.closed', reason });
  }

  #end(code: FaultCode, message: string): void {
    this.#cells.withdrawAll();
    this.#isolate.drop();
    this.#forgetIsolate();
    this.#loss = undefined;
    this.#cells.finish({ status: 'error', error: plainError(code, message) });
  }

  #assertOpen(): void {
    if (this.#closed) throw new Fault('SESSION_CLOSED', 'The session is closed.');
  }

  /** What is too large for a message is not told; that something was left out is. */
  #emit(event: EventBody): void {
    try {
      this.events.append(event);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const executionId = 'executionId' in event ? event.executionId : null;
      this.events.append({ kind: 'output.truncated', executionId, limitBytes: FRAME_BYTES_MAX });
    }
  }
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
