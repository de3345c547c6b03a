/** Turns V8's stack text into the user's: frames of cells only, at the positions of the source as it was typed. */

export interface CellSource {
  readonly source: string;
  /** Undefined where the position is none of the user's text. */
  originalPosition(line: number, column: number): { line: number; column: number } | undefined;
}

export interface UserStack {
  readonly frames: string;
  readonly top?: { readonly cell: number; readonly line: number; readonly column: number };
}

const FRAMES_MAX = 50;
const CELL_LEVEL: ReadonlySet<string> = new Set(['eval', 'Object.eval', 'async eval', 'async <anonymous>']);
const LOCATION = /cell:(\d{1,9}):(\d{1,9}):(\d{1,9})\)?$/;

/**
 * @param stack what guest code may have written itself: any text
 * @param cellSource the source of a cell by its number, while it is kept
 */
export function userStack(stack: string, cellSource: (cell: number) => CellSource | undefined): UserStack {
  const frames: Frame[] = [];
  for (const line of stack.split('\n')) {
    if (frames.length === FRAMES_MAX) break;
    const frame = line.startsWith('    at ') ? userFrame(line, cellSource) : undefined;
    if (frame === undefined) continue;
    // A write to a constant throws from a setter that was made for it, at the very place of the write.
    const previous = frames.at(-1);
    if (previous?.name === 'set v' && previous.location === frame.location) frames.pop();
    frames.push(frame);
  }
  const text = frames
    .map(({ name, location }) => (name === '' ? `at ${location}` : `at ${name} (${location})`))
    .join('\n');
  const [top] = frames;
  return { frames: text, ...(top === undefined ? {} : { top: top.position }) };
}

interface Frame {
  readonly name: string;
  readonly location: string;
  readonly position: { readonly cell: number; readonly line: number; readonly column: number };
}

function userFrame(text: string, cellSource: (cell: number) => CellSource | undefined): Frame | undefined {
  const match = LOCATION.exec(text);
  if (match === null) return undefined;
  const cell = Number(match[1]);
  const generated = { line: Number(match[2]), column: Number(match[3]) };
  const source = cellSource(cell);
  const original = source === undefined ? generated : source.originalPosition(generated.line, generated.column);
  if (original === undefined) return undefined;
  const { line, column } = original;
  const open = text.indexOf(' (', 7);
  const name = open === -1 ? '' : functionName(text.slice(7, open));
  return { name, location: `cell:${cell}:${line}:${column}`, position: { cell, line, column } };
}

/** The cell's own level is called `eval` by V8, because that is how a cell is run. */
function functionName(name: string): string {
  return CELL_LEVEL.has(name) ? '' : name;
}

/** Where the innermost frame of the user's stands, as `cell:2:1:7`; undefined where there is none. */
export function userPosition(stack: string, cellSource: (cell: number) => CellSource | undefined): string | undefined {
  const { top } = userStack(stack, cellSource);
  return top === undefined ? undefined : `cell:${top.cell}:${top.line}:${top.column}`;
}

/** The line at fault and a caret under the column, or undefined where the source has no such line. */
export function codeFrame(source: string, line: number, column: number): string | undefined {
  const text = source.split('\n')[line - 1];
  if (text === undefined) return undefined;
  const start = Math.max(0, Math.min(column - 1, text.length) - 60);
  const shown = text.slice(start, start + 120).replaceAll('\t', ' ');
  return `${shown}\n${' '.repeat(Math.max(0, column - 1 - start))}^`;
}
