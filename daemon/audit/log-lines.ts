/** Cuts what is read of a log into lines, with little of it in memory at a time. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

export interface Line {
  /** Without the line end. Of a line that is far too long for a record only the beginning. */
  readonly bytes: Buffer;
  /** Where the line begins in its file. */
  readonly start: number;
  /** Where the next one begins. */
  readonly end: number;
  /** Whether a line end follows. */
  readonly finished: boolean;
}

/** More than any record has; what is beyond it is not kept. */
export const LINE_BYTES_MAX = 64 * 1024;
const CHUNK_BYTES = 64 * 1024;
const LINE_END = 0x0a;

class LineCutter {
  #kept: Buffer = Buffer.alloc(0);
  #start: number;
  #position: number;

  constructor(position: number) {
    this.#start = position;
    this.#position = position;
  }

  *cut(chunk: Buffer): Generator<Line> {
    let from = 0;
    for (let at = chunk.indexOf(LINE_END); at !== -1; at = chunk.indexOf(LINE_END, from)) {
      const end = this.#position + at + 1;
      yield { bytes: this.#joined(chunk.subarray(from, at)), start: this.#start, end, finished: true };
      this.#kept = Buffer.alloc(0);
      this.#start = end;
      from = at + 1;
    }
    this.#kept = this.#joined(chunk.subarray(from));
    this.#position += chunk.length;
  }

  *end(): Generator<Line> {
    if (this.#position === this.#start) return;
    yield { bytes: this.#kept, start: this.#start, end: this.#position, finished: false };
  }

  #joined(more: Buffer): Buffer {
    // A copy, because the caller's chunk is used again for what is read next.
    return Buffer.concat([this.#kept, more.subarray(0, LINE_BYTES_MAX - this.#kept.length)]);
  }
}

/**
 * @param range.from where a line begins
 * @param range.to where to stop, for a file that is still written to
 */
export async function* readLines(
  file: FileHandle,
  { from = 0, to = Number.POSITIVE_INFINITY }: { readonly from?: number; readonly to?: number } = {},
): AsyncGenerator<Line> {
  if (from >= to) return;
  const cutter = new LineCutter(from);
  const stream = file.createReadStream({ start: from, end: to - 1, highWaterMark: CHUNK_BYTES, autoClose: false });
  for await (const chunk of stream) yield* cutter.cut(chunk);
  yield* cutter.end();
}

export function* readLinesSync(file: string): Generator<Line> {
  const descriptor = openSync(file, 'r');
  try {
    const cutter = new LineCutter(0);
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let position = 0;
    for (let read = readSync(descriptor, chunk, 0, CHUNK_BYTES, position); read > 0; ) {
      yield* cutter.cut(chunk.subarray(0, read));
      position += read;
      read = readSync(descriptor, chunk, 0, CHUNK_BYTES, position);
    }
    yield* cutter.end();
  } finally {
    closeSync(descriptor);
  }
}
