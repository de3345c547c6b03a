/**
 * Text of guest code, made fit to be shown to whoever decides about it.
 *
 * I1: what comes out is printable characters on one line, at most as many as asked for and a note of what was left out.
 * I2: two texts that differ do not look the same for a character that cannot be seen: what is escaped is escaped as
 *     `\u{…}`, so the backslash itself is too.
 */

/** Words in which letters of a script that imitates Latin stand beside Latin ones. */
const WORDS = /([\p{L}\p{M}\p{N}]+)/u;
const LATIN = /\p{Script=Latin}/u;
const IMITATES_LATIN =
  /\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Armenian}|\p{Script=Cherokee}|\p{Script=Coptic}/u;
/** Control, format (the bidirectional ones among them), private-use, unassigned; every space but one; what shows nothing. */
const UNSEEN = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;
const MARK = /\p{M}/u;
/** On one letter; languages need three, and a heap of them covers the lines around. */
const MARKS_MAX = 3;
const NEWLINE = '⏎';

/** A text on one line: newlines as ⏎, and everything that could hide, reorder or imitate as `\u{…}`. */
export function guestText(text: string, charsMax: number): string {
  return escaped(text, charsMax, { '\n': NEWLINE, '\\': '\\\\' });
}

/** Data as JSON text, indented where that is easy to read; its lines are ours, since those of the guest stand as `\n` in it. */
export function guestJson(value: unknown, charsMax: number): string {
  const compact = toJson(value);
  const text = compact.length <= charsMax && isShallow(value, INDENTED_DEPTH_MAX) ? toJson(value, 2) : compact;
  return escaped(text, charsMax, { '\n': '\n', '\\': '\\' });
}

/**
 * Data whose every text and name is as {@link guestText} makes it. Where its JSON has more than `charsMax` characters, or it
 * is nested deeper than anyone reads, the start of that JSON as text instead.
 */
export function guestData(value: unknown, charsMax: number): unknown {
  if (!isShallow(value, DATA_DEPTH_MAX) || toJson(value).length > charsMax) return guestJson(value, charsMax);
  const data = mapTexts(value, charsMax);
  return toJson(data).length > charsMax ? guestJson(value, charsMax) : data;
}

const INDENTED_DEPTH_MAX = 16;
const DATA_DEPTH_MAX = 64;

function escaped(text: string, charsMax: number, replacements: Readonly<Record<string, string>>): string {
  let out = '';
  let taken = 0;
  let marks = MARKS_MAX;
  // Escaping never shortens, so what stands after this many cannot be shown anyway.
  for (const piece of text.slice(0, charsMax + 1).split(WORDS)) {
    const imitates = LATIN.test(piece) && IMITATES_LATIN.test(piece);
    for (const character of piece) {
      marks = MARK.test(character) ? marks + 1 : 0;
      const hidden =
        character === NEWLINE ||
        (character !== ' ' && UNSEEN.test(character)) ||
        (imitates && IMITATES_LATIN.test(character)) ||
        marks > MARKS_MAX;
      const shown = replacements[character] ?? (hidden ? codePoint(character) : character);
      // A mark would be drawn on what we wrote in place of its letter.
      if (shown !== character) marks = MARKS_MAX;
      if (out.length + shown.length > charsMax) return `${out}… (${text.length - taken} characters more)`;
      out += shown;
      taken += character.length;
    }
  }
  return out;
}

function codePoint(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

function mapTexts(value: unknown, charsMax: number): unknown {
  if (typeof value === 'string') return guestText(value, charsMax);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, charsMax));
  const entries = Object.entries(value).map(([name, item]) => [guestText(name, charsMax), mapTexts(item, charsMax)]);
  return Object.fromEntries(entries);
}

function isShallow(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depthMax > 0 && Object.values(value).every((item) => isShallow(item, depthMax - 1));
}

function toJson(value: unknown, indent = 0): string {
  try {
    return JSON.stringify(value, null, indent) ?? 'null';
  } catch {
    // The recursion of the engine ended before the nesting did.
    return '(nested too deeply to be shown)';
  }
}
