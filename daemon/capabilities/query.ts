import type { StatementArgs } from '../sql/sql-args.ts';
import type { SqlRow } from '../sql/sql-call.ts';
import type { CallContext } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { StatementCapability } from './statement.ts';

/** `query(source, sql, params?)`: one statement that changes nothing, whatever it says. */
export class QueryCapability extends StatementCapability<'query'> {
  override readonly name = 'query';
  override readonly summary = 'Reads from a database with one SQL statement.';
  override readonly signature = `/**
 * One statement that only reads, with parameters in place of ? (SQLite) or $1, $2 … (PostgreSQL): null, booleans (0 and 1 in
 * SQLite), numbers, strings and bytes; an integer beyond 2^53 is a string of its digits, in and out. Other values come as JSON
 * has them: PostgreSQL's numeric, date and arrays as text, timestamps in ISO 8601, json as values. A second column of the name
 * x is x_2.
 * Fails with TOO_LARGE (nothing is cut off), TIMED_OUT, BUSY, and EFFECT_FAILED with details.reason "sql" (the message is the
 * database's own), "refused" or "unreachable".
 */
declare function query(source: string, sql: string, params?: (null | boolean | number | string | Uint8Array)[]):
  Promise<{ columns: string[]; rows: Record<string, any>[] }>;`;
  override readonly stub =
    `async def query(source: str, sql: str, params: list[None | bool | int | float | str | bytes] = []) -> dict: ...`;
  override readonly idempotent = true;
  override readonly readOnly = true;

  override async invoke(
    call: AllowedCall<'query', StatementArgs>,
    context: CallContext,
  ): Promise<{ readonly columns: readonly string[]; readonly rows: readonly SqlRow[] }> {
    const result = await this.run('read', call, context);
    return { columns: result?.columns ?? [], rows: result?.rows ?? [] };
  }
}
