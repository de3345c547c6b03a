/**
 * A log that daemons of a group can all read, and one of them writes: its owner, until another takes it over.
 *
 * I1: whoever finds another's entry where theirs was to go knows that the log was taken over, and writes nothing more: a daemon that
 *     stood still while it lost its lease changes nothing.
 * I2: entries are written one after the other, each until it is there: what a reader finds has no gap.
 * I3: what was appended is read back entire or not at all, in its order.
 */
import { type Entry, FIRST_PART, LogPlaces, newName, piecesOf, type SharedLogParts, TextReader } from './log-places.ts';

/** Entries that are asked for at once. */
const READ_AT_ONCE = 16;

interface Writing {
  readonly part: string;
  readonly place: number;
  readonly entry: Entry;
}

export class SharedLog {
  readonly #places: LogPlaces;
  /** Tells our entries from those of all others, and of earlier lives of this daemon. */
  readonly #by = newName();
  #part = FIRST_PART;
  #place = 0;
  #writing: Writing[] = [];
  #lost = false;

  /** A log that is written from its beginning: the first append fails where there is one of that name. */
  constructor(parts: SharedLogParts, name: string) {
    this.#places = new LogPlaces(parts, name);
  }

  /** Another has taken the log over. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Takes effect with `flush`. */
  append(text: string): void {
    for (const entry of piecesOf(text)) this.#writing.push({ part: this.#part, place: this.#place++, entry });
  }

  /** Puts these texts in place of all that was appended. Takes effect with `flush`, in one step. */
  replaceAll(texts: readonly string[]): void {
    const before = { part: this.#part, place: this.#place };
    this.#part = newName();
    this.#place = 0;
    for (const text of texts) this.append(text);
    this.#writing.push({ ...before, entry: { next: this.#part } });
  }

  /** Resolves once everything is there, or the log is lost. Fails with UNAVAILABLE; what was not written is written by the next. */
  async flush(): Promise<void> {
    for (let writing = this.#writing[0]; writing !== undefined && !this.#lost; writing = this.#writing[0]) {
      const { part, place, entry } = writing;
      if (!(await this.#places.write(part, place, this.#by, entry))) this.#lost = true;
      else if ('next' in entry) void this.#places.leave(part, place, entry.next);
      this.#writing.shift();
    }
  }

  /** The log is of no use to anybody any more. */
  async end(): Promise<void> {
    await this.#places.leave(this.#part, this.#place - 1, null);
  }

  /**
   * Reads a log, and makes it ours: whoever wrote it writes nothing more. null where there is none. Fails with UNAVAILABLE.
   *
   * @returns texts in the order in which they were appended
   */
  static async takeOver(
    parts: SharedLogParts,
    name: string,
  ): Promise<{ readonly log: SharedLog; readonly texts: readonly string[] } | null> {
    const log = new SharedLog(parts, name);
    const texts: string[] = [];
    const reader = new TextReader();
    for (;;) {
      const entries = await log.#places.read(log.#part, log.#place, READ_AT_ONCE);
      for (const entry of entries) {
        if ('next' in entry) {
          log.#part = entry.next;
          log.#place = 0;
          texts.length = 0;
          reader.startOver();
          continue;
        }
        log.#place += 1;
        const text = reader.take(entry);
        if (text !== undefined) texts.push(text);
      }
      if (entries.length > 0) continue;
      if (log.#part === FIRST_PART && log.#place === 0) return null;
      if (!(await log.#places.write(log.#part, log.#place, log.#by, { taken: true }))) continue;
      log.#place += 1;
      return { log, texts };
    }
  }
}
