import { createHash } from 'node:crypto';
import { existsSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DeleteFileCapability } from '../../../daemon/capabilities/delete-file.ts';
import { WriteFileCapability } from '../../../daemon/capabilities/write-file.ts';
import { FILE_DENIED } from '../../../daemon/files/file-faults.ts';
import { call, failure, fileTree, makePipe, outcome, SECRET } from '../files/_file-tree.ts';

const constraints = {
  roots: ['data', 'workspace'],
  fileBytesMax: 100,
  totalBytesMax: 1000,
  filesMax: 20,
  blocked: ['.git', '*.pem'],
};
const text = (length: number) => ({ text: 'x'.repeat(length) });

function writing(
  t: ExecutionContext,
  changes: Partial<typeof constraints> = {},
  options: Parameters<typeof fileTree>[1] = {},
) {
  const tree = fileTree(t, options);
  const capability = new WriteFileCapability(tree.files);
  const grant = { ...constraints, ...changes };
  const write = (...args: unknown[]) => call(capability, grant, args);
  const remove = (path: string) => call(new DeleteFileCapability(tree.files), grant, [path]);
  return { ...tree, capability, write, remove, inData: (path: string) => readFileSync(join(tree.data, path), 'utf8') };
}

for (const holdsDescriptors of [true, false]) {
  const how = holdsDescriptors ? 'by descriptor' : 'by path';

  test(`writes, replaces, appends and makes folders (${how})`, async (t) => {
    const { write, inData, data } = writing(t, {}, { holdsDescriptors });
    t.deepEqual(await write('a/b/c.txt', { text: 'Grüße' }), { bytes: 7 });
    t.is(inData('a/b/c.txt'), 'Grüße');
    t.deepEqual(await write('a/b/c.txt', { base64: Buffer.from('new').toString('base64') }), { bytes: 3 });
    t.deepEqual(await write('a/b/c.txt', { text: '!' }, { append: true }), { bytes: 4 });
    t.is(inData('a/b/c.txt'), 'new!');
    t.deepEqual(await write('log', { text: 'first' }, { append: true }), { bytes: 5 });
    t.is(inData('log'), 'first');
    t.deepEqual(await write('empty', { text: '' }), { bytes: 0 });
    t.is(await outcome(write('a', { text: '' })), 'EFFECT_FAILED not-a-file');
    t.is(await outcome(write('a', { text: '' }, { append: true })), 'EFFECT_FAILED not-a-file');
    t.is(await outcome(write('log/below', { text: '' })), 'EFFECT_FAILED not-found');
    t.deepEqual(readdirSync(data).sort(), ['a', 'empty', 'log']);
  });

  test(`an exclusive write is done by one of those who try at once (${how})`, async (t) => {
    const { write, inData, data } = writing(t, {}, { holdsDescriptors });
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, i) => outcome(write('once', { text: `${i}` }, { exclusive: true }))),
    );
    t.deepEqual(outcomes.toSorted(), [...Array(9).fill('EFFECT_FAILED exists'), 'none']);
    t.is(inData('once'), `${outcomes.indexOf('none')}`);
    t.is(await outcome(write('once', { text: '' }, { exclusive: true, append: true })), 'EFFECT_FAILED exists');
    t.deepEqual(readdirSync(data), ['once']);
  });

  test(`G04, G05, E05: nothing is written through links, into pipes, or to files with a second name (${how})`, async (t) => {
    const { write, data, outside } = writing(t, {}, { holdsDescriptors });
    symlinkSync(join(outside, 'secret.txt'), join(data, 'link'));
    symlinkSync(join(outside, 'planted'), join(data, 'dangling'));
    symlinkSync(outside, join(data, 'folder-link'));
    symlinkSync(join(outside, 'new-folder'), join(data, 'dangling-folder'));
    linkSync(join(outside, 'secret.txt'), join(data, 'hard-link'));
    makePipe(join(data, 'fifo'));
    for (const options of [{}, { append: true }, { exclusive: true }]) {
      for (const path of [
        'link',
        'dangling',
        'folder-link/planted',
        'folder-link/secret.txt',
        'dangling-folder/planted',
        'hard-link',
        'fifo',
        '../outside/planted',
        join(outside, 'planted'),
        '.git/hooks/pre-commit',
        'x.pem',
        '.pyrepl3-x',
        '/',
      ]) {
        t.deepEqual(
          await failure(write(path, text(5), options)),
          { code: 'CAPABILITY_DENIED', message: FILE_DENIED, details: { capability: 'write_file' } },
          path,
        );
      }
    }
    t.deepEqual(readdirSync(outside), ['secret.txt']);
    t.is(readFileSync(join(outside, 'secret.txt'), 'utf8'), SECRET);
    t.false(existsSync(join(data, '.git')));
  });
}

for (const args of [
  [],
  ['a'],
  ['a', 'text'],
  ['a', { text: 1 }],
  ['a', { text: 'a', base64: '' }],
  ['a', { base64: '*' }],
  ['a', { base64: 'abc' }],
  ['a', { text: '' }, { mode: 0o777 }],
  ['a', { text: '' }, { append: 1 }],
  ['a', { text: '' }, null],
  ['a', { text: '' }, {}, 1],
]) {
  test(`F07, G12: the arguments ${JSON.stringify(args)} are refused`, async (t) => {
    const { capability } = writing(t);
    t.is(await outcome(call(capability, constraints, args)), 'INVALID_PARAMS');
  });
}

test('G12: files and folders are closed to others and never executable, whatever stood there before', async (t) => {
  const { write, data } = writing(t);
  writeFileSync(join(data, 'tool'), '#!/bin/sh\n', { mode: 0o755 });
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  await write('tool', text(1));
  await write('bin/new', text(1));
  await write('bin/log', text(1), { append: true });
  for (const path of ['tool', 'bin/new', 'bin/log']) t.is(statSync(join(data, path)).mode & 0o7777, 0o600, path);
  t.is(statSync(join(data, 'bin')).mode & 0o7777, 0o700);
});

test('a file has as many bytes as the level allows, and not one more', async (t) => {
  const { write, inData, data } = writing(t);
  t.deepEqual(await write('max', text(100)), { bytes: 100 });
  t.is(await outcome(write('more', text(101))), 'TOO_LARGE fileBytesMax');
  t.is(await outcome(write('max', text(1), { append: true })), 'TOO_LARGE fileBytesMax');
  await write('part', text(99));
  t.deepEqual(await write('part', text(1), { append: true }), { bytes: 100 });
  t.is(inData('max'), 'x'.repeat(100));
  t.deepEqual(readdirSync(data).sort(), ['max', 'part']);
});

test('G11: all files together have as many bytes as the level allows, and not one more', async (t) => {
  const { write, remove } = writing(t, { fileBytesMax: 200 });
  for (let i = 0; i < 9; i++) await write(`f${i}`, text(100));
  await write('last', text(99));
  t.is(await outcome(write('more', text(2))), 'TOO_LARGE totalBytesMax');
  t.is(await outcome(write('last', text(2), { append: true })), 'TOO_LARGE totalBytesMax');
  t.deepEqual(await write('last', text(1), { append: true }), { bytes: 100 });
  t.is(await outcome(write('more', text(1))), 'TOO_LARGE totalBytesMax');
  t.deepEqual(await write('more', text(0)), { bytes: 0 });
  await write('f0', text(50));
  t.is(await outcome(write('more', text(51))), 'TOO_LARGE totalBytesMax');
  await write('more', text(50));
  await remove('f1');
  t.deepEqual(await write('again', text(100)), { bytes: 100 });
});

test('G11: files and folders are counted, and not one more is made', async (t) => {
  const { write, remove, data } = writing(t, { filesMax: 4 });
  await write('a/b/file', text(0));
  await write('four', text(0));
  t.is(await outcome(write('five', text(0))), 'TOO_LARGE filesMax');
  t.is(await outcome(write('five', text(0), { append: true })), 'TOO_LARGE filesMax');
  t.is(await outcome(write('folder/file', text(0))), 'TOO_LARGE filesMax');
  t.deepEqual(readdirSync(data).sort(), ['a', 'four']);
  await write('four', text(1));
  await remove('a/b/file');
  await remove('a/b');
  t.deepEqual(await write('five', text(0)), { bytes: 0 });
  t.deepEqual(await write('six', text(0)), { bytes: 0 });
  t.is(await outcome(write('seven', text(0))), 'TOO_LARGE filesMax');
});

test('F10: calls side by side do not share the last free byte or the last free name', async (t) => {
  const { write, data } = writing(t, { totalBytesMax: 500, filesMax: 10 });
  const sizes = await Promise.all(Array.from({ length: 40 }, (_, i) => outcome(write(`f${i}`, text(100)))));
  t.is(sizes.filter((result) => result === 'none').length, 5);
  t.is(
    readdirSync(data).reduce((sum, name) => sum + statSync(join(data, name)).size, 0),
    500,
  );
  const names = await Promise.all(Array.from({ length: 40 }, (_, i) => outcome(write(`e${i}`, text(0)))));
  t.is(names.filter((result) => result === 'none').length, 5);
  t.is(readdirSync(data).length, 10);
});

test('G11: of ten thousand tiny files as many are made as the level allows', async (t) => {
  const { write, state } = writing(t, { filesMax: 1000 });
  const counts = new Map<string, number>();
  for (let i = 0; i < 10_000; i += 500) {
    const outcomes = await Promise.all(
      Array.from({ length: 500 }, (_, j) => outcome(write(`/workspace/${i + j}`, text(0)))),
    );
    for (const result of outcomes) counts.set(result, (counts.get(result) ?? 0) + 1);
  }
  t.deepEqual(Object.fromEntries(counts), { none: 1000, 'TOO_LARGE filesMax': 9000 });
  t.is(readdirSync(join(state, 'workspaces/ses_test/workspace')).length, 1000);
});

test('G11: names of 255 bytes in 64 folders are written, and none that is longer or deeper', async (t) => {
  const { write } = writing(t, { filesMax: 100 });
  t.deepEqual(await write('d/'.repeat(63) + 'n'.repeat(255), text(1)), { bytes: 1 });
  t.is((await failure(write('n'.repeat(256), text(1)))).code, 'CAPABILITY_DENIED');
  t.is((await failure(write(`${'d/'.repeat(64)}n`, text(1)))).code, 'CAPABILITY_DENIED');
});

test('what has become too much is not made more, and may be made less', async (t) => {
  const { write, files } = writing(t);
  await write('a', text(100));
  const narrowed = { ...constraints, totalBytesMax: 10, filesMax: 1 };
  const later = (...args: unknown[]) => call(new WriteFileCapability(files), narrowed, args);
  t.is(await outcome(later('b', text(1))), 'TOO_LARGE filesMax');
  t.deepEqual(await later('a', text(90)), { bytes: 90 });
  t.is(await outcome(later('a', text(91))), 'TOO_LARGE totalBytesMax');
});

test('a refused write leaves the file as it was, and nothing beside it', async (t) => {
  const { write, inData, data } = writing(t);
  await write('a', { text: 'before' });
  for (const options of [{}, { append: true }]) await outcome(write('a', text(101), options));
  t.is(inData('a'), 'before');
  t.deepEqual(readdirSync(data), ['a']);
});

test('appends of many calls are all there, each whole', async (t) => {
  const { write, inData } = writing(t);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => write('log', { text: `${String(i).padStart(3)}\n` }, { append: true })),
  );
  t.deepEqual(
    inData('log')
      .trimEnd()
      .split('\n')
      .map(Number)
      .toSorted((a, b) => a - b),
    [...Array(20).keys()],
  );
});

test('what is recorded of the contents is their size and hash', (t) => {
  const { capability } = writing(t);
  const sha256 = createHash('sha256').update('secret').digest('hex');
  t.deepEqual(capability.audited(['/data/./a', { text: 'secret' }, { append: true }]), [
    '/data/a',
    { bytes: 6, sha256 },
    { append: true },
  ]);
  t.deepEqual(capability.audited(['a', { base64: Buffer.from('secret').toString('base64') }, undefined]), [
    'a',
    { bytes: 6, sha256 },
  ]);
});
