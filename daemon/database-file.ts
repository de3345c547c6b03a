/**
 * A SQLite file of the daemon's own: how it is opened, and what must be true of it.
 *
 * I1: a file of another program, of another version or of a damaged disk is refused with a sentence that says what to do, and is
 * left as it was.
 */
import { closeSync, constants, openSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from './fault.ts';

/** Another program that reads the file, such as a backup, may hold it this long before a call fails; the daemon stands still meanwhile. */
const LOCKED_MS_MAX = 250;
/** Files up to this size are read through at the start; a larger one would keep the daemon from starting for seconds. */
const CHECKED_BYTES_MAX = 256 * 1024 * 1024;

export interface DatabaseFileKind {
  /** What is in it, for people: "the key-value stores". */
  readonly what: string;
  /** Four bytes that tell our file from any other database that somebody puts there. */
  readonly applicationId: number;
  /** The statements that take the schema from version `index` to `index + 1`; the last one makes the newest. */
  readonly migrations: readonly string[];
  /** What to do with a file that cannot be used. */
  readonly remedy: string;
}

/** Opens the file, or makes it, with mode 0600; `null` is a database in memory. Fails with UNAVAILABLE, for the administrator. */
export function openDatabaseFile(file: string | null, kind: DatabaseFileKind): DatabaseSync {
  const shown = file ?? 'memory';
  let database: DatabaseSync | undefined;
  try {
    if (file !== null) closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
    database = new DatabaseSync(file ?? ':memory:', { timeout: LOCKED_MS_MAX, enableForeignKeyConstraints: true });
    prepare(database, shown, kind);
    // With a write-ahead log, a transaction that was answered survives the death of the daemon without waiting for the disk. A power
    // failure can take the last ones, and never damages the file. FULL would make every write wait for the disk on the only thread.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216');
    if (file !== null && statSync(file).size <= CHECKED_BYTES_MAX) checkPages(database, shown, kind);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof Fault) throw error;
    throw unusable(shown, kind, (error as Error).message, error);
  }
}

/** Removes what an earlier daemon has left of a file that holds nothing of its own. */
export function removeDatabaseFile(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
}

function prepare(database: DatabaseSync, file: string, kind: DatabaseFileKind): void {
  const { applicationId, migrations } = kind;
  const found = pragma(database, 'application_id');
  const version = pragma(database, 'user_version');
  const isNew = found === 0 && version === 0 && pragma(database, 'schema_version') === 0;
  if (!isNew && found !== applicationId) throw unusable(file, kind, 'it is a database of another program');
  if (version > migrations.length)
    throw unusable(
      file,
      kind,
      `a newer version of pyrepl3 wrote it (its schema is ${version}, ours ${migrations.length})`,
    );
  if (!isNew && version < 1) throw unusable(file, kind, 'its version is not known');
  if (version === migrations.length) return;
  const steps = migrations.slice(version).join('\n');
  database.exec(
    `BEGIN IMMEDIATE; ${steps} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`,
  );
}

function checkPages(database: DatabaseSync, file: string, kind: DatabaseFileKind): void {
  const result = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
  if (result !== 'ok') throw unusable(file, kind, `it is damaged (${String(result)})`);
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function unusable(file: string, { what, remedy }: DatabaseFileKind, why: string, cause?: unknown): Fault {
  return new Fault('UNAVAILABLE', `${what} in ${file} cannot be used: ${why}. ${remedy}`, undefined, { cause });
}
