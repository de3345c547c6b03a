import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PythonSnapshots, snapshotFolder } from '../../../daemon/hosts/python-snapshots.ts';
import { PythonIsolates } from '../../../sandbox/python/python-isolates.ts';
import { makeSnapshot } from '../../../sandbox/python/snapshot.ts';
import { readSnapshot } from '../../../sandbox/python/snapshot-file.ts';
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
  const made = await makeSnapshot();
  t.true(kept !== undefined && Buffer.from(made.bytes).equals(Buffer.from(kept.bytes)));
  t.deepEqual([kept?.heapStart, kept?.occupied], [made.heapStart, made.occupied]);

  const told: unknown[] = [];
  await PythonIsolates.load(folder, 32, (...what) => told.push(what));
  t.deepEqual(told, [[name, true]]);

  const bytes = readFileSync(join(folder, name));
  // In the hash, the length of the head, the head, and what follows it.
  for (const at of [0, 34, 40, bytes.length >> 1, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = (bytes[at] as number) ^ 1;
    writeFileSync(join(folder, name), changed);
    t.is(readSnapshot(folder), undefined, `one that was changed is none: ${at}`);
  }
  writeFileSync(join(folder, name), bytes.subarray(0, -1));
  t.is(readSnapshot(folder), undefined, 'nor is one that is too short');
});

test('what a killed daemon left unfinished is removed, and a process that says nothing leaves nothing', async (t) => {
  const folder = snapshotFolder(cacheOf(t)) as string;
  const left = `.python-${'0'.repeat(64)}.snapshot.1`;
  writeFileSync(join(folder, left), 'half');
  utimesSync(join(folder, left), 1, 1);
  const silent = () => spawn(process.execPath, ['-e', ''], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  await new PythonSnapshots(folder, silent).missing();
  t.deepEqual(readdirSync(folder), []);
});

const OLD = `python-${'a'.repeat(64)}.snapshot`;
const RECENT = `python-${'b'.repeat(64)}.snapshot`;
const OURS = `python-${'c'.repeat(64)}.snapshot`;
const daysAgo = (days: number): Date => new Date(Date.now() - days * 24 * 60 * 60 * 1000);

test('snapshots that nobody has used for 30 days are removed, and the one that is used is not, however old', async (t) => {
  const folder = snapshotFolder(cacheOf(t)) as string;
  for (const [name, days] of [
    [OLD, 31],
    [RECENT, 29],
    [OURS, 100],
    ['somebody-elses-file', 100],
  ] as const) {
    writeFileSync(join(folder, name), '');
    utimesSync(join(folder, name), daysAgo(days), daysAgo(days));
  }
  const snapshots = new PythonSnapshots(folder, () => t.fail('it was started') as never);
  await snapshots.used(`../${OLD}`);
  await snapshots.used('nothing-of-ours');
  t.true(readdirSync(folder).includes(OLD), 'what is no name of a snapshot is not looked at');
  await snapshots.used(OURS);
  t.deepEqual(readdirSync(folder).sort(), [RECENT, OURS, 'somebody-elses-file'].sort());
  t.true(statSync(join(folder, OURS)).mtimeMs > daysAgo(1).getTime());
});

test('one that another daemon has removed is made again, and what cannot be made is not tried twice', async (t) => {
  const folder = snapshotFolder(cacheOf(t)) as string;
  let started = 0;
  const makes = (text: string) => () => {
    started++;
    const script = `require('node:fs').writeSync(3, ${JSON.stringify(text)})`;
    return spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  };
  const snapshots = new PythonSnapshots(folder, makes(`${OURS}\nstate`));
  await Promise.all([snapshots.missing(), snapshots.missing()]);
  await snapshots.missing();
  t.is(started, 1);
  t.is(readFileSync(join(folder, OURS), 'utf8'), 'state');
  rmSync(join(folder, OURS));
  await snapshots.missing();
  t.is(started, 2);
  t.deepEqual(readdirSync(folder), [OURS]);

  started = 0;
  const failing = new PythonSnapshots(folder, makes('nonsense'));
  await failing.missing();
  await failing.missing();
  t.is(started, 1);
});

test('where nothing is kept, nothing is made', async (t) => {
  t.is(snapshotFolder(null), null);
  t.is(snapshotFolder('/dev/null/nowhere'), null);
  await new PythonSnapshots(null, () => t.fail('it was started') as never).missing();
  t.pass();
});
