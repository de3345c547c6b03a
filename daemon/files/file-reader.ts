/** Reads a file, or a part of one. */
import { constants } from 'node:fs';
import { Fault } from '../fault.ts';
import { notAFile, notFound } from './file-faults.ts';
import { FILE_LIMITS } from './file-limits.ts';
import type { PathWalk } from './path-walk.ts';

export interface ReadOptions {
  readonly offset: number;
  /** Null for everything from the offset on. */
  readonly length: number | null;
  /** What one read may give. */
  readonly bytesMax: number;
}

/** Fails with TOO_LARGE before anything is read; what the file grows by meanwhile is not read. */
export async function readPart(walk: PathWalk, names: readonly string[], options: ReadOptions): Promise<Buffer> {
  const name = names.at(-1);
  if (name === undefined) throw notAFile();
  await using folder = await walk.folder(names.slice(0, -1));
  await using entry = await walk.entry(folder, name);
  if (entry === null) throw notFound();
  walk.assertFile(entry);
  const size = Number(entry.stats.size);
  const wanted = Math.min(options.length ?? size, Math.max(0, size - options.offset));
  if (wanted > options.bytesMax) {
    throw new Fault(
      'TOO_LARGE',
      `That would be ${wanted} of the file's ${size} bytes, and one read gives at most ${options.bytesMax}; read it in parts, with offset and length.`,
      { limit: 'fileBytesMax', max: options.bytesMax, bytes: size },
    );
  }
  const handle = await entry.open(constants.O_RDONLY);
  try {
    const bytes = Buffer.allocUnsafe(wanted);
    let done = 0;
    while (done < wanted) {
      walk.step();
      const piece = Math.min(FILE_LIMITS.pieceBytes, wanted - done);
      const { bytesRead } = await handle.read(bytes, done, piece, options.offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await handle.close();
  }
}
