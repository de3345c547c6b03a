/**
 * One root as one session has it: the folder, what the session wrote there, and the order of its changes.
 *
 * I1: one change at a time; the next begins when nothing of the last one runs any more, so that what is counted is what is there.
 * I2: a private folder is made at its first use, closed to everyone else, and counted where it has been there before.
 */
import { lstat, mkdir, opendir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Volume } from './root-volumes.ts';
import { UsageLedger } from './usage-ledger.ts';

export class SessionRoot {
  readonly name: string;
  readonly path: string;
  /** What the folder must be; null for a private one, which nobody else can replace. */
  readonly identity: string | null;
  readonly ledger = new UsageLedger();
  readonly #running = new Set<Promise<void>>();
  #lastChange: Promise<void> = Promise.resolve();
  #made: Promise<void> | undefined;
  #isClosed = false;

  /** @param privatePath where it lies if it is the session's own */
  constructor(name: string, volume: Volume, privatePath: string) {
    this.name = name;
    this.path = volume.kind === 'private' ? privatePath : volume.path;
    this.identity = volume.kind === 'private' ? null : volume.identity;
  }

  get isPrivate(): boolean {
    return this.identity === null;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What runs stops at its next step, and nothing else begins. Resolves when nothing runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Says that something runs; the answer is to be called when it has ended. */
  begin(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running.add(promise);
    return () => {
      this.#running.delete(promise);
      resolve();
    };
  }

  /** The same, once no other change runs. */
  async beginChange(): Promise<() => void> {
    const before = this.#lastChange;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#lastChange = promise;
    const end = this.begin();
    await before;
    return () => {
      end();
      resolve();
    };
  }

  async prepare(): Promise<void> {
    if (!this.isPrivate) return;
    this.#made ??= this.#make();
    try {
      await this.#made;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }

  async #make(): Promise<void> {
    const made = await mkdir(this.path, { recursive: true, mode: 0o700 });
    if (made !== undefined) return;
    for await (const entry of await opendir(this.path, { recursive: true })) {
      const path = join(entry.parentPath, entry.name);
      this.ledger.set(relative(this.path, path), entry.isFile() ? (await lstat(path)).size : 0);
    }
  }
}
