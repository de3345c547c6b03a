import type { StatementArgs } from '../sql/sql-args.ts';
import type { SqlResult } from '../sql/sql-call.ts';
import type { CallContext } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { StatementCapability } from './statement.ts';

/** `execute(source, sql, params?)`: one statement, in a transaction of its own. */
export class ExecuteCapability extends StatementCapability<'execute'> {
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

  override invoke(call: AllowedCall<'execute', StatementArgs>, context: CallContext): Promise<SqlResult | undefined> {
    return this.run('write', call, context);
  }
}
