import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DeleteFileCapability } from '../../../daemon/capabilities/delete-file.ts';
import { call, failure, fileTree, makePipe, outcome } from '../files/_file-tree.ts';

const constraints = { roots: ['data', 'workspace'], blocked: ['.git', '*.pem'] };

function deleting(t: ExecutionContext, options: Parameters<typeof fileTree>[1] = {}) {
  const tree = fileTree(t, options);
  const capability = new DeleteFileCapability(tree.files);
  return { ...tree, capability, remove: (path: unknown) => call(capability, constraints, [path]) };
}

for (const holdsDescriptors of [true, false]) {
  test(`deletes files and empty folders (${holdsDescriptors ? 'by descriptor' : 'by path'})`, async (t) => {
    const { remove, data } = deleting(t, { holdsDescriptors });
    mkdirSync(join(data, 'a/b'), { recursive: true });
    writeFileSync(join(data, 'a/file'), '');
    t.is(await outcome(remove('a')), 'EFFECT_FAILED not-empty');
    t.true(await remove('a/file'));
    t.true(await remove('/data/a/b/'));
    t.true(await remove('a'));
    t.deepEqual(readdirSync(data), []);
    t.is(await outcome(remove('a')), 'EFFECT_FAILED not-found');
  });
}

test('G05: links, pipes, roots and blocked names stay where they are, and so does what they point at', async (t) => {
  const { remove, data, outside } = deleting(t);
  symlinkSync(outside, join(data, 'folder-link'));
  symlinkSync(join(outside, 'secret.txt'), join(data, 'link'));
  symlinkSync(join(outside, 'none'), join(data, 'dangling'));
  makePipe(join(data, 'fifo'));
  writeFileSync(join(data, 'key.pem'), '');
  mkdirSync(join(data, '.git'));
  const before = readdirSync(data);
  for (const path of [
    'link',
    'dangling',
    'folder-link',
    'folder-link/secret.txt',
    'fifo',
    'key.pem',
    '.git',
    '/data',
    '/workspace',
    '/',
    '.',
    '../outside/secret.txt',
    join(outside, 'secret.txt'),
  ]) {
    t.is((await failure(remove(path))).code, 'CAPABILITY_DENIED', path);
  }
  t.deepEqual(readdirSync(data), before);
  t.true(existsSync(join(outside, 'secret.txt')));
});

for (const args of [[], [1], [''], ['a', {}], ['a', 'recursive']]) {
  test(`F07: the arguments ${JSON.stringify(args)} are refused`, async (t) => {
    const { capability } = deleting(t);
    t.true(['INVALID_PARAMS', 'CAPABILITY_DENIED'].includes(await outcome(call(capability, constraints, args))));
  });
}
