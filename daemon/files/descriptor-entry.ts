/**
 * Entries held by descriptor, as Linux can. A name is looked up in the very directory that was opened before, through
 * `/proc/self/fd`, which is what openat(2) does; nobody who renames or replaces things meanwhile can lead the walk elsewhere.
 *
 * I1: what is looked at is opened with O_PATH, which follows no link, wakes no device and waits for no pipe; only what has then
 *     been seen to be a regular file is opened for its contents.
 * I2: a descriptor is closed only when no call that names it is under way.
 */
import { type BigIntStats, constants, existsSync } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { isMissing } from './file-faults.ts';
import { type EntryKind, type HeldEntry, kindOf } from './held-entry.ts';

/** Has the same value on every processor that Node runs on, and no name in `node:fs`. */
const O_PATH = 0o10000000;
/** What the kernel puts after the path of a file that has lost its name. */
const DELETED = ' (deleted)';

/** Whether the system has what this module needs. */
export const canHoldDescriptors: boolean = process.platform === 'linux' && existsSync('/proc/self/fd');

export class DescriptorEntry implements HeldEntry {
  readonly kind: EntryKind;
  readonly stats: BigIntStats;
  readonly path: string;
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle, stats: BigIntStats) {
    this.#handle = handle;
    this.stats = stats;
    this.kind = kindOf(stats);
    this.path = `/proc/self/fd/${handle.fd}`;
  }

  static async hold(path: string): Promise<DescriptorEntry> {
    const handle = await open(path, O_PATH | constants.O_NOFOLLOW);
    try {
      return new DescriptorEntry(handle, await handle.stat({ bigint: true }));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  at(name: string): string {
    return `${this.path}/${name}`;
  }

  async find(name: string): Promise<HeldEntry | null> {
    try {
      return await DescriptorEntry.hold(this.at(name));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  open(flags: number): Promise<FileHandle> {
    return open(this.path, flags | constants.O_NONBLOCK | constants.O_NOCTTY);
  }

  async names(count: number): Promise<readonly string[]> {
    const names = (await readlink(this.path)).split('/').slice(-count);
    const last = names.at(-1);
    return last?.endsWith(DELETED) ? [...names, last.slice(0, -DELETED.length)] : names;
  }

  /** A held directory stays the same directory. */
  check(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
