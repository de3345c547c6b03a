/**
 * A file system of a few megabytes, real and in memory, for what happens when a disk is full. It is mounted in a namespace of its own,
 * which any user may have where the kernel allows that, and which takes the mount with it when its last process ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext, type Implementation } from 'ava';

const MOUNT = 'mount -t tmpfs -o "size=$1,mode=0700" pyrepl3-test "$0"';

/** Why there is none on this machine; undefined where there is. */
function whyNot(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-disk-'));
  try {
    const enter = 'nsenter --version > /dev/null';
    const { status, error, stderr } = spawnSync('unshare', ['-rm', 'sh', '-c', `${MOUNT} && ${enter}`, folder, '1m']);
    return status === 0 ? undefined : (error?.message ?? String(stderr).trim());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const missing = whyNot();

/** A test that needs such a disk: skipped, with the reason in its title, where the machine gives none. */
export function diskTest(title: string, implementation: Implementation<[]>): void {
  if (missing === undefined) test.serial(title, implementation);
  else test.skip(`${title} (skipped: no file system can be mounted here: ${missing})`, implementation);
}

export class SmallDisk {
  /** Where it is mounted, for processes that were started with `command`. */
  readonly folder: string;
  /** Put before a command, it runs that where the disk is. */
  readonly command: readonly string[];
  /** Put before a path, it names what lies there, from outside. */
  readonly root: string;

  private constructor(holder: ChildProcess, folder: string) {
    this.folder = folder;
    this.root = join('/proc', String(holder.pid), 'root');
    this.command = ['nsenter', '-t', String(holder.pid), '-U', '-m', '--preserve-credentials'];
  }

  /** @param size as `mount` takes it: `8m` */
  static async mount(t: Pick<ExecutionContext, 'teardown'>, size: string): Promise<SmallDisk> {
    const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-disk-'));
    // It ends when its standard input does, and so with this process, however that ends.
    const script = `${MOUNT} && echo mounted && exec cat > /dev/null`;
    const holder = spawn('unshare', ['-rm', 'sh', '-c', script, folder, size], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.teardown(async () => {
      const ended = once(holder, 'exit');
      holder.stdin?.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    });
    await once(holder.stdout as NodeJS.ReadableStream, 'data');
    return new SmallDisk(holder, folder);
  }

  get #ballast(): string {
    return join(this.root, this.folder, 'ballast');
  }

  /** @param leftBytes that are left */
  fill(leftBytes = 0): void {
    const file = openSync(this.#ballast, 'a', 0o600);
    try {
      for (let size = 1024 * 1024; size >= 1; ) {
        try {
          // A part of what was asked for is written where there is room for a part.
          writeSync(file, Buffer.alloc(size));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          size = Math.floor(size / 2);
        }
      }
      ftruncateSync(file, Math.max(0, fstatSync(file).size - leftBytes));
    } finally {
      closeSync(file);
    }
  }

  makeRoom(): void {
    rmSync(this.#ballast, { force: true });
  }
}
