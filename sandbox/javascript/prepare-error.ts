import { getLineInfo } from 'acorn';

/** Why a cell was refused. `line` and `column` are 1-based; `frame` is the line with a caret under the place. */
export interface CellError {
  readonly name: 'SyntaxError';
  readonly message: string;
  readonly line: number;
  readonly column: number;
  readonly frame: string;
}

/** A position as V8 prints it: both numbers are 1-based, columns count UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

// A frame is for a person to read: a minified line of a megabyte is shown as the part around the caret.
const frameWidthMax = 120;

/** Where the character at `offset` stands. Lines end as the language says: LF, CR, CRLF, U+2028, U+2029. */
export function positionAt(text: string, offset: number): Position {
  const { line, column } = getLineInfo(text, Math.min(Math.max(offset, 0), text.length));
  return { line, column: column + 1 };
}

/** The offset of a position, kept within its line and within the text. */
export function offsetAt(text: string, { line, column }: Position): number {
  let start = 0;
  for (let current = 1; current < line && start < text.length; current += 1) start = nextLineStart(text, start);
  return Math.min(start + Math.max(column, 1) - 1, lineEnd(text, start));
}

/** The error a caller is given for a fault at `offset` of the user's source. */
export function cellError(source: string, offset: number, message: string): CellError {
  const { line, column } = positionAt(source, offset);
  const start = Math.min(Math.max(offset, 0), source.length) - (column - 1);
  return {
    name: 'SyntaxError',
    message,
    line,
    column,
    frame: frame(source.slice(start, lineEnd(source, start)), column),
  };
}

function frame(text: string, column: number): string {
  const from = column > frameWidthMax - 20 ? column - Math.floor(frameWidthMax / 2) : 0;
  const shown = text.slice(from, from + frameWidthMax);
  // Tabs are kept in the padding, so that the caret stands under its character at any tab width.
  const padding = Array.from(shown.slice(0, column - 1 - from), (character) => (character === '\t' ? '\t' : ' '));
  return `${shown}\n${padding.join('')}^`;
}

function isLineEnd(code: number): boolean {
  return code === 10 || code === 13 || code === 0x2028 || code === 0x2029;
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isLineEnd(text.charCodeAt(at))) at += 1;
  return at;
}

function nextLineStart(text: string, from: number): number {
  const end = lineEnd(text, from);
  if (end === text.length) return end;
  return text.charCodeAt(end) === 13 && text.charCodeAt(end + 1) === 10 ? end + 2 : end + 1;
}
