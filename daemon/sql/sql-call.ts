/** What goes into a data source and what comes out. Child processes of the engine load this too, so it imports nothing. */

/** A parameter as guest code passed it: a byte string is base64, an integer beyond 2^53 a decimal text. */
export type SqlParam = null | boolean | number | string | { readonly base64: string };

export interface SqlStatement {
  readonly sql: string;
  readonly params: readonly SqlParam[];
}

/** `read` changes nothing, whatever the statement is; `write` does all statements or none. */
export type SqlMode = 'read' | 'write';

/** For all the results of a call together. */
export interface SqlCaps {
  readonly rowsMax: number;
  /** Of the rows as JSON. */
  readonly bytesMax: number;
  readonly timeMsMax: number;
}

export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlResult {
  readonly columns: readonly string[];
  /** JSON data: bytes as `{base64}`, integers beyond 2^53 as decimal texts. */
  readonly rows: readonly SqlRow[];
  /** How many rows the statement inserted, updated or deleted. */
  readonly changes: number;
  /** SQLite: the rowid of the last row that the statement inserted. */
  readonly lastId: number | string | null;
}

/** An integer as JSON data: a number where that is exact, its digits otherwise. */
export function integerOf(value: bigint): number | string {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
}

/** A float as JSON data, which has no word for what is not finite. */
export function floatOf(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}
