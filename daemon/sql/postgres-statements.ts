/**
 * Which statements PostgreSQL is given, by their first word. The server's own rules (a read-only transaction, the role's rights)
 * decide what they may do; this list keeps out what would leave the transaction, the connection, or SQL.
 */
import type { SqlMode } from './sql-call.ts';
import { leadingKeyword } from './sql-text.ts';

const READING = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', 'EXPLAIN', 'SHOW', '(']);
const WRITING = new Set([
  ...READING,
  ...['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'CREATE', 'ALTER', 'DROP', 'TRUNCATE', 'COMMENT', 'GRANT', 'REVOKE'],
  ...['ANALYZE', 'REINDEX', 'REFRESH', 'CLUSTER', 'LOCK', 'CALL'],
]);

const LEAVES_TRANSACTION = new Set(
  'BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT RELEASE PREPARE DISCARD VACUUM CHECKPOINT'.split(' '),
);

/** Why the statement is not given to the server; null where it is. */
export function postgresRefusal(sql: string, mode: SqlMode): string | null {
  if (sql.includes('\0')) return 'SQL may not contain the character NUL.';
  const keyword = leadingKeyword(sql, { nested: true });
  if (keyword === '') return 'The SQL holds no statement.';
  if ((mode === 'read' ? READING : WRITING).has(keyword)) return null;
  if (WRITING.has(keyword)) return `query() only reads; ${keyword} needs execute().`;
  if (LEAVES_TRANSACTION.has(keyword))
    return `Every call is a transaction of its own, so ${keyword} is not allowed; use transaction().`;
  return `${keyword} is not allowed.`;
}
