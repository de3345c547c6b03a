/**
 * The key-value stores of a group of daemons: each store is a log that all of them append changes to, and each daemon has a copy of
 * those that its sessions use, in a file that holds nothing of its own.
 *
 * I1: a change is decided on a copy that has all that is in the log, and is in the log before it is in the copy: whoever changes a
 *     store at the same time, one is first, and the other decides again.
 * I2: what is read was true at some moment since it was asked for, in whatever daemon it was written.
 * I3: a change that is asked for twice by the same call of a session happens once, also where the second time is in another daemon.
 */
import { removeDatabaseFile } from '../database-file.ts';
import type { CommonLog } from '../durability/common-log.ts';
import { Fault } from '../fault.ts';
import { type KvAnswered, type KvContents, type KvEffect, KvStore } from './kv-store.ts';
import {
  type KvCaller,
  type KvChange,
  type KvEntry,
  type KvPage,
  type KvQuota,
  type KvStores,
  SESSION_STORE,
} from './kv-stores.ts';

/** Copies at once; one that has not been used for longest is read again when it is needed. */
const COPIES_MAX = 256;
/** How often a change is decided again because others were first. */
const ATTEMPTS_MAX = 100;
/** A log is replaced by what is in the store when it has more entries than this, and more than twice as many as there are keys. */
const ENTRIES_MIN = 512;
/** A call is asked for twice only when its daemon died before it was answered: far more than were under way then. */
const ANSWERED_MAX = 1024;
/** Characters of keys and values in one text of a log. */
const TEXT_LENGTH = 200_000;

/** As it stands in a log, as JSON: one change, or a piece of what the store held when the log was replaced. */
type Text = { readonly effect: KvEffect } | { readonly contents: KvContents };

export interface SharedKvParts {
  /** Of the copies; made anew. */
  readonly file: string;
  /** The log of that name, which all daemons of the group know by it. */
  readonly logOf: (name: string) => CommonLog;
}

export class SharedKv implements KvStores {
  readonly #copies: KvStore;
  readonly #logOf: SharedKvParts['logOf'];
  /** By the names of their logs, those used last at the end. */
  readonly #stores = new Map<string, SharedStore>();

  constructor({ file, logOf }: SharedKvParts) {
    removeDatabaseFile(file);
    this.#copies = new KvStore(file);
    this.#logOf = logOf;
  }

  #storeOf({ sessionId, store }: KvCaller): SharedStore {
    const name = store === SESSION_STORE ? `kv/session/${sessionId}` : `kv/shared/${store}`;
    const shared =
      this.#stores.get(name) ?? new SharedStore(this.#copies, { sessionId, store }, () => this.#logOf(name));
    this.#stores.delete(name);
    this.#stores.set(name, shared);
    for (const [oldest, other] of this.#stores) {
      if (this.#stores.size <= COPIES_MAX) break;
      if (!other.isIdle) continue;
      other.forget();
      this.#stores.delete(oldest);
    }
    return shared;
  }

  get(caller: KvCaller, key: string): Promise<KvEntry | null> {
    return this.#storeOf(caller).read(() => this.#copies.get(caller, key));
  }

  list(caller: KvCaller, prefix: string, limit: number, after: string | null): Promise<KvPage> {
    return this.#storeOf(caller).read(() => this.#copies.list(caller, prefix, limit, after));
  }

  async set(change: KvChange, key: string, value: string, quota: KvQuota): Promise<number> {
    return Number(await this.#storeOf(change).change(() => this.#copies.planSet(change, key, value, quota)));
  }

  async delete(change: KvChange, key: string): Promise<boolean> {
    return (await this.#storeOf(change).change(() => this.#copies.planDelete(change, key))) === 'true';
  }

  /** Its log is left to the server. */
  removeSession(sessionId: string): void {
    const shared = this.#storeOf({ sessionId, store: SESSION_STORE });
    // Where the server cannot be reached the log stays, and nobody reads it any more.
    void shared.end().catch(() => undefined);
  }

  keep(): void {
    // Whether a session is gone only its owner knows, and what it has left is in no file of this daemon.
  }

  close(): void {
    this.#copies.close();
  }
}

/** One store, in its log and in this daemon's copy. */
class SharedStore {
  readonly #copies: KvStore;
  readonly #caller: KvCaller;
  readonly #openLog: () => CommonLog;
  #log: CommonLog | undefined;
  /** What changes were answered, oldest first. */
  #answered: KvAnswered[] = [];
  /** The last of what is to be done with it. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(copies: KvStore, caller: KvCaller, openLog: () => CommonLog) {
    this.#copies = copies;
    this.#caller = caller;
    this.#openLog = openLog;
  }

  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  read<T>(answer: () => T): Promise<T> {
    return this.#inTurn(async () => {
      await this.#catchUp();
      return answer();
    });
  }

  /** @param plan what is to be done, or what was answered before, by what the copy holds; fails where it is not to be */
  change(plan: () => KvEffect | string): Promise<string> {
    return this.#inTurn(async () => {
      if (this.#log === undefined) await this.#catchUp();
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const planned = await this.#planned(plan);
        if (typeof planned === 'string') return planned;
        if (planned !== null && (await this.#append(planned))) return planned.answer;
      }
      throw new Fault('UNAVAILABLE', 'Too many others change this key-value store at the same time.');
    });
  }

  /** The copy is not needed now. */
  forget(): void {
    this.#copies.fill(this.#caller, []);
  }

  end(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#catchUp();
      this.#copies.removeSession(this.#caller.sessionId);
      await this.#log?.end();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const done = this.#last.then(work).finally(() => this.#waiting--);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** A refusal is one only where the copy has all that has happened; null: it had not, and now it has. */
  async #planned(plan: () => KvEffect | string): Promise<KvEffect | string | null> {
    try {
      return plan();
    } catch (error) {
      if (await this.#catchUp()) return null;
      throw error;
    }
  }

  /** False where another was first: the copy has what they did now. */
  async #append(effect: KvEffect): Promise<boolean> {
    const log = this.#log as CommonLog;
    const text = JSON.stringify({ effect } satisfies Text);
    if (!(await reached(log.append(text)))) {
      await this.#catchUp();
      return false;
    }
    this.#take(false, [text]);
    await this.#replaceLog(log);
    return true;
  }

  /** Whether there was anything that the copy did not have. Fails with UNAVAILABLE. */
  async #catchUp(): Promise<boolean> {
    const isFirst = this.#log === undefined;
    this.#log ??= this.#openLog();
    const { anew, texts } = await reached(this.#log.read()).catch((error) => {
      if (isFirst) this.#log = undefined;
      throw error;
    });
    if (!isFirst && !anew && texts.length === 0) return false;
    this.#take(isFirst || anew, texts);
    return true;
  }

  /** @param anew these are all there is */
  #take(anew: boolean, texts: readonly string[]): void {
    try {
      const read = texts.map((text) => JSON.parse(text) as Text);
      if (anew) {
        const pieces = read.flatMap((text) => ('contents' in text ? [text.contents] : []));
        this.#copies.fill(this.#caller, pieces);
        this.#answered = pieces.flatMap(({ answered }) => answered);
      }
      const effects = read.flatMap((text) => ('effect' in text ? [text.effect] : []));
      this.#copies.apply(this.#caller, effects);
      for (const { sessionId, callKey, request, answer } of effects)
        this.#answered.push({ sessionId, callKey, request, answer });
      this.#answered.splice(0, this.#answered.length - ANSWERED_MAX);
    } catch (error) {
      // The copy lacks what was read: it is read again from the beginning.
      this.#log = undefined;
      throw error;
    }
  }

  /** The change has happened, whatever comes of this; another daemon may come to do it as well. */
  async #replaceLog(log: CommonLog): Promise<void> {
    if (log.length < ENTRIES_MIN) return;
    const { highest, entries } = this.#copies.contentsOf(this.#caller);
    if (log.length < 2 * entries.length) return;
    const texts = cut({ highest, entries, answered: this.#answered });
    await log.replaceAll(texts.map((contents) => JSON.stringify({ contents } satisfies Text))).catch(() => false);
  }
}

/** What is wrong with the server, and where that is, is not for guest code. */
async function reached<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    const details = { reason: 'unreachable' };
    throw new Fault('UNAVAILABLE', 'The key-value store cannot be reached now.', details, { cause });
  }
}

/** In pieces that each fit a few entries of a log. */
function cut({ highest, entries, answered }: KvContents): KvContents[] {
  const pieces = [{ highest, entries: [] as KvContents['entries'][number][], answered }];
  let length = 0;
  for (const entry of entries) {
    pieces.at(-1)?.entries.push(entry);
    length += entry[0].length + entry[1].length;
    if (length < TEXT_LENGTH) continue;
    pieces.push({ highest, entries: [], answered: [] });
    length = 0;
  }
  return pieces;
}
