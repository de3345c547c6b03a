import type { SqlCaps, SqlRow } from './sql-call.ts';

/** Which cap a result went past. */
export type PassedCap = 'rows' | 'bytes';

export class CapPassed extends Error {
  readonly cap: PassedCap;
  constructor(cap: PassedCap) {
    super(`more ${cap} than allowed`);
    this.cap = cap;
  }
}

/** Counts the rows of one call while they come, so that nothing is held that will not be delivered. */
export class ResultMeter {
  #rows = 0;
  #bytes = 0;
  readonly #caps: SqlCaps;

  constructor(caps: SqlCaps) {
    this.#caps = caps;
  }

  get rowsLeft(): number {
    return this.#caps.rowsMax - this.#rows;
  }

  /** Fails with CapPassed. */
  count(row: SqlRow): void {
    if (++this.#rows > this.#caps.rowsMax) throw new CapPassed('rows');
    this.#bytes += Buffer.byteLength(JSON.stringify(row));
    if (this.#bytes > this.#caps.bytesMax) throw new CapPassed('bytes');
  }
}

/** The columns' names with the second `id` as `id_2`, so that no value of a row hides another. */
export function distinctNames(names: readonly string[]): readonly string[] {
  const taken = new Set(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let distinct = name;
    for (let number = 2; seen.has(distinct) || (distinct !== name && taken.has(distinct)); number++)
      distinct = `${name}_${number}`;
    seen.add(distinct);
    return distinct;
  });
}

/** A column may be named `__proto__`; it is a property like any other. */
export function rowOf(columns: readonly string[], values: readonly unknown[]): SqlRow {
  return Object.fromEntries(columns.map((column, index) => [column, values[index]]));
}
