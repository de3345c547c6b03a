/**
 * Entries known by path, for systems without descriptors that paths can go through (macOS). Every use is checked against the
 * identity that was found: no component of the path may be a link, and what was opened must be what stands there afterwards.
 *
 * That catches whatever is replaced once. Someone with rights to the folders themselves who replaces a component and puts it back
 * several times, at just the right moments, can still lead a write elsewhere; on such a system a root belongs where only the
 * daemon's user may rename things. Names must be written as the file system spells them.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing, notFound } from './file-faults.ts';
import { type EntryKind, type HeldEntry, identityOf, kindOf } from './held-entry.ts';

export class CheckedEntry implements HeldEntry {
  readonly kind: EntryKind;
  readonly stats: BigIntStats;
  readonly path: string;

  private constructor(path: string, stats: BigIntStats) {
    this.path = path;
    this.stats = stats;
    this.kind = kindOf(stats);
  }

  /** @param path without links in it */
  static async hold(path: string): Promise<CheckedEntry> {
    const entry = new CheckedEntry(path, await lstat(path, { bigint: true }));
    if (entry.kind !== 'link') await entry.check();
    return entry;
  }

  at(name: string): string {
    return join(this.path, name);
  }

  async find(name: string): Promise<HeldEntry | null> {
    try {
      const entry = await CheckedEntry.hold(this.at(name));
      await this.check();
      return entry;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async open(flags: number): Promise<FileHandle> {
    const handle = await open(this.path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      if (identityOf(await handle.stat({ bigint: true })) !== identityOf(this.stats)) throw notFound();
      await this.check();
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The path is the real one, see `check`. */
  names(count: number): Promise<readonly string[]> {
    return Promise.resolve(this.path.split('/').slice(-count));
  }

  async check(): Promise<void> {
    const stats = await lstat(this.path, { bigint: true });
    if (identityOf(stats) !== identityOf(this.stats) || (await realpath(this.path)) !== this.path) throw notFound();
  }

  /** Holds nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
