/**
 * One record as a line of RFC 8785 canonical JSON: `{"at":…,"fields":{…},"hash":…,"kind":…,"prev":…,"seq":…}`.
 *
 * `prev` is the hash of the record before, and `hash` is the SHA-256, in hexadecimal, of a domain, the length in bytes and the
 * exact bytes of the line as it would be without `hash`; docs/AUDIT.md has the format in full.
 */
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { AuditRecord } from '../../client/protocol.ts';

/** What the next record is linked to. */
export interface ChainPoint {
  readonly seq: number;
  readonly hash: string;
}

/** `prev` of the first record. */
export const ZERO_HASH = '0'.repeat(64);

const DOMAIN = 'pyrepl3 audit record v1';
const MEMBERS = 6;

interface Unsealed {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  /** Canonical JSON. */
  readonly fieldsJson: string;
  readonly prev: string;
}

/** The line, without its end, and the record's hash. */
export function sealRecord(record: Unsealed): { readonly line: string; readonly hash: string } {
  const head = `{"at":${JSON.stringify(record.at)},"fields":${record.fieldsJson},`;
  const tail = tailOf(record);
  const sealed = hashOf(head + tail);
  return { line: `${head}"hash":"${sealed}",${tail}`, hash: sealed };
}

export type ParsedLine =
  | { readonly ok: true; readonly record: AuditRecord; readonly text: string }
  | { readonly ok: false; readonly what: string };

/** Reads a line, without its end, and checks that it is the one its hash was made of. */
export function parseRecord(bytes: Uint8Array): ParsedLine {
  // Decoding would put the same character in place of every byte that is not UTF-8, and hide a change from the hash.
  if (!isUtf8(bytes)) return { ok: false, what: 'the line is not UTF-8' };
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return { ok: false, what: text === '' ? 'the line is empty' : 'the line is not JSON' };
  }
  if (!isRecord(record))
    return { ok: false, what: 'the line is not a record: members are missing, or others are there' };
  const tail = tailOf(record);
  const end = `"hash":"${record.hash}",${tail}`;
  if (!text.endsWith(end)) return { ok: false, what: 'the line is not written as the log writes it' };
  if (hashOf(text.slice(0, -end.length) + tail) !== record.hash) return { ok: false, what: 'the record was changed' };
  return { ok: true, record, text };
}

function tailOf({ kind, prev, seq }: Pick<AuditRecord, 'kind' | 'prev' | 'seq'>): string {
  return `"kind":${JSON.stringify(kind)},"prev":"${prev}","seq":${seq}}`;
}

function hashOf(body: string): string {
  return hash('sha256', `${DOMAIN}\n${Buffer.byteLength(body)}\n${body}`);
}

export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== MEMBERS) return false;
  const { seq, at, kind, fields, prev, hash } = value as Partial<Record<keyof AuditRecord, unknown>>;
  const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
  const isText = typeof at === 'string' && typeof kind === 'string';
  return isText && isObject && isHash(prev) && isHash(hash) && Number.isSafeInteger(seq) && Number(seq) >= 1;
}
