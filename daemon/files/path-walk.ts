/**
 * The way from a root to what a virtual path names, one folder at a time.
 *
 * I1: nothing on the way is a link, and nothing that is used lies on another file system, in the daemon's own folders, or under a
 *     blocked name, as the path spells it and as the file system does.
 * I2: all of that is refused in one wording, see `file-faults.ts`.
 */
import type { BigIntStats } from 'node:fs';
import { Fault } from '../fault.ts';
import { fileDenied, notAFile, notFound } from './file-faults.ts';
import type { Step } from './file-slots.ts';
import { type HeldEntry, identityOf, kindOf } from './held-entry.ts';
import type { SessionRoot } from './session-root.ts';
import { isBlocked } from './virtual-path.ts';

export interface WalkRules {
  readonly capability: string;
  readonly blocked: readonly string[];
  /** Identities of folders that are the daemon's own. */
  readonly forbidden: ReadonlySet<string>;
  /** Holds what stands at a path of the machine. */
  readonly hold: (path: string) => Promise<HeldEntry>;
  readonly step: Step;
}

/** Makes a folder that is missing on the way. */
export type MakeFolder = (parent: HeldEntry, names: readonly string[]) => Promise<HeldEntry | null>;

export class PathWalk {
  readonly root: SessionRoot;
  readonly #rules: WalkRules;
  #device = 0n;

  constructor(root: SessionRoot, rules: WalkRules) {
    this.root = root;
    this.#rules = rules;
  }

  get step(): Step {
    return this.#rules.step;
  }

  /** The folder of these names under the root; the caller disposes of it. */
  async folder(names: readonly string[], make?: MakeFolder): Promise<HeldEntry> {
    let here = await this.#hold();
    try {
      for (const [i, name] of names.entries()) {
        this.step();
        const next = (await here.find(name)) ?? (await make?.(here, names.slice(0, i + 1))) ?? null;
        if (next === null) throw notFound();
        const last = here;
        here = next;
        await last[Symbol.asyncDispose]();
        this.#assertFolder(here);
      }
      await this.#assertSpelling(here, names.length);
      return here;
    } catch (error) {
      await here[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What has this name in a folder that was walked to; null where nothing has. The caller disposes of it. */
  async entry(folder: HeldEntry, name: string): Promise<HeldEntry | null> {
    this.step();
    const entry = await folder.find(name);
    try {
      if (entry !== null) await this.#assertSpelling(entry, 1);
      return entry;
    } catch (error) {
      await entry?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A file with a second name may be one from outside, given a name in here by whoever wants it read or written. */
  assertFile(entry: HeldEntry): void {
    const shown = this.shownKind(entry.stats);
    if (shown === 'directory') throw notAFile();
    if (shown !== 'file') throw this.denied();
  }

  /** What can be used as what; everything else is `other`. */
  shownKind(stats: BigIntStats): 'file' | 'directory' | 'other' {
    const kind = kindOf(stats);
    if (stats.dev !== this.#device || this.#rules.forbidden.has(identityOf(stats))) return 'other';
    if (kind === 'file') return stats.nlink > 1n ? 'other' : 'file';
    return kind === 'directory' ? 'directory' : 'other';
  }

  isBlocked(name: string): boolean {
    return isBlocked(name, this.#rules.blocked);
  }

  denied(): Fault {
    return fileDenied(this.#rules.capability);
  }

  async #hold(): Promise<HeldEntry> {
    const held = await this.#rules.hold(this.root.path);
    const { identity } = this.root;
    if (held.kind === 'directory' && (identity === null || identityOf(held.stats) === identity)) {
      this.#device = held.stats.dev;
      return held;
    }
    await held[Symbol.asyncDispose]();
    throw new Fault(
      'UNAVAILABLE',
      `The folder of the root "${this.root.name}" has been replaced since the policy was loaded; an administrator has to load it again.`,
    );
  }

  #assertFolder(entry: HeldEntry): void {
    // A file on the way is no secret and no danger: there is nothing under it.
    if (this.shownKind(entry.stats) === 'file') throw notFound();
    if (this.shownKind(entry.stats) !== 'directory') throw this.denied();
  }

  /** A file system that takes several spellings for one name must not lead around a blocked one. */
  async #assertSpelling(entry: HeldEntry, count: number): Promise<void> {
    if (count === 0) return;
    const names = await entry.names(count);
    if (names.some((name) => this.isBlocked(name))) throw this.denied();
  }
}
