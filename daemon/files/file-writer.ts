/**
 * Changes what is under a root. Nothing is ever opened for writing through a name that somebody else may have put there: contents
 * go into a new file, which then takes the name, or are appended to the very file that was checked.
 *
 * I1: files are made with mode 0600 and folders with 0700: no other user reads them, nobody runs them.
 * I2: whoever reads a file meanwhile sees it as it was, or as it is, and never half of it; but for `append`.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rmdir, unlink } from 'node:fs/promises';
import { Fault } from '../fault.ts';
import { alreadyThere, notAFile, notFound } from './file-faults.ts';
import { FILE_LIMITS } from './file-limits.ts';
import type { HeldEntry } from './held-entry.ts';
import type { PathWalk } from './path-walk.ts';
import type { UsageLimits } from './usage-ledger.ts';
import { OWN_NAME_PREFIX } from './virtual-path.ts';

export interface WriteOptions extends UsageLimits {
  readonly append: boolean;
  /** Fails where the file is there already. */
  readonly exclusive: boolean;
  readonly fileBytesMax: number;
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Answers the size of the file afterwards. Folders that are missing on the way are made. */
export async function writeWhole(
  walk: PathWalk,
  names: readonly string[],
  bytes: Uint8Array,
  options: WriteOptions,
): Promise<number> {
  const name = names.at(-1);
  if (name === undefined) throw notAFile();
  assertFits(bytes.length, options);
  await using folder = await walk.folder(names.slice(0, -1), (parent, path) => makeFolder(walk, parent, path, options));
  await using existing = await walk.entry(folder, name);
  if (existing !== null) walk.assertFile(existing);
  if (existing !== null && options.exclusive) throw alreadyThere();
  if (!options.append || options.exclusive) return await replace(walk, folder, names, bytes, options);
  return await append(walk, folder, existing, names, bytes, options);
}

/** Removes a file or an empty folder: the name only, whatever it turns out to stand for at that moment. */
export async function removeEntry(walk: PathWalk, names: readonly string[]): Promise<void> {
  const name = names.at(-1);
  if (name === undefined) throw walk.denied();
  await using folder = await walk.folder(names.slice(0, -1));
  await using entry = await walk.entry(folder, name);
  if (entry === null) throw notFound();
  const isFolder = walk.shownKind(entry.stats) === 'directory';
  if (!isFolder) walk.assertFile(entry);
  await folder.check();
  await (isFolder ? rmdir : unlink)(folder.at(name));
  walk.root.ledger.set(names.join('/'), null);
}

async function makeFolder(
  walk: PathWalk,
  parent: HeldEntry,
  names: readonly string[],
  limits: UsageLimits,
): Promise<HeldEntry | null> {
  const { ledger } = walk.root;
  const path = names.join('/');
  const name = names.at(-1) ?? '';
  ledger.reserve(path, 0, limits);
  try {
    await parent.check();
    await mkdir(parent.at(name), { mode: 0o700 });
  } catch (error) {
    ledger.set(path, null);
    // Somebody else was faster; what they made is looked at like everything else.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return await parent.find(name);
}

async function replace(
  walk: PathWalk,
  folder: HeldEntry,
  names: readonly string[],
  bytes: Uint8Array,
  options: WriteOptions,
): Promise<number> {
  const { ledger } = walk.root;
  const path = names.join('/');
  const before = ledger.has(path) ? ledger.bytesOf(path) : null;
  ledger.reserve(path, bytes.length, options);
  const target = folder.at(names.at(-1) ?? '');
  const temporary = folder.at(OWN_NAME_PREFIX + randomBytes(12).toString('hex'));
  let reserved = false;
  try {
    await folder.check();
    await writeNew(walk, temporary, bytes);
    if (options.exclusive) {
      // Taking the name fails where it is taken; renaming would not.
      await (await open(target, NEW_FILE, 0o600)).close();
      reserved = true;
    }
    walk.step();
    await folder.check();
    await rename(temporary, target);
    return bytes.length;
  } catch (error) {
    ledger.set(path, before);
    await unlinkQuietly(temporary);
    if (reserved) await unlinkQuietly(target);
    throw error;
  }
}

async function append(
  walk: PathWalk,
  folder: HeldEntry,
  existing: HeldEntry | null,
  names: readonly string[],
  bytes: Uint8Array,
  options: WriteOptions,
): Promise<number> {
  const { ledger } = walk.root;
  const path = names.join('/');
  if (existing !== null) assertFits(Number(existing.stats.size) + bytes.length, options);
  const before = ledger.has(path) ? ledger.bytesOf(path) : null;
  ledger.reserve(path, (before ?? 0) + bytes.length, options);
  let written = 0;
  let made: HeldEntry | null = null;
  try {
    made = existing === null ? await madeEmpty(walk, folder, names.at(-1) ?? '') : null;
    const target = existing ?? made;
    if (target === null) throw notFound();
    walk.assertFile(target);
    const size = Number(target.stats.size);
    const handle = await target.open(constants.O_WRONLY | constants.O_APPEND);
    try {
      await writeAll(walk, handle, bytes, (count) => {
        written += count;
      });
      if (!walk.root.isPrivate) await handle.sync();
    } finally {
      await handle.close();
    }
    return size + written;
  } catch (error) {
    // What was appended before it failed is there.
    const isCounted = before !== null || made !== null || written > 0;
    ledger.set(path, isCounted ? (before ?? 0) + written : null);
    throw error;
  } finally {
    await made?.[Symbol.asyncDispose]();
  }
}

async function madeEmpty(walk: PathWalk, folder: HeldEntry, name: string): Promise<HeldEntry | null> {
  try {
    await folder.check();
    await (await open(folder.at(name), NEW_FILE, 0o600)).close();
  } catch (error) {
    // Somebody else was faster; what they made is looked at like everything else.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return await walk.entry(folder, name);
}

async function writeNew(walk: PathWalk, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, NEW_FILE, 0o600);
  try {
    await writeAll(walk, handle, bytes, () => undefined);
    // A private folder does not outlive its session, so it need not outlive a power failure.
    if (!walk.root.isPrivate) await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(
  walk: PathWalk,
  handle: FileHandle,
  bytes: Uint8Array,
  onWritten: (count: number) => void,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    walk.step();
    const { bytesWritten } = await handle.write(bytes, done, Math.min(FILE_LIMITS.pieceBytes, bytes.length - done));
    done += bytesWritten;
    onWritten(bytesWritten);
  }
}

function assertFits(bytes: number, { fileBytesMax }: WriteOptions): void {
  if (bytes <= fileBytesMax) return;
  throw new Fault('TOO_LARGE', `The file would have ${bytes} bytes; the level allows ${fileBytesMax}.`, {
    limit: 'fileBytesMax',
    max: fileBytesMax,
  });
}

async function unlinkQuietly(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch {
    // It was not made, or its folder is gone; what failed before is what the caller is told.
  }
}
