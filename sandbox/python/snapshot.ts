/**
 * The state of CPython right after its start, from which every isolate goes on: started once for each version, and kept in a file.
 * No isolate that it is taken from has run, or will run, anybody's code.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Isolate } from '../isolate.ts';
import type { PlatformSpec } from '../protocol.ts';
import { pythonFiles, shared } from './files.ts';
import { pythonPrelude } from './prelude.ts';

/** A cold start takes 2 s of a core that is ours alone. */
const START_MS = 120_000;
const JS_HEAP_MIB = 256;
const SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024;
const HASH_BYTES = 32;
const PLATFORM: PlatformSpec = { liveClock: false, webAssembly: false, sharedMemory: false, resizableBuffers: false };

/** Starts CPython in an isolate of its own. The same files always make the same snapshot. */
export async function makeSnapshot(): Promise<Uint8Array> {
  const { program, library, lock, runner } = pythonFiles();
  const made = new SharedArrayBuffer(SNAPSHOT_BYTES_MAX);
  const heapBytesMax = SNAPSHOT_BYTES_MAX;
  const isolate = new Isolate(JS_HEAP_MIB, pythonPrelude(), {
    program: program(),
    library,
    lock,
    runner,
    snapshot: null,
    occupied: '[]',
    packages: '[]',
    made,
    image: null,
    imageHead: null,
    heapBytesMax,
  });
  try {
    await isolate.enter(START_MS, ['install', 0, '', JSON.stringify({ platform: PLATFORM, capabilities: [] })]);
    const end = await isolate.enter(START_MS, ['snapshot', 0, '']);
    const length = end.end === 'returned' ? Number(end.text) : Number.NaN;
    if (!(length > 0)) throw new Error(`CPython could not be started: ${JSON.stringify(end)}`);
    return Uint8Array.from(new Uint8Array(made, 0, length));
  } finally {
    await isolate.dispose();
  }
}

/** The name of the file of the snapshot of this version. */
export const snapshotName = (): string => `python-${pythonFiles().digest}.snapshot`;

/** What is written into the file: the hash of the snapshot, and the snapshot. */
export function sealSnapshot(snapshot: Uint8Array): Uint8Array {
  return Buffer.concat([createHash('sha256').update(snapshot).digest(), snapshot]);
}

/** The snapshot of a file, or undefined where there is none, or it is not what was written. */
export function readSnapshot(folder: string): Uint8Array | undefined {
  let file: Buffer;
  try {
    file = readFileSync(join(folder, snapshotName()));
  } catch {
    return undefined;
  }
  const snapshot = file.subarray(HASH_BYTES);
  return createHash('sha256').update(snapshot).digest().equals(file.subarray(0, HASH_BYTES)) ? snapshot : undefined;
}

const PAGE = 4096;
const ZEROS = new Uint8Array(PAGE);
/** Shorter stretches are not worth a copy of their own. */
const ZEROS_MIN = 256 * PAGE;

/** As isolates are given it: see `PythonAssets`. */
export function snapshotAssets(snapshot: Uint8Array): {
  readonly snapshot: SharedArrayBuffer;
  readonly occupied: string;
} {
  // The second word of its head says how long that is.
  const heap = Buffer.from(snapshot).subarray(new DataView(snapshot.buffer, snapshot.byteOffset).getUint32(4, true));
  const occupied: number[] = [];
  for (let start = 0; start < heap.length; start += PAGE) {
    const end = Math.min(start + PAGE, heap.length);
    if (heap.subarray(start, end).equals(ZEROS.subarray(0, end - start))) continue;
    if (start - (occupied.at(-1) ?? -ZEROS_MIN) < ZEROS_MIN) occupied[occupied.length - 1] = end;
    else occupied.push(start, end);
  }
  return { snapshot: shared(snapshot), occupied: JSON.stringify(occupied) };
}
