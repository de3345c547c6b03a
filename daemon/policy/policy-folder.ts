/**
 * One folder of policy files: read as a whole, replaced as a whole.
 *
 * I1: a symbolic link is never followed, neither in reading nor in writing.
 * I2: whoever is neither the administrator nor this daemon's own group cannot have written what is read.
 * I3: at every moment, a crash included, the folder or its predecessor, under another name beside it, is there as a whole.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PolicyFile } from '../../policies/parse.ts';
import { Fault } from '../fault.ts';

/** What a policy file may be called. */
export const FILE_NAME = /^[a-z0-9_-]{1,64}\.yaml$/;

const FILES_MAX = 64;
/** More than the parser takes, so that a file which is too long is refused by it and named. */
const FILE_BYTES_MAX = 260 * 1024;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** The policy files of a folder, by name. Fails with UNAVAILABLE and a sentence that says what to mend. */
export function readPolicyFolder(folder: string, options: { readonly checkModes: boolean }): readonly PolicyFile[] {
  return attempt(`The policy files in ${folder} cannot be read`, () => {
    if (options.checkModes) requireClosed(folder, lstatSync(folder));
    const names = policyNames(folder);
    if (names.length > FILES_MAX) {
      throw refusal(`${folder} holds ${names.length} policy files; a policy has at most ${FILES_MAX}.`);
    }
    return names.map((name) => ({ name, text: readText(join(folder, name), options.checkModes) }));
  });
}

/** Changes whenever a file of the folder may have changed. Never throws: a folder that cannot be read is one state of it. */
export function fingerprint(folder: string): string {
  try {
    const { ino, mode } = lstatSync(folder);
    const files = readdirSync(folder)
      .filter(isPolicyName)
      .sort()
      .slice(0, FILES_MAX * 4)
      .map((name) => stampOf(name, lstatSync(join(folder, name), { throwIfNoEntry: false })));
    return [ino, mode, ...files].join('\n');
  } catch (error) {
    return `unreadable: ${(error as NodeJS.ErrnoException).code}`;
  }
}

/** Puts these files in the place of the folder's policy files. What else is in it stays. Fails with UNAVAILABLE. */
export function replacePolicyFolder(folder: string, files: readonly PolicyFile[]): void {
  attempt(`The policy cannot be written to ${folder}`, () => {
    finishReplacement(folder);
    const next = beside(folder, 'next');
    rmSync(next, { recursive: true, force: true });
    mkdirSync(next, { mode: FOLDER_MODE });
    for (const { name, text } of files) writeText(join(next, name), text);
    syncFolder(next, FOLDER_MODE);
    const current = lstatSync(folder, { throwIfNoEntry: false });
    if (current !== undefined && !current.isDirectory()) throw refusal(`${folder} is not a directory; move it away.`);
    try {
      if (current !== undefined) renameSync(folder, beside(folder, 'previous'));
      renameSync(next, folder);
      syncFolder(dirname(folder));
    } finally {
      finishReplacement(folder);
    }
  });
}

/** Brings a replacement to its end that a failure or a crash may have cut off: the new folder where it is there, else the old one. */
export function finishReplacement(folder: string): void {
  attempt(`What an unfinished replacement of ${folder} left behind cannot be cleared away`, () => clearAway(folder));
}

function clearAway(folder: string): void {
  const previous = beside(folder, 'previous');
  if (!lstatSync(previous, { throwIfNoEntry: false })?.isDirectory()) return;
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) {
    renameSync(previous, folder);
    return;
  }
  for (const name of readdirSync(previous)) {
    const from = join(previous, name);
    const to = join(folder, name);
    // Version control, a README: not ours to remove.
    if (FILE_NAME.test(name)) unlinkSync(from);
    else if (lstatSync(to, { throwIfNoEntry: false }) === undefined) renameSync(from, to);
  }
  rmdirSync(previous);
}

/** Files that are meant to be part of the policy; those that begin with a dot are an editor's. */
function isPolicyName(name: string): boolean {
  return !name.startsWith('.') && /\.ya?ml$/i.test(name);
}

/** Beside the folder, so that it is on the same file system, under a name that nobody else uses. */
function beside(folder: string, what: 'next' | 'previous'): string {
  return join(dirname(folder), `.${basename(folder)}.pyrepl3-${what}`);
}

function policyNames(folder: string): string[] {
  const names = readdirSync(folder).filter(isPolicyName).sort();
  for (const name of names) {
    if (FILE_NAME.test(name)) continue;
    throw refusal(
      `${JSON.stringify(name)} in ${folder} is not named as policy files are: lower-case letters, digits, _ and -, then .yaml. Rename it, or move it away.`,
    );
  }
  return names;
}

function readText(path: string, checkModes: boolean): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error;
    throw refusal(
      `${path} is a symbolic link, which anyone who owns its target could change; put the file itself there.`,
    );
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw refusal(`${path} is not a regular file; move it away.`);
    if (checkModes) requireClosed(path, stats);
    return decode(path, readBytes(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function readBytes(descriptor: number): Buffer {
  const bytes = Buffer.alloc(FILE_BYTES_MAX);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) {
    read = readSync(descriptor, bytes, length, bytes.length - length, null);
  }
  return bytes.subarray(0, length);
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refusal(`${path} is not UTF-8 text.`);
  }
}

function requireClosed(path: string, stats: Stats): void {
  const writers = otherWriters(stats);
  if (writers === null) return;
  throw refusal(
    `${path} can be written by ${writers}, so whoever likes could grant himself anything. Close it with: chmod go-w '${path.replaceAll("'", "'\\''")}'`,
  );
}

/**
 * Who can write to a file beside its owner; null where nobody can. Open to a group is open to others, unless it is the group that
 * this daemon itself works as.
 */
export function otherWriters({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): string | null {
  const byAll = (mode & 0o002) !== 0;
  const byGroup = (mode & 0o020) !== 0 && gid !== process.getegid?.();
  if (!byAll && !byGroup) return null;
  return `${byAll ? 'every user' : 'another group'} (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`;
}

function stampOf(name: string, stats: Stats | undefined): string {
  return stats === undefined
    ? name
    : `${name} ${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs} ${stats.mode}`;
}

function writeText(path: string, text: string): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const descriptor = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
  try {
    // Whatever the umask is: the mode of a policy is part of what it says.
    fchmodSync(descriptor, FILE_MODE);
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncFolder(path: string, mode?: number): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    if (mode !== undefined) fchmodSync(descriptor, mode);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function refusal(message: string): Fault {
  return new Fault('UNAVAILABLE', message);
}

function attempt<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('UNAVAILABLE', `${what}: ${(error as Error).message}`, undefined, { cause: error });
  }
}
