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

/** The store of the session that calls. */
export const SESSION_STORE = 'session';

/** A call is asked for twice only when the daemon died before it was answered; far more changes than were under way then. */
const APPLIED_MAX = 65_536;

export interface KvQuota {
  readonly valueBytesMax: number;
  /** Keys and values of the store together. */
  readonly totalBytesMax: number;
  readonly keysMax: number;
}

/** Who asks, and for which store. */
export interface KvCaller {
  readonly sessionId: string;
  readonly store: string;
}

/** One call that changes something. */
export interface KvChange extends KvCaller {
  /** The same for a call that is repeated because its outcome is unknown, and for no other call of the session. */
  readonly callKey: string;
  /** Only where the key has this version; null: only where it is not there; undefined: always. */
  readonly ifVersion: number | null | undefined;
}

export interface KvEntry {
  /** JSON. */
  readonly value: string;
  readonly version: number;
}

export interface KvPage {
  readonly keys: readonly { readonly key: string; readonly version: number }[];
  /** The last key, where more follow; else null. */
  readonly last: string | null;
}

interface StoreRow {
  readonly store: number;
  readonly keys: number;
  readonly bytes: number;
  readonly highest: number;
}

export class KvStore {
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

  /** Answers the new version. Fails with TOO_LARGE beyond the quota, with CONFLICT where `ifVersion` is not what is there. */
  set(change: KvChange, key: string, value: string, quota: KvQuota): number {
    const request = digestOf('set', change, key, value);
    return Number(this.#once(change, request, () => String(this.#set(change, Buffer.from(key), value, quota))));
  }

  /** Whether there was such a key. Fails with CONFLICT where `ifVersion` is not what is there. */
  delete(change: KvChange, key: string): boolean {
    const request = digestOf('delete', change, key, '');
    return this.#once(change, request, () => String(this.#delete(change, Buffer.from(key)))) === 'true';
  }

  /** Keys that begin with `prefix`, in the order of code points, from after the key `after` on. */
  list(caller: KvCaller, prefix: string, limit: number, after: string | null): KvPage {
    return answering(() => {
      const { from, below } = rangeOf(prefix, after);
      const rows = this.#statements.list.all(ownerOf(caller), caller.store, from, below, limit + 1);
      const keys = rows.slice(0, limit).map((row) => ({
        key: Buffer.from(row['key'] as Uint8Array).toString(),
        version: Number(row['version']),
      }));
      return { keys, last: rows.length > limit ? (keys.at(-1)?.key ?? null) : null };
    });
  }

  /** Removes the session's own store. */
  removeSession(sessionId: string): void {
    answering(() =>
      this.#transaction(() => {
        this.#statements.removeStores.run(sessionId);
        this.#statements.removeApplied.run(sessionId);
      }),
    );
  }

  /** Removes the stores of all other sessions: when the daemon starts, they are of sessions that are gone. */
  keep(sessionIds: ReadonlySet<string>): void {
    const known = answering(() => this.#statements.sessions.all().map((row) => String(row['session'])));
    for (const sessionId of known) if (!sessionIds.has(sessionId)) this.removeSession(sessionId);
  }

  close(): void {
    this.#database.close();
  }

  #set(change: KvChange, key: Uint8Array, value: string, quota: KvQuota): number {
    const valueBytes = Buffer.byteLength(value);
    if (valueBytes > quota.valueBytesMax) throw tooLarge('valueBytesMax', quota, `The value has ${valueBytes} bytes`);
    const store = this.#storeOf(change);
    const existing = this.#existing(store, change, key);
    const bytes = key.byteLength + valueBytes;
    const total = store.bytes + bytes - (existing?.bytes ?? 0);
    // What takes no more than before is let in even where the quota has become smaller than what is there.
    if (existing === undefined && store.keys >= quota.keysMax) throw tooLarge('keysMax', quota, 'The store is full');
    if (total > quota.totalBytesMax && total > store.bytes) {
      throw tooLarge('totalBytesMax', quota, `The store would have ${total} bytes`);
    }
    const version = (existing?.version ?? store.highest) + 1;
    this.#statements.put.run(store.store, key, value, bytes, version);
    this.#statements.count.run(store.keys + (existing === undefined ? 1 : 0), total, store.highest, store.store);
    return version;
  }

  #delete(change: KvChange, key: Uint8Array): boolean {
    const store = this.#storeOf(change);
    const existing = this.#existing(store, change, key);
    if (existing === undefined) return false;
    this.#statements.remove.run(store.store, key);
    const highest = Math.max(store.highest, existing.version);
    this.#statements.count.run(store.keys - 1, store.bytes - existing.bytes, highest, store.store);
    return true;
  }

  #storeOf(caller: KvCaller): StoreRow {
    const owner = ownerOf(caller);
    this.#statements.makeStore.run(owner, caller.store);
    return this.#statements.store.get(owner, caller.store) as unknown as StoreRow;
  }

  #existing(
    store: StoreRow,
    change: KvChange,
    key: Uint8Array,
  ): { readonly version: number; readonly bytes: number } | undefined {
    const row = this.#statements.existing.get(store.store, key);
    const existing = row === undefined ? undefined : { version: Number(row['version']), bytes: Number(row['bytes']) };
    const { ifVersion } = change;
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

  /** The answer that the same call got before, or the one it gets now. */
  #once(change: KvChange, request: Uint8Array, work: () => string): string {
    const { sessionId, callKey } = change;
    return answering(() =>
      this.#transaction(() => {
        const before = this.#statements.applied.get(sessionId, callKey, request);
        if (before !== undefined) return String(before['answer']);
        const answer = work();
        const { lastInsertRowid } = this.#statements.apply.run(sessionId, callKey, request, answer);
        this.#statements.forgetApplied.run(Number(lastInsertRowid) - APPLIED_MAX);
        return answer;
      }),
    );
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

/** Tells a repeated call from another one that came to have the same key. */
function digestOf(operation: string, { store, ifVersion }: KvChange, key: string, value: string): Uint8Array {
  const conditions = ifVersion === undefined ? 'always' : ifVersion;
  return createHash('sha256')
    .update(JSON.stringify([operation, store, conditions, key, value]))
    .digest();
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
