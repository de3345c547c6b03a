/**
 * Globs for the names of files: `*` is any run of characters, `?` is one, everything else is itself. A glob is matched with one
 * segment of a path, never across a slash.
 *
 * What a glob blocks is blocked under every spelling that some file system takes for the same name: letter case, Unicode
 * normalisation, characters that cannot be seen, and dots or spaces at the end make no difference. So a match may say yes to
 * more names than were meant, and never to fewer.
 */

const GLOB_CHARS_MAX = 255;

/** Why this is no glob for a name, or null. */
export function nameGlobProblem(text: string): string | null {
  if (text === '') return 'a name must not be empty';
  if (text.length > GLOB_CHARS_MAX) return `a name has at most ${GLOB_CHARS_MAX} characters`;
  if (!text.isWellFormed() || text.includes('\0')) return 'a name is Unicode text without NUL';
  if (text.includes('/')) return 'a name is one segment of a path; leave out the "/", it is matched at every depth';
  if (text.includes('**'))
    return '"**" is not known here; "*" is any run of characters, and a name is matched at every depth';
  if (/^!|[[\]{}\\]/.test(text)) {
    return 'only "*" and "?" are special; write one entry for each alternative, and "?" for a "[", "]", "{", "}", "\\" or a "!" at the start';
  }
  if (folded(text) === '') return 'a name must hold a character that can be seen';
  if (/^[. ]+$/.test(text)) return 'no file has a name of dots and spaces only that a path could hold';
  return null;
}

/** Whether the glob names this segment of a path. Takes time in proportion to the length of both together, at most their product. */
export function nameGlobMatches(glob: string, name: string): boolean {
  const pattern = [...folded(glob)];
  const text = folded(name);
  const trimmed = withoutEnd(text);
  return matches(pattern, [...text]) || (trimmed !== text && matches(pattern, [...trimmed]));
}

/**
 * One spelling for all that a file system may take for the same name. Upper case before lower case folds more than lower case
 * alone: `ß` and `SS` meet, as do the Kelvin sign and `k`.
 */
function folded(text: string): string {
  const seen = text.normalize('NFC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
  return seen.toUpperCase().toLowerCase().normalize('NFC');
}

function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === '.' || text[end - 1] === ' ')) end--;
  return text.slice(0, end);
}

/** Goes back to the last star only, which is enough, because an earlier star could give nothing that the last one cannot. */
function matches(pattern: readonly string[], text: readonly string[]): boolean {
  let p = 0;
  let t = 0;
  let afterStar = -1;
  let starText = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      afterStar = ++p;
      starText = t;
    } else if (pattern[p] === '?' || pattern[p] === text[t]) {
      p++;
      t++;
    } else if (afterStar >= 0) {
      p = afterStar;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
