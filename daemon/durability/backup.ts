/** Copies a SQLite file that is in use: all of one moment, without keeping whoever writes to it waiting. */
import { closeSync, constants, fsyncSync, openSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { Fault } from '../fault.ts';

/** In one step: a copy that is made in several begins anew whenever something was written between two of them. */
const ALL_PAGES = 2 ** 31 - 1;

/**
 * @param to an absolute path, where nothing may be; the file has mode 0600
 * @returns the size of the copy in bytes
 *
 * Fails with INVALID_PARAMS where the file cannot be made, and with UNAVAILABLE where it cannot be filled; nothing is left then.
 */
export async function copyInUse(from: string, to: string): Promise<number> {
  makeFile(from, to);
  // A connection of its own reads what is committed, from another thread, while ours goes on writing.
  const source = new DatabaseSync(from, { readOnly: true });
  try {
    await backup(source, to, { rate: ALL_PAGES });
    sync(to);
    sync(dirname(to));
    return statSync(to).size;
  } catch (error) {
    for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${to}${suffix}`, { force: true });
    throw new Fault('UNAVAILABLE', `The copy ${to} could not be made: ${(error as Error).message}`, undefined, {
      cause: error,
    });
  } finally {
    source.close();
  }
}

function makeFile(from: string, to: string): void {
  const refuse = (why: string, cause?: unknown): Fault =>
    new Fault('INVALID_PARAMS', `A backup cannot be written to ${to}: ${why}.`, { file: to }, { cause });
  try {
    if (join(realpathSync(dirname(to)), basename(to)).startsWith(`${realpathSync(from)}-`))
      throw refuse('files of that name are part of the one that is in use');
    closeSync(openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600));
  } catch (error) {
    if (error instanceof Fault) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw refuse(code === 'EEXIST' ? 'there is something of that name, and a backup replaces nothing' : message, error);
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
