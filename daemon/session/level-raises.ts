/**
 * The higher levels that a session waits for: an administrator has to agree.
 *
 * I1: a raise that waits is in the journal, and one request under one id, also in the next daemon.
 * I2: whoever asks for the same once more waits for the same request.
 */
import { randomBytes } from 'node:crypto';
import type { StoredRaise } from '../durability/journal-records.ts';

export interface RaisesPowers {
  readonly nowMs: () => number;
  /** Resolves when an administrator has agreed. @param again whether clients were told of it before */
  readonly request: (raise: StoredRaise, signal: AbortSignal, again: boolean) => Promise<void>;
  /** Moves the session, where whoever has asked may still have it there. */
  readonly approved: (raise: StoredRaise) => void;
  /** What waits is to be written down. */
  readonly changed: () => void;
}

export class LevelRaises {
  readonly #powers: RaisesPowers;
  readonly #waiting = new Map<StoredRaise, Promise<void>>();
  readonly #ending = new AbortController();

  constructor(powers: RaisesPowers) {
    this.#powers = powers;
  }

  get waiting(): readonly StoredRaise[] {
    return [...this.#waiting.keys()];
  }

  /** Resolves when the session has been raised. Fails with APPROVAL_DENIED, BUSY, UNAVAILABLE, or LEVEL_DENIED by the ceiling of then. */
  ask(level: string, { role, principal }: Pick<StoredRaise, 'role' | 'principal'>): Promise<void> {
    for (const [raise, outcome] of this.#waiting)
      if (raise.level === level && raise.role === role && raise.principal === principal) return outcome;
    const id = randomBytes(16).toString('base64url');
    const outcome = this.#wait({ id, level, role, principal, askedMs: this.#powers.nowMs() }, false);
    this.#powers.changed();
    return outcome;
  }

  /** What an earlier daemon has asked for, and nobody has settled. */
  restore(raises: readonly StoredRaise[]): void {
    for (const raise of raises) this.#wait(raise, true).catch(() => undefined);
  }

  #wait(raise: StoredRaise, again: boolean): Promise<void> {
    const { request, approved, changed } = this.#powers;
    const outcome = request(raise, this.#ending.signal, again)
      .then(() => approved(raise))
      .finally(() => {
        // Only now: a daemon that dies before the session was moved has to know of the raise.
        this.#waiting.delete(raise);
        changed();
      });
    this.#waiting.set(raise, outcome);
    return outcome;
  }

  /** The session ends here, and what it waits for is taken back. */
  end(): void {
    this.#ending.abort();
  }
}
