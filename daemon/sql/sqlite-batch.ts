/**
 * The statements of one call, on a connection of their own to one SQLite file. Runs in a process that may be killed at any moment.
 *
 * I1: guest SQL is compiled and run under the guard only; our own statements never hold anything of the guest's.
 * I2: nothing is changed before `commit`; closing without it undoes everything.
 */
import { existsSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { CapPassed, distinctNames, ResultMeter, rowOf } from './result-rows.ts';
import {
  floatOf,
  integerOf,
  type SqlCaps,
  type SqlMode,
  type SqlParam,
  type SqlResult,
  type SqlRow,
  type SqlStatement,
} from './sql-call.ts';
import { SQL_LIMITS } from './sql-limits.ts';
import { skipBlank } from './sql-text.ts';
import { SqliteGuard } from './sqlite-guard.ts';
import type { BatchFailure } from './sqlite-protocol.ts';

export interface SqliteFile {
  readonly path: string;
  /** The file may not grow beyond; null where it is the administrator's. */
  readonly bytesMax: number | null;
}

/** Extended result codes of SQLite. */
const SQLITE_RANGE = 25;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** The last writer was killed, and a read-only connection may not clean up after it. */
const NEEDS_RECOVERY = new Set([264, 776, 1032, 1288]);

const LIMITS = {
  attach: 0,
  length: SQL_LIMITS.valueBytesMax,
  sqlLength: 4 * SQL_LIMITS.sqlCharsMax,
  variableNumber: SQL_LIMITS.paramsMax,
  column: 1000,
  exprDepth: 200,
  compoundSelect: 100,
  functionArg: 127,
  likePatternLength: 1000,
  triggerDepth: 50,
} as const;

export class BatchError extends Error {
  readonly failure: BatchFailure;
  constructor(failure: BatchFailure) {
    super(failure.kind);
    this.failure = failure;
  }
}

const refused = (why: string): BatchError => new BatchError({ kind: 'refused', message: why });

export class SqliteBatch implements Disposable {
  readonly #database: DatabaseSync;
  readonly #guard: SqliteGuard;
  readonly #mode: SqlMode;

  /** Fails with BatchError. */
  constructor(file: SqliteFile, mode: SqlMode, lockWaitMs: number) {
    this.#mode = mode;
    this.#guard = new SqliteGuard(mode);
    this.#database = open(file, mode, lockWaitMs);
  }

  /** Leaves what was written uncommitted. Fails with BatchError. */
  run(statements: readonly SqlStatement[], caps: SqlCaps): SqlResult[] {
    try {
      if (this.#mode === 'write') this.#database.exec('BEGIN IMMEDIATE');
      const meter = new ResultMeter(caps);
      return statements.map((statement) => this.#execute(statement, meter));
    } catch (error) {
      throw asBatchError(error);
    }
  }

  commit(): void {
    try {
      this.#database.exec('COMMIT');
    } catch (error) {
      throw asBatchError(error);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #execute({ sql, params }: SqlStatement, meter: ResultMeter): SqlResult {
    const before = this.#counters();
    this.#guard.reset();
    this.#database.setAuthorizer(this.#guard.authorize);
    let columns: readonly string[];
    let rows: SqlRow[];
    try {
      const statement = this.#prepare(sql);
      columns = distinctNames(statement.columns().map(({ name }) => name));
      rows = [];
      for (const values of bind(statement, params)) {
        const row = rowOf(columns, values.map(jsonOf));
        meter.count(row);
        rows.push(row);
      }
    } catch (error) {
      throw this.#guard.refusal === null ? error : refused(this.#guard.refusal);
    } finally {
      this.#database.setAuthorizer(null);
    }
    const after = this.#counters();
    const changed = after.total > before.total;
    return {
      columns,
      rows,
      changes: changed ? Number(after.changes) : 0,
      lastId: changed && this.#guard.inserts ? integerOf(after.lastId) : null,
    };
  }

  #prepare(sql: string): StatementSync {
    // SQLite reads a text up to the first NUL only.
    if (sql.includes('\0')) throw refused('SQL may not contain the character NUL.');
    if (skipBlank(sql, { nested: false }) === sql.length) throw refused('The SQL holds no statement.');
    const statement = this.#database.prepare(sql, { returnArrays: true, readBigInts: true });
    const rest = sql.slice(statement.sourceSQL.length);
    if (skipBlank(rest, { nested: false }) < rest.length)
      throw refused('A call takes one statement; there is more after the first. Use transaction() for several.');
    return statement;
  }

  #counters(): { readonly changes: bigint; readonly total: bigint; readonly lastId: bigint } {
    const [changes, total, lastId] = this.#database
      .prepare('SELECT changes(), total_changes(), last_insert_rowid()', { returnArrays: true, readBigInts: true })
      .get() as unknown as [bigint, bigint, bigint];
    return { changes, total, lastId };
  }
}

function open(file: SqliteFile, mode: SqlMode, lockWaitMs: number): DatabaseSync {
  // A name that is misspelt would make a new, empty database.
  if (!existsSync(file.path)) throw new BatchError({ kind: 'unavailable', message: 'no such file' });
  try {
    return connect(file, mode, lockWaitMs);
  } catch (error) {
    if (!NEEDS_RECOVERY.has(sqliteCode(error))) throw asOpenError(error);
  }
  try {
    connect(file, 'write', lockWaitMs).close();
    return connect(file, mode, lockWaitMs);
  } catch (error) {
    throw asOpenError(error);
  }
}

function connect(file: SqliteFile, mode: SqlMode, lockWaitMs: number): DatabaseSync {
  const database = new DatabaseSync(file.path, {
    readOnly: mode === 'read',
    timeout: lockWaitMs,
    allowExtension: false,
    defensive: true,
    enableDoubleQuotedStringLiterals: false,
    limits: LIMITS,
  });
  try {
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY');
    // Reading the schema finds out whether this is a database, and whether its last writer left something to undo.
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    if (file.bytesMax !== null && mode === 'write') {
      const { page_size: pageBytes } = database.prepare('PRAGMA page_size').get() as { page_size: number };
      database.exec(`PRAGMA max_page_count = ${Math.floor(file.bytesMax / pageBytes)}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Statements without a parameter too many or too few; SQLite would take what is missing for NULL. */
function bind(statement: StatementSync, params: readonly SqlParam[]): Iterable<SQLOutputValue[]> {
  const values = params.map(bindingOf);
  // Binding comes before the first step, so an iterator that is not used has done nothing.
  if (takes(statement, [...values, null]) || !takes(statement, values))
    throw refused(`The statement takes a different number of parameters than the ${params.length} given.`);
  return statement.iterate(...values) as unknown as Iterable<SQLOutputValue[]>;
}

function takes(statement: StatementSync, values: readonly SQLInputValue[]): boolean {
  try {
    statement.iterate(...values);
    return true;
  } catch (error) {
    if (sqliteCode(error) === SQLITE_RANGE) return false;
    throw error;
  }
}

function bindingOf(param: SqlParam): SQLInputValue {
  if (typeof param === 'boolean') return param ? 1n : 0n;
  // A number goes in as what it looks like: 1 as an INTEGER, 1.5 as a REAL.
  if (typeof param === 'number') return Number.isSafeInteger(param) ? BigInt(param) : param;
  return param === null || typeof param === 'string' ? param : Buffer.from(param.base64, 'base64');
}

function jsonOf(value: SQLOutputValue): unknown {
  if (typeof value === 'bigint') return integerOf(value);
  if (typeof value === 'number') return floatOf(value);
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value;
}

function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0;
}

function asOpenError(error: unknown): BatchError {
  return new BatchError({ kind: 'unavailable', message: error instanceof Error ? error.message : String(error) });
}

function asBatchError(error: unknown): BatchError {
  if (error instanceof BatchError) return error;
  if (error instanceof CapPassed) return new BatchError({ kind: error.cap });
  const message = error instanceof Error ? error.message : String(error);
  const code = sqliteCode(error);
  const isBroken = code % 256 === SQLITE_CORRUPT || code % 256 === SQLITE_NOTADB;
  return new BatchError({ kind: isBroken ? 'unavailable' : 'sql', message });
}
