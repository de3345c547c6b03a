/**
 * Signed statements that the chain reached a record with a certain hash. Inside the log they are `audit.head` records; beside it
 * `head.json` says how far it reached at last, so that a tail that was cut off is missed. The two are signed under different
 * domains: a statement that can be read in the log cannot be made into an older head.json.
 */

import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ChainPoint, isHash } from './audit-record.ts';
import { isSignedBy, type SigningKey } from './signing-key.ts';

export const HEAD_FILE = 'head.json';
/** At most this many records stand between two `audit.head` records. */
export const HEAD_RECORDS = 1024;

export type PublicKeys = ReadonlyMap<string, KeyObject>;

/** What head.json says. */
export interface SignedHead extends ChainPoint {
  readonly at: string;
  readonly keyId: string;
  readonly signature: string;
}

/** The fields of an `audit.head` record. */
export function headFields(key: SigningKey, { seq, hash }: ChainPoint) {
  return { seq, hash, keyId: key.keyId, signature: key.sign(recordStatement({ seq, hash })) };
}

/** What is wrong with an `audit.head` record that should sign the point, or null. */
export function headProblem(
  fields: Readonly<Record<string, unknown>>,
  point: ChainPoint,
  keys: PublicKeys,
): string | null {
  const { seq, hash, keyId, signature } = fields;
  if (seq !== point.seq || hash !== point.hash) return 'it signs another record than the one before it';
  return signatureProblem(keyId, signature, recordStatement(point), keys);
}

/** The text of head.json. */
export function headText(key: SigningKey, { seq, hash }: ChainPoint, at: string): string {
  return fileText({ at, hash, keyId: key.keyId, seq, signature: key.sign(fileStatement({ seq, hash, at })) });
}

export type ParsedHead =
  | { readonly ok: true; readonly head: SignedHead }
  | { readonly ok: false; readonly what: string };

/** Reads head.json and checks its signature. */
export function parseHead(text: string, keys: PublicKeys): ParsedHead {
  const head = headFrom(text);
  if (head === null || fileText(head) !== text) return { ok: false, what: 'it is not written as the log writes it' };
  const what = signatureProblem(head.keyId, head.signature, fileStatement(head), keys);
  return what === null ? { ok: true, head } : { ok: false, what };
}

/** The text of a folder's head.json; null where there is none. */
export function readHeadFile(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function headFrom(text: string): SignedHead | null {
  try {
    const { at, hash, keyId, seq, signature } = JSON.parse(text);
    const isText = typeof at === 'string' && typeof keyId === 'string' && typeof signature === 'string';
    return isText && isHash(hash) && Number.isSafeInteger(seq) && seq >= 0 ? { at, hash, keyId, seq, signature } : null;
  } catch {
    return null;
  }
}

/** Canonical JSON: the members are in order. */
function fileText({ at, hash, keyId, seq, signature }: SignedHead): string {
  return `${JSON.stringify({ at, hash, keyId, seq, signature })}\n`;
}

function recordStatement({ seq, hash }: ChainPoint): string {
  return `pyrepl3 audit head v1\n${seq}\n${hash}\n`;
}

function fileStatement({ seq, hash, at }: ChainPoint & { readonly at: string }): string {
  return `pyrepl3 audit head file v1\n${seq}\n${hash}\n${at}\n`;
}

function signatureProblem(keyId: unknown, signature: unknown, statement: string, keys: PublicKeys): string | null {
  const key = typeof keyId === 'string' ? keys.get(keyId) : undefined;
  if (key === undefined) return `it is signed with the key ${String(keyId).slice(0, 64)}, which was not given`;
  return typeof signature === 'string' && isSignedBy(key, statement, signature)
    ? null
    : 'its signature is not the key’s';
}
