/** What stands under a name, held while it is looked at and used, so that what was checked is what is used. */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

export type EntryKind = 'file' | 'directory' | 'link' | 'other';

export interface HeldEntry extends AsyncDisposable {
  readonly kind: EntryKind;
  readonly stats: BigIntStats;
  /** The path by which `node:fs` reaches a name in this directory; the last step of it may be a link. */
  at(name: string): string;
  /** The path by which `node:fs` reaches this directory itself. */
  readonly path: string;
  /** What has this name in this directory; null where nothing has. Links are not followed, devices are not touched. */
  find(name: string): Promise<HeldEntry | null>;
  /** Opens this very file. */
  open(flags: number): Promise<FileHandle>;
  /** The last `count` names on the way here as the file system spells them, which may not be how they were asked for. */
  names(count: number): Promise<readonly string[]>;
  /** Rejects where the entry is no longer where it was found, on systems where that makes a difference. */
  check(): Promise<void>;
}

export function kindOf(stats: BigIntStats): EntryKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

/** Tells a directory or a file from every other one of the machine. */
export function identityOf({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`;
}
