/** Finds what stands at a cursor: the chain of names `a.b.c` that completion and inspection follow. */

export interface NameChain {
  /** The names; the last one may be incomplete or ''. Empty where the cursor stands in something that cannot be followed. */
  readonly names: readonly string[];
  /** Where the last name begins and ends in the source. */
  readonly start: number;
  readonly end: number;
}

const CHAIN_LENGTH_MAX = 1024;
const IDENTIFIER_PART = /[\p{ID_Continue}$\u200c\u200d]/u;

/** @param toWordEnd whether the name goes on behind the cursor (inspection) or ends at it (completion) */
export function nameChainAt(source: string, cursor: number, toWordEnd: boolean): NameChain {
  const at = Math.min(cursor, source.length);
  let end = at;
  if (toWordEnd) while (end < source.length && isPart(source, end)) end++;
  let start = at;
  while (start > 0 && at - start < CHAIN_LENGTH_MAX && isPart(source, start - 1)) start--;
  const names = [source.slice(start, end)];
  let position = start;
  while (position > 0 && source[position - 1] === '.' && start - position < CHAIN_LENGTH_MAX) {
    let before = position - 1;
    if (source[before - 1] === '?') before--;
    let first = before;
    while (first > 0 && isPart(source, first - 1)) first--;
    if (first === before) return { names: [], start, end };
    names.unshift(source.slice(first, before));
    position = first;
  }
  return { names, start, end };
}

function isPart(source: string, index: number): boolean {
  return IDENTIFIER_PART.test(source[index] ?? '');
}
