import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { auditedStatement, type StatementArgs, statementArgs } from '../sql/sql-args.ts';
import type { SqlResult } from '../sql/sql-call.ts';
import { sourceRefusal } from '../sql/sql-faults.ts';
import type { SqlSources } from '../sql/sql-sources.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

/** `execute(source, sql, params?)`: one statement, in a transaction of its own. */
export class ExecuteCapability extends Capability<'execute', StatementArgs> {
  override readonly name = 'execute';
  override readonly summary = 'Changes a database with one SQL statement.';
  override readonly signature = `/**
 * One statement in a transaction of its own, which is rolled back when it fails. Parameters, rows and faults are those of
 * query(); details.reason "in-doubt" says that the database was lost during the commit. \`changes\` counts rows inserted, updated
 * or deleted; \`lastId\` is SQLite's rowid of the last row inserted (PostgreSQL: use RETURNING).
 */
declare function execute(source: string, sql: string, params?: (null | boolean | number | string | Uint8Array)[]):
  Promise<{ columns: string[]; rows: Record<string, any>[]; changes: number; lastId: number | string | null }>;`;
  override readonly stub =
    `async def execute(source: str, sql: str, params: list[None | bool | int | float | str | bytes] = []) -> dict: ...`;
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args = statementArgs;
  readonly #sources: SqlSources;

  constructor(sources: SqlSources) {
    super();
    this.#sources = sources;
  }

  override refuse([source]: StatementArgs, { sources }: ConstraintsOf<'execute'>): string | null {
    return sources.includes(source) ? null : sourceRefusal(source);
  }

  override audited([source, sql, params = []]: StatementArgs): unknown {
    return { source, ...auditedStatement({ sql, params }) };
  }

  override async invoke(
    { args: [source, sql, params = []], constraints }: AllowedCall<'execute', StatementArgs>,
    { sessionId, signal }: CallContext,
  ): Promise<SqlResult | undefined> {
    const [result] = await this.#sources.run(source, sessionId, 'write', [{ sql, params }], constraints, signal);
    return result;
  }
}
