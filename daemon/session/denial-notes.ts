/**
 * Which names a session was refused without a call reaching the gate, so that each is written down once for each cell: what
 * code tries a million times in a loop is one record. Until the next cell begins, what runs on counts to the last one.
 */
import { SESSION_LIMITS } from './session-limits.ts';

export class DenialNotes {
  #executionId: string | null = null;
  readonly #names = new Set<string>();

  /** Whether this is the first refusal of that name in its cell, and is to be written down. */
  isFirst(name: string, executionId: string | null): boolean {
    if (executionId !== null && executionId !== this.#executionId) {
      this.#executionId = executionId;
      this.#names.clear();
    }
    if (this.#names.has(name) || this.#names.size >= SESSION_LIMITS.denialsNotedMax) return false;
    this.#names.add(name);
    return true;
  }
}
