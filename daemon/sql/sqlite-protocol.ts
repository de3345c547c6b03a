/** The boundary between the daemon and a process that runs SQLite. Both load it, so it imports nothing but types. */
import type { SqlCaps, SqlMode, SqlStatement } from './sql-call.ts';

/** One call at a time: `run`, and after its results, where it writes, `commit`. What is to be given up is killed. */
export type ToSqlite =
  | {
      readonly kind: 'run';
      readonly mode: SqlMode;
      readonly statements: readonly SqlStatement[];
      readonly caps: SqlCaps;
    }
  | { readonly kind: 'commit' };

export type BatchFailure =
  | { readonly kind: 'rows' | 'bytes' }
  /** `sql`: SQLite's words about the statement. `refused`: ours. `unavailable`: about the file, for the log only. */
  | { readonly kind: 'sql' | 'refused' | 'unavailable'; readonly message: string };

export type FromSqlite =
  | { readonly kind: 'ready' }
  /** Everything ran and, where it writes, nothing is committed yet. */
  | { readonly kind: 'results'; readonly results: readonly unknown[] }
  | { readonly kind: 'committed' }
  | { readonly kind: 'failed'; readonly failure: BatchFailure };
