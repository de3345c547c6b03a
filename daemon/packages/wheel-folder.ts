/**
 * The folder of wheels that the policy names. A wheel is read once, and again when its file has changed.
 *
 * I1: a symbolic link is not followed, and what others than the administrator can write to is not read.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { otherWriters } from '../policy/policy-folder.ts';
import { readWheel, type Wheel, WheelProblem } from './wheel.ts';
import { WHEEL_LIMITS } from './wheel-limits.ts';
import { readWheelName, type WheelName } from './wheel-name.ts';

export interface FoundWheel {
  readonly file: string;
  readonly named: WheelName;
}

interface Reading {
  readonly stamp: string;
  readonly wheel: Wheel | WheelProblem;
}

export class WheelFolder {
  readonly path: string;
  readonly #readings = new Map<string, Reading>();

  constructor(path: string) {
    this.path = path;
  }

  /** Its wheels, by the names of their files. Fails with a `WheelProblem`. */
  list(): readonly FoundWheel[] {
    const names = attempt('cannot be read', () => {
      const stats = statSync(this.path);
      if (!stats.isDirectory()) throw new WheelProblem('is not a folder');
      requireClosed(stats);
      return wheelFiles(this.path);
    });
    if (names.length > WHEEL_LIMITS.folderFilesMax)
      throw new WheelProblem(`holds more than ${WHEEL_LIMITS.folderFilesMax} wheels`);
    for (const name of this.#readings.keys()) if (!names.includes(name)) this.#readings.delete(name);
    return names.flatMap((file) => {
      const named = readWheelName(file);
      return named === null ? [] : [{ file, named }];
    });
  }

  /** What was read and is not among these is read again when it is asked for. */
  keep(wheels: ReadonlySet<Wheel>): void {
    for (const [file, { wheel }] of this.#readings)
      if (wheel instanceof WheelProblem || !wheels.has(wheel)) this.#readings.delete(file);
  }

  /** Fails with a `WheelProblem`. */
  read(file: string): Wheel {
    const path = join(this.path, file);
    const stamp = stampOf(path);
    const known = this.#readings.get(file);
    const wheel = known?.stamp === stamp ? known.wheel : wheelAt(path, file);
    this.#readings.set(file, { stamp, wheel });
    if (wheel instanceof WheelProblem) throw wheel;
    return wheel;
  }
}

/** Changes whenever a wheel of the folder may have changed. Never throws. */
export function wheelsFingerprint(folder: string | null): string {
  if (folder === null) return '';
  try {
    return wheelFiles(folder)
      .slice(0, WHEEL_LIMITS.folderFilesMax)
      .map((name) => `${name} ${stampOf(join(folder, name))}`)
      .join('\n');
  } catch (error) {
    return `unreadable: ${(error as NodeJS.ErrnoException).code}`;
  }
}

const wheelFiles = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.whl'))
    .sort();

function stampOf(path: string): string {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 'gone';
  const { ino, size, mtimeMs, ctimeMs } = stats;
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

function wheelAt(path: string, file: string): Wheel | WheelProblem {
  try {
    return readWheel(
      file,
      attempt('it cannot be read', () => bytesOf(path)),
    );
  } catch (error) {
    if (error instanceof WheelProblem) return error;
    throw error;
  }
}

function bytesOf(path: string): Uint8Array {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new WheelProblem('it is not a regular file');
    requireClosed(stats);
    if (stats.size > WHEEL_LIMITS.fileBytesMax)
      throw new WheelProblem(`it is larger than ${WHEEL_LIMITS.fileBytesMax} bytes`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function requireClosed(stats: Stats): void {
  const writers = otherWriters(stats);
  if (writers !== null)
    throw new WheelProblem(`can be written by ${writers}, who could run code in every session; close it: chmod go-w`);
}

function attempt<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof WheelProblem) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw new WheelProblem('it is a symbolic link; put the file itself there');
    throw new WheelProblem(`${what} (${code ?? message})`);
  }
}
