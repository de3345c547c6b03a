/** What a host was sent of packages: each of them once, before the first isolate that is made with it. */
import type { PackageLock, ToHost } from '../../sandbox/protocol.ts';

/** What is in the wheels of packages. */
export type PackageSource = (lock: PackageLock) => { readonly files: ReadonlyMap<string, Uint8Array> };

const MIB = 1024 * 1024;

export class SentPackages {
  readonly #send: (message: ToHost) => void;
  readonly #sizes = new Map<string, number>();

  constructor(send: (message: ToHost) => void) {
    this.#send = send;
  }

  /** It has them from now on. Answers what they take of an isolate. */
  give(packages: readonly PackageLock[], source: PackageSource): { readonly mib: number } {
    const bytes = packages.reduce((sum, lock) => sum + this.#give(lock, source), 0);
    return { mib: Math.ceil(bytes / MIB) };
  }

  #give(lock: PackageLock, source: PackageSource): number {
    const { sha256 } = lock;
    const sent = this.#sizes.get(sha256);
    if (sent !== undefined) return sent;
    const entries = [...source(lock).files];
    const bytes = Buffer.concat(entries.map(([, content]) => content));
    const files = entries.map(([path, { length }]) => [path, length] as const);
    this.#sizes.set(sha256, bytes.length);
    this.#send({ kind: 'host.package', sha256, files, base64: bytes.toString('base64') });
    return bytes.length;
  }
}

export const isSameLock = (one: readonly PackageLock[], other: readonly PackageLock[]): boolean =>
  one.map(({ sha256 }) => sha256).join() === other.map(({ sha256 }) => sha256).join();
