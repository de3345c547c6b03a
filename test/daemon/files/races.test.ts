import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DeleteFileCapability } from '../../../daemon/capabilities/delete-file.ts';
import { type FileList, ListFilesCapability } from '../../../daemon/capabilities/list-files.ts';
import { ReadFileCapability } from '../../../daemon/capabilities/read-file.ts';
import { WriteFileCapability } from '../../../daemon/capabilities/write-file.ts';
import { call, type FileTree, fileTree, outcome, SECRET } from './_file-tree.ts';

const constraints = {
  roots: ['data'],
  blocked: [],
  fileBytesMax: 1000,
  totalBytesMax: 1e9,
  filesMax: 1e6,
  entriesMax: 100,
};

/**
 * Puts a link in the place of what the root has, and back again, without a pause. What the daemon does meanwhile may get in the
 * way of any step; then that step is left out, and what is missing is made again.
 */
const SWAPPER = `
  const { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } = require('node:fs');
  const [real, target, away, file] = process.argv.slice(1);
  const attempt = (step) => { try { step(); return true; } catch { return false; } };
  const clear = () => attempt(() => unlinkSync(real)) || attempt(() => rmSync(real, { recursive: true, force: true }));
  const stay = () => { for (const end = process.hrtime.bigint() + 100_000n; process.hrtime.bigint() < end; ); };
  process.stdout.write('ready');
  for (;;) {
    if (!attempt(() => renameSync(real, away))) clear();
    attempt(() => symlinkSync(target, real));
    stay();
    clear();
    if (!attempt(() => renameSync(away, real))) {
      if (file !== real) attempt(() => mkdirSync(real));
      attempt(() => writeFileSync(file, 'INSIDE!', { flag: 'wx' }));
    }
    stay();
  }
`;

/** A root whose `sub`, a folder, is time and again a link to the folder outside; where `onlyFile`, its `sub/secret.txt` is. */
async function swapped(t: ExecutionContext, { onlyFile = false } = {}): Promise<FileTree> {
  const tree = fileTree(t);
  const sub = join(tree.data, 'sub');
  mkdirSync(sub);
  writeFileSync(join(sub, 'secret.txt'), 'INSIDE!');
  const file = join(sub, 'secret.txt');
  const real = onlyFile ? file : sub;
  const target = onlyFile ? join(tree.outside, 'secret.txt') : tree.outside;
  const swapper = spawn(process.execPath, ['-e', SWAPPER, real, target, join(tree.data, 'away'), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => swapper.kill('SIGKILL'));
  await once(swapper.stdout, 'data');
  return tree;
}

const CALLS_MAX = 100_000;

/** Calls at least so many times, and until the link has been met and missed. */
async function often(t: ExecutionContext, callsMin: number, attempt: (i: number) => Promise<string>): Promise<void> {
  const seen = new Map<string, number>();
  const both = () => seen.has('none') && seen.has('CAPABILITY_DENIED');
  for (let i = 0; i < callsMin || (!both() && i < CALLS_MAX); i += 4) {
    for (const result of await Promise.all([0, 1, 2, 3].map((j) => attempt(i + j)))) {
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }
  }
  t.log(Object.fromEntries(seen));
  t.true(both(), 'the link must have been met, and missed');
  const failures = ['not-found', 'exists', 'not-a-file', 'not-empty'].map((reason) => `EFFECT_FAILED ${reason}`);
  const expected = ['none', 'CAPABILITY_DENIED', ...failures];
  t.deepEqual(
    [...seen.keys()].filter((result) => !expected.includes(result)),
    [],
  );
}

for (const onlyFile of [false, true]) {
  const what = onlyFile ? 'a file' : 'a folder';

  test.serial(`G05: while ${what} is swapped for a link, not one byte of the outside is read`, async (t) => {
    const { files } = await swapped(t, { onlyFile });
    const capability = new ReadFileCapability(files);
    await often(t, 3000, async () => {
      const reading = call(capability, constraints, ['/data/sub/secret.txt']);
      const result = await outcome(reading);
      if (result === 'none') t.deepEqual(await reading, { text: 'INSIDE!' });
      return result;
    });
  });

  test.serial(`G05: while ${what} is swapped for a link, nothing is written or deleted outside`, async (t) => {
    const { files, outside } = await swapped(t, { onlyFile });
    const write = new WriteFileCapability(files);
    const remove = new DeleteFileCapability(files);
    await often(t, 1000, async (i) => {
      const append = i % 2 === 0;
      const path = onlyFile || i % 8 < 4 ? '/data/sub/secret.txt' : `/data/sub/new${i % 16}`;
      const result = await outcome(call(write, constraints, [path, { text: 'INSIDE!' }, { append }]));
      if (append) await outcome(call(remove, constraints, [path]));
      return result === 'TOO_LARGE fileBytesMax' ? 'none' : result;
    });
    t.deepEqual(readdirSync(outside), ['secret.txt']);
    t.is(readFileSync(join(outside, 'secret.txt'), 'utf8'), SECRET);
  });
}

test.serial('G05: while a folder on the way is swapped for a link, no folder is made outside', async (t) => {
  const { files, outside } = await swapped(t);
  const write = new WriteFileCapability(files);
  await often(t, 1000, (i) => outcome(call(write, constraints, [`/data/sub/${i}/deep/file`, { text: '' }])));
  t.deepEqual(readdirSync(outside), ['secret.txt']);
});

test.serial('G10: while a folder is swapped for a link, nothing outside is listed', async (t) => {
  const { files, outside } = await swapped(t);
  writeFileSync(join(outside, 'only-outside'), '');
  const capability = new ListFilesCapability(files);
  await often(t, 3000, async () => {
    const listing = call(capability, constraints, ['/data/sub', { recursive: true }]);
    const result = await outcome(listing);
    if (result === 'none') t.true(((await listing) as FileList).entries.every(({ name }) => name === 'secret.txt'));
    return result;
  });
  for (let i = 0; i < 200; i++) {
    const { entries } = (await call(capability, constraints, ['/data', { recursive: true }])) as FileList;
    t.false(entries.some(({ name }) => name === 'only-outside'));
  }
});

test.serial('readers see a file that is written all the time whole, as it was or as it is', async (t) => {
  const { files } = fileTree(t);
  const [read, write] = [new ReadFileCapability(files), new WriteFileCapability(files)];
  const contents = (letter: string) => ({ text: letter.repeat(1000) });
  await call(write, constraints, ['/data/f', contents('a')]);
  for (let i = 0; i < 100; i++) {
    const writing = call(write, constraints, ['/data/f', contents(i % 2 === 0 ? 'b' : 'c')]);
    const { text } = (await call(read, constraints, ['/data/f'])) as { text: string };
    t.regex(text, /^(?:a{1000}|b{1000}|c{1000})$/);
    await writing;
  }
});
