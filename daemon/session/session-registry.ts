/**
 * All sessions of the daemon, found by id.
 *
 * I1: a session that a caller may not see is answered exactly like one that does not exist.
 * I2: what the journal has of a session is made into one object at most, which whoever finds the session is given.
 */
import { randomBytes } from 'node:crypto';
import type { SessionInfo } from '../../client/protocol.ts';
import { isAtMost, levelFromName, levelOf } from '../../policies/evaluate.ts';
import type { LevelName, Policy } from '../../policies/policy.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { StoredRaise, StoredSession } from '../durability/journal-records.ts';
import type { SessionJournal } from '../durability/session-journal.ts';
import type { FoundSession, SessionStore } from '../durability/session-store.ts';
import { Fault } from '../fault.ts';
import { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { EVENT_LIMITS } from '../transport/transport-limits.ts';
import { MovedSessions } from './moved-sessions.ts';
import { Session, type SessionPowers } from './session.ts';
import { type CeilingPowers, type SessionCaller, SessionCeilings } from './session-ceilings.ts';
import { grantSession, moveGrant, type Narrowing, type SessionGrant } from './session-grant.ts';
import { SESSION_LIMITS } from './session-limits.ts';
import type { SessionOwners } from './session-owners.ts';
import { type SessionSetup, storedSession } from './session-setup.ts';
import { SleepingSessions } from './sleeping-sessions.ts';

export interface SessionRequest extends Pick<SessionSetup, 'name' | 'language' | 'labels' | 'argv'> {
  readonly level: LevelName;
  readonly asked: Narrowing;
}

interface RegistryPowers extends SessionPowers, CeilingPowers {
  readonly audit: Audit;
  readonly store: SessionStore;
  readonly owners: SessionOwners;
  /** The session is no more: what was kept for it can go. */
  readonly closed: (sessionId: string) => void;
}

export class SessionRegistry {
  readonly #powers: RegistryPowers;
  readonly #sessions = new Map<string, Session>();
  readonly #sleeping: SleepingSessions;
  readonly #movedAway = new MovedSessions();
  readonly #ceilings: SessionCeilings;
  readonly #lastUsedMs = new Map<string, number>();
  readonly #idleLook: NodeJS.Timeout;
  #restored: Promise<void> = Promise.resolve();

  constructor(powers: Omit<RegistryPowers, 'violated' | 'raised'>) {
    this.#powers = {
      ...powers,
      raised: (session, { level, role, principal }) => {
        const caller = { role, principal: principal as Principal };
        this.moveToLevel(session, this.levelFor(level, caller), caller.principal);
      },
      violated: (session, message) => {
        powers.audit.note('violation', { sessionId: session.sessionId, message });
        this.close(session, 'its code tried to break out of the sandbox').catch(() => undefined);
      },
    };
    this.#sleeping = new SleepingSessions(powers.store);
    this.#ceilings = new SessionCeilings(powers);
    // What cannot be woken now, to be closed, is found again the next time.
    this.#idleLook = setInterval(() => this.lookForIdle().catch(() => undefined), SESSION_LIMITS.idleLookMs);
    this.#idleLook.unref();
  }

  /**
   * Fails with LIMIT_DENIED, CAPABILITY_DENIED, UNAVAILABLE, or BUSY where the client has as many sessions as its level allows.
   * Resolves once the session is recorded.
   */
  async create(principal: Principal, request: SessionRequest): Promise<Session> {
    this.#assertMayHaveMore(principal, request.level);
    this.#powers.store.assertWritable();
    const grant = grantSession(this.#powers.policy(), request.level, request.asked);
    const sessionId = `ses_${randomBytes(16).toString('base64url')}`;
    const owned = this.#powers.owners.own(sessionId, principal);
    const isOwned = owned.then(
      () => true,
      () => false,
    );
    let session: Session;
    try {
      session = this.#make(sessionId, principal, grant, request);
    } catch (error) {
      if (await isOwned) await this.#powers.owners.closed(sessionId);
      throw error;
    }
    // Its isolate is made ready meanwhile.
    if (!(await isOwned)) void this.close(session, 'it could not be recorded').catch(() => undefined);
    await owned;
    await session.committed();
    return session;
  }

  #assertMayHaveMore(principal: Principal, level: LevelName): void {
    const { sessionsMax } = levelOf(this.#powers.policy(), level).limits;
    this.#assertRoom();
    if (this.#countOf(principal) >= sessionsMax) {
      throw new Fault(
        'BUSY',
        `A client may have at most ${sessionsMax} sessions open at level ${level}; close some first.`,
        { sessionsMax },
      );
    }
  }

  #make(
    sessionId: string,
    principal: Principal,
    grant: SessionGrant,
    { level, asked, ...request }: SessionRequest,
  ): Session {
    const capabilities = [...grant.grants.keys()];
    this.#powers.audit.append('session.created', {
      sessionId,
      principal,
      level,
      language: request.language,
      capabilities,
    });
    const createdAt = new Date(this.#powers.nowMs()).toISOString();
    const setup = { ...request, sessionId, principal, grant, asked, createdAt };
    const journal = this.#powers.store.create(storedSession(setup));
    const events = new EventQueue(sessionId, EVENT_LIMITS, journal);
    const session = this.#add({ ...setup, events, journal });
    session.start();
    return session;
  }

  #assertRoom(): void {
    const { sessionsMax, sleepingMax } = SESSION_LIMITS;
    if (this.#sessions.size >= sessionsMax) {
      const message = `This daemon has ${sessionsMax} sessions open, its limit; close some first.`;
      throw new Fault('BUSY', message, { sessionsMax });
    }
    if (this.#sleeping.size < sleepingMax) return;
    throw new Fault('BUSY', `This daemon keeps ${sleepingMax} sessions, its limit; close some first.`, { sleepingMax });
  }

  #add(setup: Omit<SessionSetup, 'ownership'>): Session {
    const ownership = this.#powers.owners.heldSession(setup.sessionId);
    const session = new Session({ ...setup, ownership }, this.#powers);
    this.#sessions.set(setup.sessionId, session);
    this.#lastUsedMs.set(setup.sessionId, this.#powers.monotonicMs());
    return session;
  }

  /** Takes up the sessions of an earlier daemon. One whose level is no more is closed, and so is one that is not understood. */
  restore(): void {
    this.#takeUpAll();
    const all = Promise.all(Array.from(this.#sessions.values(), (session) => session.caughtUp()));
    const { promise: longEnough, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, SESSION_LIMITS.recoveryMsMax);
    this.#restored = Promise.race([all.then(() => undefined), longEnough]).finally(() => clearTimeout(timer));
    this.#powers.owners.start({
      has: (sessionId) => this.#sessions.has(sessionId) || this.#sleeping.ownerOf(sessionId) !== undefined,
      takeUp: (sessionId) => this.#takeUpOne(sessionId),
      moved: (sessionId, fault) => this.#moved(sessionId, fault),
    });
  }

  #takeUpOne(sessionId: string): void {
    const found = this.#powers.store.find(sessionId);
    if (found === undefined) return;
    this.#powers.audit.note('session.taken', { sessionId });
    const { asleepMs, state } = found;
    if (asleepMs === null) this.#takeUp(found);
    else this.#sleeping.add(sessionId, { principal: state.principal, sinceMs: asleepMs });
  }

  /** The session is another daemon's. */
  #moved(sessionId: string, fault: Fault): void {
    const session = this.#sessions.get(sessionId);
    const principal = session?.principal ?? this.#sleeping.ownerOf(sessionId);
    this.#sessions.delete(sessionId);
    this.#lastUsedMs.delete(sessionId);
    if (session !== undefined) session.moved(fault);
    else this.#sleeping.wake(sessionId)?.journal.lose(fault);
    if (principal !== undefined) this.#movedAway.add(sessionId, { principal, fault });
    this.#powers.audit.note('session.moved', { sessionId });
  }

  /**
   * Resolves when what was running in an earlier daemon is running again, or after a while: only then is asked again what its
   * sessions wait for. Whatever is about one session waits for that session alone.
   */
  get restored(): Promise<void> {
    return this.#restored;
  }

  #takeUpAll(): void {
    for (const { sessionId, principal, asleepMs } of [...this.#powers.store.all()]) {
      if (asleepMs !== null) this.#sleeping.add(sessionId, { principal, sinceMs: asleepMs });
      else this.#takeUp(this.#powers.store.find(sessionId));
    }
  }

  /** Fails with UNAVAILABLE while the journal cannot be used, which is no fault of the session: it is as it was then. */
  #takeUp(found: FoundSession | undefined): Session | undefined {
    if (found === undefined) return undefined;
    const { state, asleepMs, journal } = found;
    const { sessionId, principal } = state;
    try {
      const session = this.#restore(state, journal);
      if (state.info !== null) journal.setAsleep(null, { ...state, info: null });
      return session;
    } catch (error) {
      this.#sessions.delete(sessionId);
      if (error instanceof Fault && error.code === 'UNAVAILABLE') {
        if (asleepMs !== null) this.#sleeping.add(sessionId, { principal, sinceMs: asleepMs });
        throw error;
      }
      const reason = error instanceof Error ? error.message : String(error);
      this.#powers.log(`session ${sessionId} could not be taken up again: ${reason}`);
      this.#powers.audit.note('session.closed', { sessionId, reason: `it could not be taken up again: ${reason}` });
      journal.remove();
      this.#gone(sessionId, journal.committed()).catch(() => undefined);
      return undefined;
    }
  }

  #restore(state: StoredSession, journal: SessionJournal): Session {
    const { sessionId, name, language, labels, argv = null, createdAt } = state;
    const policy = this.#powers.policy();
    const level = levelFromName(policy, state.level);
    if (level === null) throw new Error(`there is no level ${state.level} any more`);
    const { limits, capabilities } = state.asked;
    // What is asked for can only narrow a level, which may be narrower itself by now.
    const { grant, asked } = moveGrant(policy, level, { limits, capabilities: capabilities ?? undefined });
    const events = new EventQueue(sessionId, EVENT_LIMITS, journal);
    const recorded = journal.read();
    for (const { firstSeq, bodies } of recorded.events) events.restore(firstSeq, bodies);
    const session = this.#add({
      ...{ sessionId, name, language, labels, argv, createdAt, events, journal, asked },
      // It is a principal's hash, as it was stored.
      principal: state.principal as Principal,
      grant: { ...grant, grants: new Map(state.grants) },
    });
    session.resume(recorded, raisesLeft(policy, state));
    return session;
  }

  #countOf(principal: Principal): number {
    let count = this.#sleeping.countOf(principal);
    for (const session of this.#sessions.values()) if (session.principal === principal) count++;
    return count;
  }

  /**
   * Resolves when the session is here, or there is none that the caller may see. Fails with SESSION_MOVED where another daemon has
   * it, and with UNAVAILABLE where that cannot be told now.
   */
  reach(sessionId: string, caller: SessionCaller): Promise<void> {
    return this.#powers.owners.reach(sessionId, (owner) => mayUse(owner, caller));
  }

  /** To be used: fails with UNKNOWN_SESSION, and with LEVEL_DENIED above the ceiling of the caller's socket. */
  find(sessionId: string, caller: SessionCaller): Session {
    const session = this.findToLeave(sessionId, caller);
    this.#ceilings.assertWithin(session, caller);
    return session;
  }

  /**
   * To be closed, let go or moved to a level that the caller may have, all of which take a session out of reach rather than
   * use it. Fails with UNKNOWN_SESSION, whether there is none or it is somebody else's.
   */
  findToLeave(sessionId: string, caller: SessionCaller): Session {
    const owner = this.#sleeping.ownerOf(sessionId);
    if (owner !== undefined && mayUse(owner, caller)) this.#takeUp(this.#sleeping.wake(sessionId));
    const session = this.#sessions.get(sessionId);
    if (session === undefined) this.#movedAway.assertNot(sessionId, (owner) => mayUse(owner, caller));
    if (session === undefined || !mayUse(session.principal, caller))
      throw new Fault('UNKNOWN_SESSION', 'There is no session of that id.', { sessionId });
    this.#lastUsedMs.set(sessionId, this.#powers.monotonicMs());
    return session;
  }

  isWithinCeiling(session: Session, { role }: SessionCaller): boolean {
    return this.#ceilings.isWithin(session, role);
  }

  /** The level of that name. Fails with INVALID_PARAMS where there is none, LEVEL_DENIED above the caller's ceiling. */
  levelFor(asked: string, caller: SessionCaller): LevelName {
    const policy = this.#powers.policy();
    const level = levelFromName(policy, asked);
    if (level === null)
      throw new Fault(
        'INVALID_PARAMS',
        `There is no level ${JSON.stringify(asked)}; it is one of ${[...policy.levels.keys()].join(', ')}.`,
      );
    this.#ceilings.assertMayHave(level, caller);
    return level;
  }

  /** Those who may not follow it there are let go. */
  moveToLevel(session: Session, level: LevelName, by: Principal): void {
    session.moveToLevel(level, by);
    this.#ceilings.detachAbove(session);
  }

  /** Puts the sessions to sleep that nobody uses and that have nothing to do, and closes those that have slept too long. */
  async lookForIdle(): Promise<void> {
    const since = this.#powers.monotonicMs() - SESSION_LIMITS.hibernateAfterMs;
    const idle = [...this.#lastUsedMs].filter(([, lastUsedMs]) => lastUsedMs <= since);
    for (const [sessionId] of idle) {
      const session = this.#sessions.get(sessionId);
      if (session !== undefined) await this.hibernate(session);
    }
    for (const sessionId of this.#sleeping.since(this.#powers.nowMs() - SESSION_LIMITS.idleMsMax)) {
      const session = this.#takeUp(this.#sleeping.wake(sessionId));
      if (session !== undefined) await this.close(session, 'nobody used it').catch(() => undefined);
    }
  }

  /** Gives up the session's isolate, and all that is in memory of it where that can be; false where it has something to do. */
  async hibernate(session: Session): Promise<boolean> {
    const slept = await session.hibernate().catch(() => false);
    const { sessionId, principal } = session;
    if (!slept || !session.atRest || this.#sessions.get(sessionId) !== session) return slept;
    const sinceMs = this.#powers.nowMs();
    session.retire(sinceMs);
    this.#sessions.delete(sessionId);
    this.#lastUsedMs.delete(sessionId);
    this.#sleeping.add(sessionId, { principal, sinceMs });
    return true;
  }

  list(caller: SessionCaller): readonly SessionInfo[] {
    const awake = [...this.#sessions.values()].filter(({ principal }) => mayUse(principal, caller));
    return [...awake.map((session) => session.info()), ...this.#sleeping.infos((owner) => mayUse(owner, caller))];
  }

  /** Resolves once nobody can take the session up again. Fails with UNAVAILABLE where that cannot be told. */
  async close(session: Session, reason: string): Promise<void> {
    if (!this.#sessions.delete(session.sessionId)) return;
    this.#lastUsedMs.delete(session.sessionId);
    session.close(reason);
    const { sessionId } = session;
    this.#powers.audit.note('session.closed', { sessionId, reason });
    await this.#gone(sessionId, session.committed());
  }

  async #gone(sessionId: string, committed: Promise<void>): Promise<void> {
    this.#powers.closed(sessionId);
    await committed;
    await this.#powers.owners.closed(sessionId);
  }

  /** Tells every session that the policy is another one now. */
  policyChanged(widen: boolean): void {
    for (const session of this.#sessions.values()) {
      session.policyChanged(widen);
      this.#ceilings.detachAbove(session);
    }
  }

  get size(): number {
    return this.#sessions.size + this.#sleeping.size;
  }

  get running(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.running) count++;
    return count;
  }

  /** Sessions that are in the middle of something, and not only waiting for a person or a timer. */
  get busy(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.busy) count++;
    return count;
  }

  /** The daemon ends; its sessions do not. */
  suspendAll(): void {
    clearInterval(this.#idleLook);
    for (const session of this.#sessions.values()) session.suspend();
  }

  get ids(): ReadonlySet<string> {
    return new Set([...this.#sessions.keys(), ...this.#sleeping.ids]);
  }
}

/** A daemon that died right after it had raised the session did not come to write down that nothing is waited for any more. */
function raisesLeft(policy: Policy, { level: has, raises = [] }: StoredSession): readonly StoredRaise[] {
  return raises.filter(({ level: asked }) => {
    const level = levelFromName(policy, asked);
    return level === null || !isAtMost(policy, level, has);
  });
}

function mayUse(owner: string, caller: SessionCaller): boolean {
  return caller.role === 'admin' || owner === caller.principal;
}
