/**
 * The arguments of a call, made again from what the audit log shows of them. The log shows neither contents nor secrets, so data are
 * empty here; no rule of a policy looks into them.
 */

type JsonObject = Readonly<Record<string, unknown>>;

/** What the log leaves where something did not fit. */
const CUT = /\[\d+ more( characters)?\]$|^\[(cut|too deep)\]$/;
const EMPTY = { base64: '' };
const KEY = { base64: `${'A'.repeat(43)}=` };

/** As guest code passed them; null where they are not known as a whole. */
export function wireArguments(capability: string, shown: unknown): readonly unknown[] | null {
  if (isCut(shown)) return null;
  // What fitted no capability is kept as the text that came.
  const args = typeof shown === 'string' ? parsed(shown) : shown;
  if (isJsonObject(args)) return ofObject(capability, args);
  return Array.isArray(args) ? ofList(capability, args) : null;
}

function ofObject(capability: string, shown: JsonObject): readonly unknown[] | null {
  switch (capability) {
    case 'fetch': {
      const { url, method, redirect, headers, body } = shown;
      const named = listOf(headers).map((name) => [name, '']);
      return ['open', url, { method, redirect, headers: named, body: body === null ? null : EMPTY }];
    }
    case 'websocket':
      return ['open', shown['url'], { protocols: listOf(shown['protocols']) }];
    case 'query':
    case 'execute':
      return [shown['source'], shown['sql']];
    case 'transaction':
      return [shown['source'], listOf(shown['statements']).map((one) => [isJsonObject(one) ? one['sql'] : one])];
    default:
      return null;
  }
}

function ofList(capability: string, args: readonly unknown[]): readonly unknown[] {
  const [first, second, third, ...rest] = args;
  switch (capability) {
    case 'read_file':
    case 'list_files':
    case 'delete_file':
      return [first];
    case 'hash':
    case 'write_file':
      return [first, dataOf(second)];
    case 'encrypt':
      return [first, dataOf(second), isSize(third) ? KEY : third];
    case 'kv':
      // What is stored travels as a text of JSON.
      return first === 'set' ? [first, second, isSize(third) ? 'null' : third, ...rest] : args;
    default:
      return args.map((arg) => dataOf(arg));
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Sizes become data, wherever they stand in the first two levels. */
function dataOf(value: unknown): unknown {
  if (isSize(value)) return EMPTY;
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, isSize(entry) ? EMPTY : entry]));
}

function isSize(value: unknown): boolean {
  return isJsonObject(value) && typeof value['bytes'] === 'number' && !('base64' in value) && !('text' in value);
}

function isCut(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return CUT.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return depth > 8 || Object.entries(value).some(([name, entry]) => name === '…' || isCut(entry, depth + 1));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
