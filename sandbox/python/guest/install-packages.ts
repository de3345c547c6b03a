import type { PythonAssets } from './make-python.ts';

/** The file system of CPython, as its loader has it. */
export interface GuestFiles {
  mkdirTree(path: string): void;
  writeFile(path: string, bytes: Uint8Array, options: { readonly canOwn: boolean }): void;
  utime(path: string, accessMs: number, modifiedMs: number): void;
}

/**
 * Puts the packages of an isolate where Python looks for them, in the same order and with the same times in every isolate. Files get
 * a copy of their bytes: what is shared with other isolates is only read. Answers whether there are any.
 */
export function makeInstaller(assets: PythonAssets): (files: GuestFiles) => boolean {
  const FOLDER = '/lib/python3.14/site-packages/';
  /** 1980 began then, the earliest time that zip archives can state. */
  const MODIFIED_MS = 315_532_800_000;
  const Bytes = Uint8Array;
  const packages = JSON.parse(assets.packages) as readonly (readonly (readonly [string, number])[])[];

  return (target) => {
    const made: Record<string, true> = Object.create(null);
    for (const [index, files] of packages.entries()) {
      const bytes = new Bytes(assets[`package${index}`] as SharedArrayBuffer);
      let at = 0;
      for (const [path, length] of files) {
        const place = `${FOLDER}${path}`;
        const folder = place.slice(0, place.lastIndexOf('/'));
        if (made[folder] !== true) target.mkdirTree(folder);
        made[folder] = true;
        target.writeFile(place, bytes.slice(at, at + length), { canOwn: true });
        target.utime(place, MODIFIED_MS, MODIFIED_MS);
        at += length;
      }
    }
    return packages.length > 0;
  };
}
