import { hash } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import type { KvChange, KvStores } from '../kv/kv-stores.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const KEY_BYTES_MAX = 512;
const LIST_KEYS_MAX = 1000;

const KEY_EXPECTED = `a key is a string of 1 to ${KEY_BYTES_MAX} bytes in UTF-8`;
const LIMIT_EXPECTED = `the limit is a whole number from 1 to ${LIST_KEYS_MAX}`;
const VERSION_EXPECTED = 'ifVersion is a version of the key, or null where it must not be there';

/** A text that is not well-formed would be stored with its bad parts replaced, as another key. */
const text = v.pipe(
  v.string(KEY_EXPECTED),
  v.check(
    (key) => key.length <= KEY_BYTES_MAX && key.isWellFormed() && Buffer.byteLength(key) <= KEY_BYTES_MAX,
    KEY_EXPECTED,
  ),
);
const key = v.pipe(text, v.minLength(1, KEY_EXPECTED));
const store = v.optional(v.pipe(v.string(), v.maxLength(64, 'the name of a store has at most 64 characters')));
const version = v.pipe(v.number(VERSION_EXPECTED), v.safeInteger(VERSION_EXPECTED), v.minValue(1, VERSION_EXPECTED));
const reading = v.strictObject({ store }, 'the options may hold store, and nothing else');
const changing = v.strictObject(
  { store, ifVersion: v.optional(v.nullable(version)) },
  'the options may hold store and ifVersion, and nothing else',
);
const listing = v.strictObject(
  {
    store,
    prefix: v.optional(text),
    limit: v.optional(
      v.pipe(
        v.number(LIMIT_EXPECTED),
        v.safeInteger(LIMIT_EXPECTED),
        v.minValue(1, LIMIT_EXPECTED),
        v.maxValue(LIST_KEYS_MAX, LIMIT_EXPECTED),
      ),
    ),
    cursor: v.optional(v.pipe(v.string(), v.maxLength(1024, 'that is no cursor of kv.list'))),
  },
  'the options may hold store, prefix, limit and cursor, and nothing else',
);

/** The value as JSON text. What is nested deeper than JSON can be written is refused; what was left out is null. */
const value = v.pipe(
  v.unknown(),
  v.rawTransform(({ dataset, addIssue, NEVER }): string => {
    try {
      return JSON.stringify(dataset.value ?? null);
    } catch {
      addIssue({ message: 'the value is nested too deep' });
      return NEVER;
    }
  }),
);

/** What can be asked of a store, by the first argument. */
const OPERATIONS = {
  get: v.strictTuple([v.literal('get'), key, v.optional(reading)]),
  set: v.strictTuple([v.literal('set'), key, value, v.optional(changing)]),
  delete: v.strictTuple([v.literal('delete'), key, v.optional(changing)]),
  list: v.strictTuple([v.literal('list'), v.optional(listing)]),
} as const;

type KvArgs = { [O in keyof typeof OPERATIONS]: v.InferOutput<(typeof OPERATIONS)[O]> }[keyof typeof OPERATIONS];
type KvCall = AllowedCall<'kv', KvArgs>;

/** Chosen by the first argument, so that what is wrong is said of the operation that was meant. */
const args = v.lazy((input): v.GenericSchema<unknown, KvArgs> => {
  const operation: unknown = Array.isArray(input) ? input[0] : undefined;
  return typeof operation === 'string' && Object.hasOwn(OPERATIONS, operation)
    ? OPERATIONS[operation as keyof typeof OPERATIONS]
    : v.never('there is kv.get, kv.entry, kv.set, kv.delete and kv.list');
});

/** `kv.get`, `kv.entry`, `kv.set`, `kv.delete`, `kv.list`. */
export class KvCapability extends Capability<'kv', KvArgs> {
  override readonly name = 'kv';
  override readonly summary = 'Keeps JSON values under keys, for the session or shared with others.';
  override readonly signature = `/**
 * Keys of 1 to 512 bytes and JSON values, kept when the daemon stops. The store is the first that the level grants, unless
 * \`store\` names another: "session" belongs to the session and goes with it, every other one is shared by name.
 * Each change gives the key a higher version. With \`ifVersion\`, a change happens only where the key has that version, or with
 * null only where it is not there; else it fails with CONFLICT (details.version). Keys are listed in the order of code points.
 * Fails with CAPABILITY_DENIED for a store that is not granted, TOO_LARGE beyond the quota (details.limit).
 */
declare const kv: {
  get(key: string, options?: { store?: string }): Promise<unknown>;
  entry(key: string, options?: { store?: string }): Promise<{ value: unknown; version: number } | undefined>;
  set(key: string, value: unknown, options?: { store?: string; ifVersion?: number | null }): Promise<number>;
  delete(key: string, options?: { store?: string; ifVersion?: number | null }): Promise<boolean>;
  list(options?: { store?: string; prefix?: string; limit?: number; cursor?: string }):
    Promise<{ keys: { key: string; version: number }[]; cursor: string | null }>;
};`;
  override readonly stub = `class kv:
    @staticmethod
    async def get(key: str, *, store: str | None = None) -> object: ...
    @staticmethod
    async def entry(key: str, *, store: str | None = None) -> dict | None: ...
    @staticmethod
    async def set(key: str, value: object, *, store: str | None = None, if_version: int | None = ...) -> int: ...
    @staticmethod
    async def delete(key: str, *, store: str | None = None, if_version: int | None = ...) -> bool: ...
    @staticmethod
    async def list(*, store: str | None = None, prefix: str = "", limit: int = 1000, cursor: str | None = None) -> dict: ...`;
  override readonly idempotent = true;
  override readonly patient = false;
  override readonly args = args;
  readonly #stores: KvStores;

  constructor(stores: KvStores) {
    super();
    this.#stores = stores;
  }

  override refuse(args: KvArgs, { stores }: ConstraintsOf<'kv'>): string | null {
    const name = optionsOf(args)?.store ?? stores[0];
    if (name !== undefined && stores.includes(name)) return null;
    return `kv may not use that store in this session; it may use ${stores.join(', ') || 'none'}.`;
  }

  override audited(args: KvArgs): unknown {
    if (args[0] !== 'set') return args;
    const shown = { bytes: Buffer.byteLength(args[2]), sha256: hash('sha256', args[2]) };
    return ['set', args[1], shown, ...(args[3] === undefined ? [] : [args[3]])];
  }

  override async invoke({ args, constraints }: KvCall, { sessionId, callKey, signal }: CallContext): Promise<unknown> {
    // An ended session must not get its store again.
    if (signal.aborted) throw new Fault('INTERRUPTED', 'The session ended meanwhile.');
    const options = optionsOf(args);
    const caller = { sessionId, store: options?.store ?? constraints.stores[0] ?? '' };
    const change: KvChange = {
      ...caller,
      callKey,
      ifVersion: options && 'ifVersion' in options ? options.ifVersion : undefined,
    };
    switch (args[0]) {
      case 'get': {
        const entry = await this.#stores.get(caller, args[1]);
        return entry === null ? null : { value: JSON.parse(entry.value), version: entry.version };
      }
      case 'set':
        return { version: await this.#stores.set(change, args[1], args[2], constraints) };
      case 'delete':
        return await this.#stores.delete(change, args[1]);
      case 'list': {
        const { prefix = '', limit = LIST_KEYS_MAX, cursor } = args[1] ?? {};
        const page = await this.#stores.list(caller, prefix, limit, cursor === undefined ? null : keyOf(cursor));
        return { keys: page.keys, cursor: page.last === null ? null : Buffer.from(page.last).toString('base64url') };
      }
    }
  }
}

function optionsOf(args: KvArgs): v.InferOutput<typeof reading | typeof changing | typeof listing> | undefined {
  switch (args[0]) {
    case 'get':
    case 'delete':
      return args[2];
    case 'set':
      return args[3];
    case 'list':
      return args[1];
  }
}

function keyOf(cursor: string): string {
  const parsed = v.safeParse(key, Buffer.from(cursor, 'base64url').toString());
  if (parsed.success) return parsed.output;
  throw new Fault('INVALID_PARAMS', 'kv.list(): the cursor is not one that kv.list gave.');
}
