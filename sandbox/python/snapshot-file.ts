/**
 * The file in which the daemon keeps the state of CPython: the hash of the rest, the length of its head, the head as JSON, and what
 * is in the snapshot where that is not zero. So half of its 32 MB is neither read nor takes up memory in a host.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { pythonFiles } from './files.ts';
import { partsOf, SNAPSHOT_BYTES_MAX, type Snapshot } from './snapshot.ts';

/** A file that is laid out otherwise has another name. */
const LAYOUT = 2;
const HASH_BYTES = 32;
const HEAD_BYTES_MAX = 1024 * 1024;

interface Head {
  /** Of the whole snapshot. */
  readonly bytes: number;
  readonly heapStart: number;
  readonly occupied: readonly number[];
}

/** The name of the file of the snapshot of this version. */
export const snapshotFileName = (): string =>
  `python-${createHash('sha256').update(`${LAYOUT} ${pythonFiles().digest}`).digest('hex')}.snapshot`;

/** What is written into the file. */
export function sealSnapshot({ bytes, heapStart, occupied }: Snapshot): Uint8Array {
  const head = Buffer.from(JSON.stringify({ bytes: bytes.byteLength, heapStart, occupied } satisfies Head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  const sealed = Buffer.concat([length, head, ...partsOf({ heapStart, occupied }, bytes)]);
  return Buffer.concat([createHash('sha256').update(sealed).digest(), sealed]);
}

/** The snapshot of a file, or undefined where there is none, or it is not what was written. */
export function readSnapshot(folder: string): Snapshot | undefined {
  let file: number;
  try {
    file = openSync(join(folder, snapshotFileName()), 'r');
  } catch {
    return undefined;
  }
  try {
    return unsealed(file);
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** @throws where it is not what was written */
function unsealed(file: number): Snapshot {
  const hash = createHash('sha256');
  const expected = read(file, new Uint8Array(HASH_BYTES));
  const length = new DataView(read(file, new Uint8Array(4), hash).buffer).getUint32(0, true);
  if (length > HEAD_BYTES_MAX) throw new RangeError('the head is too long');
  const head = JSON.parse(Buffer.from(read(file, new Uint8Array(length), hash)).toString()) as Head;
  if (!(head.bytes <= SNAPSHOT_BYTES_MAX)) throw new RangeError('the snapshot is too long');
  const bytes = new SharedArrayBuffer(head.bytes);
  for (const part of partsOf(head, bytes)) read(file, part, hash);
  if (!hash.digest().equals(expected)) throw new Error('the hash is another');
  return { bytes, heapStart: head.heapStart, occupied: head.occupied };
}

function read<B extends ArrayBufferLike>(file: number, into: Uint8Array<B>, hash?: Hash): Uint8Array<B> {
  for (let at = 0; at < into.length; ) {
    const count = readSync(file, into, at, into.length - at, null);
    if (count === 0) throw new RangeError('the file is too short');
    at += count;
  }
  hash?.update(into);
  return into;
}
