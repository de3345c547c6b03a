/** What one call needs of the constraints of its grant, as far as its arguments tell. Pure; the arguments may be anything. */
import type { CapabilityName } from './capabilities.ts';

/** A name that a list must have, or a number that must be reached; by the name of the constraint. */
export type Needs = Readonly<Record<string, string | number>>;

type Args = readonly unknown[];

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const NEEDS: Partial<Record<CapabilityName, (args: Args) => Needs>> = {
  read_file: ([path]) => rootOf(path),
  list_files: ([path]) => rootOf(path),
  write_file: ([path, data]) => ({ ...rootOf(path), ...number('fileBytesMax', sizeOf(data)) }),
  delete_file: ([path]) => rootOf(path),
  kv: (args) => named('stores', optionOf(args, 'store') ?? 'session'),
  fetch: ([, url, init]) => ({ ...hostOf(url), ...named('methods', optionOf([init], 'method')) }),
  websocket: ([, url]) => hostOf(url),
  dns: ([name]) => named('hosts', typeof name === 'string' ? name.toLowerCase() : undefined),
  query: ([source]) => named('sources', source),
  execute: ([source]) => named('sources', source),
  transaction: ([source, statements]) => ({
    ...named('sources', source),
    ...number('statementsMax', Array.isArray(statements) ? statements.length : undefined),
  }),
  hash: ([algorithm, data]) => ({ ...named('algorithms', algorithm), ...number('bytesMax', sizeOf(data)) }),
  encrypt: (args) => ({ ...named('secrets', optionOf(args, 'secret')), ...number('bytesMax', sizeOf(args[1])) }),
  env: ([name]) => named('names', name),
  secret: ([name]) => named('names', name),
  exec: (args) => ({ ...named('programs', args[0]), ...number('timeMsMax', optionOf(args, 'timeoutMs')) }),
  sleep: ([time]) => number('msMax', durationMs(time)),
};

export function needsOfCall(capability: string, args: Args): Needs {
  // Safe: for a name that is not in the table there is no function.
  return Object.hasOwn(NEEDS, capability) ? (NEEDS[capability as CapabilityName]?.(args) ?? {}) : {};
}

function named(field: string, value: unknown): Needs {
  return typeof value === 'string' && value !== '' ? { [field]: value } : {};
}

function number(field: string, value: unknown): Needs {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? { [field]: Math.ceil(value) } : {};
}

/** An option in the last argument. */
function optionOf(args: Args, option: string): unknown {
  const last = args.at(-1);
  return isObject(last) && Object.hasOwn(last, option) ? last[option] : undefined;
}

/** Paths are virtual: `/workspace/a.txt`; a relative one stands under the first root of the grant, whichever that is. */
function rootOf(path: unknown): Needs {
  return typeof path === 'string' && path.startsWith('/') ? named('roots', path.split('/', 2)[1]) : {};
}

/** Exactly the host and port that were asked for. */
function hostOf(url: unknown): Needs {
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  if (parsed === null || parsed.hostname === '') return {};
  const { hostname, protocol, port } = parsed;
  const byScheme = protocol === 'https:' || protocol === 'wss:' ? '443' : '80';
  return { hosts: `${hostname}:${port === '' ? byScheme : port}` };
}

/** The size of a text or of bytes, as they travel or as the audit log shows them. */
function sizeOf(data: unknown): number | undefined {
  if (!isObject(data)) return undefined;
  const { bytes, text, base64 } = data;
  if (typeof bytes === 'number') return bytes;
  if (typeof text === 'string') return new TextEncoder().encode(text).length;
  if (typeof base64 !== 'string') return undefined;
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return Math.floor(((base64.length - padding) * 3) / 4);
}

function durationMs(time: unknown): number | undefined {
  if (typeof time === 'number') return time;
  const [, amount, unit] = typeof time === 'string' ? (/^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(time) ?? []) : [];
  return unit === undefined ? undefined : Number(amount) * (DURATION_MS[unit] ?? 0);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
