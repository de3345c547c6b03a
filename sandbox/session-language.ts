/** What of a session in a host depends on its language. */
import type { EntryEnd, Primitive } from './isolate.ts';
import type { ImageParts } from './javascript/image-parts.ts';
import type { Preparation } from './javascript/prepare.ts';
import type { CellSource } from './javascript/stack.ts';
import type { CellOutcome } from './protocol.ts';

/** An image, in base64, or why there is none. */
export type TakenImage = { readonly image: string } | { readonly refused: string };

/** What an isolate is told that goes on from an image. */
export interface OpenedImage {
  readonly head: string;
  readonly lines: string;
  /** The names in it that are constants. */
  readonly constants: readonly string[];
}

/** What the image is taken of. */
export interface ImagePowers {
  readonly heapMiB: number;
  heapBytes(): Promise<number>;
  /** Enters the isolate; `image` is what it has sent meanwhile. */
  enter(operation: string, ...args: Primitive[]): Promise<{ readonly end: EntryEnd; readonly image: ImageParts }>;
  /** What the same entry answers in an isolate like it that nothing has run in; undefined where none can be made. */
  pristine(operation: string): Promise<string | undefined>;
  /** See `Inspector`. */
  referToGlobalsOnly(name: string, ownNames: readonly (string | null)[]): Promise<boolean>;
}

export interface SessionLanguage {
  /** How long an entry of the engine's own may take. */
  readonly engineEntryMs: number;
  /** How long a host waits before it makes a spare isolate: that holds up its thread, and takes a core for a while. */
  readonly refillMs: number;
  /** Settles when what cells are prepared with is loaded; undefined where there is nothing to load. */
  warm(): Promise<unknown> | undefined;
  prepare(
    source: string,
    options: { readonly cellName: string; readonly constants: ReadonlySet<string> },
  ): Preparation | Promise<Preparation>;
  /** @param text what the guest side says of a cell's end, or anything at all */
  readOutcome(text: string, cellSource: (cell: number) => CellSource | undefined): CellOutcome;
  /** The state of an isolate in which nothing runs, as data. */
  readonly takeImage: (powers: ImagePowers) => Promise<TakenImage>;
  /** @param enter asks the guest side, where only that knows */
  isComplete(source: string, enter: (operation: string, argument: string) => Promise<string>): string | Promise<string>;
}
