/**
 * One session: its cells, the isolate they run in, the journal that both outlive, and the events that tell what happened.
 *
 * I1: what guest code says is passed on in the order in which it was said, before the end of the cell that said it.
 * I2: a closed session holds nothing and starts nothing.
 */
import type { CapabilityInfo, EventBody, ExecutionResult, FaultCode, SessionInfo } from '../../client/protocol.ts';
import type { LevelName } from '../../policies/policy.ts';
import type { CellOutcome, CellUsage } from '../../sandbox/protocol.ts';
import { Entitlements } from '../capabilities/entitlements.ts';
import type { ProvidedOffer, Provider } from '../capabilities/provided.ts';
import type { StoredRaise, StoredSession } from '../durability/journal-records.ts';
import type { Recorded, SessionJournal } from '../durability/session-journal.ts';
import { Fault } from '../fault.ts';
import type { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { type AskedExecution, type CellQueue, NOT_STARTED } from './cell-queue.ts';
import { type Execution, type ExecutionEnd, endOf, notTakenBack } from './execution.ts';
import { plainError } from './execution-error.ts';
import type { Executions } from './executions.ts';
import type { IsolateKeeper, KeeperPowers } from './isolate-keeper.ts';
import type { LevelRaises } from './level-raises.ts';
import type { SessionCalls } from './session-calls.ts';
import type { SessionCheckpoints } from './session-checkpoints.ts';
import type { EffectsPowers, SessionEffects } from './session-effects.ts';
import { moveGrant, type Narrowing, type SessionGrant } from './session-grant.ts';
import type { GuestMessage, SessionIsolate } from './session-isolate.ts';
import type { SessionLife } from './session-life.ts';
import { makeParts } from './session-parts.ts';
import type { SessionQuestions } from './session-questions.ts';
import { type SessionSetup, sessionInfo, storedSession } from './session-setup.ts';
import type { SessionVoice } from './session-voice.ts';

export interface SessionPowers extends EffectsPowers, Pick<KeeperPowers, 'pool' | 'packages'> {
  readonly nowMs: () => number;
  /** Its host broke the protocol while it ran code: the session is to be ended. */
  readonly violated: (session: Session, message: string) => void;
  /** An administrator has agreed that the session goes up. Fails with LEVEL_DENIED where who has asked may not have it there any more. */
  readonly raised: (session: Session, raise: StoredRaise) => void;
  readonly executions: Executions;
}

export class Session {
  readonly sessionId: string;
  readonly principal: Principal;
  readonly events: EventQueue;
  readonly questions: SessionQuestions;
  readonly checkpoints: SessionCheckpoints;
  readonly #setup: SessionSetup;
  readonly #powers: SessionPowers;
  readonly #keeper: IsolateKeeper;
  readonly #cells: CellQueue;
  readonly #calls: SessionCalls;
  readonly #effects: SessionEffects;
  readonly #voice: SessionVoice;
  readonly #life: SessionLife;
  readonly #journal: SessionJournal;
  #grant: SessionGrant;
  #asked: Narrowing;
  readonly #raises: LevelRaises;
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
    this.#journal = setup.journal;
    const parts = makeParts(setup, this.#entitledBy(grant), powers, {
      grant: () => this.#grant,
      run: (execution) => this.#run(execution),
      onMessage: (message) => this.#guestSays(message),
      onCellDone: (cell, outcome, usage) => this.#cellDone(cell, outcome, usage),
      readyIsolate: () => this.#readyIsolate(),
      forget: () => this.#forgetIsolate(),
      violated: (message) => powers.violated(this, message),
      raised: (raise) => powers.raised(this, raise),
      store: () => this.#journal.update({ ...this.stored, info: null }),
      committed: () => this.committed(),
      closed: () => this.#closed,
    });
    this.#cells = parts.cells;
    this.#keeper = parts.keeper;
    this.#calls = parts.calls;
    this.#effects = parts.effects;
    this.#voice = parts.voice;
    this.#life = parts.life;
    this.checkpoints = parts.checkpoints;
    this.questions = parts.questions;
    this.#raises = parts.raises;
  }

  /** A session that is new: its isolate is made ready. */
  start(): void {
    this.#keeper.open();
  }

  /** A session of an earlier daemon: what had not ended goes on. */
  resume(recorded: Recorded, raises: readonly StoredRaise[]): void {
    this.#raises.restore(raises);
    const rebuilt = this.#keeper.recall(recorded.records);
    this.#cells.restore(recorded, rebuilt);
    if (rebuilt === undefined) return;
    this.#effects.restore(rebuilt.kept);
    const refused = this.#keeper.refuses(rebuilt);
    // What was left behind goes on by itself; an idle session is made again when it is used.
    if (rebuilt.unended.length === 0 && (refused || rebuilt.pending === 0)) return;
    const { sessionId } = this;
    this.#powers.audit.note('session.recovered', { sessionId, code: null, entries: rebuilt.entries.length });
    this.#keeper.open();
    this.#cells.goOn();
  }

  #entitledBy({ level, grants }: SessionGrant): Entitlements {
    return new Entitlements(level, grants, this.#powers.policy, this.#powers.registry.catalogue);
  }

  info(): SessionInfo {
    return sessionInfo(
      { ...this.#setup, grant: this.#grant },
      {
        state: this.#closed ? 'closed' : this.running ? 'running' : 'idle',
        cells: this.#cells.cells,
        queued: this.#cells.waiting,
        seq: this.events.lastSeq,
        capabilities: this.#effects.names,
      },
    );
  }

  get level(): LevelName {
    return this.#grant.level;
  }

  get running(): boolean {
    return this.#cells.running !== undefined;
  }

  /** In the middle of something: a cell that does not only wait for a person or a timer, or an effect. */
  get busy(): boolean {
    return (this.running && this.#cells.patientCalls === 0) || this.#effects.openCalls > this.#cells.patientCalls;
  }

  // --- cells ---------------------------------------------------------------------------------------------------------

  /** Fails with TOO_LARGE, BUSY or EXECUTION_CONFLICT; an accepted execution always settles with a result. */
  execute(source: string, asked: AskedExecution = {}): Promise<ExecutionResult> {
    this.#assertOpen();
    this.#keeper.wake();
    return this.#cells.execute(source, asked);
  }

  #run({ cell, source, wallMs, stopAsked }: Execution): ExecutionEnd | undefined {
    const loss = this.#keeper.takeLoss();
    if (loss !== undefined) return { status: 'error', error: plainError('SESSION_LOST', loss) };
    this.#keeper.open();
    const { cellCpuMsMax, cellOutputBytesMax } = this.#grant.limits;
    // One that had begun in an isolate that was lost begins again by itself.
    const begins = this.#life.brings(cell);
    if (stopAsked && !begins) return { status: 'error', error: NOT_STARTED };
    if (stopAsked) this.#keeper.isolate.stop(cell);
    if (!begins)
      this.#keeper.isolate.run(cell, source, { cpuMs: cellCpuMsMax, wallMs, outputBytes: cellOutputBytesMax });
    return undefined;
  }

  #cellDone(cell: number, outcome: CellOutcome, usage: CellUsage): void {
    const execution = this.#cells.running;
    if (execution?.cell !== cell) {
      if (this.#life.replaying) this.#voice.flush();
      this.#cells.stopped(cell);
      return;
    }
    this.#keeper.stateful = usage.stateful;
    const limits = { cpuMs: this.#grant.limits.cellCpuMsMax, wallMs: execution.wallMs };
    const { executionId } = execution;
    this.#voice.flush();
    if (outcome.status === 'stopped') this.#effects.endCallsOf(executionId);
    const end = endOf(outcome, limits, (name) => this.#effects.denialOf(name, executionId));
    const takenBack = end.status === 'error' && execution.rollback;
    const kept = takenBack ? this.#keeper.rollBack(cell) : null;
    const told = kept === null ? end : notTakenBack(end, kept);
    // What an isolate holds that was given up is nothing that is left behind.
    const used = takenBack && kept === null ? { ...usage, pending: undefined } : usage;
    // Safe: only texts change.
    this.#cells.finish(this.#effects.redactor.redactJson(told) as ExecutionEnd, used);
  }

  /** Stops the running cell, or takes a waiting one out of the queue; false where there is no such cell. */
  interrupt(executionId?: string): boolean {
    this.#assertOpen();
    const waiting = executionId === undefined ? undefined : this.#cells.withdraw(executionId);
    if (typeof waiting === 'number') this.#stop(waiting);
    if (waiting !== undefined) return true;
    const execution = this.#cells.running;
    if (execution === undefined || (executionId ?? execution.executionId) !== execution.executionId) return false;
    this.#stop(execution.cell);
    return true;
  }

  #stop(cell: number): void {
    this.#cells.askStop(cell);
    this.#keeper.open();
    this.#keeper.isolate.stop(cell);
  }

  // --- what guest code says ------------------------------------------------------------------------------------------

  #guestSays(message: GuestMessage): void {
    const again = this.#life.replaying;
    if (message.kind === 'capabilities.refused') {
      if (!again) this.#effects.refusedByIsolate(message.names);
      return;
    }
    const running = this.#cells.running;
    const execution = running !== undefined && running.cell === message.cell ? running : undefined;
    if (message.kind === 'call') this.#calls.called(message, execution);
    else if (message.kind !== 'denied') this.#voice.says(message, execution);
    else if (!again) this.#effects.noteDenial(message.name, execution?.executionId ?? null);
  }

  /** Gives up the isolate until it is needed; false where it has something to do. */
  hibernate(): Promise<boolean> {
    return this.#keeper.sleep.hibernate();
  }

  /** What is kept of a session that sleeps. */
  get stored(): StoredSession {
    const now = { ...this.#setup, grant: this.#grant, asked: this.#asked };
    return storedSession(now, { info: this.info(), raises: this.#raises.waiting });
  }

  /** Whether everything about the session is in the journal, and nothing of it is needed now. */
  get atRest(): boolean {
    return (
      !this.#keeper.isolate.isOpen &&
      this.#raises.waiting.length === 0 &&
      !this.events.watched &&
      this.#cells.unended.length === 0 &&
      this.#effects.atRest
    );
  }

  /** Resolves when the session does not make a lost isolate again, or no longer. */
  caughtUp(): Promise<void> {
    return this.#keeper.caughtUp();
  }

  /** Resolves once the answer is in the journal. */
  async answerInput(requestId: string, text: string | null): Promise<void> {
    // What was asked before is asked again only now.
    await this.caughtUp();
    this.#assertOpen();
    this.#calls.answerInput(requestId, text);
    return this.committed();
  }

  // --- the isolate ---------------------------------------------------------------------------------------------------

  #readyIsolate(): SessionIsolate {
    this.#assertOpen();
    const loss = this.#keeper.takeLoss();
    if (loss !== undefined) throw new Fault('SESSION_LOST', loss);
    this.#keeper.open();
    return this.#keeper.isolate;
  }

  #forgetIsolate(): void {
    this.#voice.flush();
    this.#calls.cancelInputs();
    this.#effects.isolateGone();
  }

  // --- its life ------------------------------------------------------------------------------------------------------

  /** A fresh isolate and an empty namespace; what runs or waits is ended. */
  reset(): void {
    this.#assertOpen();
    this.#end('INTERRUPTED', 'The session was reset while the cell was running.');
    this.#keeper.open();
    this.#emit({ kind: 'session.reset' });
  }

  /**
   * Moves the session to another level. Sessions of different levels never share a process, so it starts again in a fresh isolate.
   *
   * @param by who decided it: a principal
   */
  moveToLevel(level: LevelName, by: string): void {
    this.#assertOpen();
    if (level === this.#grant.level) return;
    const { grant, asked } = moveGrant(this.#powers.policy(), level, this.#asked);
    this.#powers.audit.append('session.level', { sessionId: this.sessionId, from: this.#grant.level, to: level, by });
    this.#grant = grant;
    this.#asked = asked;
    this.#journal.update({ ...this.stored, info: null });
    this.#effects.moveTo(this.#entitledBy(grant));
    this.#end('INTERRUPTED', 'The session was moved to another level while the cell was running.');
    this.#keeper.open();
    this.#emit({ kind: 'session.reset' });
    this.#emit({ kind: 'session.level', level });
  }

  /** Resolves when an administrator has agreed and the session has gone up; fails with APPROVAL_DENIED. */
  askForLevel(level: LevelName, by: Pick<StoredRaise, 'role' | 'principal'>): Promise<void> {
    this.#assertOpen();
    return this.#raises.ask(level, by);
  }

  // --- its capabilities ----------------------------------------------------------------------------------------------

  get capabilities(): readonly CapabilityInfo[] {
    return this.#effects.describe();
  }

  /** The session's client offers it a function. Fails with CAPABILITY_DENIED, INVALID_PARAMS or LIMIT_DENIED. */
  provide(offer: ProvidedOffer, provider: Provider): CapabilityInfo {
    this.#assertOpen();
    return this.#effects.provide(offer, provider, () => this.capabilitiesChanged('its client provides it'));
  }

  /** Nothing where there is no such function: it is as it was asked for. */
  withdraw(name: string): void {
    this.#assertOpen();
    this.#effects.withdrawProvided(name, () => this.capabilitiesChanged('its client has withdrawn it'));
  }

  /** The policy has changed: what it takes away is gone from now on; what it gives, only where `widen` says so. */
  policyChanged(widen: boolean): void {
    if (this.#closed) return;
    if (widen) this.#effects.entitlements.widen(this.#asked.capabilities);
    this.capabilitiesChanged('the policy was edited');
  }

  /** What the isolate is told of its capabilities has changed. */
  capabilitiesChanged(reason: string): void {
    this.#effects.announce(reason);
    this.#keeper.isolate.setCapabilities(this.#effects.isolateCapabilities);
  }

  /** Resolves once all that has happened so far is in the journal. */
  committed(): Promise<void> {
    return this.#journal.committed();
  }

  /** Everything about the session is in the journal: whoever needs it makes another object of that. */
  retire(sinceMs: number): void {
    this.#journal.setAsleep(sinceMs, this.stored);
    this.#closed = true;
  }

  /** The session is another daemon's: nothing is done or answered here any more. */
  moved(fault: Fault): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#raises.end();
    this.#journal.lose(fault);
    this.#keeper.isolate.drop('The session has moved to another daemon.');
    this.#forgetIsolate();
    this.#cells.moved(fault);
    this.events.abandon(fault.message);
  }

  /** The daemon ends: what runs or waits goes on in the next one. */
  suspend(): void {
    this.#closed = true;
    this.#keeper.isolate.drop('The daemon is ending.');
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#raises.end();
    this.#end('SESSION_CLOSED', 'The session was closed while the cell was running.');
    this.#emit({ kind: 'session.closed', reason });
    this.#journal.remove();
    // What was asked because of the session is taken back in the same turn, and told.
    setImmediate(() => this.events.end());
  }

  #end(code: FaultCode, message: string): void {
    this.#cells.withdrawAll();
    this.#keeper.drop();
    this.#cells.finish({ status: 'error', error: plainError(code, message) });
  }

  #assertOpen(): void {
    this.#journal.assertOurs();
    if (this.#closed) throw new Fault('SESSION_CLOSED', 'The session is closed.');
  }

  #emit(event: EventBody): void {
    this.events.tell(event);
  }
}
