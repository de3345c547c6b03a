/**
 * Keeps the state of CPython after its start in a file, so that hosts need not start it themselves: made once for each version, by
 * a process that runs nobody's code.
 *
 * I1: what a host says is never written; it says at most that a snapshot is missing, or that one is used, whose time is then renewed.
 * I2: a file is there as a whole or not at all. Hosts check its hash.
 * I3: several daemons share the folder. A file that one removes while another uses it costs that one a start of CPython, no more.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

const NAME = /^python-[0-9a-f]{64}\.snapshot$/;
const NAME_LENGTH_MAX = 100;
/** What is kept of the state of CPython is 16 MB. */
const BYTES_MAX = 128 * 1024 * 1024;
const MAKING_MS_MAX = 180_000;
/** What a daemon that was killed has left behind. */
const UNFINISHED = /^\.python-.*\.snapshot\.\d+$/;
/** Of versions that are not installed any more. Those that are used are told of by every host that starts with one. */
const UNUSED_MS_MAX = 30 * 24 * 60 * 60 * 1000;
/** The descriptor of what is handed over, as `sandbox/python/snapshot-main.ts` knows it too. */
const INPUT = 3;

/** The folder of the snapshots, made where it is not there; null where it cannot be: then hosts do without. */
export function snapshotFolder(cacheDir: string | null): string | null {
  if (cacheDir === null) return null;
  try {
    const folder = join(cacheDir, 'python');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch {
    return null;
  }
}

export class PythonSnapshots {
  readonly #folder: string | null;
  readonly #start: () => ChildProcess;
  #child: ChildProcess | undefined;
  #making: Promise<void> | undefined;
  /** Path of the file that this daemon has made. */
  #made: string | undefined;
  #failed = false;
  #tidied = false;

  /** @param start starts the process that makes a snapshot */
  constructor(folder: string | null, start: () => ChildProcess) {
    this.#folder = folder;
    this.#start = start;
  }

  /**
   * A host found no snapshot. One is made, by one process at a time; settles when it is there, or cannot be made. Where it could not
   * be made once, this daemon does not try again.
   */
  missing(): Promise<void> {
    const folder = this.#folder;
    if (folder === null || this.#failed) return Promise.resolve();
    this.#making ??= this.#keep(folder).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #keep(folder: string): Promise<void> {
    // Hosts that started side by side have all found none, and some say so late.
    if (this.#made !== undefined && existsSync(this.#made)) return;
    this.#made = await this.#make(folder).catch(() => undefined);
    this.#failed = this.#made === undefined;
  }

  /** A host goes on from this snapshot, which is therefore not to be removed; those that nobody uses any more are. */
  async used(name: string): Promise<void> {
    if (this.#folder === null || !NAME.test(name)) return;
    const now = new Date();
    // Another daemon may have removed it in this moment.
    await utimes(join(this.#folder, name), now, now).catch(() => undefined);
    if (this.#tidied) return;
    this.#tidied = true;
    await removeOld(this.#folder).catch(() => undefined);
  }

  async #make(folder: string): Promise<string | undefined> {
    await removeOld(folder);
    const child = this.#start();
    this.#child = child;
    const deadline = setTimeout(() => this.close(), MAKING_MS_MAX);
    try {
      const output = child.stdio[INPUT] as Readable;
      let length = 0;
      output.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > BYTES_MAX) this.close();
      });
      const bytes = await buffer(output);
      const end = bytes.subarray(0, NAME_LENGTH_MAX).indexOf('\n');
      const name = bytes.subarray(0, Math.max(0, end)).toString();
      if (length > BYTES_MAX || !NAME.test(name)) return undefined;
      const unfinished = join(folder, `.${name}.${process.pid}`);
      try {
        await writeFile(unfinished, bytes.subarray(end + 1), { mode: 0o600 });
        const path = join(folder, name);
        await rename(unfinished, path);
        return path;
      } finally {
        await rm(unfinished, { force: true });
      }
    } finally {
      clearTimeout(deadline);
      this.close();
    }
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}

/** Removes what was left unfinished, and snapshots that have not been used for long. */
async function removeOld(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const ageMsMax = ageMax(name);
    if (ageMsMax === null) continue;
    const path = join(folder, name);
    // Another daemon may be removing it too.
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ageMsMax) await rm(path, { force: true });
  }
}

/** Milliseconds; null for what is no file of ours. */
function ageMax(name: string): number | null {
  if (UNFINISHED.test(name)) return MAKING_MS_MAX;
  return NAME.test(name) ? UNUSED_MS_MAX : null;
}
