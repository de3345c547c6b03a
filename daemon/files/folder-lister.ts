/**
 * Lists a folder, page by page, in the order of the names; with `recursive`, what a folder holds comes right after the folder
 * itself. So the last entry of a page is all that the next page has to know.
 *
 * I1: links are not followed, and what cannot be used is shown as `other`; blocked names are not shown.
 * I2: what one page reads is bounded, however large the tree is.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { Fault } from '../fault.ts';
import { isMissing, notAFolder, notFound } from './file-faults.ts';
import { FILE_LIMITS } from './file-limits.ts';
import type { HeldEntry } from './held-entry.ts';
import type { PathWalk } from './path-walk.ts';

export interface ListedEntry {
  readonly path: string;
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
  /** 0 for everything but files. */
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface ListOptions {
  readonly recursive: boolean;
  readonly entriesMax: number;
  /** The names, from the listed folder on, of the last entry of the page before. */
  readonly after: readonly string[] | null;
}

export interface ListedPage {
  readonly entries: readonly ListedEntry[];
  /** The names, from the listed folder on, of the last entry. */
  readonly last: readonly string[];
  readonly hasMore: boolean;
}

export async function listFolder(walk: PathWalk, names: readonly string[], options: ListOptions): Promise<ListedPage> {
  await using folder = await folderOrFault(walk, names);
  const lister = new FolderLister(walk, names, options);
  await lister.visit(folder, [], options.after);
  return { entries: lister.entries, last: lister.last, hasMore: lister.hasMore };
}

async function folderOrFault(walk: PathWalk, names: readonly string[]): Promise<HeldEntry> {
  const name = names.at(-1);
  if (name === undefined) return await walk.folder([]);
  {
    await using parent = await walk.folder(names.slice(0, -1));
    await using entry = await walk.entry(parent, name);
    if (entry === null) throw notFound();
    if (walk.shownKind(entry.stats) === 'file') throw notAFolder();
  }
  return await walk.folder(names);
}

class FolderLister {
  readonly entries: ListedEntry[] = [];
  last: readonly string[] = [];
  hasMore = false;
  readonly #walk: PathWalk;
  readonly #base: readonly string[];
  readonly #options: ListOptions;
  #namesRead = 0;

  constructor(walk: PathWalk, base: readonly string[], options: ListOptions) {
    this.#walk = walk;
    this.#base = base;
    this.#options = options;
  }

  /** @param after the names, from this folder on, of the entry that was listed last */
  async visit(folder: HeldEntry, above: readonly string[], after: readonly string[] | null): Promise<void> {
    for (const name of await this.#namesIn(folder, above, after?.[0] ?? '')) {
      this.#walk.step();
      const names = [...above, name];
      const isResumed = name === after?.[0];
      const stats = await statsOf(folder.at(name));
      if (stats === null) continue;
      const kind = this.#walk.shownKind(stats);
      if (!isResumed && !this.#list(names, name, kind, stats)) return;
      if (kind === 'directory' && this.#options.recursive) {
        await this.#enter(folder, names, isResumed && after.length > 1 ? after.slice(1) : null);
      }
      if (this.hasMore) return;
    }
  }

  async #enter(folder: HeldEntry, names: readonly string[], after: readonly string[] | null): Promise<void> {
    if (this.#base.length + names.length >= FILE_LIMITS.depthMax) return;
    if (this.#namesRead > FILE_LIMITS.directoryNamesMax && this.entries.length > 0) {
      this.hasMore = true;
      return;
    }
    await using child = await this.#walk.entry(folder, names.at(-1) ?? '');
    // Whatever has been put in its place since it was listed is not entered.
    if (child !== null && this.#walk.shownKind(child.stats) === 'directory') await this.visit(child, names, after);
  }

  /** False where the page is full. */
  #list(names: readonly string[], name: string, kind: ListedEntry['kind'], stats: BigIntStats): boolean {
    if (this.entries.length >= this.#options.entriesMax) {
      this.hasMore = true;
      return false;
    }
    this.entries.push({
      path: this.#pathOf(names),
      name,
      kind,
      bytes: kind === 'file' ? Number(stats.size) : 0,
      modifiedMs: Number(stats.mtimeMs),
    });
    this.last = names;
    return true;
  }

  /** In order, from the given name on; no more of them than this page can use. */
  async #namesIn(folder: HeldEntry, above: readonly string[], from: string): Promise<readonly string[]> {
    const names: string[] = [];
    let count = 0;
    for await (const { name } of await opendir(folder.path, { bufferSize: 1024 })) {
      if (++count > FILE_LIMITS.directoryNamesMax) {
        throw new Fault(
          'TOO_LARGE',
          `A folder with more than ${FILE_LIMITS.directoryNamesMax} names cannot be listed.`,
          { limit: 'names', max: FILE_LIMITS.directoryNamesMax },
        );
      }
      if (name >= from && this.#isShown(name, above)) names.push(name);
    }
    this.#namesRead += count;
    await folder.check();
    // One may have been listed already, and one more tells that more follow.
    return names.sort().slice(0, this.#options.entriesMax - this.entries.length + 2);
  }

  #isShown(name: string, above: readonly string[]): boolean {
    return !this.#walk.isBlocked(name) && Buffer.byteLength(this.#pathOf([...above, name])) <= FILE_LIMITS.pathBytesMax;
  }

  #pathOf(names: readonly string[]): string {
    return `/${[this.#walk.root.name, ...this.#base, ...names].join('/')}`;
  }
}

/** Null for what has gone meanwhile, and for names that are not Unicode, which no virtual path can say. */
async function statsOf(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
