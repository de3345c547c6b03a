/** The sessions that went to other daemons of the group not long ago: who asks for one here is told that, and not that there is none. */
import type { Fault } from '../fault.ts';

/** The oldest are forgotten. */
const KEPT_MAX = 10_000;

interface Moved {
  readonly principal: string;
  readonly fault: Fault;
}

export class MovedSessions {
  readonly #moved = new Map<string, Moved>();

  add(sessionId: string, moved: Moved): void {
    this.#moved.delete(sessionId);
    this.#moved.set(sessionId, moved);
    if (this.#moved.size <= KEPT_MAX) return;
    for (const oldest of this.#moved.keys()) {
      this.#moved.delete(oldest);
      break;
    }
  }

  /** Fails with SESSION_MOVED for a session that is not here any more. @param mine whether whoever asks may see those of that principal */
  assertNot(sessionId: string, mine: (principal: string) => boolean): void {
    const moved = this.#moved.get(sessionId);
    if (moved !== undefined && mine(moved.principal)) throw moved.fault;
  }
}
