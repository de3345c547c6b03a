/**
 * The state of CPython right after its start, from which every isolate goes on: started once for each version, and kept in a file
 * (`snapshot-file.ts`). No isolate that it is taken from has run, or will run, anybody's code.
 */
import { Isolate } from '../isolate.ts';
import type { PlatformSpec } from '../protocol.ts';
import { pythonFiles } from './files.ts';
import { pythonPrelude } from './prelude.ts';

/** A cold start takes 2 s of a core that is ours alone. */
const START_MS = 120_000;
const JS_HEAP_MIB = 256;
export const SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024;
const PLATFORM: PlatformSpec = { liveClock: false, webAssembly: false, sharedMemory: false, resizableBuffers: false };

/** What is not in `occupied` is zero, and was never touched: it takes up no memory. */
export interface Snapshot {
  readonly bytes: SharedArrayBuffer;
  /** Where the heap begins in it; what comes before is the loader's. */
  readonly heapStart: number;
  /** The places in the heap at which what is not zero begins and ends, in turn. */
  readonly occupied: readonly number[];
}

/** Starts CPython in an isolate of its own. The same files always make the same snapshot. */
export async function makeSnapshot(): Promise<Snapshot> {
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
    return snapshotOf(made, length);
  } finally {
    await isolate.dispose();
  }
}

/** By which an image tells what it was taken from. */
export const snapshotName = (): string => `python-${pythonFiles().digest}.snapshot`;

const PAGE = 4096;
const ZEROS = new Uint8Array(PAGE);
/** Shorter stretches are not worth a copy of their own. */
const ZEROS_MIN = 256 * PAGE;

function snapshotOf(made: SharedArrayBuffer, length: number): Snapshot {
  // The second word of its head says how long that is.
  const heapStart = new DataView(made).getUint32(4, true);
  const heap = Buffer.from(made, heapStart, length - heapStart);
  const occupied: number[] = [];
  for (let start = 0; start < heap.length; start += PAGE) {
    const end = Math.min(start + PAGE, heap.length);
    if (heap.subarray(start, end).equals(ZEROS.subarray(0, end - start))) continue;
    if (start - (occupied.at(-1) ?? -ZEROS_MIN) < ZEROS_MIN) occupied[occupied.length - 1] = end;
    else occupied.push(start, end);
  }
  const snapshot = { bytes: new SharedArrayBuffer(length), heapStart, occupied };
  const parts = partsOf(snapshot, made);
  for (const [index, part] of partsOf(snapshot, snapshot.bytes).entries()) part.set(parts[index] as Uint8Array);
  return snapshot;
}

/** What of the snapshot in these bytes is not zero, where it stands. */
export function partsOf(
  { heapStart, occupied }: Pick<Snapshot, 'heapStart' | 'occupied'>,
  bytes: SharedArrayBuffer,
): Uint8Array[] {
  const parts = [new Uint8Array(bytes, 0, heapStart)];
  for (let i = 0; i < occupied.length; i += 2) {
    const [start = 0, end = 0] = occupied.slice(i, i + 2);
    parts.push(new Uint8Array(bytes, heapStart + start, end - start));
  }
  return parts;
}
