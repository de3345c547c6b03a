/** Finds its way in one file of the log by number, forwards and backwards, without reading all of it. */
import type { FileHandle } from 'node:fs/promises';
import { LINE_BYTES_MAX } from './log-lines.ts';

const CHUNK_BYTES = 64 * 1024;
const LINE_END = 0x0a;
/** How every record ends. */
const SEQ = /"seq":(\d{1,16})\}$/;
const SEQ_LENGTH_MAX = 32;

/** Where the first record with this number or a higher one begins; the end of the file where there is none. */
export async function offsetOf(handle: FileHandle, seq: number): Promise<number> {
  const { size } = await handle.stat();
  let low = 0;
  let high = size;
  // What begins before `low` is lower; what begins at `high` or after is not.
  while (high - low > CHUNK_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const found = await firstFrom(handle, middle);
    if (found === null || found.start >= high || found.seq >= seq) high = middle;
    else low = found.start;
  }
  for (;;) {
    const found = await firstFrom(handle, low);
    if (found === null) return size;
    if (found.seq >= seq) return found.start;
    low = found.end;
  }
}

/** The number of the file's first record, or null where it has none. */
export async function firstSeqOf(handle: FileHandle): Promise<number | null> {
  return (await firstFrom(handle, 0))?.seq ?? null;
}

/** The lines that end at or before the offset, the last one first, without their ends. */
export async function* linesBackward(handle: FileHandle, from: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let isEnd = true;
  for (let position = from; position > 0; ) {
    const length = Math.min(CHUNK_BYTES, position);
    position -= length;
    const data = Buffer.concat([await readAt(handle, position, length), rest]);
    let to = data.length;
    for (let at = data.lastIndexOf(LINE_END); at !== -1; at = to === 0 ? -1 : data.lastIndexOf(LINE_END, to - 1)) {
      // Behind the last line end is nothing, or a line that is just being written.
      if (!isEnd) yield data.subarray(at + 1, to);
      isEnd = false;
      to = at;
    }
    rest = data.subarray(Math.max(0, to - LINE_BYTES_MAX), to);
  }
  if (!isEnd) yield rest;
}

interface Found {
  readonly seq: number;
  readonly start: number;
  readonly end: number;
}

/** The first record that begins at the offset or after it. */
async function firstFrom(handle: FileHandle, offset: number): Promise<Found | null> {
  let start = offset;
  // Unless a line end stands just before, the offset is inside a line.
  let isInside = offset > 0;
  for (;;) {
    const from = isInside ? start - 1 : start;
    const data = await readAt(handle, from, LINE_BYTES_MAX);
    const at = data.indexOf(LINE_END);
    if (at === -1 && data.length < LINE_BYTES_MAX) return null;
    const end = at === -1 ? from + data.length : from + at + 1;
    const text = data.toString('latin1', Math.max(0, at - SEQ_LENGTH_MAX), Math.max(0, at));
    const seq = isInside ? undefined : SEQ.exec(text)?.[1];
    if (seq !== undefined) return { seq: Number(seq), start, end };
    isInside = at === -1;
    start = isInside ? end + 1 : end;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}
