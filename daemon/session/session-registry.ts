/**
 * All sessions of the daemon, found by id.
 *
 * I1: a session that a caller may not see is answered exactly like one that does not exist.
 */
import { randomBytes } from 'node:crypto';
import type { Role, SessionInfo } from '../../client/protocol.ts';
import { levelOf } from '../../policies/evaluate.ts';
import type { LevelName } from '../../policies/policy.ts';
import { Fault } from '../fault.ts';
import { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';
import { EVENT_LIMITS } from '../transport/transport-limits.ts';
import { Session, type SessionPowers, type SessionSetup } from './session.ts';
import { grantSession, type Narrowing } from './session-grant.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export interface SessionCaller {
  readonly role: Role;
  readonly principal: Principal;
}

export interface SessionRequest extends Pick<SessionSetup, 'name' | 'language' | 'labels'> {
  readonly level: LevelName;
  readonly asked: Narrowing;
}

export class SessionRegistry {
  readonly #powers: SessionPowers;
  readonly #sessions = new Map<string, Session>();
  readonly #lastUsedMs = new Map<string, number>();
  readonly #idleLook: NodeJS.Timeout;

  constructor(powers: Omit<SessionPowers, 'violated'>) {
    this.#powers = {
      ...powers,
      violated: (session) => this.close(session, 'its code tried to break out of the sandbox'),
    };
    this.#idleLook = setInterval(() => this.closeIdle(), SESSION_LIMITS.idleLookMs);
    this.#idleLook.unref();
  }

  /** Fails with LIMIT_DENIED, CAPABILITY_DENIED, or BUSY where the client has as many sessions as its level allows. */
  create(principal: Principal, { level, asked, ...request }: SessionRequest): Session {
    const { sessionsMax } = levelOf(this.#powers.policy(), level).limits;
    if (this.#sessions.size >= SESSION_LIMITS.sessionsMax) {
      const message = `This daemon has ${SESSION_LIMITS.sessionsMax} sessions open, its limit; close some first.`;
      throw new Fault('BUSY', message, { sessionsMax: SESSION_LIMITS.sessionsMax });
    }
    if (this.#countOf(principal) >= sessionsMax) {
      throw new Fault(
        'BUSY',
        `A client may have at most ${sessionsMax} sessions open at level ${level}; close some first.`,
        { sessionsMax },
      );
    }
    const grant = grantSession(this.#powers.policy(), level, asked);
    const sessionId = `ses_${randomBytes(16).toString('base64url')}`;
    const capabilities = [...grant.grants.keys()];
    this.#powers.audit.append('session.created', {
      sessionId,
      principal,
      level,
      language: request.language,
      capabilities,
    });
    const session = new Session(
      { ...request, sessionId, principal, grant, asked, events: new EventQueue(sessionId, EVENT_LIMITS) },
      this.#powers,
    );
    this.#sessions.set(sessionId, session);
    this.#lastUsedMs.set(sessionId, this.#powers.monotonicMs());
    return session;
  }

  #countOf(principal: Principal): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.principal === principal) count++;
    return count;
  }

  /** Fails with UNKNOWN_SESSION, whether there is none or it is somebody else's. */
  find(sessionId: string, caller: SessionCaller): Session {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || !mayUse(session, caller))
      throw new Fault('UNKNOWN_SESSION', 'There is no session of that id.', { sessionId });
    this.#lastUsedMs.set(sessionId, this.#powers.monotonicMs());
    return session;
  }

  /** Closes the sessions that nobody uses, watches or runs anything in. */
  closeIdle(): void {
    const since = this.#powers.monotonicMs() - SESSION_LIMITS.idleMsMax;
    for (const [sessionId, lastUsedMs] of this.#lastUsedMs) {
      const session = this.#sessions.get(sessionId);
      if (session === undefined || lastUsedMs > since || session.running || session.events.watched) continue;
      this.close(session, 'nobody used it');
    }
  }

  list(caller: SessionCaller): readonly SessionInfo[] {
    return [...this.#sessions.values()].filter((session) => mayUse(session, caller)).map((session) => session.info());
  }

  close(session: Session, reason: string): void {
    if (!this.#sessions.delete(session.sessionId)) return;
    this.#lastUsedMs.delete(session.sessionId);
    session.close(reason);
    this.#powers.audit.note('session.closed', { sessionId: session.sessionId, reason });
  }

  get size(): number {
    return this.#sessions.size;
  }

  get running(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.running) count++;
    return count;
  }

  closeAll(reason: string): void {
    clearInterval(this.#idleLook);
    for (const session of [...this.#sessions.values()]) this.close(session, reason);
  }
}

function mayUse(session: Session, caller: SessionCaller): boolean {
  return caller.role === 'admin' || session.principal === caller.principal;
}
