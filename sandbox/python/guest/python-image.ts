import type { SendToHost } from '../../javascript/guest/output.ts';
import type { PythonAssets } from './make-python.ts';
import type { SavedFiles, SessionFiles } from './session-files.ts';

/** What there is to an image besides bytes, as JSON: first those of the pages, then those of the files. */
export interface ImageHead {
  readonly heapBytes: number;
  /** The pages of the heap that are not as they were at the start, by number. */
  readonly pages: readonly number[];
  readonly pageBytes: number;
  /** What of JavaScript the loader itself has in the heap. */
  readonly hiwire: object;
  readonly files: SavedFiles;
  /** Of the platform's: see `resume` of `boot.ts`. */
  readonly platform: string;
}

/** What of the loader's own is used. */
export interface LoaderParts {
  readonly _module: { readonly HEAPU8: Uint8Array };
  readonly _api: { serializeHiwireState(): object };
}

/**
 * Sends the state of CPython, as it differs from the one after its start, to the host: bytes, a character each.
 * @returns JSON: of the head, as JSON, and of how many bytes there are
 * @throws Error with a reason for people where it cannot be saved
 */
export function makeTakeImage(assets: PythonAssets, send: SendToHost) {
  const { stringify } = JSON;
  const CapturedError = Error;
  const Words = Int32Array;
  const { apply } = Reflect;
  const { fromCharCode } = String;
  const pageBytes = 4096;
  const wordsAPage = pageBytes / 4;
  const partCharacters = 262_144;
  const bytesMax = 67_108_864;

  function changedPages(heap: Uint8Array, start: SharedArrayBuffer): number[] {
    // The second word of its head says where the heap begins.
    const begin = new Words(start, 0, 2)[1] as number;
    const before = new Words(start, begin);
    const now = new Words(heap.buffer, 0, heap.length / 4);
    const changed: number[] = [];
    for (let page = 0; page * pageBytes < heap.length; page++) {
      const end = (page + 1) * wordsAPage;
      const known = Math.min(end, before.length);
      let word = page * wordsAPage;
      while (word < known && now[word] === before[word]) word++;
      if (word >= known) while (word < end && now[word] === 0) word++;
      if (word < end) changed.push(page);
    }
    return changed;
  }

  return ({ _module, _api }: LoaderParts, files: SessionFiles, platform: string): string => {
    if (files.open) throw new CapturedError('a file is open');
    let hiwire: object;
    try {
      hiwire = _api.serializeHiwireState();
    } catch {
      throw new CapturedError('it holds objects of JavaScript');
    }
    const heap = _module.HEAPU8;
    const pages = changedPages(heap, assets.snapshot as SharedArrayBuffer);
    let length = 0;
    let part = '';
    const keep = (bytes: Uint8Array): void => {
      length += bytes.length;
      if (length > bytesMax) throw new CapturedError('it holds too much');
      for (let at = 0; at < bytes.length; at += pageBytes) {
        part += apply(fromCharCode, undefined, bytes.subarray(at, at + pageBytes));
        if (part.length < partCharacters) continue;
        send('image', part);
        part = '';
      }
    };
    for (const page of pages) keep(heap.subarray(page * pageBytes, (page + 1) * pageBytes));
    const head: ImageHead = { heapBytes: heap.length, pages, pageBytes, hiwire, files: files.save(keep), platform };
    send('image', part);
    return stringify({ head: stringify(head), length });
  };
}
