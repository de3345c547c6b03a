/**
 * What one session has under one root: the size of each file it wrote, and the folders that were made for it.
 *
 * I1: what is about to be written is counted before the write starts, so that calls side by side cannot share the last free byte.
 * I2: what did not come about is taken off again.
 */
import { hash } from 'node:crypto';
import { Fault } from '../fault.ts';

export interface UsageLimits {
  readonly totalBytesMax: number;
  readonly filesMax: number;
}

export class UsageLedger {
  /** By a hash of the path, because a path may be long and there may be many. */
  readonly #bytes = new Map<string, number>();
  #total = 0;

  bytesOf(path: string): number {
    return this.#bytes.get(keyOf(path)) ?? 0;
  }

  /** Counts the file at this size. Fails with TOO_LARGE, counting nothing; what takes no more than before always fits. */
  reserve(path: string, bytes: number, { totalBytesMax, filesMax }: UsageLimits): void {
    const key = keyOf(path);
    const before = this.#bytes.get(key);
    const added = bytes - (before ?? 0);
    if (before === undefined && this.#bytes.size >= filesMax) {
      throw new Fault(
        'TOO_LARGE',
        `The session may have at most ${filesMax} files and folders under this root; delete some first.`,
        { limit: 'filesMax', max: filesMax },
      );
    }
    if (added > 0 && this.#total + added > totalBytesMax) {
      throw new Fault(
        'TOO_LARGE',
        `The session may have at most ${totalBytesMax} bytes under this root; ${Math.max(0, totalBytesMax - this.#total)} are left.`,
        { limit: 'totalBytesMax', max: totalBytesMax },
      );
    }
    this.#bytes.set(key, bytes);
    this.#total += added;
  }

  /** The path stands at this size, whatever the limits say; null where it is not there. */
  set(path: string, bytes: number | null): void {
    const key = keyOf(path);
    this.#total += (bytes ?? 0) - (this.#bytes.get(key) ?? 0);
    if (bytes === null) this.#bytes.delete(key);
    else this.#bytes.set(key, bytes);
  }

  has(path: string): boolean {
    return this.#bytes.has(keyOf(path));
  }
}

function keyOf(path: string): string {
  return hash('sha256', path, 'base64').slice(0, 22);
}
