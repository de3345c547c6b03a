/** PostgreSQL's texts as JSON data, by the type of the column. Exact where JSON is: what would lose digits stays text. */
import { floatOf, integerOf, type SqlParam } from './sql-call.ts';

/** Built-in types keep their numbers for ever (pg_type.dat). */
const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const JSON_TEXT = 114;
const FLOAT4 = 700;
const FLOAT8 = 701;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const JSONB = 3802;

/** Deeper values stay text: what reads them next may not have the stack for more. */
const JSON_DEPTH_MAX = 100;

/** `numeric`, `date`, arrays and every type that is not named here stay text. */
export function jsonOfText(type: number, text: string | null): unknown {
  if (text === null) return null;
  switch (type) {
    case BOOL:
      return text === 't';
    case INT2:
    case INT4:
    case OID:
      return Number(text);
    case INT8:
      return integerOf(BigInt(text));
    case FLOAT4:
    case FLOAT8:
      return floatOf(Number(text));
    case BYTEA:
      return text.startsWith('\\x') ? { base64: Buffer.from(text.slice(2), 'hex').toString('base64') } : text;
    case TIMESTAMP:
    case TIMESTAMPTZ:
      return text.replace(/^(\d{4,6}-\d\d-\d\d) /, '$1T').replace(/\+00$/, 'Z');
    case JSON_TEXT:
    case JSONB:
      return parsedJson(text);
    default:
      return text;
  }
}

function parsedJson(text: string): unknown {
  if (jsonDepth(text) > JSON_DEPTH_MAX) return text;
  return JSON.parse(text, (_key, value, context?: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? context?.source
      : value,
  );
}

function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}

/** What travels to the server, which knows the type: texts, and bytes as they are. */
export function wireValueOf(param: SqlParam): string | Buffer | null {
  if (param === null || typeof param === 'string') return param;
  return typeof param === 'object' ? Buffer.from(param.base64, 'base64') : String(param);
}
