/** Names as a person mistypes them: finding the one that was meant, and quoting one without trusting it. */

const QUOTED_CHARS_MAX = 60;

/**
 * The text in double quotes, cut to 60 characters, with everything that a terminal would act on escaped:
 * it may come from guest code or from a file that someone else wrote.
 */
export function quoted(text: string): string {
  const short = text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text;
  return printable(JSON.stringify(short));
}

/** The text with control, format and separator characters as `\u{…}` escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** ` did you mean "input"?`, or the list of all names when none is near. */
export function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === null ? `expected one of: ${known.join(', ')}` : `did you mean "${nearest}"?`;
}

/** The known name that needs the fewest edits (at most a third of its length, ignoring case), or null. */
export function nearestName(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const editsMax = Math.max(1, Math.floor(candidate.length / 3));
    // Names too unlike in length are out before the comparison, whose cost is the product of both lengths.
    if (Math.abs(candidate.length - name.length) > editsMax) continue;
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (edits <= editsMax && edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment distance). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
