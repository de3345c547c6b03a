/**
 * What a statement of guest code may do in SQLite, asked while it is compiled. Everything that is not listed is refused, so that
 * what a new SQLite brings is refused until somebody has looked at it.
 */
import { constants } from 'node:sqlite';
import type { SqlMode } from './sql-call.ts';

const READING = new Set<number>([constants.SQLITE_SELECT, constants.SQLITE_READ, constants.SQLITE_RECURSIVE]);

const WRITING = new Map<number, string>([
  [constants.SQLITE_INSERT, 'INSERT'],
  [constants.SQLITE_UPDATE, 'UPDATE'],
  [constants.SQLITE_DELETE, 'DELETE'],
  [constants.SQLITE_CREATE_TABLE, 'CREATE TABLE'],
  [constants.SQLITE_CREATE_INDEX, 'CREATE INDEX'],
  [constants.SQLITE_CREATE_VIEW, 'CREATE VIEW'],
  [constants.SQLITE_CREATE_TRIGGER, 'CREATE TRIGGER'],
  [constants.SQLITE_CREATE_TEMP_TABLE, 'CREATE TEMP TABLE'],
  [constants.SQLITE_CREATE_TEMP_INDEX, 'CREATE INDEX'],
  [constants.SQLITE_CREATE_TEMP_VIEW, 'CREATE TEMP VIEW'],
  [constants.SQLITE_CREATE_TEMP_TRIGGER, 'CREATE TEMP TRIGGER'],
  [constants.SQLITE_DROP_TABLE, 'DROP TABLE'],
  [constants.SQLITE_DROP_INDEX, 'DROP INDEX'],
  [constants.SQLITE_DROP_VIEW, 'DROP VIEW'],
  [constants.SQLITE_DROP_TRIGGER, 'DROP TRIGGER'],
  [constants.SQLITE_DROP_TEMP_TABLE, 'DROP TABLE'],
  [constants.SQLITE_DROP_TEMP_INDEX, 'DROP INDEX'],
  [constants.SQLITE_DROP_TEMP_VIEW, 'DROP VIEW'],
  [constants.SQLITE_DROP_TEMP_TRIGGER, 'DROP TRIGGER'],
  [constants.SQLITE_DROP_VTABLE, 'DROP TABLE'],
  [constants.SQLITE_ALTER_TABLE, 'ALTER TABLE'],
  [constants.SQLITE_REINDEX, 'REINDEX'],
  [constants.SQLITE_ANALYZE, 'ANALYZE'],
]);

/** Full-text search and the R-tree; the older modules have a history. */
const MODULES = new Set(['fts5', 'fts5vocab', 'rtree', 'rtree_i32']);

/** Those that say something about the schema, and those that the modules use themselves. `database_list` names the file. */
const PRAGMAS_WITH_ARGUMENT = new Set(
  'table_info table_xinfo index_list index_info index_xinfo foreign_key_list'.split(' '),
);
const PRAGMAS_WITHOUT_ARGUMENT = new Set(
  'table_list collation_list user_version application_id data_version page_size'.split(' '),
);

/** Every function of this SQLite except those that load code, reach into internals, or write to the process's log. */
const FUNCTIONS = new Set(
  `-> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat concat_ws cos cosh count
  cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format
  fts5_get_locale fts5_insttoken fts5_locale glob group_concat hex highlight if ifnull iif instr json json_array
  json_array_insert json_array_length json_each json_error_position json_extract json_group_array json_group_object
  json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set json_tree json_type json_valid
  jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
  jsonb_remove jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length like likelihood likely ln log
  log10 log2 lower ltrim match max median min mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont
  percentile_disc pi pow power printf quote radians raise random randomblob rank replace round row_number rtrim sign sin sinh
  snippet sqlite_version sqrt strftime string_agg substr substring subtype sum tan tanh time timediff total total_changes trim
  trunc typeof unhex unicode unistr unistr_quote unixepoch unlikely upper zeroblob`.split(/\s+/),
);

/** What ALTER TABLE calls inside; SQLite lets no statement name them. */
const ALTER_FUNCTIONS = /^sqlite_(?:rename_\w+|drop_column|drop_constraint|add_constraint|find_constraint|fail)$/;

export class SqliteGuard {
  readonly #mode: SqlMode;
  /** Why the statement was refused, for people. */
  refusal: string | null = null;
  /** Whether the statement itself inserts rows, rather than a trigger of it. */
  inserts = false;

  constructor(mode: SqlMode) {
    this.#mode = mode;
  }

  reset(): void {
    this.refusal = null;
    this.inserts = false;
  }

  /** For `DatabaseSync.setAuthorizer`. */
  readonly authorize = (action: number, one: string | null, two: string | null, _: unknown, origin: string | null) => {
    const refusal = this.#refusal(action, one ?? '', two);
    if (refusal !== null) {
      this.refusal ??= refusal;
      return constants.SQLITE_DENY;
    }
    if (action === constants.SQLITE_INSERT && origin === null && !one?.startsWith('sqlite_')) this.inserts = true;
    return constants.SQLITE_OK;
  };

  #refusal(action: number, one: string, two: string | null): string | null {
    if (READING.has(action)) return null;
    if (action === constants.SQLITE_FUNCTION) return this.#functionRefusal(two ?? '');
    if (action === constants.SQLITE_PRAGMA) {
      const known = two === null ? PRAGMAS_WITHOUT_ARGUMENT : PRAGMAS_WITH_ARGUMENT;
      return known.has(one.toLowerCase()) ? null : `PRAGMA ${one} is not allowed.`;
    }
    const writes = WRITING.get(action);
    if (writes !== undefined || action === constants.SQLITE_CREATE_VTABLE) {
      // A definition begins with a row of the schema.
      const what = one.startsWith('sqlite_') ? 'changing the schema' : (writes ?? 'CREATE VIRTUAL TABLE');
      if (this.#mode === 'read') return `query() only reads; ${what} needs execute().`;
      if (writes === undefined && !MODULES.has((two ?? '').toLowerCase()))
        return `Virtual tables of the module ${two} are not allowed; ${[...MODULES].join(', ')} are.`;
      return null;
    }
    if (action === constants.SQLITE_TRANSACTION || action === constants.SQLITE_SAVEPOINT)
      return 'Every call is a transaction of its own, so BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not allowed; use transaction().';
    if (action === constants.SQLITE_ATTACH || action === constants.SQLITE_DETACH)
      return 'ATTACH, DETACH and VACUUM are not allowed.';
    return 'The statement does something that is not allowed.';
  }

  #functionRefusal(name: string): string | null {
    if (FUNCTIONS.has(name.toLowerCase())) return null;
    return this.#mode === 'write' && ALTER_FUNCTIONS.test(name) ? null : `The function ${name}() is not allowed.`;
  }
}
