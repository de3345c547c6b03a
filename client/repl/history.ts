import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export const HISTORY_LINES_MAX = 1000;

/**
 * The lines typed at the prompt, kept in a file that only its owner can read.
 *
 * Invariant: the file is cut to the newest {@link HISTORY_LINES_MAX} lines each time it is opened. A file that cannot be
 * read or written costs the history, never the REPL. Several REPLs append to the same file.
 */
export class History {
  /** Newest first, as readline wants them. */
  readonly lines: readonly string[];
  readonly #path: string;
  #writable = true;

  constructor(path: string) {
    this.#path = path;
    const kept = readLines(path);
    const newest = kept.slice(-HISTORY_LINES_MAX);
    this.lines = newest.toReversed();
    this.#try(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      if (newest.length < kept.length) writeFileSync(path, newest.map((line) => `${line}\n`).join(''), { mode: 0o600 });
      appendFileSync(path, '', { mode: 0o600 });
      // The mode given above is for a file that is new.
      chmodSync(path, 0o600);
    });
  }

  add(line: string): void {
    if (line.trim() === '') return;
    this.#try(() => appendFileSync(this.#path, `${line}\n`, { mode: 0o600 }));
  }

  #try(write: () => void): void {
    if (!this.#writable) return;
    try {
      write();
    } catch {
      this.#writable = false;
    }
  }
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
