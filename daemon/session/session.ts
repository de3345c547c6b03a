/**
 * One session: a queue of cells, an isolate to run them in, and the events that tell what happened.
 *
 * I1: one cell runs at a time; cells start in the order in which they were accepted.
 * I2: every accepted execution ends with exactly one result and one `execution.finished` event, after all its output.
 * I3: a closed session holds nothing and starts nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import type {
  EventBody,
  ExecutionResult,
  Language,
  NamespaceEntry,
  SessionInfo,
  Value,
} from '../../client/protocol.ts';
import type { LevelName, Policy } from '../../policies/policy.ts';
import type { CellOutcome, CellUsage } from '../../sandbox/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { CallContext } from '../capabilities/capability.ts';
import { denied, type Gate } from '../capabilities/gate.ts';
import { capabilityNamed } from '../capabilities/registry.ts';
import { Fault } from '../fault.ts';
import { HOST_LIMITS } from '../hosts/host-limits.ts';
import type { HostPool, IsolateLoss } from '../hosts/host-pool.ts';
import type { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { Answers } from './answers.ts';
import { Execution, type ExecutionEnd, endOf, outcomeValue } from './execution.ts';
import { Inputs } from './inputs.ts';
import { isolatePlan, moveGrant, type Narrowing, publicLimits, type SessionGrant } from './session-grant.ts';
import { type GuestMessage, SessionIsolate } from './session-isolate.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export interface SessionPowers {
  readonly pool: Pick<HostPool, 'open'>;
  readonly gate: Gate;
  readonly audit: Audit;
  readonly policy: () => Policy;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
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

/** Names of the engine's own: results and nothing else are kept in them. */
const HISTORY_NAMES: ReadonlySet<string> = new Set(['_', '__', '___']);

export class Session {
  readonly sessionId: string;
  readonly principal: Principal;
  readonly events: EventQueue;
  readonly #setup: SessionSetup;
  readonly #powers: SessionPowers;
  readonly #isolate: SessionIsolate;
  readonly #inputs: Inputs;
  readonly #answers = new Answers();
  readonly #queue: Execution[] = [];
  readonly #createdAt: string;
  #grant: SessionGrant;
  #asked: Narrowing;
  #capabilities: ReadonlySet<string>;
  #running: Execution | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #patientSince: number | undefined;
  #patientCalls = 0;
  #cells = 0;
  #stateful = false;
  /** What a lost isolate took with it, until the client has been told in an answer. */
  #loss: string | undefined;
  #life = new AbortController();
  #closed = false;

  constructor(setup: SessionSetup, powers: SessionPowers) {
    this.sessionId = setup.sessionId;
    this.principal = setup.principal;
    this.events = setup.events;
    this.#setup = setup;
    this.#powers = powers;
    this.#grant = setup.grant;
    this.#asked = setup.asked;
    this.#capabilities = new Set(setup.grant.grants.keys());
    this.#createdAt = new Date(powers.nowMs()).toISOString();
    this.#inputs = new Inputs((event) => this.#emit(event));
    const session = this;
    this.#isolate = new SessionIsolate(powers.pool, {
      onMessage: (message) => this.#guestSays(message),
      onCellDone: (cell, outcome, usage) => this.#cellDone(cell, outcome, usage),
      onLost: (loss) => this.#lost(loss),
      get executing() {
        return session.#running !== undefined;
      },
    });
    this.#ensureIsolate();
  }

  info(): SessionInfo {
    return {
      sessionId: this.sessionId,
      name: this.#setup.name,
      language: this.#setup.language,
      level: this.#grant.level,
      state: this.#closed ? 'closed' : this.#running === undefined ? 'idle' : 'running',
      createdAt: this.#createdAt,
      cells: this.#cells,
      queued: this.#queue.length,
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
    return this.#running !== undefined;
  }

  // --- executions ----------------------------------------------------------------------------------------------------

  /** Fails with TOO_LARGE, BUSY or EXECUTION_CONFLICT; an accepted execution always settles with a result. */
  execute(
    source: string,
    executionId = `exe_${randomBytes(16).toString('base64url')}`,
    timeoutMs?: number,
  ): Promise<ExecutionResult> {
    this.#assertOpen();
    const known = this.#answers.find(executionId, source);
    if (known !== undefined) return known;
    const { sourceBytesMax, queueLengthMax, cellWallMsMax } = this.#grant.limits;
    if (source.length > sourceBytesMax || Buffer.byteLength(source) > sourceBytesMax) {
      throw new Fault(
        'TOO_LARGE',
        `The source of a cell may have at most ${sourceBytesMax} bytes; this one has ${Buffer.byteLength(source)}.`,
        { sourceBytesMax },
      );
    }
    if (this.#queue.length >= queueLengthMax) {
      throw new Fault('BUSY', `${queueLengthMax} cells wait in this session already; send more when some have ended.`, {
        queueLengthMax,
      });
    }
    const execution = new Execution(executionId, source, Math.min(timeoutMs ?? cellWallMsMax, cellWallMsMax));
    this.#answers.add(executionId, source, execution.result);
    this.#queue.push(execution);
    this.#next();
    return execution.result;
  }

  #next(): void {
    if (this.#running !== undefined || this.#closed) return;
    const execution = this.#queue.shift();
    if (execution === undefined) return;
    this.#running = execution;
    execution.cell = ++this.#cells;
    execution.startedMs = this.#powers.monotonicMs();
    const { executionId, cell } = execution;
    try {
      this.#powers.audit.append('execution.started', {
        sessionId: this.sessionId,
        executionId,
        sourceSha256: createHash('sha256').update(execution.source).digest('hex'),
      });
    } catch (error) {
      this.#finish({ status: 'error', error: faultError(error) });
      return;
    }
    this.#emit({ kind: 'execution.started', executionId, cell });
    if (this.#loss !== undefined) {
      const message = this.#loss;
      this.#loss = undefined;
      this.#finish({ status: 'error', error: { code: 'SESSION_LOST', name: 'SessionLost', message, stack: '' } });
      return;
    }
    this.#ensureIsolate();
    this.#armDeadline();
    const { cellCpuMsMax, cellOutputBytesMax } = this.#grant.limits;
    this.#isolate.run(cell, execution.source, {
      cpuMs: Math.min(cellCpuMsMax, execution.wallMs),
      wallMs: execution.wallMs,
      outputBytes: cellOutputBytesMax,
    });
  }

  #cellDone(cell: number, outcome: CellOutcome, usage: CellUsage): void {
    const execution = this.#running;
    if (execution?.cell !== cell) return;
    this.#stateful = usage.stateful;
    const limits = { cpuMs: Math.min(this.#grant.limits.cellCpuMsMax, execution.wallMs), wallMs: execution.wallMs };
    this.#finish(
      endOf(outcome, limits, (name) => this.#denialOf(name)),
      usage,
    );
  }

  #finish(end: ExecutionEnd, usage: Pick<CellUsage, 'cpuMs' | 'heapBytes'> = { cpuMs: 0, heapBytes: 0 }): void {
    const execution = this.#running;
    if (execution === undefined) return;
    clearTimeout(this.#deadline);
    this.#running = undefined;
    const { executionId } = execution;
    const code = end.status === 'error' ? { code: end.error.code } : {};
    try {
      this.#powers.audit.append('execution.finished', {
        sessionId: this.sessionId,
        executionId,
        status: end.status,
        ...code,
      });
    } catch {
      // The cell has run; its result is the client's. What comes next is refused, because its own record fails too.
    }
    this.#emit({ kind: 'execution.finished', executionId, status: end.status, ...code });
    const result = execution.finish(end, usage, this.#powers.monotonicMs() - execution.startedMs);
    this.#answers.ended(
      executionId,
      end.status === 'ok' && end.value.kind === 'preview' ? end.value.text.length : result.output.stdout.length + 1024,
    );
    this.#powers.executed();
    this.#next();
  }

  /** The daemon's own deadline behind the host's: a host that does not stop its cell in time is ended. */
  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const execution = this.#running;
    if (execution === undefined || this.#patientSince !== undefined) return;
    const usedMs = this.#powers.monotonicMs() - execution.startedMs - execution.patientMs;
    this.#deadline = setTimeout(
      () => this.#isolate.killHost(`The cell could not be stopped after its ${execution.wallMs} ms.`),
      Math.max(1, execution.wallMs - usedMs) + HOST_LIMITS.stopGraceMs,
    );
  }

  #denialOf(name: string): Fault | undefined {
    return capabilityNamed(name) === undefined || this.#capabilities.has(name)
      ? undefined
      : denied(this.#powers.policy(), this.#grant.level, name);
  }

  /** Stops the running cell; false where none runs, or not this one. */
  interrupt(executionId?: string): boolean {
    this.#assertOpen();
    const execution = this.#running;
    if (executionId !== undefined) {
      const waiting = this.#queue.findIndex((queued) => queued.executionId === executionId);
      if (waiting !== -1) {
        this.#endQueued(this.#queue.splice(waiting, 1));
        return true;
      }
    }
    if (execution === undefined || (executionId !== undefined && execution.executionId !== executionId)) return false;
    this.#isolate.stop(execution.cell);
    return true;
  }

  #endQueued(executions: readonly Execution[]): void {
    for (const execution of executions) {
      const error = {
        code: 'INTERRUPTED',
        name: 'Interrupted',
        message: 'The cell was taken out of the queue before it started.',
        stack: '',
      } as const;
      execution.finish({ status: 'error', error }, { cpuMs: 0, heapBytes: 0 }, 0);
      this.#answers.ended(execution.executionId, 1024);
    }
  }

  // --- what guest code does ------------------------------------------------------------------------------------------

  #guestSays(message: GuestMessage): void {
    const execution = this.#running !== undefined && this.#running.cell === message.cell ? this.#running : undefined;
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
        void this.#call(message.call, message.name, message.argsJson, execution);
        return;
    }
  }

  async #call(call: number, name: string, argsJson: string, execution: Execution | undefined): Promise<void> {
    if (execution !== undefined) execution.capabilityCalls++;
    const life = this.#life.signal;
    let answer: { readonly ok: boolean; readonly json: string };
    let patient = false;
    try {
      const verdict = this.#powers.gate.judge(
        {
          sessionId: this.sessionId,
          level: this.#grant.level,
          capabilities: this.#capabilities,
          executionId: execution?.executionId ?? null,
        },
        name,
        argsJson,
      );
      if (verdict.verdict === 'deny') throw verdict.fault;
      patient = verdict.capability.patient;
      if (patient) this.#waitForPerson(true);
      const context: CallContext = {
        requestInput: (prompt, waitMs) => this.#inputs.request(prompt, execution?.executionId ?? null, waitMs),
        signal: life,
      };
      const value = await verdict.capability.invoke(verdict.call, context);
      answer = { ok: true, json: JSON.stringify(value ?? null) };
    } catch (error) {
      const { code, name: errorName, message } = faultError(error);
      answer = { ok: false, json: JSON.stringify({ code, name: errorName, message }) };
    }
    if (patient) this.#waitForPerson(false);
    if (life.aborted) return;
    this.#powers.audit.append('capability.outcome', {
      sessionId: this.sessionId,
      capability: name.slice(0, 256),
      outcome: answer.ok ? 'done' : 'failed',
    });
    this.#isolate.settleCall(call, answer.ok, answer.json);
  }

  #waitForPerson(begins: boolean): void {
    const now = this.#powers.monotonicMs();
    if (begins && this.#patientCalls++ === 0) this.#patientSince = now;
    if (!begins && --this.#patientCalls === 0 && this.#patientSince !== undefined) {
      if (this.#running !== undefined)
        this.#running.patientMs += now - Math.max(this.#patientSince, this.#running.startedMs);
      this.#patientSince = undefined;
    }
    this.#armDeadline();
  }

  answerInput(requestId: string, text: string | null): void {
    this.#assertOpen();
    this.#inputs.answer(requestId, text);
  }

  // --- the isolate ---------------------------------------------------------------------------------------------------

  #ensureIsolate(): void {
    this.#isolate.open(() => isolatePlan(this.#grant, this.#setup.language, randomBytes(16).toString('hex')));
  }

  #lost(loss: IsolateLoss): void {
    const execution = this.#running;
    const hadState = this.#stateful;
    this.#forgetIsolateState();
    if (execution === undefined && !hadState) return;
    const consequence = hadState ? ' Its variables are gone; the next cell runs in a fresh session.' : '';
    const code =
      loss.by === 'memory'
        ? 'MEMORY_EXCEEDED'
        : loss.culprit && execution !== undefined
          ? codeOfCulprit(loss, execution, this.#powers.monotonicMs())
          : 'SESSION_LOST';
    const message = `${loss.message}${consequence}`;
    this.#powers.audit.append('session.lost', { sessionId: this.sessionId, code, message });
    this.#emit({ kind: 'session.lost', code, message });
    if (execution === undefined) this.#loss = message;
    else
      this.#finish({
        status: 'error',
        error: { code, name: NAMES[code], message, stack: '', details: { stateLost: hadState } },
      });
  }

  #forgetIsolateState(): void {
    this.#stateful = false;
    this.#life.abort();
    this.#life = new AbortController();
    this.#inputs.cancelAll();
  }

  /** A fresh isolate and an empty namespace; what runs or waits is ended. */
  reset(): void {
    this.#assertOpen();
    this.#restart('The session was reset while the cell was running.');
    this.#emit({ kind: 'session.reset' });
  }

  #restart(why: string): void {
    this.#endQueued(this.#queue.splice(0));
    this.#isolate.drop();
    this.#forgetIsolateState();
    this.#loss = undefined;
    this.#finish({ status: 'error', error: { code: 'INTERRUPTED', name: 'Interrupted', message: why, stack: '' } });
    this.#ensureIsolate();
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
    this.#restart('The session was moved to another level while the cell was running.');
    this.#emit({ kind: 'session.level', level });
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#endQueued(this.#queue.splice(0));
    this.#isolate.drop();
    this.#forgetIsolateState();
    this.#closed = true;
    this.#life.abort();
    this.#finish({
      status: 'error',
      error: {
        code: 'SESSION_CLOSED',
        name: 'SessionClosed',
        message: 'The session was closed while the cell was running.',
        stack: '',
      },
    });
    this.#emit({ kind: 'session.closed', reason });
  }

  // --- questions -----------------------------------------------------------------------------------------------------

  async listNames(): Promise<readonly NamespaceEntry[]> {
    return (await this.#ready().ask({ about: 'namespace.list' })).names;
  }

  async getName(name: string): Promise<Value> {
    const answer = await this.#ready().ask({ about: 'namespace.get', name });
    const value = answer.outcome === undefined ? undefined : outcomeValue(answer.outcome);
    if (value === undefined)
      throw new Fault(
        'INVALID_PARAMS',
        `namespace.get: this session has no variable ${JSON.stringify(name)}; namespace.list names those it has.`,
      );
    return value;
  }

  async setNames(values: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
    const names = Object.keys(values);
    if (names.length > SESSION_LIMITS.namesMax)
      throw new Fault('TOO_LARGE', `namespace.set: at most ${SESSION_LIMITS.namesMax} names at once.`);
    const kept = names.find((name) => HISTORY_NAMES.has(name));
    if (kept !== undefined)
      throw new Fault('INVALID_PARAMS', `namespace.set: ${kept} holds a result of the session and cannot be set.`);
    const valuesJson = JSON.stringify(values);
    if (valuesJson.length > this.#grant.limits.valueBytesMax)
      throw new Fault(
        'TOO_LARGE',
        `namespace.set: the values may have at most ${this.#grant.limits.valueBytesMax} bytes as JSON.`,
      );
    const answer = await this.#ready().ask({ about: 'namespace.set', valuesJson });
    this.#stateful = true;
    return answer.names;
  }

  async deleteNames(names: readonly string[]): Promise<readonly string[]> {
    return (await this.#ready().ask({ about: 'namespace.delete', names })).names;
  }

  async complete(
    source: string,
    cursor: number,
  ): Promise<{ readonly matches: readonly string[]; readonly start: number; readonly end: number }> {
    const { matches, start, end } = await this.#ready().ask({ about: 'complete', source, cursor });
    return { matches, start, end };
  }

  async inspect(source: string, cursor: number): Promise<{ readonly found: boolean; readonly text: string }> {
    const { found, text } = await this.#ready().ask({ about: 'inspect', source, cursor });
    return { found, text };
  }

  async isComplete(source: string): Promise<'complete' | 'incomplete' | 'invalid'> {
    return (await this.#ready().ask({ about: 'isComplete', source })).status;
  }

  #ready(): SessionIsolate {
    this.#assertOpen();
    if (this.#loss !== undefined) {
      const message = this.#loss;
      this.#loss = undefined;
      throw new Fault('SESSION_LOST', message);
    }
    this.#ensureIsolate();
    return this.#isolate;
  }

  #assertOpen(): void {
    if (this.#closed) throw new Fault('SESSION_CLOSED', 'The session is closed.');
  }

  #emit(event: EventBody): void {
    this.events.append(event);
  }
}

const NAMES = {
  MEMORY_EXCEEDED: 'MemoryExceeded',
  SESSION_LOST: 'SessionLost',
  HOST_CRASHED: 'HostCrashed',
  TIMED_OUT: 'Timeout',
  CPU_EXCEEDED: 'CpuExceeded',
} as const;

/** A cell that had to be ended with its host broke a limit if it ran that long; otherwise it brought its host down. */
function codeOfCulprit(
  loss: IsolateLoss,
  execution: Execution,
  nowMs: number,
): 'TIMED_OUT' | 'CPU_EXCEEDED' | 'HOST_CRASHED' {
  if (loss.by !== 'stuck') return 'HOST_CRASHED';
  return nowMs - execution.startedMs - execution.patientMs >= execution.wallMs ? 'TIMED_OUT' : 'CPU_EXCEEDED';
}

function faultError(error: unknown): {
  readonly code: Fault['code'];
  readonly name: string;
  readonly message: string;
  readonly stack: string;
} {
  if (error instanceof Fault) {
    const name =
      error.code === 'CAPABILITY_DENIED'
        ? 'CapabilityDenied'
        : error.code === 'TIMED_OUT'
          ? 'Timeout'
          : 'CapabilityError';
    return { code: error.code, name, message: error.message, stack: '' };
  }
  return { code: 'INTERNAL', name: 'InternalError', message: 'The daemon failed; its log says how.', stack: '' };
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
