/** A cache with the snapshot of CPython in it, as a daemon finds it from its second start on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillSnapshotCache } from '../test/harness/snapshot-cache.ts';

let filled: Promise<readonly string[]> | undefined;

/**
 * Arguments of a daemon that has such a cache, which ends with this process. What it is made of is the same in the source and in
 * `dist/`, and so is its name.
 */
export function withSnapshot(): Promise<readonly string[]> {
  filled ??= fill();
  return filled;
}

async function fill(): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-bench-cache-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  await fillSnapshotCache(folder);
  return ['--cache-dir', folder];
}
