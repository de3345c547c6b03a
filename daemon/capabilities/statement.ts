import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { auditedStatement, type StatementArgs, statementArgs } from '../sql/sql-args.ts';
import type { SqlResult } from '../sql/sql-call.ts';
import { sourceRefusal } from '../sql/sql-faults.ts';
import type { SqlSources } from '../sql/sql-sources.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

/** Runs one statement in a data source that the grant lists. */
export abstract class StatementCapability<K extends 'query' | 'execute'> extends Capability<K, StatementArgs> {
  override readonly patient = false;
  override readonly args = statementArgs;
  readonly #sources: SqlSources;

  constructor(sources: SqlSources) {
    super();
    this.#sources = sources;
  }

  override refuse([source]: StatementArgs, { sources }: ConstraintsOf<'query' | 'execute'>): string | null {
    return sources.includes(source) ? null : sourceRefusal(source);
  }

  override audited([source, sql, params = []]: StatementArgs): unknown {
    return { source, ...auditedStatement({ sql, params }) };
  }

  protected async run(
    mode: 'read' | 'write',
    { args: [source, sql, params = []], constraints }: AllowedCall<K, StatementArgs>,
    { sessionId, signal }: CallContext,
  ): Promise<SqlResult | undefined> {
    const [result] = await this.#sources.run(source, sessionId, mode, [{ sql, params }], constraints, signal);
    return result;
  }
}
