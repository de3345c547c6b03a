import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { auditedStatement, charsOf, paramsArg, sourceArg, sqlArg } from '../sql/sql-args.ts';
import type { SqlParam, SqlResult } from '../sql/sql-call.ts';
import { sourceRefusal } from '../sql/sql-faults.ts';
import { SQL_LIMITS } from '../sql/sql-limits.ts';
import type { SqlSources } from '../sql/sql-sources.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

/** More than any level allows. */
const STATEMENTS_MAX = 1000;
const STATEMENT_EXPECTED = 'each statement must be [sql] or [sql, parameters]';
const STATEMENTS_EXPECTED = `the second argument must be an array of 1 to ${STATEMENTS_MAX} statements`;

type Statement = [string] | [string, SqlParam[]];
type Args = [string, Statement[]];

const statement: v.GenericSchema<unknown, Statement> = v.lazy((input) =>
  Array.isArray(input) && input.length > 1
    ? v.strictTuple([sqlArg, paramsArg], STATEMENT_EXPECTED)
    : v.strictTuple([sqlArg], STATEMENT_EXPECTED),
);

const args = v.strictTuple(
  [
    sourceArg,
    v.pipe(
      v.array(v.unknown(), STATEMENTS_EXPECTED),
      v.minLength(1, STATEMENTS_EXPECTED),
      v.maxLength(STATEMENTS_MAX, STATEMENTS_EXPECTED),
      v.array(statement),
      v.check(
        (statements) =>
          statements.reduce((sum, [sql, params = []]) => sum + sql.length + charsOf(params), 0) <=
          SQL_LIMITS.paramsCharsMax,
        `SQL and parameters may have at most ${SQL_LIMITS.paramsCharsMax} characters together`,
      ),
    ),
  ],
  'there are two arguments: source, statements',
);

/** `transaction(source, [[sql, params?], …])`: all statements or none. */
export class TransactionCapability extends Capability<'transaction', Args> {
  override readonly name = 'transaction';
  override readonly summary = 'Changes a database with several SQL statements, all of them or none.';
  override readonly signature = `/**
 * The statements in their order, in one transaction: when one fails, none has happened. Each is answered as by execute(); the
 * caps on rows, bytes and time are for all of them together. Fails as execute() does, and with TOO_LARGE for more statements than
 * the level allows (details.statementsMax).
 */
declare function transaction(source: string,
  statements: ([sql: string] | [sql: string, params: (null | boolean | number | string | Uint8Array)[]])[]):
  Promise<{ columns: string[]; rows: Record<string, any>[]; changes: number; lastId: number | string | null }[]>;`;
  override readonly stub = `async def transaction(source: str, statements: list[tuple]) -> list[dict]: ...`;
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args = args;
  readonly #sources: SqlSources;

  constructor(sources: SqlSources) {
    super();
    this.#sources = sources;
  }

  override refuse([source]: Args, { sources }: ConstraintsOf<'transaction'>): string | null {
    return sources.includes(source) ? null : sourceRefusal(source);
  }

  override audited([source, statements]: Args): unknown {
    return { source, statements: statements.map(([sql, params = []]) => auditedStatement({ sql, params })) };
  }

  override invoke(
    { args: [source, list], constraints }: AllowedCall<'transaction', Args>,
    { sessionId, signal }: CallContext,
  ): Promise<readonly SqlResult[]> {
    const { statementsMax } = constraints;
    if (list.length > statementsMax) {
      throw new Fault('TOO_LARGE', `A transaction has at most ${statementsMax} statements (statementsMax).`, {
        statementsMax,
      });
    }
    const statements = list.map(([sql, params = []]) => ({ sql, params }));
    return this.#sources.run(source, sessionId, 'write', statements, constraints, signal);
  }
}
