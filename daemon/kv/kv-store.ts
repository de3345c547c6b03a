/**
 * Keys and JSON values that outlive the daemon. A store belongs to one session and goes with it, or is shared, by name, by all
 * sessions whose level grants that name.
 *
 * I1: a change is whole or not there, and so is what is counted of it: quotas hold whoever writes at the same time.
 * I2: a version of a key never comes again in its store, also when the key was deleted in between.
 * I3: a change that is asked for twice by the same call of a session happens once, and is answered alike.
 *
 * Each operation is one transaction of a few rows, so they are done at once, on the daemon's thread.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Fault } from '../fault.ts';
import { openKvFile } from './kv-file.ts';
import {
  type KvCaller,
  type KvChange,
  type KvEntry,
  type KvPage,
  type KvQuota,
  type KvStores,
  SESSION_STORE,
} from './kv-stores.ts';

/** A call is asked for twice only when the daemon died before it was answered; far more changes than were under way then. */
const APPLIED_MAX = 65_536;

/** What a call that changed something was answered. */
export interface KvAnswered {
  readonly sessionId: string;
  readonly callKey: string;
  /** Tells a repeated call from another one that came to have the same key. */
  readonly request: string;
  readonly answer: string;
}

/** A change as it has come out: what is to be written, in whatever copy of the store. */
export interface KvEffect extends KvAnswered {
  readonly key: string;
  /** null: the key is not there any more. */
  readonly entry: KvEntry | null;
}

/** What is in a store, or a part of that. */
export interface KvContents {
  /** No key that comes anew gets a version up to this one. */
  readonly highest: number;
  readonly entries: readonly (readonly [key: string, value: string, version: number])[];
  /** What calls were answered, oldest first. */
  readonly answered: readonly KvAnswered[];
}

interface StoreRow {
  readonly store: number;
  readonly keys: number;
  readonly bytes: number;
  readonly highest: number;
}
/** One that nothing has been put into. */
const NO_STORE: StoreRow = { store: 0, keys: 0, bytes: 0, highest: 0 };

interface ExistingRow {
  readonly version: number;
  readonly bytes: number;
}

export class KvStore implements KvStores {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepareAll>;

  /** Fails with UNAVAILABLE where the file cannot be used, see `kv-file.ts`. */
  constructor(file: string) {
    this.#database = openKvFile(file);
    this.#statements = prepareAll(this.#database);
  }

  get(caller: KvCaller, key: string): KvEntry | null {
    return answering(() => {
      const row = this.#statements.get.get(ownerOf(caller), caller.store, Buffer.from(key));
      return row === undefined ? null : { value: String(row['value']), version: Number(row['version']) };
    });
  }

  set(change: KvChange, key: string, value: string, quota: KvQuota): number {
    return Number(this.#do(change, () => this.planSet(change, key, value, quota)));
  }

  delete(change: KvChange, key: string): boolean {
    return this.#do(change, () => this.planDelete(change, key)) === 'true';
  }

  #do(caller: KvCaller, plan: () => KvEffect | string): string {
    return answering(() =>
      this.#transaction(() => {
        const planned = plan();
        if (typeof planned === 'string') return planned;
        this.#apply(caller, planned);
        return planned.answer;
      }),
    );
  }

  /** What `set` would do, or what the same call was answered before. Fails as `set` does. */
  planSet(change: KvChange, key: string, value: string, quota: KvQuota): KvEffect | string {
    const request = digestOf('set', change, key, value);
    return answering(() => {
      const before = this.#before(change, request);
      if (before !== undefined) return before;
      const entry = this.#setting(change, key, value, quota);
      return { ...madeBy(change), request, answer: String(entry.version), key, entry };
    });
  }

  /** What `delete` would do, or what the same call was answered before. Fails as `delete` does. */
  planDelete(change: KvChange, key: string): KvEffect | string {
    const request = digestOf('delete', change, key, '');
    return answering(() => {
      const before = this.#before(change, request);
      if (before !== undefined) return before;
      const existing = this.#existing(this.#storeOf(change).store, change, Buffer.from(key));
      return { ...madeBy(change), request, answer: String(existing !== undefined), key, entry: null };
    });
  }

  /** Does in this copy what was planned in one that was the same, in that order, as one change. */
  apply(caller: KvCaller, effects: readonly KvEffect[]): void {
    answering(() =>
      this.#transaction(() => {
        for (const effect of effects) this.#apply(caller, effect);
      }),
    );
  }

  list(caller: KvCaller, prefix: string, limit: number, after: string | null): KvPage {
    return answering(() => {
      const { from, below } = rangeOf(prefix, after);
      const rows = this.#statements.list.all(ownerOf(caller), caller.store, from, below, limit + 1);
      const keys = rows.slice(0, limit).map((row) => ({
        key: textOf(row['key']),
        version: Number(row['version']),
      }));
      return { keys, last: rows.length > limit ? (keys.at(-1)?.key ?? null) : null };
    });
  }

  /** What is in the store, but for what calls were answered. */
  contentsOf(caller: KvCaller): Omit<KvContents, 'answered'> {
    return answering(() => {
      const { store, highest } = this.#storeOf(caller);
      const rows = this.#statements.all.all(store);
      return {
        highest,
        entries: rows.map((row) => [textOf(row['key']), String(row['value']), Number(row['version'])]),
      };
    });
  }

  /** Puts what was in another copy of the store in place of all that is in this one. */
  fill(caller: KvCaller, pieces: readonly KvContents[]): void {
    answering(() =>
      this.#transaction(() => {
        this.#statements.removeStore.run(ownerOf(caller), caller.store);
        this.#statements.makeStore.run(ownerOf(caller), caller.store);
        const { store } = this.#storeOf(caller);
        const entries = pieces.flatMap((piece) => piece.entries);
        let total = 0;
        for (const [key, value, version] of entries) total += this.#put(store, Buffer.from(key), { value, version });
        const highest = Math.max(0, ...pieces.map((piece) => piece.highest));
        this.#statements.count.run(entries.length, total, highest, store);
        for (const { answered } of pieces) for (const each of answered) this.#remember(each);
      }),
    );
  }

  removeSession(sessionId: string): void {
    answering(() =>
      this.#transaction(() => {
        this.#statements.removeStores.run(sessionId);
        this.#statements.removeApplied.run(sessionId);
      }),
    );
  }

  keep(sessionIds: ReadonlySet<string>): void {
    const known = answering(() => this.#statements.sessions.all().map((row) => String(row['session'])));
    for (const sessionId of known) if (!sessionIds.has(sessionId)) this.removeSession(sessionId);
  }

  close(): void {
    this.#database.close();
  }

  #before({ sessionId, callKey }: KvChange, request: string): string | undefined {
    const row = this.#statements.applied.get(sessionId, callKey, Buffer.from(request, 'base64url'));
    return row === undefined ? undefined : String(row['answer']);
  }

  #setting(change: KvChange, key: string, value: string, quota: KvQuota): KvEntry {
    const valueBytes = Buffer.byteLength(value);
    if (valueBytes > quota.valueBytesMax) throw tooLarge('valueBytesMax', quota, `The value has ${valueBytes} bytes`);
    const store = this.#storeOf(change);
    const bytesOfKey = Buffer.from(key);
    const existing = this.#existing(store.store, change, bytesOfKey);
    const total = store.bytes + bytesOfKey.byteLength + valueBytes - (existing?.bytes ?? 0);
    // What takes no more than before is let in even where the quota has become smaller than what is there.
    if (existing === undefined && store.keys >= quota.keysMax) throw tooLarge('keysMax', quota, 'The store is full');
    if (total > quota.totalBytesMax && total > store.bytes) {
      throw tooLarge('totalBytesMax', quota, `The store would have ${total} bytes`);
    }
    return { value, version: (existing?.version ?? store.highest) + 1 };
  }

  #apply(caller: KvCaller, { key: text, entry, ...answered }: KvEffect): void {
    this.#statements.makeStore.run(ownerOf(caller), caller.store);
    const { store, keys, bytes, highest } = this.#storeOf(caller);
    const key = Buffer.from(text);
    const existing = this.#versionOf(store, key);
    if (entry !== null) {
      const more = this.#put(store, key, entry) - (existing?.bytes ?? 0);
      this.#statements.count.run(existing === undefined ? keys + 1 : keys, bytes + more, highest, store);
    } else if (existing !== undefined) {
      this.#statements.remove.run(store, key);
      this.#statements.count.run(keys - 1, bytes - existing.bytes, Math.max(highest, existing.version), store);
    }
    this.#remember(answered);
  }

  /** The bytes that it takes. */
  #put(store: number, key: Uint8Array, { value, version }: KvEntry): number {
    const bytes = key.byteLength + Buffer.byteLength(value);
    this.#statements.put.run(store, key, value, bytes, version);
    return bytes;
  }

  #remember({ sessionId, callKey, request, answer }: KvAnswered): void {
    const bytes = Buffer.from(request, 'base64url');
    const { lastInsertRowid } = this.#statements.apply.run(sessionId, callKey, bytes, answer);
    this.#statements.forgetApplied.run(Number(lastInsertRowid) - APPLIED_MAX);
  }

  #storeOf(caller: KvCaller): StoreRow {
    const row = this.#statements.store.get(ownerOf(caller), caller.store);
    return row === undefined ? NO_STORE : (row as unknown as StoreRow);
  }

  #versionOf(store: number, key: Uint8Array): ExistingRow | undefined {
    const row = this.#statements.existing.get(store, key);
    return row === undefined ? undefined : { version: Number(row['version']), bytes: Number(row['bytes']) };
  }

  /** Fails with CONFLICT where `ifVersion` is not what is there. */
  #existing(store: number, { ifVersion }: KvChange, key: Uint8Array): ExistingRow | undefined {
    const existing = this.#versionOf(store, key);
    const version = existing?.version ?? null;
    if (ifVersion !== undefined && ifVersion !== version) {
      throw new Fault(
        'CONFLICT',
        version === null ? 'The key is not there.' : `The key has version ${version}; read it again.`,
        { version },
      );
    }
    return existing;
  }

  #transaction<T>(work: () => T): T {
    this.#statements.begin.run();
    try {
      const answer = work();
      this.#statements.commit.run();
      return answer;
    } catch (error) {
      // Some failures, such as a full disk, have ended the transaction already.
      if (this.#database.isTransaction) this.#statements.rollback.run();
      throw error;
    }
  }
}

function prepareAll(database: DatabaseSync) {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    get: sql('SELECT value, version FROM entry JOIN store USING (store) WHERE owner = ? AND name = ? AND key = ?'),
    list: sql(`SELECT key, version FROM entry JOIN store USING (store)
      WHERE owner = ? AND name = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`),
    makeStore: sql('INSERT INTO store (owner, name) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    store: sql('SELECT store, keys, bytes, highest FROM store WHERE owner = ? AND name = ?'),
    all: sql('SELECT key, value, version FROM entry WHERE store = ? ORDER BY key'),
    removeStore: sql('DELETE FROM store WHERE owner = ? AND name = ?'),
    existing: sql('SELECT version, bytes FROM entry WHERE store = ? AND key = ?'),
    put: sql('INSERT OR REPLACE INTO entry (store, key, value, bytes, version) VALUES (?, ?, ?, ?, ?)'),
    remove: sql('DELETE FROM entry WHERE store = ? AND key = ?'),
    count: sql('UPDATE store SET keys = ?, bytes = ?, highest = ? WHERE store = ?'),
    applied: sql('SELECT answer FROM applied WHERE session = ? AND call = ? AND request = ?'),
    apply: sql('INSERT OR REPLACE INTO applied (session, call, request, answer) VALUES (?, ?, ?, ?)'),
    forgetApplied: sql('DELETE FROM applied WHERE number <= ?'),
    removeStores: sql("DELETE FROM store WHERE owner = ? AND owner <> ''"),
    removeApplied: sql('DELETE FROM applied WHERE session = ?'),
    sessions: sql("SELECT owner AS session FROM store WHERE owner <> '' UNION SELECT session FROM applied"),
  };
}

const textOf = (key: unknown): string => Buffer.from(key as Uint8Array).toString();

function ownerOf({ sessionId, store }: KvCaller): string {
  return store === SESSION_STORE ? sessionId : '';
}

/**
 * In UTF-8 no byte is 255. So the prefix with its last byte raised by one is above every key that begins with it, and a single byte
 * of 255 is above every key. What comes right after a key is that key with a NUL.
 */
function rangeOf(prefix: string, after: string | null): { readonly from: Uint8Array; readonly below: Uint8Array } {
  const start = Buffer.from(prefix);
  const below = Buffer.from(prefix === '' ? [0xff] : start);
  if (prefix !== '') below[below.length - 1] = (below.at(-1) ?? 0) + 1;
  const next = after === null ? start : Buffer.from(`${after}\0`);
  return { from: Buffer.compare(next, start) > 0 ? next : start, below };
}

const madeBy = ({ sessionId, callKey }: KvChange): Pick<KvEffect, 'sessionId' | 'callKey'> => ({ sessionId, callKey });

function digestOf(operation: string, { store, ifVersion }: KvChange, key: string, value: string): string {
  const conditions = ifVersion === undefined ? 'always' : ifVersion;
  return createHash('sha256')
    .update(JSON.stringify([operation, store, conditions, key, value]))
    .digest('base64url');
}

function tooLarge(limit: keyof KvQuota, quota: KvQuota, what: string): Fault {
  return new Fault('TOO_LARGE', `${what}; the level allows ${limit} ${quota[limit]}.`, { limit, max: quota[limit] });
}

/** What SQLite says holds paths and is not for guest code. */
function answering<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('UNAVAILABLE', 'The key-value store cannot be used now.', undefined, { cause: error });
  }
}
