/**
 * A log that every daemon of a group reads and writes.
 *
 * I1: a text is appended only after all that is before it in the log was read: whoever was not told of another's text appends
 *     nothing.
 * I2: every reader finds the same texts in the same order, each entire or not at all.
 *
 * One operation at a time: whoever uses it sees to that.
 */
import {
  FIRST_PART,
  LogPlaces,
  newName,
  piecesOf,
  type ReadEntry,
  type SharedLogParts,
  TextReader,
} from './log-places.ts';

/** Entries that are asked for at once where there turn out to be any. */
const READ_AT_ONCE = 16;

export interface News {
  /** What was read before counts for nothing any more: these texts are all there is. */
  readonly anew: boolean;
  readonly texts: readonly string[];
}

export class CommonLog {
  readonly #places: LogPlaces;
  readonly #reader = new TextReader();
  #part = FIRST_PART;
  #place = 0;
  /** Read, and not told yet: a reading that fails later on has read it all the same. */
  #news: { anew: boolean; texts: string[] } = { anew: false, texts: [] };

  constructor(parts: SharedLogParts, name: string) {
    this.#places = new LogPlaces(parts, name);
  }

  /** Entries since the log was last replaced, as far as it was read. */
  get length(): number {
    return this.#place;
  }

  /** What was appended since the last reading, by others, or by us where we were not told. Fails with UNAVAILABLE. */
  async read(): Promise<News> {
    for (let atOnce = 1; ; atOnce = READ_AT_ONCE) {
      const entries = await this.#places.read(this.#part, this.#place, atOnce);
      if (entries.length === 0) break;
      for (const entry of entries) this.#take(entry);
    }
    const news = this.#news;
    this.#news = { anew: false, texts: [] };
    return news;
  }

  #take(entry: ReadEntry): void {
    if ('next' in entry) {
      this.#begin(entry.next);
      this.#news = { anew: true, texts: [] };
      return;
    }
    this.#place += 1;
    const text = this.#reader.take(entry);
    if (text !== undefined) this.#news.texts.push(text);
  }

  /** False where something is still to be read, and nothing is appended. Fails with UNAVAILABLE, and the text may be there all the same. */
  async append(text: string): Promise<boolean> {
    if (this.#isBehind) return false;
    const place = await this.#write(this.#part, this.#place, [text]);
    if (place === null) return false;
    this.#place = place;
    return true;
  }

  /**
   * Puts these texts in place of all that was read or appended so far; false where something is still to be read, and nothing is
   * replaced. Fails with UNAVAILABLE, and they may be in place all the same.
   */
  async replaceAll(texts: readonly string[]): Promise<boolean> {
    if (this.#isBehind) return false;
    const next = newName();
    const length = (await this.#write(next, 0, texts)) ?? 0;
    const [part, place] = [this.#part, this.#place];
    const isReplaced = await this.#places.write(part, place, newName(), { next });
    void (isReplaced ? this.#places.leave(part, place, next) : this.#places.leave(next, length - 1, null));
    if (!isReplaced) return false;
    this.#begin(next);
    this.#place = length;
    return true;
  }

  /** Nobody needs what was read or appended any more. */
  async end(): Promise<void> {
    await this.#places.leave(this.#part, this.#place - 1, null);
  }

  get #isBehind(): boolean {
    return this.#news.anew || this.#news.texts.length > 0;
  }

  #begin(part: string): void {
    this.#part = part;
    this.#place = 0;
    this.#reader.startOver();
  }

  /** The place after them; null where one of their places was another's. */
  async #write(part: string, from: number, texts: readonly string[]): Promise<number | null> {
    let place = from;
    for (const text of texts) {
      // A name for each: what is left of one that was not written to its end is no beginning of another.
      const by = newName();
      for (const entry of piecesOf(text)) if (!(await this.#places.write(part, place++, by, entry))) return null;
    }
    return place;
  }
}
