import { existsSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { CallContext } from '../../../daemon/capabilities/capability.ts';
import { DeleteFileCapability } from '../../../daemon/capabilities/delete-file.ts';
import { ListFilesCapability } from '../../../daemon/capabilities/list-files.ts';
import { ReadFileCapability } from '../../../daemon/capabilities/read-file.ts';
import { WriteFileCapability } from '../../../daemon/capabilities/write-file.ts';
import { Fault } from '../../../daemon/fault.ts';
import { FileRoots } from '../../../daemon/files/file-roots.ts';
import { call, type FileTree, failure, fileTree, outcome } from './_file-tree.ts';

const constraints = {
  roots: ['workspace', 'data', 'more'],
  blocked: [],
  fileBytesMax: 100,
  totalBytesMax: 200,
  filesMax: 3,
  entriesMax: 100,
};

function using({ files }: Pick<FileTree, 'files'>, sessionId: string, context: Partial<CallContext> = {}) {
  const within = { sessionId, ...context };
  return {
    read: (path: string) => call(new ReadFileCapability(files), constraints, [path], within),
    write: (path: string, text: string, options = {}) =>
      call(new WriteFileCapability(files), constraints, [path, { text }, options], within),
    list: (path: string) => call(new ListFilesCapability(files), constraints, [path], within),
    remove: (path: string) => call(new DeleteFileCapability(files), constraints, [path], within),
  };
}

const workspaces = ({ state }: FileTree) => join(state, 'workspaces');

function again(tree: FileTree, t: ExecutionContext): FileRoots {
  t.true(existsSync(tree.data));
  return new FileRoots({
    roots: new Map([['workspace', { kind: 'private' }]]),
    privateFolder: workspaces(tree),
    forbidden: [tree.state],
  });
}

test('G14: each session has a private folder of its own, and the quota of each is its own', async (t) => {
  const tree = fileTree(t);
  const [one, two] = [using(tree, 'ses_1'), using(tree, 'ses_2')];
  await one.write('same', 'one');
  t.is(await outcome(two.read('same')), 'EFFECT_FAILED not-found');
  await two.write('same', 'two');
  t.deepEqual(await one.read('same'), { text: 'one' });
  for (const path of ['../ses_1/workspace/same', '/ses_1/workspace/same', '/workspace/../../ses_1/workspace/same'])
    t.is((await failure(two.read(path))).code, 'CAPABILITY_DENIED');
  for (const name of ['b', 'c']) await one.write(name, '');
  t.is(await outcome(one.write('d', '')), 'TOO_LARGE filesMax');
  await two.write('b', '');
});

test('G14: sessions that write the same file of a shared root at once leave one of the contents', async (t) => {
  const tree = fileTree(t);
  const [first, ...others] = [using(tree, 'ses_1'), using(tree, 'ses_2'), using(tree, 'ses_3'), using(tree, 'ses_4')];
  const sessions = [first, ...others];
  await Promise.all(sessions.map((session, i) => session.write('/data/same', `${i}`.repeat(50))));
  const { text } = (await first.read('/data/same')) as { text: string };
  t.regex(text, /^(\d)\1{49}$/);
  t.deepEqual(readdirSync(tree.data), ['same']);
});

test('G12: a private folder is made at its first use, closed to others', async (t) => {
  const tree = fileTree(t);
  t.deepEqual(readdirSync(workspaces(tree)), []);
  t.deepEqual(await using(tree, 'ses_1').list('/workspace'), { entries: [], cursor: null });
  for (const path of ['', 'ses_1', 'ses_1/workspace']) t.is(statSync(join(workspaces(tree), path)).mode & 0o777, 0o700);
});

test('a private folder goes with its session, and what is under way then is interrupted', async (t) => {
  const tree = fileTree(t);
  const session = new AbortController();
  const { write, read } = using(tree, 'ses_1', { signal: session.signal });
  await using(tree, 'ses_2').write('kept', '');
  await write('a/b', 'x');
  const underWay = Array.from({ length: 50 }, () => outcome(write('a/b', 'y')));
  session.abort();
  await tree.files.removeSession('ses_1');
  t.deepEqual(
    [...new Set(await Promise.all(underWay))].filter((result) => result !== 'none'),
    ['INTERRUPTED'],
  );
  t.deepEqual(readdirSync(workspaces(tree)), ['ses_2']);
  t.is(await outcome(read('a/b')), 'INTERRUPTED');
  t.is(await outcome(write('a/b', 'z')), 'INTERRUPTED');
  t.deepEqual(readdirSync(workspaces(tree)), ['ses_2']);
  await tree.files.removeSession('ses_never_seen');
});

test('what a daemon left behind goes at the start of the next one, but for the sessions that live on', async (t) => {
  const tree = fileTree(t);
  for (const id of ['ses_1', 'ses_2', 'ses_3']) await using(tree, id).write('f', 'x'.repeat(100));
  symlinkSync(tree.outside, join(workspaces(tree), 'link'));
  const files = again(tree, t);
  await files.keep(new Set(['ses_2']));
  t.deepEqual(readdirSync(workspaces(tree)), ['ses_2']);
  t.deepEqual(readdirSync(tree.outside), ['secret.txt']);
  const { read, write } = using({ files }, 'ses_2');
  t.deepEqual(await read('f'), { text: 'x'.repeat(100) });
  // What has been there before counts.
  t.is(await outcome(write('g/h', 'x'.repeat(100))), 'none');
  t.is(await outcome(write('i', '')), 'TOO_LARGE filesMax');
  t.is(await outcome(write('f', 'y'.repeat(99))), 'none');
});

test('new roots hold from the next call on, and bad ones change nothing', async (t) => {
  const tree = fileTree(t);
  const { files, data, outside, state } = tree;
  const { read, write } = using(tree, 'ses_1');
  await write('/data/a', 'first');
  t.is((await failure(read('/more/secret.txt'))).code, 'CAPABILITY_DENIED');
  const bad = new Map([
    ['more', { kind: 'path' as const, path: outside }],
    ['stolen', { kind: 'path' as const, path: state }],
  ]);
  t.throws(() => files.replace(bad), { instanceOf: Fault });
  t.deepEqual(await read('/data/a'), { text: 'first' });
  t.is((await failure(read('/more/secret.txt'))).code, 'CAPABILITY_DENIED');
  files.replace(new Map([['more', { kind: 'path', path: data }]]));
  t.deepEqual(await read('/more/a'), { text: 'first' });
  t.is((await failure(read('/data/a'))).code, 'CAPABILITY_DENIED');
  t.is((await failure(read('/workspace/a'))).code, 'CAPABILITY_DENIED');
});

test('a root whose folder has been replaced is not used until the policy is loaded again', async (t) => {
  const tree = fileTree(t);
  const { read } = using(tree, 'ses_1');
  renameSync(tree.data, `${tree.data}-old`);
  t.is(await outcome(read('/data/secret.txt')), 'EFFECT_FAILED not-found');
  symlinkSync(tree.outside, tree.data);
  t.is((await failure(read('/data/secret.txt'))).code, 'UNAVAILABLE');
  const fault = await failure(using(tree, 'ses_1').list('/data'));
  t.is(fault.code, 'UNAVAILABLE');
  t.false(fault.message.includes(tree.base));
});

test("G13: a folder of the daemon's own that comes to lie under a root is not entered", async (t) => {
  const tree = fileTree(t);
  writeFileSync(join(tree.state, 'audit.jsonl'), '{}');
  renameSync(tree.state, join(tree.data, 'state'));
  const { read, write, list } = using(tree, 'ses_1');
  t.is((await failure(read('/data/state/audit.jsonl'))).code, 'CAPABILITY_DENIED');
  t.is((await failure(write('/data/state/audit.jsonl', ''))).code, 'CAPABILITY_DENIED');
  t.is((await failure(list('/data/state'))).code, 'CAPABILITY_DENIED');
  t.like(await list('/data'), { entries: [{ name: 'state', kind: 'other' }] });
  renameSync(join(tree.data, 'state'), tree.state);
});

test('in a shared root the quota counts what the session wrote, and what others wrote is not its own', async (t) => {
  const tree = fileTree(t);
  const { write, remove } = using(tree, 'ses_1');
  for (let i = 0; i < 10; i++) writeFileSync(join(tree.data, `theirs${i}`), 'x'.repeat(1000));
  await write('/data/mine', 'x'.repeat(100));
  await remove('/data/theirs0');
  await write('/data/theirs1', 'x'.repeat(99));
  t.is(await outcome(write('/data/b', 'xx')), 'TOO_LARGE totalBytesMax');
  await write('/data/b', 'x');
  t.is(await outcome(write('/data/c', '')), 'TOO_LARGE filesMax');
  mkdirSync(join(tree.data, 'theirs'));
  t.is(await outcome(write('/data/theirs/c', '')), 'TOO_LARGE filesMax');
  await remove('/data/mine');
  await write('/data/theirs/c', 'x'.repeat(100));
});

test('a session that names no folder never becomes part of a path', async (t) => {
  const tree = fileTree(t);
  await t.throwsAsync(async () => using(tree, '../outside').write('a', ''));
  t.deepEqual(readdirSync(tree.outside), ['secret.txt']);
});
