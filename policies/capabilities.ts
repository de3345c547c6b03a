/**
 * The capabilities that a policy can grant, and the constraints that each grant takes. A new capability is one
 * entry here; everything else about it (its effect, its signature) is the daemon's.
 */
import { addressRangeProblem } from './address-range.ts';
import { allowed, ascending, blocked, type Field, type FieldValue, most } from './constraint-fields.ts';
import { hostRuleCovers, hostRuleProblem } from './host-rule.ts';
import { TIMER_MS_MAX } from './limits.ts';
import { nameGlobProblem } from './name-glob.ts';

/** What bounds a grant: plain data, read by the capability itself. */
export type Constraints = Readonly<Record<string, unknown>>;

/** The fields of one capability's constraints. */
export type ConstraintFields = Readonly<Record<string, Field<unknown>>>;

const MIB = 1024 * 1024;
const bytes = (fallback: number) => most({ min: 1, max: 64 * MIB, unit: 'bytes', fallback });
const totalBytes = (fallback: number) => most({ min: 1, max: 2 ** 40, unit: 'bytes', fallback });
const ms = (fallback: number) => most({ min: 1, max: TIMER_MS_MAX, unit: 'ms', fallback });
const count = (unit: string, fallback: number, max = 1_000_000) => most({ min: 1, max, unit, fallback });

const source = { mode: ascending('seeded', 'live') };
const roots = allowed({ fallback: ['workspace'], refersTo: 'roots' });
/** Version control and keys are nobody's business by default, wherever they stand. */
const blockedNames = blocked({ fallback: ['.git', '.ssh', '.env', '*.pem', '*.key'], problem: nameGlobProblem });
const hosts = allowed({ problem: hostRuleProblem, covers: hostRuleCovers });
const addresses = allowed({ problem: addressRangeProblem });
const credentials = allowed({ refersTo: 'credentials' });
const sources = allowed({ refersTo: 'sources' });
const sql = { sources, rowsMax: count('rows', 10_000), bytesMax: bytes(4 * MIB), timeMsMax: ms(10_000) };
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const ALGORITHMS = ['sha256', 'sha384', 'sha512', 'sha3-256', 'blake2b512', 'sha1', 'md5'] as const;

/** What can be granted, each with the fields of its constraints. */
export const CAPABILITY_FIELDS = {
  print: {},
  console: {},
  display: {},
  log: {},
  /** Whether the clock stands still between I/O (`seeded`) or runs (`live`). */
  time: source,
  /** Whether randomness comes from the session's seed or from the operating system. */
  random: source,
  /** How long one question may wait for its answer. */
  input: { waitMsMax: ms(600_000) },
  /** The longest that one call may sleep; months, so that code may wait for a date. */
  sleep: { msMax: most({ min: 1, max: 366 * 86_400_000, unit: 'ms', fallback: 60_000 }) },
  read_file: { roots, fileBytesMax: bytes(MIB), blocked: blockedNames },
  list_files: { roots, entriesMax: count('entries', 1000, 100_000), blocked: blockedNames },
  write_file: {
    roots,
    fileBytesMax: bytes(MIB),
    totalBytesMax: totalBytes(16 * MIB),
    filesMax: count('files', 1000),
    blocked: blockedNames,
  },
  delete_file: { roots, blocked: blockedNames },
  kv: {
    stores: allowed({ fallback: ['session'], problem: storeNameProblem }),
    valueBytesMax: bytes(64 * 1024),
    totalBytesMax: totalBytes(4 * MIB),
    keysMax: count('keys', 10_000),
  },
  fetch: {
    hosts,
    methods: allowed({ fallback: ['GET', 'HEAD'], oneOf: METHODS }),
    addresses,
    credentials,
    requestBytesMax: bytes(MIB),
    responseBytesMax: totalBytes(8 * MIB),
    timeMsMax: ms(30_000),
    redirectsMax: most({ min: 0, max: 50, unit: 'redirects', fallback: 5 }),
  },
  dns: { hosts, addresses, timeMsMax: ms(5000) },
  websocket: {
    hosts,
    addresses,
    credentials,
    messageBytesMax: bytes(MIB),
    totalBytesMax: totalBytes(64 * MIB),
    openMax: count('sockets', 8, 256),
    idleMsMax: ms(120_000),
  },
  hash: { algorithms: allowed({ fallback: ['sha256', 'sha512'], oneOf: ALGORITHMS }), bytesMax: bytes(16 * MIB) },
  encrypt: { secrets: allowed({ refersTo: 'secrets' }), bytesMax: bytes(16 * MIB) },
  query: sql,
  execute: sql,
  transaction: { ...sql, statementsMax: count('statements', 100, 1000) },
  env: { names: allowed({ refersTo: 'variables' }) },
  secret: { names: allowed({ refersTo: 'secrets' }) },
  approve: { waitMsMax: ms(3_600_000) },
  review: { waitMsMax: ms(3_600_000), bytesMax: bytes(256 * 1024) },
  exec: { programs: allowed({ refersTo: 'programs' }), timeMsMax: ms(30_000), outputBytesMax: bytes(MIB) },
  /** Functions that the session's own client provides. */
  provided: { countMax: count('names', 64, 1000), timeMsMax: ms(60_000), bytesMax: bytes(MIB) },
  /** `WebAssembly`. */
  web_assembly: {},
  /** `SharedArrayBuffer` and `Atomics`. */
  shared_memory: {},
  /** Resizable and growable buffers. */
  resizable_buffers: {},
} as const;

type Table = typeof CAPABILITY_FIELDS;
export type CapabilityName = keyof Table;

/** The constraints of a grant by the capability's name; plain data for names that the policy does not know. */
export type ConstraintsOf<K extends string> = K extends CapabilityName
  ? { readonly [F in keyof Table[K]]: FieldValue<Table[K][F]> }
  : Constraints;

export const CAPABILITY_NAMES = Object.keys(CAPABILITY_FIELDS) as readonly CapabilityName[];

/** Every capability that a policy may name: those of PyREPL3 and those that an administrator brought. */
export type Catalogue = ReadonlyMap<string, ConstraintFields>;

export const BUILT_IN: Catalogue = new Map(Object.entries(CAPABILITY_FIELDS));

function storeNameProblem(name: string): string | null {
  return /^[a-z][a-z0-9_-]{0,63}$/.test(name)
    ? null
    : 'the name of a store is a letter, then up to 63 letters, digits, _ or -, all lower case';
}
