/**
 * The entries of a log that daemons of a group keep on a Resonate server: each entry is a promise, and the id of the promise is its
 * place.
 *
 * I1: a place holds one entry for good, whoever wrote it: who finds another's where theirs was to go knows that they were not alone.
 * I2: what is read has no gap.
 */
import { randomBytes } from 'node:crypto';
import { NEVER_MS } from './durable-promises.ts';
import { type Json, open, seal } from './envelope.ts';
import { safeId } from './safe-id.ts';
import type { Network, PromiseRecord } from './sdk.ts';
import { callServer, promiseOf } from './server-call.ts';

/** Characters of one entry; servers and what stands in front of them bound a request. */
const PIECE_LENGTH_MAX = 256 * 1024;
/** The part of a log with which it begins. Each further one begins with all that is still of use of those before it. */
export const FIRST_PART = '0';

export interface SharedLogParts {
  readonly network: Pick<Network, 'send'>;
  readonly group: string;
}

/** `more`: the text goes on in the next entry. */
export type Entry =
  | { readonly text: string; readonly more: boolean }
  /** From here on the log is another daemon's. */
  | { readonly taken: true }
  /** The log goes on in that part. */
  | { readonly next: string };

/** `by`: who wrote it, which is what tells their entries from all others. */
export type ReadEntry = Entry & { readonly by: string };

/** The name of a part, or of a writer, that nobody else has. */
export const newName = (): string => randomBytes(12).toString('base64url');

/** A text as it is written, one entry after the other. */
export function piecesOf(text: string): Entry[] {
  const pieces: Entry[] = [];
  for (let at = 0; at === 0 || at < text.length; at += PIECE_LENGTH_MAX)
    pieces.push({ text: text.slice(at, at + PIECE_LENGTH_MAX), more: at + PIECE_LENGTH_MAX < text.length });
  return pieces;
}

/** Puts texts together again. What was begun and not ended is of a writer that ended in the middle. */
export class TextReader {
  #by = '';
  #begun: string[] = [];

  startOver(): void {
    this.#begun = [];
  }

  /** The text that ends with this entry. */
  take(entry: Exclude<ReadEntry, { readonly next: string }>): string | undefined {
    if (entry.by !== this.#by) this.#begun = [];
    this.#by = entry.by;
    if ('taken' in entry) return undefined;
    this.#begun.push(entry.text);
    if (entry.more) return undefined;
    const text = this.#begun.join('');
    this.#begun = [];
    return text;
  }
}

export class LogPlaces {
  readonly #parts: SharedLogParts;
  readonly #name: string;

  constructor(parts: SharedLogParts, name: string) {
    this.#parts = parts;
    this.#name = name;
  }

  #idOf(part: string, place: number): string {
    return safeId(this.#parts.group, 'log', `${this.#name}/${part}/${place}`);
  }

  /** False where another's entry is in that place. Fails with UNAVAILABLE, and the entry may be there all the same. */
  async write(part: string, place: number, by: string, entry: Entry): Promise<boolean> {
    const id = this.#idOf(part, place);
    const data = seal({ by, ...(entry as { readonly [key: string]: Json }) });
    const tags = { 'resonate:origin': id, 'resonate:branch': id, 'resonate:parent': id, 'resonate:external': 'true' };
    const param = { headers: {}, data };
    const request = { id, timeoutAt: NEVER_MS, param, tags } as const;
    const promise = promiseOf(await callServer(this.#parts.network, 'promise.create', request));
    return open(promise?.param.data)?.['by'] === by;
  }

  /**
   * Entries from that place on, up to the first that is not there, or up to where the log goes on in another part. Fails with
   * UNAVAILABLE.
   *
   * @param atOnce how many are asked for
   */
  async read(part: string, from: number, atOnce: number): Promise<ReadEntry[]> {
    const places = Array.from({ length: atOnce }, (_, index) => from + index);
    const found = await Promise.all(places.map((place) => this.#find(part, place)));
    const entries: ReadEntry[] = [];
    for (const [index, promise] of found.entries()) {
      if (promise === null) break;
      const next = from + index === 0 ? nextOf(promise) : null;
      const entry = next === null ? entryOf(promise) : { by: '', next };
      entries.push(entry);
      if ('next' in entry) break;
    }
    return entries;
  }

  async #find(part: string, place: number): Promise<PromiseRecord | null> {
    return promiseOf(await callServer(this.#parts.network, 'promise.get', { id: this.#idOf(part, place) }));
  }

  /**
   * A part is of no use any more: whoever begins to read it is told where the log goes on, and the server may forget the rest.
   * Nothing depends on it.
   *
   * @param last its last place
   */
  async leave(part: string, last: number, next: string | null): Promise<void> {
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
}

function nextOf({ state, value }: PromiseRecord): string | null {
  const next = state === 'resolved' ? open(value.data)?.['next'] : null;
  return typeof next === 'string' ? next : null;
}

/** What is none of ours is passed over, as one that nobody wrote to the end. */
function entryOf({ param }: PromiseRecord): ReadEntry {
  const { by: writer, text, more, next } = open(param.data) ?? {};
  const by = String(writer ?? '');
  if (typeof next === 'string') return { by, next };
  return typeof text === 'string' ? { by, text, more: more === true } : { by, taken: true };
}
