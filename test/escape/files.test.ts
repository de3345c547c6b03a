/** Class G: guest code that tries to leave its roots, over the whole path. What lies outside is looked at from outside. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { Guest } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const SECRET = 'the secret outside';
const cleanups: (() => unknown)[] = [];
const base = mkdtempSync(join(tmpdir(), 'pyrepl3-tree-'));
const data = join(base, 'data');
const outside = join(base, 'outside');
let daemon: DaemonProcess;
let client: RawClient;

test.serial.before(async () => {
  for (const folder of [data, outside]) mkdirSync(folder);
  writeFileSync(join(data, 'a.txt'), 'inside');
  writeFileSync(join(data, '.env'), SECRET);
  writeFileSync(join(outside, 'secret.txt'), SECRET);
  symlinkSync(join(outside, 'secret.txt'), join(data, 'link.txt'));
  symlinkSync(outside, join(data, 'way'));
  symlinkSync(join(outside, 'made.txt'), join(data, 'dangling'));
  symlinkSync('/dev/zero', join(data, 'zero'));
  linkSync(join(outside, 'secret.txt'), join(data, 'hard.txt'));
  execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', join(data, 'pipe')]);
  writeFileSync(join(data, 'sparse'), '');
  truncateSync(join(data, 'sparse'), 2 ** 40);
  const policy = new PolicyFolder();
  cleanups.push(
    () => policy.remove(),
    () => rmSync(base, { recursive: true, force: true }),
  );
  policy
    .edit('policy', / {2}# data: .*/, `  data: { path: ${data} }`)
    .grant('standard', 'read_file', '{ roots: [workspace, data], fileBytesMax: 8388608 }')
    .grant('standard', 'list_files', '{ roots: [workspace, data], entriesMax: 10000 }')
    .grant(
      'standard',
      'write_file',
      '{ roots: [workspace, data], fileBytesMax: 8388608, totalBytesMax: 8400000, filesMax: 5 }',
    )
    .grant('trusted', 'delete_file', '{ roots: [workspace, data] }');
  daemon = await DaemonProcess.start(
    { teardown: (end) => void cleanups.unshift(end as () => unknown) },
    { args: ['--client-ceiling', 'unrestricted', '--policies', policy.path] },
  );
  client = await daemon.connect();
});

test.after.always(async () => {
  for (const cleanup of cleanups) await cleanup();
});

const session = (level = 'trusted'): Promise<Guest> => Guest.open(client, { level });

/** What a call comes to: its value as text, or the code of its failure. */
async function called(guest: Guest, call: string): Promise<string> {
  return String(await guest.json(`await ${call}.then((v) => String(v?.bytes ?? v)).catch((e) => 'failed ' + e.code)`));
}

const quoted = (path: string): string => JSON.stringify(path);

test.serial('what is inside can be read, so that what follows is refused for its own reason', async (t) => {
  t.is(await called(await session('standard'), 'read_file("/data/a.txt")'), 'inside');
});

for (const [id, paths] of [
  [
    'G01',
    [
      '../../etc/passwd',
      '/etc/passwd',
      'file:///etc/passwd',
      '/data/../outside/secret.txt',
      '/data/a.txt\0.png',
      'a'.repeat(5000),
      '',
    ],
  ],
  ['G05', ['/data/link.txt', '/data/way/secret.txt', '/data/dangling']],
  ['G07', ['/proc/self/environ', '/data/zero', '/data/pipe', '/dev/stdin']],
  ['G04', ['/data/hard.txt']],
  ['F13', ['/data/.env', '/data/.ENV', '/data/.git/config', '/data/server.PEM', '/data/.env.']],
] as const) {
  test.serial(`${id}: nothing outside is read, written or deleted by ${paths.length} ways to name it`, async (t) => {
    const guest = await session();
    for (const path of paths) {
      for (const call of [
        `read_file(${quoted(path)})`,
        `write_file(${quoted(path)}, "changed")`,
        `delete_file(${quoted(path)})`,
      ])
        t.regex(
          await called(guest, call),
          /^failed (CAPABILITY_DENIED|EFFECT_FAILED|INVALID_PARAMS)$/,
          call.slice(0, 200),
        );
    }
    t.is(readFileSync(join(outside, 'secret.txt'), 'utf8'), SECRET);
    t.false(existsSync(join(outside, 'made.txt')));
    t.true(lstatSync(join(data, 'link.txt')).isSymbolicLink());
    await guest.close();
  });
}

test.serial('G02: escapes of other notations are letters of a name inside the root', async (t) => {
  const guest = await session('standard');
  for (const path of ['/data/..%2foutside%2fsecret.txt', '/data/%252e%252e', '~', '/data/..\\outside\\secret.txt']) {
    t.not(await called(guest, `read_file(${quoted(path)})`), SECRET);
    await called(guest, `write_file(${quoted(path)}, "changed")`);
  }
  t.is(readFileSync(join(outside, 'secret.txt'), 'utf8'), SECRET);
  t.deepEqual(readdirSync(outside), ['secret.txt']);
});

test.serial('E05: a path that exists outside and one that does not are refused in the same words', async (t) => {
  const guest = await session('standard');
  const words = (path: string): Promise<unknown> =>
    guest.json(`await read_file(${quoted(path)}).catch((e) => e.message)`);
  t.is(await words('/data/../outside/secret.txt'), await words('/data/../outside/none.txt'));
  t.is(await words('/etc/passwd'), await words('/etc/no-such-file'));
});

test.serial('G07, G11: a file larger than may be read is refused before it is read', async (t) => {
  const guest = await session('standard');
  t.is(await called(guest, 'read_file("/data/sparse")'), 'failed TOO_LARGE');
  t.is(await guest.json('1 + 1'), 2);
});

test.serial('G10: a listing stays inside, follows no link and leaves out what is blocked', async (t) => {
  const guest = await session('standard');
  const { entries } = (await guest.json('await list_files("/data", { recursive: true })')) as {
    entries: { path: string; kind: string }[];
  };
  const paths = entries.map(({ path }) => path);
  t.true(paths.includes('/data/a.txt'));
  t.false(paths.some((path) => path.startsWith('/data/way/') || path.endsWith('.env')));
  t.false(JSON.stringify(entries).includes(base));
});

test.serial('G11: quotas hold for bytes and for files, also when they are written at once', async (t) => {
  const guest = await session('standard');
  const many = await guest.json(
    '(await Promise.allSettled(Array.from({ length: 12 }, (_, i) => write_file(`f${i}`, "x")))).filter((r) => r.status === "fulfilled").length',
  );
  t.is(many, 5);
  const other = await session('standard');
  t.is(await called(other, 'write_file("big", "x".repeat(8388609))'), 'failed TOO_LARGE');
  t.is(await called(other, 'write_file("big", "x".repeat(8388608))'), '8388608');
  t.is(await called(other, 'write_file("more", "x".repeat(20000))'), 'failed TOO_LARGE');
});

test.serial('G12: a file that code makes is for its owner alone, and cannot be run', async (t) => {
  const guest = await session('standard');
  t.is(await called(guest, 'write_file("/data/made-inside.sh", "#!/bin/sh")'), '9');
  t.is(lstatSync(join(data, 'made-inside.sh')).mode & 0o777, 0o600);
});

test.serial('G13, J12: a root that holds or lies in the state directory is refused at start', async (t) => {
  for (const [what, path] of [
    ['above', (state: string) => join(state, '..')],
    ['below', (state: string) => join(state, 'audit')],
  ] as const) {
    const parent = mkdtempSync(join(tmpdir(), 'pyrepl3-own-'));
    const policy = new PolicyFolder();
    t.teardown(() => {
      policy.remove();
      rmSync(parent, { recursive: true, force: true });
    });
    const stateDir = join(parent, 'state');
    mkdirSync(join(stateDir, 'audit'), { recursive: true, mode: 0o700 });
    policy.edit('policy', / {2}# data: .*/, `  data: { path: ${path(stateDir)} }`);
    const starting = DaemonProcess.start(t, { stateDir, args: ['--policies', policy.path] });
    const error = await t.throwsAsync(starting, undefined, what);
    t.regex(error?.message ?? '', /The root "data" of policy\.yaml cannot be used/);
  }
});

test.serial("G14: sessions do not see each other's workspace, and it goes with its session", async (t) => {
  const [one, other] = [await session('standard'), await session('standard')];
  t.is(await called(one, 'write_file("private.txt", "mine")'), '4');
  t.is(await called(other, 'read_file("private.txt")'), 'failed EFFECT_FAILED');
  t.is(
    await called(other, `read_file("/workspace/../${one.sessionId}/workspace/private.txt")`),
    'failed CAPABILITY_DENIED',
  );
  const folder = join(daemon.stateDir, 'workspaces', one.sessionId);
  t.true(existsSync(folder));
  await one.close();
  while (existsSync(folder)) await new Promise((resolve) => setTimeout(resolve, 10));
  t.false(readdirSync(join(daemon.stateDir, 'workspaces')).includes(one.sessionId));
});
