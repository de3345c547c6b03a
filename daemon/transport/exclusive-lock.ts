import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const SQLITE_BUSY = 5;

export interface ExclusiveLock {
  release(): void;
}

/**
 * Takes a lock on the file at `path` that the kernel drops when this process dies, however it dies. Node has no call for
 * file locks; SQLite's exclusive mode is one, and it also keeps a second opener in the same process out.
 *
 * Returns null where someone else holds it. Throws SQLite's own error where the file cannot be opened or is not SQLite's.
 */
export function takeExclusiveLock(path: string): ExclusiveLock | null {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return null;
    throw error;
  }
  return {
    // The file itself stays: unlinking a lock file lets two processes lock two different files of the same name.
    release: () => {
      database.close();
      rmSync(`${path}-journal`, { force: true });
    },
  };
}
