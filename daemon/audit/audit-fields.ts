/**
 * Turns the fields of a record into RFC 8785 canonical JSON, bounded and redacted on the way, in one walk. What goes in may be
 * guest code's: strings of any length, depth and number, lone surrogates, names like `__proto__`.
 */
import { type AuditKind, type Field, RECORD_KINDS, TEXT_LENGTH_MAX } from './audit-records.ts';
import { isCredentialName, REDACTED, withoutUrlCredentials } from './audit-redaction.ts';

/** One record is at most this long as a line, its line end included. */
export const RECORD_BYTES_MAX = 16 * 1024;
/** What a record has beside its fields: two hashes, the time, the kind, the number. */
const ENVELOPE_BYTES_MAX = 512;
const FIELDS_BYTES_MAX = RECORD_BYTES_MAX - ENVELOPE_BYTES_MAX;

const DEPTH_MAX = 8;
const ITEMS_MAX = 64;
const NAME_LENGTH_MAX = 256;

/**
 * How long texts may be; the first is for all records that are not made to be too long. A text of control characters or of
 * another script has up to six bytes a unit, and so a record that is too long in bytes is written again with less of each text.
 */
const TEXT_LENGTHS = [TEXT_LENGTH_MAX, 512, 96, 16] as const;

interface PlannedField {
  readonly name: string;
  readonly label: string;
  readonly field: Field<unknown>;
}

/** The fields of each kind in canonical order, which is that of their UTF-16 units. */
const PLANS: ReadonlyMap<string, readonly PlannedField[]> = new Map(
  Object.entries(RECORD_KINDS).map(([kind, { fields }]) => [
    kind,
    Object.entries<Field<unknown>>(fields)
      .map(([name, field]) => ({ name, label: `${JSON.stringify(name)}:`, field }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  ]),
);

/** The fields of a record as canonical JSON. What is longer than its cap is cut, with a mark that says how much is gone. */
export function encodeFields(kind: AuditKind, fields: Readonly<Record<string, unknown>>): string {
  const plan = PLANS.get(kind) ?? [];
  let encoded = '{}';
  for (const textLengthMax of TEXT_LENGTHS) {
    encoded = encodeWithin(plan, fields, textLengthMax);
    if (encoded.length * 3 <= FIELDS_BYTES_MAX || Buffer.byteLength(encoded) <= FIELDS_BYTES_MAX) break;
  }
  return encoded;
}

function encodeWithin(
  plan: readonly PlannedField[],
  fields: Readonly<Record<string, unknown>>,
  textLengthMax: number,
): string {
  let out = '';
  for (const { name, label, field } of plan) {
    const value = fields[name];
    if (value === undefined) continue;
    out += `${out === '' ? '' : ','}${label}${encodeField(value, field, textLengthMax)}`;
  }
  return `{${out}}`;
}

function encodeField(value: unknown, { type, lengthMax }: Field<unknown>, textLengthMax: number): string {
  if (value === null) return 'null';
  if (type === 'text' && typeof value === 'string') return encodeText(value, Math.min(lengthMax, textLengthMax));
  switch (type) {
    case 'text':
    case 'texts':
      return encodeValue(value, { left: 4 * textLengthMax, textLengthMax: Math.min(lengthMax, textLengthMax) }, 0);
    case 'json':
      return encodeValue(value, { left: Math.min(lengthMax, 4 * textLengthMax), textLengthMax }, 0);
    case 'number':
    case 'flag':
      return encodePlain(value);
  }
}

/** How much more JSON text may be written. */
interface Room {
  left: number;
  readonly textLengthMax: number;
}

function encodeValue(value: unknown, room: Room, depth: number): string {
  if (room.left <= 0) return '"[cut]"';
  let encoded: string;
  if (typeof value === 'string') encoded = encodeText(value, Math.min(room.textLengthMax, room.left));
  else if (typeof value !== 'object' || value === null) encoded = encodePlain(value);
  else if (depth >= DEPTH_MAX) encoded = '"[too deep]"';
  else return Array.isArray(value) ? encodeList(value, room, depth) : encodeMembers(value, room, depth);
  room.left -= encoded.length;
  return encoded;
}

function encodeList(list: readonly unknown[], room: Room, depth: number): string {
  const [header] = list;
  if (list.length === 2 && typeof header === 'string' && typeof list[1] === 'string' && isCredentialName(header)) {
    return `[${encodeText(header, NAME_LENGTH_MAX)},"${REDACTED}"]`;
  }
  const items: string[] = [];
  for (const item of list) {
    if (items.length === ITEMS_MAX || room.left <= 0) {
      items.push(`"[${list.length - items.length} more]"`);
      break;
    }
    items.push(encodeValue(item, room, depth + 1));
  }
  return `[${items.join(',')}]`;
}

function encodeMembers(object: object, room: Room, depth: number): string {
  const lengthMax = Math.min(NAME_LENGTH_MAX, room.textLengthMax);
  const names = Object.keys(object).sort();
  // Cutting may make two names the same, which a record must not hold, and it may change their order.
  const members = new Map<string, string>();
  let isSorted = true;
  for (const [index, name] of names.entries()) {
    if (members.size === ITEMS_MAX || room.left <= 0) {
      members.set('…', `"[${names.length - index} more]"`);
      isSorted = false;
      break;
    }
    const kept = bounded(name, lengthMax);
    if (kept !== name) isSorted = false;
    room.left -= kept.length;
    const value: unknown = Reflect.get(object, name);
    if (value === undefined) continue;
    members.set(kept, isCredentialName(name) ? `"${REDACTED}"` : encodeValue(value, room, depth + 1));
  }
  let out = '';
  for (const [name, encoded] of isSorted ? members : [...members].sort(([a], [b]) => (a < b ? -1 : 1))) {
    out += `${out === '' ? '' : ','}${JSON.stringify(name)}:${encoded}`;
  }
  return `{${out}}`;
}

/** Numbers, booleans, null; whatever JSON has no word for is null. Minus zero is 0, as RFC 8785 has it. */
function encodePlain(value: unknown): string {
  if (typeof value === 'bigint') return `"${String(value).slice(0, NAME_LENGTH_MAX)}"`;
  const isPlain = typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
  return isPlain ? JSON.stringify(value) : 'null';
}

function encodeText(text: string, lengthMax: number): string {
  return JSON.stringify(withoutUrlCredentials(bounded(text, lengthMax)));
}

/** Without lone surrogates, which JSON in UTF-8 cannot hold. */
function bounded(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text.toWellFormed();
  return `${text.slice(0, lengthMax)}… [${text.length - lengthMax} more characters]`.toWellFormed();
}
