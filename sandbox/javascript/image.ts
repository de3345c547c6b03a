/**
 * The image of a JavaScript session: its namespace as data, where every value in it can be made again of that. What is in it was
 * written by guest code, and counts for nothing but for that session.
 */
import { createHash } from 'node:crypto';
import { packImage, unpackImage } from '../image-file.ts';
import type { ImagePowers, OpenedImage, TakenImage } from '../session-language.ts';
import type { ImageHead } from './guest/image/image-form.ts';
import { PRELUDE } from './prelude.ts';

/** Taking one takes memory of the isolate beside what it holds, and making one does: an isolate has to have that left. */
const HEAP_SHARE_MAX = 0.5;
const CHARACTERS_PER_HEAP_MIB = 131_072;
const CHARACTERS_MAX = 16 * 1024 * 1024;
const REASON_MAX = 200;
const MIB = 1024 * 1024;
const TOO_MUCH = { refused: 'it holds too much' };
const NO_ANSWER = { refused: 'its isolate gave no answer' };

let name: string | undefined;

/** Whatever an image depends on besides the session: the engine, and our side of the isolate. */
function imageName(): string {
  name ??= `js-${createHash('sha256').update(process.versions.v8).update(PRELUDE).digest('hex').slice(0, 32)}`;
  return name;
}

/** Takes the image of an isolate in which nothing runs. */
export async function takeImage(powers: ImagePowers): Promise<TakenImage> {
  const { heapMiB, enter } = powers;
  const heapBytes = await powers.heapBytes();
  if (heapBytes > heapMiB * MIB * HEAP_SHARE_MAX) return TOO_MUCH;
  const survey = await enter('survey');
  const pristine = await powers.pristine('survey');
  if (heapBytes === 0 || survey.end.end !== 'returned' || pristine === undefined) return NO_ANSWER;
  if (survey.end.text !== pristine) return { refused: 'the built-ins were changed' };
  const charactersMax = Math.min(CHARACTERS_MAX, heapMiB * CHARACTERS_PER_HEAP_MIB);
  const name = `functions ${crypto.randomUUID()}`;
  const { end, image } = await enter('image', name, charactersMax);
  const taken = end.end === 'returned' ? readTaken(end.text) : NO_ANSWER;
  const names = 'refused' in taken ? [] : taken.functions;
  const bare = names.length === 0 || (await powers.referToGlobalsOnly(name, names));
  await enter('imageTaken', name);
  if ('refused' in taken) return taken;
  if (!bare) return { refused: 'it holds a function with variables of its own' };
  if (taken.head.length > charactersMax) return { refused: 'it holds too many names' };
  const packed = packImage(imageName(), Buffer.from(`${JSON.stringify(taken.head)}\n${image.text}`));
  return packed === undefined ? TOO_MUCH : { image: packed };
}

/** Undefined where it is of another version, or no image. */
export function openImage(encoded: string): OpenedImage | undefined {
  const text = unpackImage(imageName(), encoded, 8 * CHARACTERS_MAX)?.toString();
  if (text === undefined) return undefined;
  try {
    const line = text.indexOf('\n');
    const head: string = JSON.parse(text.slice(0, line));
    const { declared }: Partial<ImageHead> = membersOf(head);
    const constants = (declared ?? []).flatMap(([name, kind]) => (kind === 'const' ? [String(name)] : []));
    return { head, lines: text.slice(line + 1), constants };
  } catch {
    return undefined;
  }
}

/** What the guest side has said of an image. */
function readTaken(text: string): Taken | { readonly refused: string } {
  const { head, functions, refused } = membersOf(text);
  if (typeof refused === 'string') return { refused: refused.slice(0, REASON_MAX) };
  if (typeof head !== 'string' || !Array.isArray(functions)) return NO_ANSWER;
  return { head, functions };
}

/** Of what guest code may have written itself. */
function membersOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

interface Taken {
  readonly head: string;
  /** The names of functions in their own texts. */
  readonly functions: readonly (string | null)[];
}
