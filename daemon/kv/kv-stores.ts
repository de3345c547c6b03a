/** What there is to do with keys and JSON values, wherever they are kept. */

/** The store of the session that calls. */
export const SESSION_STORE = 'session';

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

type Eventually<T> = T | Promise<T>;

/** All of them fail with UNAVAILABLE where the stores cannot be used now. */
export interface KvStores {
  get(caller: KvCaller, key: string): Eventually<KvEntry | null>;
  /** Answers the new version. Fails with TOO_LARGE beyond the quota, with CONFLICT where `ifVersion` is not what is there. */
  set(change: KvChange, key: string, value: string, quota: KvQuota): Eventually<number>;
  /** Whether there was such a key. Fails with CONFLICT where `ifVersion` is not what is there. */
  delete(change: KvChange, key: string): Eventually<boolean>;
  /** Keys that begin with `prefix`, in the order of code points, from after the key `after` on. */
  list(caller: KvCaller, prefix: string, limit: number, after: string | null): Eventually<KvPage>;
  /** Removes the session's own store. */
  removeSession(sessionId: string): void;
  /** Removes the stores of all other sessions: when the daemon starts, they are of sessions that are gone. */
  keep(sessionIds: ReadonlySet<string>): void;
  close(): void;
}
