/**
 * Which sessions are this daemon's. Alone on its machine it has all that its store has; in a group each session is one daemon's at a
 * time, which others take over when it ends.
 *
 * I1: a session of another daemon is not made here, and one that may be another's by now does nothing here.
 * I2: what is told of a session to somebody who may not see it is what is told of one that does not exist.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import type { DurableRuntime } from '../durability/resonate.ts';
import type { SessionStore } from '../durability/session-store.ts';
import type { SessionOwnership } from '../durability/sessions.ts';
import type { SharedJournals } from '../durability/shared-journals.ts';
import { Fault } from '../fault.ts';
import type { HeldSession } from './session-setup.ts';

/** How often it is looked whether a session that is between two daemons has come to one. */
const LOOK_AGAIN_MS = 200;

/** Where the clients of a daemon reach it, as other daemons tell them. */
export interface DaemonAddress {
  readonly daemon: string;
  readonly host: string;
  readonly clientSocket: string;
}

/** What a daemon of a group has, and one that is alone has not. */
export interface GroupPowers {
  readonly journals: SharedJournals;
  readonly leaseMs: number;
  readonly address: DaemonAddress;
}

/** What the sessions do when they come and go. */
export interface OwnedSessions {
  has(sessionId: string): boolean;
  /** The store has the session now. */
  takeUp(sessionId: string): void;
  /** It is another daemon's now. */
  moved(sessionId: string, fault: Fault): void;
}

export interface SessionOwnersParts {
  readonly runtime: Pick<DurableRuntime, 'sessions' | 'promises'>;
  readonly store: Pick<SessionStore, 'adopt'>;
  /** null: this daemon is alone. */
  readonly group: GroupPowers | null;
  readonly monotonicMs: () => number;
}

const AnnouncedOwner = v.object({
  principal: v.string(),
  address: v.object({ daemon: v.string(), host: v.string(), clientSocket: v.string() }),
});

export class SessionOwners {
  readonly #parts: SessionOwnersParts;
  readonly #owned = new Map<string, SessionOwnership>();
  #sessions: OwnedSessions = { has: () => false, takeUp: () => undefined, moved: () => undefined };

  constructor(parts: SessionOwnersParts) {
    this.#parts = parts;
    parts.group?.journals.onLost((sessionId) => this.#lose(sessionId));
  }

  /** From now on sessions that were left by their daemons are taken up here. */
  start(sessions: OwnedSessions): void {
    this.#sessions = sessions;
    this.#parts.runtime.sessions.onRecover((ownership) => this.#recover(ownership));
  }

  /** A new session becomes this daemon's. Fails with UNAVAILABLE. */
  async own(sessionId: string, principal: string): Promise<void> {
    this.#parts.group?.journals.begin(sessionId);
    const ownership = await this.#parts.runtime.sessions.open(sessionId);
    if (ownership === null) throw new Fault('UNAVAILABLE', 'The session was another daemon’s as soon as it was made.');
    this.#hold(ownership);
    await this.#announce(ownership, principal);
  }

  /** For the session itself, to be asked before each effect. */
  heldSession(sessionId: string): HeldSession {
    return {
      assertHeld: () => {
        if (this.#parts.group !== null && this.#owned.get(sessionId)?.isHeld() !== true) throw movedFault(sessionId);
      },
    };
  }

  /** It was closed, and that is committed. Resolves when nobody can go on with it. */
  async closed(sessionId: string): Promise<void> {
    const { group, runtime } = this.#parts;
    const ownership = this.#owned.get(sessionId);
    this.#owned.delete(sessionId);
    group?.journals.end(sessionId);
    await runtime.sessions.close(sessionId);
    if (ownership !== undefined) this.#unannounce(ownership);
  }

  /**
   * Resolves when a session is here that was not. Fails with SESSION_MOVED where it is another daemon's, and with UNAVAILABLE where
   * that cannot be told; there need not be one then, or it is none that the caller may see.
   */
  async reach(sessionId: string, mayUse: (principal: string) => boolean): Promise<void> {
    const { group, monotonicMs, runtime } = this.#parts;
    if (group === null) return;
    const untilMs = monotonicMs() + 2 * group.leaseMs;
    while (!this.#sessions.has(sessionId)) {
      const standing = await runtime.sessions.standing(sessionId);
      if (standing === null) return;
      if (standing.state === 'parked') {
        const ownership = await runtime.sessions.open(sessionId);
        if (ownership !== null && (await this.#recover(ownership)) === 'closed') return;
      } else if (standing.state === 'held') {
        const owner = await this.#ownerOf(sessionId, standing.fence);
        if (owner !== null && !mayUse(owner.principal)) return;
        if (owner !== null && owner.address.daemon !== group.address.daemon) throw elsewhere(sessionId, owner.address);
      }
      if (monotonicMs() >= untilMs)
        throw new Fault('UNAVAILABLE', 'The session is between two daemons; attach again in a moment.', { sessionId });
      await sleep(LOOK_AGAIN_MS);
    }
  }

  async #recover(ownership: SessionOwnership): Promise<'open' | 'closed'> {
    const { sessionId } = ownership;
    const { group, store } = this.#parts;
    if (group === null) {
      this.#hold(ownership);
      return this.#sessions.has(sessionId) ? 'open' : 'closed';
    }
    const shared = await group.journals.takeOver(sessionId);
    if (shared === null) return 'closed';
    store.adopt(shared);
    this.#hold(ownership);
    await this.#announce(ownership, shared.state.principal);
    // It may have been lost meanwhile.
    if (this.#owned.get(sessionId) === ownership) this.#sessions.takeUp(sessionId);
    return 'open';
  }

  #hold(ownership: SessionOwnership): void {
    const { sessionId, signal } = ownership;
    this.#owned.set(sessionId, ownership);
    if (this.#parts.group === null) return;
    const lost = (): void => {
      if (this.#owned.get(sessionId) === ownership) this.#lose(sessionId);
    };
    if (signal.aborted) lost();
    else signal.addEventListener('abort', lost);
  }

  #lose(sessionId: string): void {
    this.#owned.delete(sessionId);
    this.#parts.group?.journals.forget(sessionId);
    this.#sessions.moved(sessionId, movedFault(sessionId));
  }

  // --- who has it ----------------------------------------------------------------------------------------------------

  async #announce({ sessionId, fence }: SessionOwnership, principal: string): Promise<void> {
    const { group, runtime } = this.#parts;
    if (group === null) return;
    await runtime.promises.create(keyOf(sessionId, fence), { principal, address: { ...group.address } }, null);
  }

  #unannounce({ sessionId, fence }: SessionOwnership): void {
    const { group, runtime } = this.#parts;
    if (group !== null) runtime.promises.settle(keyOf(sessionId, fence), null).catch(() => undefined);
  }

  async #ownerOf(sessionId: string, fence: number): Promise<v.InferOutput<typeof AnnouncedOwner> | null> {
    const request = await this.#parts.runtime.promises.requestOf(keyOf(sessionId, fence));
    const parsed = v.safeParse(AnnouncedOwner, request);
    return parsed.success ? parsed.output : null;
  }
}

const keyOf = (sessionId: string, fence: number): string => `owner/${sessionId}/${fence}`;

const movedFault = (sessionId: string): Fault =>
  new Fault(
    'SESSION_MOVED',
    'The session goes on in another daemon, or is about to: this one has lost it. Attach to it again, there or here.',
    { sessionId },
  );

const elsewhere = (sessionId: string, { daemon, host, clientSocket }: DaemonAddress): Fault =>
  new Fault(
    'SESSION_MOVED',
    `The session is in the daemon ${daemon} on ${host}; attach to it there, at ${clientSocket}.`,
    { sessionId, daemon, host, clientSocket },
  );
