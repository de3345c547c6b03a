/**
 * The sessions of which nothing is in memory but that they are there: everything about them is in the journal.
 *
 * I1: a session is here or awake, never both.
 */
import type { SessionInfo } from '../../client/protocol.ts';
import type { FoundSession, SessionStore } from '../durability/session-store.ts';

interface Sleeping {
  readonly principal: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

export class SleepingSessions {
  readonly #store: SessionStore;
  readonly #sleeping = new Map<string, Sleeping>();
  /** How many each principal has: to count them anew for each new session would cost the more the more there are. */
  readonly #counts = new Map<string, number>();

  constructor(store: SessionStore) {
    this.#store = store;
  }

  get size(): number {
    return this.#sleeping.size;
  }

  get ids(): Iterable<string> {
    return this.#sleeping.keys();
  }

  add(sessionId: string, sleeping: Sleeping): void {
    this.#sleeping.set(sessionId, sleeping);
    const { principal } = sleeping;
    this.#counts.set(principal, this.countOf(principal) + 1);
  }

  ownerOf(sessionId: string): string | undefined {
    return this.#sleeping.get(sessionId)?.principal;
  }

  countOf(principal: string): number {
    return this.#counts.get(principal) ?? 0;
  }

  /** Takes it out of here, for somebody who makes it of what the journal has. Fails with UNAVAILABLE, and then it sleeps on. */
  wake(sessionId: string): FoundSession | undefined {
    const principal = this.ownerOf(sessionId);
    if (principal === undefined) return undefined;
    const found = this.#store.find(sessionId);
    this.#sleeping.delete(sessionId);
    const left = this.countOf(principal) - 1;
    if (left === 0) this.#counts.delete(principal);
    else this.#counts.set(principal, left);
    return found;
  }

  /** Those that have slept since before then. */
  since(beforeMs: number): string[] {
    return [...this.#sleeping].filter(([, { sinceMs }]) => sinceMs < beforeMs).map(([sessionId]) => sessionId);
  }

  /** As they stood when they went to sleep. @param mine whether whoever asks may see those of that principal */
  infos(mine: (principal: string) => boolean): SessionInfo[] {
    const seen = [...this.#sleeping].filter(([, { principal }]) => mine(principal));
    return seen.flatMap(([sessionId]) => this.#store.stateOf(sessionId)?.info ?? []);
  }
}
