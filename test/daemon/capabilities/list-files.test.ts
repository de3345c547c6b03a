import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type FileList, ListFilesCapability } from '../../../daemon/capabilities/list-files.ts';
import { FILE_DENIED } from '../../../daemon/files/file-faults.ts';
import { call, failure, fileTree, makePipe, outcome } from '../files/_file-tree.ts';

const constraints = { roots: ['data', 'workspace'], entriesMax: 100, blocked: ['.git', '*.pem'] };

function listing(
  t: ExecutionContext,
  changes: Partial<typeof constraints> = {},
  options: Parameters<typeof fileTree>[1] = {},
) {
  const tree = fileTree(t, options);
  const capability = new ListFilesCapability(tree.files);
  const list = (...args: unknown[]) => call(capability, { ...constraints, ...changes }, args) as Promise<FileList>;
  return { ...tree, capability, list };
}

const pathsOf = ({ entries }: FileList) => entries.map(({ path }) => path);

/** Page after page, to the end. */
async function allPages(
  list: (...args: unknown[]) => Promise<FileList>,
  path: string,
  options: object,
): Promise<FileList[]> {
  const pages: FileList[] = [];
  for (let cursor: string | null | undefined; cursor !== null; cursor = pages.at(-1)?.cursor) {
    pages.push(await list(path, cursor === undefined ? options : { ...options, cursor }));
  }
  return pages;
}

for (const holdsDescriptors of [true, false]) {
  const how = holdsDescriptors ? 'by descriptor' : 'by path';

  test(`lists a folder with kinds, sizes and times (${how})`, async (t) => {
    const { list, data } = listing(t, {}, { holdsDescriptors });
    mkdirSync(join(data, 'b'));
    writeFileSync(join(data, 'a.txt'), 'abc');
    for (const name of ['a.txt', 'b']) utimesSync(join(data, name), 1000, 1000);
    const entries = [
      { path: '/data/a.txt', name: 'a.txt', kind: 'file', bytes: 3, modifiedMs: 1_000_000 },
      { path: '/data/b', name: 'b', kind: 'directory', bytes: 0, modifiedMs: 1_000_000 },
    ];
    for (const path of ['/data', '/data/', '.']) t.deepEqual(await list(path), { entries, cursor: null } as FileList);
    t.deepEqual(await list(), { entries, cursor: null } as FileList);
    t.deepEqual(await list('b'), { entries: [], cursor: null });
    t.is(await outcome(list('a.txt')), 'EFFECT_FAILED not-a-folder');
    t.is(await outcome(list('none')), 'EFFECT_FAILED not-found');
  });

  test(`G10, E05: links are shown and not followed, blocked names are not shown (${how})`, async (t) => {
    const { list, data, outside } = listing(t, {}, { holdsDescriptors });
    mkdirSync(join(data, '.git'));
    writeFileSync(join(data, '.git/config'), '');
    writeFileSync(join(data, 'Key.PEM'), '');
    writeFileSync(join(data, '.pyrepl3-1'), '');
    writeFileSync(join(data, 'file'), '');
    symlinkSync(outside, join(data, 'folder-link'));
    symlinkSync('/dev/zero', join(data, 'zero'));
    symlinkSync('nowhere', join(data, 'dangling'));
    linkSync(join(outside, 'secret.txt'), join(data, 'hard-link'));
    makePipe(join(data, 'fifo'));
    const { entries } = await list('/data', { recursive: true });
    t.deepEqual(
      entries.map(({ name, kind, bytes }) => [name, kind, bytes]),
      [
        ['dangling', 'other', 0],
        ['fifo', 'other', 0],
        ['file', 'file', 0],
        ['folder-link', 'other', 0],
        ['hard-link', 'other', 0],
        ['zero', 'other', 0],
      ],
    );
    for (const path of [
      'folder-link',
      'zero',
      'dangling',
      'fifo',
      'hard-link',
      '.git',
      '.git/none',
      '/outside',
      '..',
      '/none',
      '',
    ])
      t.deepEqual(
        await failure(list(path)),
        { code: 'CAPABILITY_DENIED', message: FILE_DENIED, details: { capability: 'list_files' } },
        path,
      );
  });

  test(`lists the roots that the grant names, and what is in them (${how})`, async (t) => {
    const { list, data } = listing(t, {}, { holdsDescriptors });
    mkdirSync(join(data, 'a'));
    writeFileSync(join(data, 'a/b'), '');
    t.deepEqual(pathsOf(await list('/')), ['/data', '/workspace']);
    const everything = ['/data', '/data/a', '/data/a/b', '/workspace'];
    t.deepEqual(pathsOf(await list('/', { recursive: true })), everything);
    const pages = await allPages(list, '/', { recursive: true, limit: 1 });
    t.deepEqual(pages.flatMap(pathsOf), everything);
    t.deepEqual((await allPages(list, '/', { limit: 1 })).flatMap(pathsOf), ['/data', '/workspace']);
  });
}

test('lists as many entries as the level allows, and tells that more follow', async (t) => {
  const { list, data } = listing(t, { entriesMax: 3 });
  for (const name of ['a', 'b', 'c']) writeFileSync(join(data, name), '');
  t.deepEqual(await list('/data', { limit: 1000 }).then(({ entries, cursor }) => [entries.length, cursor]), [3, null]);
  writeFileSync(join(data, 'd'), '');
  const page = await list('/data', { limit: 1000 });
  t.is(page.entries.length, 3);
  t.deepEqual(pathsOf(await list('/data', { cursor: page.cursor })), ['/data/d']);
});

test('whatever the tree, pages of any size show everything once, folders before what they hold', async (t) => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,2}(\/[a-c]{1,2}){0,3}$/), { minLength: 1, maxLength: 15 });
  await fc.assert(
    fc.asyncProperty(names, fc.integer({ min: 1, max: 5 }), async (folders, limit) => {
      const { list, data } = listing(t, { blocked: ['cc'] });
      const expected = new Set<string>();
      for (const folder of folders) {
        mkdirSync(join(data, folder), { recursive: true });
        const parts = folder.split('/');
        for (let i = 1; i <= parts.length; i++) {
          if (!parts.slice(0, i).includes('cc')) expected.add(`/data/${parts.slice(0, i).join('/')}`);
        }
      }
      const pages = await allPages(list, '/data', { recursive: true, limit });
      const segments = (path: string) => path.split('/').join('\0');
      t.deepEqual(
        pages.flatMap(pathsOf),
        [...expected].sort((a, b) => (segments(a) < segments(b) ? -1 : 1)),
      );
      t.true(pages.every(({ entries }) => entries.length <= limit && entries.length > 0) || expected.size === 0);
    }),
    { numRuns: 30 },
  );
});

test('G10: a page of a large folder reads on from its cursor, also when what it names has gone', async (t) => {
  const { list, data } = listing(t);
  for (let i = 0; i < 1000; i++) writeFileSync(join(data, `f${String(i).padStart(4, '0')}`), '');
  const first = await list('/data');
  t.is(first.entries.length, 100);
  execFileSync('rm', [join(data, 'f0099')]);
  t.is(pathsOf(await list('/data', { cursor: first.cursor }))[0], '/data/f0100');
});

test('G10: a folder with more names than are read for one answer is refused', async (t) => {
  const { list, data } = listing(t);
  mkdirSync(join(data, 'full'));
  execFileSync('sh', ['-c', 'seq 1 100001 | xargs touch'], { cwd: join(data, 'full') });
  t.is(await outcome(list('full')), 'TOO_LARGE names');
  execFileSync('rm', [join(data, 'full/1')]);
  t.is((await list('full')).entries.length, 100);
});

test('names are told apart by their bytes, and those that are no Unicode are left out', async (t) => {
  const { list, data } = listing(t);
  for (const name of ['caf\u00e9', 'cafe\u0301', 'n'.repeat(255)]) writeFileSync(join(data, name), '');
  writeFileSync(Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0xff, 0xfe])]), '');
  t.deepEqual(
    (await list('/data')).entries.map(({ name }) => name),
    ['cafe\u0301', 'caf\u00e9', 'n'.repeat(255)],
  );
});

for (const args of [
  [1],
  [null],
  ['/data', {}, 1],
  ['/data', { limit: 0 }],
  ['/data', { limit: 1.5 }],
  ['/data', { recursive: 'yes' }],
  ['/data', { depth: 3 }],
  ['/data', { cursor: 'x'.repeat(20_000) }],
  ['/data', { cursor: '' }],
  ['/data', { cursor: 'AAAA' }],
  ['/data', { cursor: Buffer.from('["folder /workspace","a"]').toString('base64url') }],
  ['/data', { recursive: true, cursor: Buffer.from('["folder /data","a"]').toString('base64url') }],
]) {
  test(`F07: the arguments ${JSON.stringify(args).slice(0, 100)} are refused`, async (t) => {
    const { capability } = listing(t);
    t.is(await outcome(call(capability, constraints, args)), 'INVALID_PARAMS');
  });
}

test('G10: a made-up cursor leads nowhere that the listing does not go', async (t) => {
  const { list, data, outside } = listing(t);
  writeFileSync(join(data, 'z'), '');
  symlinkSync(outside, join(data, 'link'));
  for (const names of [['..'], ['..', 'outside'], ['link'], ['link', 'a'], ['.git', 'a'], ['../outside', 'a']]) {
    const cursor = Buffer.from(JSON.stringify(['tree /data', ...names])).toString('base64url');
    const paths = pathsOf(await list('/data', { recursive: true, cursor }));
    t.true(
      paths.every((path) => ['/data/z', '/data/link'].includes(path)),
      names.join('/'),
    );
  }
});
