import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { hostLaunch, startSnapshot } from '../../daemon/hosts/host-process.ts';
import { PythonSnapshots, snapshotFolder } from '../../daemon/hosts/python-snapshots.ts';

const modules = dirname(dirname(createRequire(import.meta.url).resolve('isolated-vm/package.json')));

/** Makes the snapshot of CPython as a daemon does that has this cache, for the daemons that come after. Answers its folder. */
export async function fillSnapshotCache(cacheDir: string): Promise<string> {
  const folder = snapshotFolder(cacheDir);
  if (folder === null) throw new Error(`${cacheDir} cannot be used`);
  await new PythonSnapshots(folder, () => startSnapshot(hostLaunch(modules, folder))).missing();
  return folder;
}
