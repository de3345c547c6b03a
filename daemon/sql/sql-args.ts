/** The arguments that the SQL capabilities have in common: how they are checked, and what the audit log shows of them. */
import * as v from 'valibot';
import type { SqlParam, SqlStatement } from './sql-call.ts';
import { SQL_LIMITS } from './sql-limits.ts';

const { sqlCharsMax, paramsMax, paramsCharsMax } = SQL_LIMITS;
const SQL_EXPECTED = `the SQL must be a string of at most ${sqlCharsMax} characters; data belongs in parameters`;
const PARAM_EXPECTED = 'a parameter must be null, a boolean, a finite number, a well-formed string, or bytes';
const PARAMS_EXPECTED = `the parameters must be an array of at most ${paramsMax}, with at most ${paramsCharsMax} characters together`;

/** As much SQL as a person reads; the whole of it is bound by the hash of the call. */
const AUDITED_SQL_CHARS_MAX = 4096;

const param: v.GenericSchema<unknown, SqlParam> = v.union(
  [
    v.null(),
    v.boolean(),
    v.pipe(v.number(), v.finite()),
    // A lone surrogate would be stored as another character.
    v.pipe(
      v.string(),
      v.check((text) => text.isWellFormed()),
    ),
    v.strictObject({
      base64: v.pipe(
        v.string(),
        v.check((text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)),
      ),
    }),
  ],
  PARAM_EXPECTED,
);

export const sourceArg = v.pipe(
  v.string('the first argument must be the name of a data source'),
  v.maxLength(64, 'the name of a data source has at most 64 characters'),
);

export const sqlArg = v.pipe(
  v.string(SQL_EXPECTED),
  v.maxLength(sqlCharsMax, SQL_EXPECTED),
  v.check((sql) => sql.isWellFormed(), SQL_EXPECTED),
);

export const paramsArg = v.pipe(
  v.array(v.unknown(), PARAMS_EXPECTED),
  v.maxLength(paramsMax, PARAMS_EXPECTED),
  v.array(param),
  v.check((params) => charsOf(params) <= paramsCharsMax, PARAMS_EXPECTED),
);

/** `(source, sql, params?)` */
export type StatementArgs = [string, string] | [string, string, SqlParam[]];
export const statementArgs: v.GenericSchema<unknown, StatementArgs> = v.lazy((input) =>
  Array.isArray(input) && input.length > 2
    ? v.strictTuple([sourceArg, sqlArg, paramsArg], 'there are three arguments: source, SQL, parameters')
    : v.strictTuple([sourceArg, sqlArg], 'it takes a data source and SQL'),
);

export function charsOf(params: readonly SqlParam[]): number {
  return params.reduce<number>((sum, value) => sum + sizeOf(value), 0);
}

function sizeOf(value: SqlParam): number {
  if (typeof value === 'string') return value.length;
  return typeof value === 'object' && value !== null ? value.base64.length : 0;
}

/** The text, and of the parameters their number and types: their values are data. */
export function auditedStatement({ sql, params }: SqlStatement): Readonly<Record<string, unknown>> {
  return {
    sql: sql.slice(0, AUDITED_SQL_CHARS_MAX),
    ...(sql.length > AUDITED_SQL_CHARS_MAX ? { sqlChars: sql.length } : {}),
    params: params.map(typeOf),
  };
}

function typeOf(value: SqlParam): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? 'bytes' : typeof value;
}
