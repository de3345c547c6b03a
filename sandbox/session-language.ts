/** What of a session in a host depends on its language. */
import type { EntryEnd } from './isolate.ts';
import type { ImageParts } from './javascript/image-parts.ts';
import type { Preparation } from './javascript/prepare.ts';
import type { CellSource } from './javascript/stack.ts';
import type { CellOutcome } from './protocol.ts';

/** An image, in base64, or why there is none. */
export type TakenImage = { readonly image: string } | { readonly refused: string };

/** Enters the isolate to say what its state is. */
export type TakeImage = () => Promise<{ readonly end: EntryEnd; readonly image: ImageParts }>;

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
  /** The state of an isolate in which nothing runs, as data; undefined for a language that has none. */
  readonly takeImage?: (take: TakeImage) => Promise<TakenImage>;
  /** @param enter asks the guest side, where only that knows */
  isComplete(source: string, enter: (operation: string, argument: string) => Promise<string>): string | Promise<string>;
}
