/**
 * Who may use and follow a session by its level: each socket has a ceiling, which the policy may move at any time.
 *
 * I1: nobody uses or follows a session whose level is above the ceiling of their socket as it is now, whoever opened it.
 */
import type { Role } from '../../client/protocol.ts';
import { isAtMost } from '../../policies/evaluate.ts';
import type { Ceilings, LevelName, Policy } from '../../policies/policy.ts';
import type { Audit } from '../audit/audit-log.ts';
import { Fault } from '../fault.ts';
import type { EventQueue } from '../transport/event-queue.ts';
import type { Principal } from '../transport/principal.ts';

const ROLES: readonly Role[] = ['client', 'admin'];

export interface SessionCaller {
  readonly role: Role;
  readonly principal: Principal;
}

export interface CeilingPowers {
  /** The highest level for each socket, as it is now. */
  readonly ceilings: () => Ceilings;
  readonly policy: () => Policy;
  readonly audit: Pick<Audit, 'note'>;
}

interface LevelledSession {
  readonly sessionId: string;
  readonly level: LevelName;
  readonly events: Pick<EventQueue, 'release'>;
}

export class SessionCeilings {
  readonly #powers: CeilingPowers;

  constructor(powers: CeilingPowers) {
    this.#powers = powers;
  }

  isWithin(session: LevelledSession, role: Role): boolean {
    return this.#excess(session, role) === undefined;
  }

  /** Fails with LEVEL_DENIED, and writes it down. */
  assertWithin(session: LevelledSession, { role, principal }: SessionCaller): void {
    const reason = this.#excess(session, role);
    if (reason === undefined) return;
    const { sessionId, level } = session;
    const ceiling = this.#powers.ceilings()[role];
    this.#powers.audit.note('level.denied', { principal, asked: level, ceiling, sessionId });
    const message = `${reason} It can be closed, or moved down with session.setLevel.`;
    throw new Fault('LEVEL_DENIED', message, { ceiling, level });
  }

  /** Fails with LEVEL_DENIED where that level is above the caller's ceiling, and writes it down. */
  assertMayHave(level: LevelName, { role, principal }: SessionCaller): void {
    const ceiling = this.#powers.ceilings()[role];
    if (isAtMost(this.#powers.policy(), level, ceiling)) return;
    this.#powers.audit.note('level.denied', { principal, asked: level, ceiling });
    const remedy =
      role === 'client'
        ? ' Use admin.sock, or have the administrator raise the ceiling of clients in policy.yaml.'
        : '';
    const message = `Level ${level} is above the ceiling of this connection, which is ${ceiling}.${remedy}`;
    throw new Fault('LEVEL_DENIED', message, { ceiling });
  }

  /** The level of a session or the ceiling of a socket is another one: those who may not follow it any more are let go. */
  detachAbove(session: LevelledSession): void {
    for (const role of ROLES) {
      const reason = this.#excess(session, role);
      if (reason !== undefined) session.events.release(role, { kind: 'session.detached', role, reason });
    }
  }

  #excess({ level }: LevelledSession, role: Role): string | undefined {
    const ceiling = this.#powers.ceilings()[role];
    if (isAtMost(this.#powers.policy(), level, ceiling)) return undefined;
    return `The session is at level ${level}, above the ceiling of ${role}.sock, which is ${ceiling}.`;
  }
}
