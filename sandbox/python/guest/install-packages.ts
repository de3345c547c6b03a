import type { PythonAssets } from './make-python.ts';

/** The file system of CPython, as its loader has it. */
export interface GuestFiles {
  mkdirTree(path: string): void;
  writeFile(path: string, bytes: Uint8Array, options: { readonly canOwn: boolean }): void;
  utime(path: string, accessMs: number, modifiedMs: number): void;
}

/**
 * Puts the packages of an isolate where Python looks for them, in the same order and with the same times in every isolate. Files get
 * a copy of their bytes: what is shared with other isolates is only read.
 */
export function makeInstaller(assets: PythonAssets): (files: GuestFiles) => void {
  const FOLDER = '/lib/python3.14/site-packages';
  /** 1980 began then, the earliest time that zip archives can state. */
  const MODIFIED_MS = 315_532_800_000;
  const Bytes = Uint8Array;
  const { create, keys } = Object;
  const packages = JSON.parse(assets.packages) as readonly (readonly (readonly [string, number])[])[];

  return (target) => {
    const folders: Record<string, true> = create(null);
    const makeFolder = (path: string): void => {
      if (path.length < FOLDER.length || folders[path] === true) return;
      makeFolder(path.slice(0, path.lastIndexOf('/')));
      target.mkdirTree(path);
      folders[path] = true;
    };
    for (const [index, files] of packages.entries()) {
      const bytes = new Bytes(assets[`package${index}`] as SharedArrayBuffer);
      let at = 0;
      for (const [path, length] of files) {
        const place = `${FOLDER}/${path}`;
        makeFolder(place.slice(0, place.lastIndexOf('/')));
        target.writeFile(place, bytes.slice(at, at + length), { canOwn: true });
        target.utime(place, MODIFIED_MS, MODIFIED_MS);
        at += length;
      }
    }
    // What is put into a folder changes its time, and where the clock is live it is another one in every isolate. Python lists a folder
    // again whose time has changed: in the snapshot it is 0.
    for (const folder of keys(folders)) target.utime(folder, MODIFIED_MS, MODIFIED_MS);
  };
}
