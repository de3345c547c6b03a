/**
 * The directory that a daemon has to itself while it lives.
 *
 * I1: it is a real directory of our own user, closed to everyone else; what another could have put there is never trusted.
 * I2: one daemon at a time: the lock is the kernel's, and goes with the process however that ends.
 * I3: a path is unlinked only where it is a socket of ours that nobody answers.
 */
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { ADMIN_SOCKET, CLIENT_SOCKET } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { type ExclusiveLock, takeExclusiveLock } from './exclusive-lock.ts';

/** `sun_path` holds 108 bytes with its end mark; a longer path would be cut off without a word. */
const SOCKET_PATH_BYTES_MAX = 107;
const LOCK_FILE = 'daemon.lock';
const PID_FILE = 'daemon.pid';

export interface StateDirectory {
  readonly path: string;
  readonly clientSocket: string;
  readonly adminSocket: string;
  /** Gives the directory up. Sockets must have been closed before. */
  release(): void;
}

/**
 * Makes the state directory ready for this process: creates it where it is missing, checks that it is ours alone, takes
 * its lock and clears away the sockets of a daemon that died.
 *
 * Fails with UNAVAILABLE and a sentence that says what is wrong and how to mend it.
 */
export async function openStateDirectory(directory: string): Promise<StateDirectory> {
  if (directory.includes('\0')) throw refusal('The path of the state directory holds a NUL character.');
  const path = resolve(directory);
  const clientSocket = join(path, CLIENT_SOCKET);
  const adminSocket = join(path, ADMIN_SOCKET);
  for (const socket of [clientSocket, adminSocket]) requireShort(socket);
  create(path);
  requireOurs(path);
  const lock = takeLock(path);
  try {
    for (const socket of [clientSocket, adminSocket]) await clearStaleSocket(socket);
    const pidFile = join(path, PID_FILE);
    writePid(pidFile);
    return {
      path,
      clientSocket,
      adminSocket,
      release: () => {
        rmSync(pidFile, { force: true });
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Whether a daemon has died in the directory without ending, or runs in it. */
export function wasLeft(directory: string): boolean {
  return existsSync(join(directory, PID_FILE));
}

function refusal(message: string): Fault {
  return new Fault('UNAVAILABLE', message);
}

function requireShort(socket: string): void {
  const bytes = Buffer.byteLength(socket);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  throw refusal(
    `The socket path ${socket} has ${bytes} bytes; the system allows ${SOCKET_PATH_BYTES_MAX}. Choose a shorter directory with --state-dir.`,
  );
}

function create(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // Something else of that name is looked at next, and refused for what it is.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw refusal(`Cannot create the state directory ${path}: ${(error as Error).message}`);
  }
}

function requireOurs(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) {
    throw refusal(`${path} is a symbolic link; name the directory itself with --state-dir.`);
  }
  if (!stats.isDirectory())
    throw refusal(`${path} is not a directory; move it away, or choose another with --state-dir.`);
  requireOwner(path, stats);
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw refusal(`${path} is open to other users (mode ${mode}). Close it with: chmod 700 ${shellQuoted(path)}`);
  }
  requireSafeParents(path);
}

/** Whoever may write to a parent directory can put another directory in place of ours, unless the sticky bit forbids it. */
function requireSafeParents(path: string): void {
  for (let parent = dirname(realpathSync(path)); ; parent = dirname(parent)) {
    const { mode } = lstatSync(parent);
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
      throw refusal(
        `Every user may replace what is in ${parent}, so ${path} is not safe there. Close it with: chmod o-w ${shellQuoted(parent)}`,
      );
    }
    if (parent === dirname(parent)) return;
  }
}

function requireOwner(path: string, stats: Stats): void {
  const uid = process.getuid?.();
  if (stats.uid === uid) return;
  throw refusal(
    `${path} belongs to another user (uid ${stats.uid}, this daemon runs as ${uid}); choose another --state-dir.`,
  );
}

function takeLock(path: string): ExclusiveLock {
  const file = join(path, LOCK_FILE);
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats !== undefined) requireOwnFile(file, stats);
  const umask = process.umask(0o077);
  let lock: ExclusiveLock | null;
  try {
    lock = takeExclusiveLock(file);
  } catch (error) {
    throw refusal(`Cannot lock ${file}: ${(error as Error).message}. Where no daemon runs, move that file away.`);
  } finally {
    process.umask(umask);
  }
  if (lock !== null) return lock;
  const pid = readPid(join(path, PID_FILE));
  throw new Fault(
    'UNAVAILABLE',
    `Another daemon${pid === null ? '' : ` (process ${pid})`} is already running on ${path}. Use it, stop it, or choose another --state-dir.`,
    pid === null ? {} : { pid },
  );
}

function requireOwnFile(file: string, stats: Stats): void {
  if (!stats.isFile()) throw refusal(`${file} is not a regular file; move it away.`);
  requireOwner(file, stats);
}

function writePid(file: string): void {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats !== undefined) requireOwnFile(file, stats);
  writeFileSync(file, `${process.pid}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
}

function readPid(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8').slice(0, 16));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    // The other daemon is just starting or stopping.
    return null;
  }
}

async function clearStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw refusal(`${path} is there already and is not a socket; move it away.`);
  requireOwner(path, stats);
  if (await somebodyAnswers(path)) {
    throw refusal(`Another program listens on ${path}; stop it, or choose another --state-dir.`);
  }
  rmSync(path);
}

/** Only a refused connection proves that nobody listens. */
async function somebodyAnswers(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

function shellQuoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}
