import { execFileSync } from 'node:child_process';
import { appendFileSync, linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ReadFileCapability } from '../../../daemon/capabilities/read-file.ts';
import { FILE_DENIED } from '../../../daemon/files/file-faults.ts';
import { call, failure, fileTree, makePipe, outcome, SECRET } from '../files/_file-tree.ts';

const constraints = { roots: ['data', 'workspace'], fileBytesMax: 16, blocked: ['.git', '*.pem'] };

function reading(t: ExecutionContext, options: Parameters<typeof fileTree>[1] = {}) {
  const tree = fileTree(t, options);
  const capability = new ReadFileCapability(tree.files);
  const read = (...args: unknown[]) => call(capability, constraints, args);
  return { ...tree, capability, read };
}

for (const holdsDescriptors of [true, false]) {
  const how = holdsDescriptors ? 'by descriptor' : 'by path';

  test(`reads a file whole, in part, as text and as bytes (${how})`, async (t) => {
    const { read, data } = reading(t, { holdsDescriptors });
    mkdirSync(join(data, 'sub'));
    writeFileSync(join(data, 'sub/a.txt'), 'Grüße');
    t.deepEqual(await read('/data/sub/a.txt'), { text: 'Grüße' });
    t.deepEqual(await read('sub/a.txt'), { text: 'Grüße' });
    t.deepEqual(await read('sub/a.txt', { encoding: 'bytes' }), { base64: Buffer.from('Grüße').toString('base64') });
    t.deepEqual(await read('sub/a.txt', { offset: 5, length: 2 }), { text: '\ufffde' });
    t.deepEqual(await read('sub/a.txt', { offset: 6 }), { text: 'e' });
    t.deepEqual(await read('sub/a.txt', { offset: 100 }), { text: '' });
    t.deepEqual(await read('sub/a.txt', { length: 0 }), { text: '' });
    t.deepEqual(await read('sub/a.txt', { offset: Number.MAX_SAFE_INTEGER, length: Number.MAX_SAFE_INTEGER }), {
      text: '',
    });
  });

  test(`E05: everything that is not open is refused in the same words (${how})`, async (t) => {
    const { read, data, outside, base } = reading(t, { holdsDescriptors });
    writeFileSync(join(data, 'server.pem'), SECRET);
    writeFileSync(join(data, 'file'), '');
    mkdirSync(join(data, '.git'));
    writeFileSync(join(data, '.git/config'), SECRET);
    symlinkSync(join(outside, 'secret.txt'), join(data, 'link'));
    symlinkSync(join(outside, 'none.txt'), join(data, 'dangling'));
    symlinkSync(outside, join(data, 'folder-link'));
    symlinkSync('file', join(data, 'inner-link'));
    linkSync(join(outside, 'secret.txt'), join(data, 'hard-link'));
    makePipe(join(data, 'fifo'));
    const socket = createServer().listen(join(data, 'socket'));
    t.teardown(() => socket.close());
    const faults = await Promise.all(
      [
        join(outside, 'secret.txt'),
        join(outside, 'none.txt'),
        base,
        '/none/secret.txt',
        '/data/../outside/secret.txt',
        '/data/../outside/none.txt',
        '/',
        'server.pem',
        'none.pem',
        '.git/config',
        '.git/none',
        'link',
        'dangling',
        'inner-link',
        'folder-link/secret.txt',
        'folder-link/none.txt',
        'hard-link',
        'fifo',
        'socket',
      ].map((path) => failure(read(path))),
    );
    for (const fault of faults) {
      t.deepEqual(fault, { code: 'CAPABILITY_DENIED', message: FILE_DENIED, details: { capability: 'read_file' } });
    }
  });

  test(`what is missing inside a root is said to be missing, and a folder to be one (${how})`, async (t) => {
    const { read, data } = reading(t, { holdsDescriptors });
    mkdirSync(join(data, 'folder'));
    writeFileSync(join(data, 'file'), '');
    t.is(await outcome(read('none')), 'EFFECT_FAILED not-found');
    t.is(await outcome(read('none/none')), 'EFFECT_FAILED not-found');
    t.is(await outcome(read('file/below')), 'EFFECT_FAILED not-found');
    t.is(await outcome(read('folder')), 'EFFECT_FAILED not-a-file');
    t.is(await outcome(read('/data')), 'EFFECT_FAILED not-a-file');
    t.is(await outcome(read('/workspace/none')), 'EFFECT_FAILED not-found');
  });
}

for (const path of [
  '../../etc/passwd',
  '/etc/passwd',
  '~root/../..',
  'file:///etc/passwd',
  'a\0b',
  'x'.repeat(5000),
  '',
  '/proc/self/environ',
  '/proc/self/root/etc/passwd',
  '/dev/stdin',
  '/dev/fd/0',
  '/dev/zero',
]) {
  test(`G01, G07: ${JSON.stringify(path.slice(0, 30))} is denied`, async (t) => {
    t.is((await failure(reading(t).read(path))).code, 'CAPABILITY_DENIED');
  });
}

for (const args of [
  [],
  [1],
  [null],
  [['a']],
  [{ 0: 'a' }],
  ['a', {}, 1],
  ['a', null],
  ['a', 'utf8'],
  ['a', { encoding: 'latin1' }],
  ['a', { flag: 'w' }],
  ['a', { offset: -1 }],
  ['a', { offset: 1.5 }],
  ['a', { length: '1' }],
  { 0: 'a', length: 1 },
  'a',
]) {
  test(`G01, F07, F09: the arguments ${JSON.stringify(args)} are refused`, async (t) => {
    const { capability } = reading(t);
    t.is(await outcome(call(capability, constraints, args)), 'INVALID_PARAMS');
  });
}

test('G02: escapes and backslashes are names like any other', async (t) => {
  const { read, data } = reading(t);
  for (const name of [
    '%2e%2e%2foutside%2fsecret.txt',
    '%252e',
    '..\\outside\\secret.txt',
    '\\\\?\\C:',
    '~',
    'a b',
    '-rf',
  ]) {
    t.is(await outcome(read(name)), 'EFFECT_FAILED not-found');
    writeFileSync(join(data, name), 'inside');
    t.deepEqual(await read(name), { text: 'inside' });
  }
});

test('G07: a link to an endless device, and a kernel file put under the root, give nothing', async (t) => {
  const { read, data } = reading(t);
  symlinkSync('/dev/zero', join(data, 'zero'));
  symlinkSync('/proc/self/environ', join(data, 'environ'));
  symlinkSync('/proc/self/fd', join(data, 'fd'));
  for (const path of ['zero', 'environ', 'fd/0']) t.is((await failure(read(path))).code, 'CAPABILITY_DENIED');
});

test('G09, F13: no spelling of a blocked name is read, and names that are other names are other files', async (t) => {
  const { read, data } = reading(t);
  for (const name of ['KEY.PEM', 'key.pem.', 'key.pem ', 'k\u200cey.p\u200cem']) {
    writeFileSync(join(data, name), SECRET);
    t.is(await outcome(read(name)), 'CAPABILITY_DENIED', name);
  }
  writeFileSync(join(data, 'caf\u00e9'), 'NFC');
  writeFileSync(join(data, 'cafe\u0301'), 'NFD');
  t.deepEqual(await read('caf\u00e9'), { text: 'NFC' });
  t.deepEqual(await read('cafe\u0301'), { text: 'NFD' });
});

test('reads as many bytes at once as the level allows, and not one more', async (t) => {
  const { read, data } = reading(t);
  writeFileSync(join(data, 'max'), 'x'.repeat(16));
  writeFileSync(join(data, 'more'), 'x'.repeat(17));
  t.deepEqual(await read('max'), { text: 'x'.repeat(16) });
  t.like(await failure(read('more')), {
    code: 'TOO_LARGE',
    details: { limit: 'fileBytesMax', max: 16, bytes: 17 },
  });
  t.deepEqual(await read('more', { offset: 1 }), { text: 'x'.repeat(16) });
  t.deepEqual(await read('more', { length: 16 }), { text: 'x'.repeat(16) });
  t.is((await failure(read('more', { length: 17 }))).code, 'TOO_LARGE');
  t.deepEqual(await read('max', { length: 1e9 }), { text: 'x'.repeat(16) });
});

test('G11: of a sparse file of a terabyte, the part that was asked for is read', async (t) => {
  const { read, data } = reading(t);
  writeFileSync(join(data, 'huge'), 'start');
  truncateSync(join(data, 'huge'), 1e12);
  t.is((await failure(read('huge'))).code, 'TOO_LARGE');
  t.deepEqual(await read('huge', { length: 5 }), { text: 'start' });
  t.deepEqual(await read('huge', { offset: 1e12 - 2 }), { text: '\0\0' });
});

test('G11: names of 255 bytes and 64 folders are reached', async (t) => {
  const { read, data } = reading(t);
  const deep = 'd/'.repeat(63);
  mkdirSync(join(data, deep), { recursive: true });
  const name = `${'ü'.repeat(127)}x`;
  writeFileSync(join(data, deep, name), 'deep');
  t.deepEqual(await read(deep + name), { text: 'deep' });
});

test('a file that grows while it is read gives no more than it had', async (t) => {
  const { read, data } = reading(t);
  writeFileSync(join(data, 'log'), 'x'.repeat(16));
  const readings = Array.from({ length: 50 }, () => read('log', { length: 16 }) as Promise<{ text: string }>);
  appendFileSync(join(data, 'log'), 'y'.repeat(1000));
  for (const { text } of await Promise.all(readings)) t.is(text, 'x'.repeat(16));
});

test('G04: a file of the root is read again once its second name is gone', async (t) => {
  const { read, data, outside } = reading(t);
  writeFileSync(join(data, 'a'), 'mine');
  linkSync(join(data, 'a'), join(outside, 'b'));
  t.is((await failure(read('a'))).code, 'CAPABILITY_DENIED');
  execFileSync('rm', [join(outside, 'b')]);
  t.deepEqual(await read('a'), { text: 'mine' });
});

test('what is recorded holds the path and the options, and nothing of the contents', (t) => {
  const { capability } = reading(t);
  t.deepEqual(capability.audited(['/data/./a', { offset: 1 }]), ['/data/a', { offset: 1 }]);
  t.deepEqual(capability.audited(['a', undefined]), ['a']);
});

test('J12, G13: what the daemon keeps is reached under no root', async (t) => {
  const { read, state } = reading(t);
  writeFileSync(join(state, 'audit.jsonl'), SECRET);
  for (const path of [join(state, 'audit.jsonl'), '/workspace/../../audit.jsonl', '/data/../state/audit.jsonl'])
    t.is((await failure(read(path))).code, 'CAPABILITY_DENIED');
  t.is(readFileSync(join(state, 'audit.jsonl'), 'utf8'), SECRET);
});
