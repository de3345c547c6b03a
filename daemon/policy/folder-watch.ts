/**
 * Notices that something in a folder has changed, and says so once it has come to rest.
 *
 * I1: what changes is noticed at the next poll at the latest, whether the system tells of changes or not.
 * I2: a folder that is still being written is not reported: two looks, `restMs` apart, have to see the same.
 */
import { type FSWatcher, watch } from 'node:fs';
import { fingerprint } from './policy-folder.ts';

interface Pace {
  readonly restMs: number;
  readonly pollMs: number;
}

export class FolderWatch {
  readonly #folder: string;
  readonly #pace: Pace;
  readonly #changed: (isAtRest: () => boolean) => boolean;
  readonly #fingerprint: () => string;
  readonly #poll: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #rest: NodeJS.Timeout | undefined;
  /** What the folder was when it was last dealt with, and what it was at the last look. */
  #settled: string;
  #seen: string;

  /**
   * @param changed answers whether the change is dealt with, otherwise it is called again; `isAtRest` tells whether the folder has
   *   not changed since the call
   * @param state changes whenever something may have changed that the folder says
   */
  constructor(
    folder: string,
    pace: Pace,
    changed: (isAtRest: () => boolean) => boolean,
    state = (): string => fingerprint(folder),
  ) {
    this.#folder = folder;
    this.#pace = pace;
    this.#changed = changed;
    this.#fingerprint = state;
    // Whoever read the folder did so before now: what has changed in between must not be missed.
    this.#settled = '';
    this.#seen = '';
    this.#poll = setInterval(() => this.#look(), pace.pollMs);
    this.#poll.unref();
    this.#listen();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#rest);
    this.#watcher?.close();
  }

  #listen(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      this.#watcher = watch(this.#folder, { persistent: false }, () => this.#look());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // The system's watches are used up, or the folder is gone: the poll remains.
    }
  }

  #look(): void {
    const now = this.#fingerprint();
    if (now === this.#settled) {
      this.#seen = now;
      return;
    }
    if (now === this.#seen && this.#rest !== undefined) return;
    this.#seen = now;
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#settle(), this.#pace.restMs);
    this.#rest.unref();
  }

  #settle(): void {
    this.#rest = undefined;
    const now = this.#fingerprint();
    if (now !== this.#seen) {
      this.#look();
      return;
    }
    if (!this.#changed(() => this.#fingerprint() === now)) return;
    this.#settled = now;
    // The folder itself may be another one now.
    this.#listen();
  }
}
