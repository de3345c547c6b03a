import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PythonSnapshots, snapshotFolder } from '../../../daemon/hosts/python-snapshots.ts';
import { makeSnapshot, readSnapshot } from '../../../sandbox/python/snapshot.ts';
import { fillSnapshotCache } from '../../harness/snapshot-cache.ts';

function cacheOf(t: ExecutionContext): string {
  const cache = mkdtempSync(join(tmpdir(), 'pyrepl3-cache-'));
  t.teardown(() => rmSync(cache, { recursive: true, force: true }));
  return cache;
}

test.serial('the snapshot that is kept is the one that a host would make itself', async (t) => {
  t.timeout(120_000);
  const folder = await fillSnapshotCache(cacheOf(t));
  const [name = '', ...others] = readdirSync(folder);
  t.deepEqual(others, []);
  const kept = readSnapshot(folder);
  t.true(kept !== undefined && Buffer.from(await makeSnapshot()).equals(kept));

  const bytes = readFileSync(join(folder, name));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(join(folder, name), bytes);
  t.is(readSnapshot(folder), undefined, 'one that was changed is none');
});

test('what a killed daemon left unfinished is removed, and a process that says nothing leaves nothing', async (t) => {
  const folder = snapshotFolder(cacheOf(t)) as string;
  const left = `.python-${'0'.repeat(64)}.snapshot.1`;
  writeFileSync(join(folder, left), 'half');
  utimesSync(join(folder, left), 1, 1);
  const { spawn } = await import('node:child_process');
  const silent = () => spawn(process.execPath, ['-e', ''], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  await new PythonSnapshots(folder, silent).missing();
  t.deepEqual(readdirSync(folder), []);
});

test('where nothing is kept, nothing is made', async (t) => {
  t.is(snapshotFolder(null), null);
  t.is(snapshotFolder('/dev/null/nowhere'), null);
  await new PythonSnapshots(null, () => t.fail('it was started') as never).missing();
  t.pass();
});
