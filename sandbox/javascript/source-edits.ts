// Collects the edits of one source text and applies them in one pass.
//
// Why not a library: a wrapped cell is two scripts that must share one layout (the hoisted functions in the first, all
// the rest in the second), so that one line and column mean the same place in both. That needs the exact offset, in the
// edited text, of marks set in the original, which source-map based editors do not give.
//
// I1: an edit never adds or removes a line, so the lines of the edited text are those of the original.
// I2: at one offset, what closes a construct comes first, then marks, then what opens one, then a replacement.

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly rank: 0 | 1 | 2 | 3;
}

interface Placed {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

/** An edited text that remembers where each of its parts came from. */
export interface EditedText {
  readonly text: string;
  /** The marks, as offsets in `text`, in the order they stand in the source. */
  readonly marks: readonly number[];
  /** The offset in the original text that an offset in `text` came from. */
  originalOffset(offset: number): number;
}

export class SourceEdits {
  readonly #source: string;
  readonly #edits: Edit[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#edits.length === 0;
  }

  /** Inserts what opens a construct at `offset`: of two, the one asked for first is the outer one. */
  open(offset: number, text: string): void {
    this.#edits.push({ start: offset, end: offset, text, rank: 2 });
  }

  /** Puts a text before everything else. */
  prepend(text: string): void {
    this.#edits.push({ start: 0, end: 0, text, rank: 0 });
  }

  /** Inserts what closes a construct at `offset`: of two, the one asked for first is the inner one. */
  close(offset: number, text: string): void {
    this.#edits.push({ start: offset, end: offset, text, rank: 0 });
  }

  /** Marks an offset: it stands after everything closed there and before everything opened there. */
  mark(offset: number): void {
    this.#edits.push({ start: offset, end: offset, text: '', rank: 1 });
  }

  /** Replaces a part of one line. Of two overlapping replacements the first in the text wins. */
  replace(start: number, end: number, text: string): void {
    this.#edits.push({ start, end, text, rank: 3 });
  }

  /** Replaces a part by spaces, keeping its line ends. */
  blank(start: number, end: number): void {
    this.#edits.push({ start, end, text: blanked(this.#source.slice(start, end)), rank: 3 });
  }

  apply(): EditedText {
    // Array.prototype.sort is stable, which keeps the order of asking among equals.
    this.#edits.sort((a, b) => a.start - b.start || a.rank - b.rank);
    const source = this.#source;
    const placed: Placed[] = [];
    const marks: number[] = [];
    let text = '';
    let cursor = 0;
    for (const edit of this.#edits) {
      if (edit.start < cursor) continue;
      text += source.slice(cursor, edit.start);
      if (edit.rank === 1) marks.push(text.length);
      else placed.push({ from: text.length, to: text.length + edit.text.length, start: edit.start, end: edit.end });
      text += edit.text;
      cursor = edit.end;
    }
    text += source.slice(cursor);
    return { text, marks, originalOffset: (offset) => originalOffset(placed, offset) };
  }
}

/** A text in which every character but the line ends is a space. */
export function blanked(text: string): string {
  return text.replace(/[^\n\r\u2028\u2029]/g, ' ');
}

function originalOffset(placed: readonly Placed[], offset: number): number {
  let low = 0;
  let high = placed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((placed[middle] as Placed).from <= offset) low = middle + 1;
    else high = middle;
  }
  const last = placed[low - 1];
  if (last === undefined) return offset;
  return offset < last.to ? Math.min(last.start + (offset - last.from), last.end) : last.end + (offset - last.to);
}
