/** The packages that isolates of a host can be made with, as the daemon has sent them. */
import type { PackageLock, ToHost } from '../protocol.ts';
import { shared } from './files.ts';

type SentPackage = Extract<ToHost, { kind: 'host.package' }>;

/** As isolates are given them: see `PythonAssets`. */
export type PackageAssets = Readonly<Record<string, string | SharedArrayBuffer>> & { readonly packages: string };

export class PackageFiles {
  readonly #sent = new Map<string, { readonly files: SentPackage['files']; readonly bytes: SharedArrayBuffer }>();

  add({ sha256, files, base64 }: SentPackage): void {
    this.#sent.set(sha256, { files, bytes: shared(Buffer.from(base64, 'base64')) });
  }

  /** @throws Error where the daemon has not sent one of them */
  assetsOf(locks: readonly PackageLock[]): PackageAssets {
    const packages = locks.map(({ name, sha256 }) => {
      const sent = this.#sent.get(sha256);
      if (sent === undefined) throw new Error(`The package ${name} was not sent.`);
      return sent;
    });
    return {
      ...Object.fromEntries(packages.map(({ bytes }, index) => [`package${index}`, bytes])),
      packages: JSON.stringify(packages.map(({ files }) => files)),
    };
  }

  /** What an isolate with these takes of the JavaScript heap for them. */
  bytesOf(locks: readonly PackageLock[]): number {
    return locks.reduce((sum, { sha256 }) => sum + (this.#sent.get(sha256)?.bytes.byteLength ?? 0), 0);
  }
}
