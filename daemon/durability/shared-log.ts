/**
 * One log on a Resonate server that several daemons share: each entry is a promise, and the id of the promise is its place.
 *
 * I1: a place holds one entry for good. Whoever finds another's where theirs was to go knows that the log was taken over, and writes
 *     nothing more: a daemon that stood still while it lost its lease changes nothing.
 * I2: entries are written one after the other, each until it is there: what a reader finds has no gap.
 * I3: what was appended is read back entire or not at all, in its order.
 */
import { randomBytes } from 'node:crypto';
import { NEVER_MS } from './durable-promises.ts';
import { type Json, open, seal } from './envelope.ts';
import { safeId } from './safe-id.ts';
import type { Network, PromiseRecord } from './sdk.ts';
import { callServer, promiseOf } from './server-call.ts';

/** Characters of one entry; servers and what stands in front of them bound a request. */
const PIECE_LENGTH_MAX = 256 * 1024;
/** Entries that are asked for at once. */
const READ_AT_ONCE = 16;
/** The part of a log with which it begins. Each further one begins with all that is still of use of those before it. */
const FIRST_PART = '0';

export interface SharedLogParts {
  readonly network: Pick<Network, 'send'>;
  readonly group: string;
}

/** `more`: the text goes on in the next entry. */
type Entry =
  | { readonly text: string; readonly more: boolean }
  /** From here on the log is another daemon's. */
  | { readonly taken: true }
  /** The log goes on in that part. */
  | { readonly next: string };

interface Writing {
  readonly part: string;
  readonly place: number;
  readonly entry: Entry;
}

export class SharedLog {
  readonly #parts: SharedLogParts;
  readonly #name: string;
  /** Tells our entries from those of all others, and of earlier lives of this daemon. */
  readonly #by = randomBytes(12).toString('base64url');
  #part = FIRST_PART;
  #place = 0;
  #writing: Writing[] = [];
  #lost = false;

  /** A log that is written from its beginning: the first append fails where there is one of that name. */
  constructor(parts: SharedLogParts, name: string) {
    this.#parts = parts;
    this.#name = name;
  }

  /** Another has taken the log over. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Takes effect with `flush`. */
  append(text: string): void {
    this.#add(text);
  }

  /** Puts these texts in place of all that was appended. Takes effect with `flush`, in one step. */
  replaceAll(texts: readonly string[]): void {
    const before = { part: this.#part, place: this.#place };
    this.#part = randomBytes(12).toString('base64url');
    this.#place = 0;
    for (const text of texts) this.#add(text);
    this.#writing.push({ ...before, entry: { next: this.#part } });
  }

  #add(text: string): void {
    for (let at = 0; at === 0 || at < text.length; at += PIECE_LENGTH_MAX) {
      const piece = text.slice(at, at + PIECE_LENGTH_MAX);
      this.#put({ text: piece, more: at + PIECE_LENGTH_MAX < text.length });
    }
  }

  #put(entry: Entry): void {
    this.#writing.push({ part: this.#part, place: this.#place++, entry });
  }

  /** Resolves once everything is there, or the log is lost. Fails with UNAVAILABLE; what was not written is written by the next. */
  async flush(): Promise<void> {
    for (let writing = this.#writing[0]; writing !== undefined && !this.#lost; writing = this.#writing[0]) {
      if (!(await this.#write(writing))) this.#lost = true;
      else if ('next' in writing.entry) void this.#leave(writing.part, writing.place, writing.entry.next);
      this.#writing.shift();
    }
  }

  /** False where another's entry is in that place. */
  async #write({ part, place, entry }: Writing): Promise<boolean> {
    const id = this.#idOf(part, place);
    const data = seal({ by: this.#by, ...(entry as { readonly [key: string]: Json }) });
    const tags = { 'resonate:origin': id, 'resonate:branch': id, 'resonate:parent': id, 'resonate:external': 'true' };
    const param = { headers: {}, data };
    const request = { id, timeoutAt: NEVER_MS, param, tags } as const;
    const promise = promiseOf(await callServer(this.#parts.network, 'promise.create', request));
    return open(promise?.param.data)?.['by'] === this.#by;
  }

  #idOf(part: string, place: number): string {
    return safeId(this.#parts.group, 'log', `${this.#name}/${part}/${place}`);
  }

  /**
   * A part is of no use any more: whoever begins to read it is told where the log goes on, and the server may forget the rest.
   * Nothing depends on it.
   */
  async #leave(part: string, last: number, next: string | null): Promise<void> {
    try {
      for (let place = 0; place <= last; place++) {
        const value = { headers: {}, data: seal({ next: place === 0 ? next : null }) };
        const id = this.#idOf(part, place);
        await callServer(this.#parts.network, 'promise.settle', { id, state: 'resolved', value });
      }
    } catch {
      // What is left stays pending, and is read over.
    }
  }

  /** The log is of no use to anybody any more. */
  async end(): Promise<void> {
    await this.#leave(this.#part, this.#place - 1, null);
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
    const reader = new Reader();
    for (;;) {
      const entries = await log.#readAhead();
      for (const entry of entries) log.#follow(entry, reader);
      if (entries.length > 0) continue;
      if (log.#part === FIRST_PART && log.#place === 0) return null;
      const mine: Writing = { part: log.#part, place: log.#place, entry: { taken: true } };
      if (await log.#write(mine)) {
        log.#place += 1;
        return { log, texts: reader.texts };
      }
    }
  }

  #follow(entry: Entry, reader: Reader): void {
    if ('next' in entry) {
      this.#part = entry.next;
      this.#place = 0;
      reader.startOver();
      return;
    }
    this.#place += 1;
    reader.take(entry);
  }

  /** The next entries up to the first that is not there, or up to where the log goes on in another part. */
  async #readAhead(): Promise<Entry[]> {
    const places = Array.from({ length: READ_AT_ONCE }, (_, index) => this.#place + index);
    const found = await Promise.all(places.map((place) => this.#read(this.#part, place)));
    const entries: Entry[] = [];
    for (const [index, promise] of found.entries()) {
      if (promise === null) break;
      const next = this.#place + index === 0 ? nextOf(promise) : null;
      const entry = next === null ? entryOf(promise) : { next };
      entries.push(entry);
      if ('next' in entry) break;
    }
    return entries;
  }

  async #read(part: string, place: number): Promise<PromiseRecord | null> {
    return promiseOf(await callServer(this.#parts.network, 'promise.get', { id: this.#idOf(part, place) }));
  }
}

/** Puts texts together again. What was begun and not ended is of a writer that ended in the middle. */
class Reader {
  texts: string[] = [];
  #begun: string[] = [];

  startOver(): void {
    this.texts = [];
    this.#begun = [];
  }

  take(entry: Exclude<Entry, { readonly next: string }>): void {
    if ('taken' in entry) {
      this.#begun = [];
      return;
    }
    this.#begun.push(entry.text);
    if (entry.more) return;
    this.texts.push(this.#begun.join(''));
    this.#begun = [];
  }
}

function nextOf({ state, value }: PromiseRecord): string | null {
  const next = state === 'resolved' ? open(value.data)?.['next'] : null;
  return typeof next === 'string' ? next : null;
}

/** What is none of ours is passed over, as one that nobody wrote to the end. */
function entryOf({ param }: PromiseRecord): Entry {
  const fields = open(param.data) ?? {};
  const { text, more, next } = fields;
  if (typeof next === 'string') return { next };
  return typeof text === 'string' ? { text, more: more === true } : { taken: true };
}
