/** The SQLite file of the key-value stores. */
import type { DatabaseSync } from 'node:sqlite';
import { openDatabaseFile } from '../database-file.ts';

/** "PRKV": tells our file from any other database that somebody puts there. */
const APPLICATION_ID = 0x50524b56;

/**
 * `owner` is the session that a store belongs to, or empty for a shared one. `highest` is the highest version that any deleted key
 * of the store ever had; new keys start above it, so no version of a key comes twice, without a trace of every deleted key.
 * Keys are UTF-8, so that they are ordered by code points and may hold NUL.
 */
const SCHEMA = `
  CREATE TABLE store (
    store INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    keys INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    highest INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, name)
  ) STRICT;
  CREATE TABLE entry (
    store INTEGER NOT NULL REFERENCES store ON DELETE CASCADE,
    key BLOB NOT NULL,
    value TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (store, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE applied (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    call TEXT NOT NULL,
    request BLOB NOT NULL,
    answer TEXT NOT NULL,
    UNIQUE (session, call)
  ) STRICT;
`;

/** Opens the file, or makes it. Fails with UNAVAILABLE saying what to do, for the administrator. */
export function openKvFile(file: string): DatabaseSync {
  return openDatabaseFile(file, {
    what: 'The key-value stores',
    applicationId: APPLICATION_ID,
    migrations: [SCHEMA],
    remedy: 'Restore the file from a backup, or move it (with its -wal and -shm) away to start with empty stores.',
  });
}
