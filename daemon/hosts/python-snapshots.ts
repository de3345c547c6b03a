/**
 * Keeps the state of CPython after its start in a file, so that hosts need not start it themselves: made once for each version, by
 * a process that runs nobody's code.
 *
 * I1: what a host says is never written; it is told at most that a snapshot is missing.
 * I2: a file is there as a whole or not at all. Hosts check its hash.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

const NAME = /^python-[0-9a-f]{64}\.snapshot$/;
const NAME_LENGTH_MAX = 100;
/** The state of CPython is 32 MB. */
const BYTES_MAX = 128 * 1024 * 1024;
const MAKING_MS_MAX = 180_000;
/** What a daemon that was killed has left behind. */
const UNFINISHED = /^\.python-.*\.snapshot\.\d+$/;
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
  #made: Promise<void> | undefined;

  /** @param start starts the process that makes a snapshot */
  constructor(folder: string | null, start: () => ChildProcess) {
    this.#folder = folder;
    this.#start = start;
  }

  /** A host found no snapshot. One is made, once in the life of a daemon; settles when it is there, or cannot be made. */
  missing(): Promise<void> {
    const folder = this.#folder;
    if (folder !== null) this.#made ??= this.#make(folder).catch(() => undefined);
    return this.#made ?? Promise.resolve();
  }

  async #make(folder: string): Promise<void> {
    await removeUnfinished(folder);
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
      if (length > BYTES_MAX || !NAME.test(name)) return;
      const unfinished = join(folder, `.${name}.${process.pid}`);
      try {
        await writeFile(unfinished, bytes.subarray(end + 1), { mode: 0o600 });
        await rename(unfinished, join(folder, name));
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

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of (await readdir(folder)).filter((one) => UNFINISHED.test(one))) {
    const { mtimeMs } = await stat(join(folder, name));
    if (Date.now() - mtimeMs > MAKING_MS_MAX) await rm(join(folder, name), { force: true });
  }
}
