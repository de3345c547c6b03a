/**
 * The image of a live session: what its memory and its files have become since the start of CPython, as bytes that another isolate
 * of the same version goes on from. What is in it was written by guest code, and counts for nothing but for that session.
 */
import { packImage, unpackImage } from '../image-file.ts';
import type { EntryEnd } from '../isolate.ts';
import type { ImagePowers, TakenImage } from '../session-language.ts';
import { snapshotName } from './snapshot.ts';

/** A session that has changed more than that is made again by replay. */
const CHANGED_BYTES_MAX = 64 * 1024 * 1024;
const HEAD_BYTES_MAX = 4 * 1024 * 1024;
const REASON_MAX = 200;
const TOO_MUCH = { refused: 'it holds too much' };

/** As isolates are given it: see `PythonAssets`. */
export interface ImageAssets {
  readonly image: SharedArrayBuffer;
  readonly imageHead: string;
}

/** Takes the image of an isolate in which nothing runs. */
export async function takeImage({ enter }: Pick<ImagePowers, 'enter'>): Promise<TakenImage> {
  // What is on a stack is in no image.
  await enter('rest');
  const { end, image } = await enter('image');
  const taken = readTaken(end);
  if ('refused' in taken) return taken;
  const [head, changed] = [Buffer.from(taken.head), image.bytes];
  if (head.length > HEAD_BYTES_MAX) return { refused: 'it holds too many files' };
  if (changed.length !== taken.length) return TOO_MUCH;
  const headLength = Buffer.alloc(4);
  headLength.writeUInt32LE(head.length);
  const packed = packImage(snapshotName(), Buffer.concat([headLength, head, changed]));
  return packed === undefined ? TOO_MUCH : { image: packed };
}

/** Undefined where it is of another version, or no image. */
export function openImage(encoded: string): ImageAssets | undefined {
  const whole = unpackImage(snapshotName(), encoded, 4 + HEAD_BYTES_MAX + CHANGED_BYTES_MAX);
  if (whole === undefined) return undefined;
  try {
    const data = 4 + whole.readUInt32LE();
    const image = new SharedArrayBuffer(whole.length - data);
    new Uint8Array(image).set(whole.subarray(data));
    return { image, imageHead: whole.toString('utf8', 4, data) };
  } catch {
    return undefined;
  }
}

/** What the guest side has said of an image. */
function readTaken(end: EntryEnd): { readonly head: string; readonly length: number } | { readonly refused: string } {
  if (end.end !== 'returned') return { refused: 'its isolate gave no answer' };
  let said: { readonly head?: unknown; readonly refused?: unknown; readonly length?: unknown };
  try {
    said = Object(JSON.parse(end.text));
  } catch {
    said = {};
  }
  const { head, refused, length } = said;
  if (typeof head === 'string' && Number.isSafeInteger(length) && (length as number) >= 0)
    return { head, length: length as number };
  return { refused: typeof refused === 'string' ? refused.slice(0, REASON_MAX) : 'it has no images' };
}
