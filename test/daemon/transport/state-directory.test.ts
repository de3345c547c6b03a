import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { openStateDirectory } from '../../../daemon/transport/state-directory.ts';
import { temporaryDirectory } from './transport-fixture.ts';

const MODULE = new URL('../../../daemon/transport/state-directory.ts', import.meta.url).href;

/** A process that opens the directory, binds a socket where `bind` names one, says so, and lives until it is killed. */
async function otherDaemon(path: string, bind = '') {
  const source = `
    import { createServer } from 'node:net';
    import { openStateDirectory } from ${JSON.stringify(MODULE)};
    const directory = await openStateDirectory(process.argv[1]);
    if (process.argv[2]) await new Promise((resolve) => createServer().listen(process.argv[2], resolve));
    process.stdout.write('ready');
    setInterval(() => directory, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, path, bind], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function refusalOf(path: string): Promise<string> {
  try {
    (await openStateDirectory(path)).release();
  } catch (error) {
    if (error instanceof Fault && error.code === 'UNAVAILABLE') return error.message;
    throw error;
  }
  return 'opened';
}

test('creates the directory and its parents for the owner alone', async (t) => {
  const path = join(temporaryDirectory(t), 'a', 'b');
  const directory = await openStateDirectory(path);
  t.is(lstatSync(path).mode & 0o777, 0o700);
  t.is(lstatSync(join(path, '..')).mode & 0o777, 0o700);
  t.deepEqual(
    [directory.path, directory.clientSocket, directory.adminSocket],
    [path, join(path, 'client.sock'), join(path, 'admin.sock')],
  );
  for (const file of ['daemon.lock', 'daemon.pid']) t.is(lstatSync(join(path, file)).mode & 0o777, 0o600);
  directory.release();
  t.false(existsSync(join(path, 'daemon.pid')));
  (await openStateDirectory(path)).release();
});

test('refuses a directory open to others and says how to close it', async (t) => {
  const path = temporaryDirectory(t);
  chmodSync(path, 0o750);
  t.is(await refusalOf(path), `${path} is open to other users (mode 0750). Close it with: chmod 700 '${path}'`);
  chmodSync(path, 0o701);
  t.regex(await refusalOf(path), /mode 0701/);
});

test('refuses a symbolic link, also one that leads nowhere', async (t) => {
  const base = temporaryDirectory(t);
  mkdirSync(join(base, 'real'), { mode: 0o700 });
  symlinkSync(join(base, 'real'), join(base, 'link'));
  symlinkSync(join(base, 'nowhere'), join(base, 'dangling'));
  t.regex(await refusalOf(join(base, 'link')), /is a symbolic link/);
  t.not(await refusalOf(join(base, 'dangling')), 'opened');
  t.false(existsSync(join(base, 'nowhere')));
});

test('refuses a file where the directory should be, or above it', async (t) => {
  const base = temporaryDirectory(t);
  writeFileSync(join(base, 'file'), 'precious');
  t.regex(await refusalOf(join(base, 'file')), /is not a directory; move it away/);
  t.regex(await refusalOf(join(base, 'file', 'below')), /Cannot create the state directory/);
  t.is(readFileSync(join(base, 'file'), 'utf8'), 'precious');
});

test('refuses a parent in which every user may replace it', async (t) => {
  const base = temporaryDirectory(t);
  mkdirSync(join(base, 'open'));
  chmodSync(join(base, 'open'), 0o777);
  t.regex(await refusalOf(join(base, 'open', 'state')), /Every user may replace .*chmod o-w/);
  chmodSync(join(base, 'open'), 0o1777);
  t.is(await refusalOf(join(base, 'open', 'state')), 'opened');
});

test('refuses what belongs to another user', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('only root can give a directory away');
    return;
  }
  const path = temporaryDirectory(t);
  chownSync(path, 12345, 12345);
  t.regex(await refusalOf(path), /belongs to another user \(uid 12345/);
});

test('refuses a path that a socket cannot have, and a NUL', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'p-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const fitting = base.padEnd(107 - '/client.sock'.length, '/x').replace(/\/$/, 'x');
  t.is(await refusalOf(fitting), 'opened');
  t.regex(await refusalOf(`${fitting}é`), /client\.sock has 109 bytes; the system allows 107.*--state-dir/);
  t.regex(await refusalOf(`${base}\0x`), /NUL/);
});

test('a second daemon is refused and told the first one, in another process or in the same', async (t) => {
  const path = temporaryDirectory(t);
  const child = await otherDaemon(path);
  t.regex(await refusalOf(path), new RegExp(`Another daemon \\(process ${child.pid}\\) is already running on`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const mine = await openStateDirectory(path);
  t.regex(await refusalOf(path), new RegExp(`process ${process.pid}`));
  mine.release();
  t.is(await refusalOf(path), 'opened');
});

test('clears the stale socket of a daemon that was killed', async (t) => {
  const path = temporaryDirectory(t);
  const child = await otherDaemon(path, join(path, 'client.sock'));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.true(lstatSync(join(path, 'client.sock')).isSocket());
  t.is(await refusalOf(path), 'opened');
  t.false(existsSync(join(path, 'client.sock')));
});

test('leaves a socket alone that somebody answers', async (t) => {
  const path = temporaryDirectory(t);
  const server = createServer().listen(join(path, 'admin.sock'));
  t.teardown(() => server.close());
  await once(server, 'listening');
  t.regex(await refusalOf(path), /Another program listens on .*admin\.sock/);
  t.true(existsSync(join(path, 'admin.sock')));
});

test('never unlinks a file, a link or a directory at a socket path', async (t) => {
  for (const put of [
    (at: string) => writeFileSync(at, 'precious'),
    (at: string) => mkdirSync(at),
    (at: string) => symlinkSync('/', at),
  ]) {
    const path = temporaryDirectory(t);
    put(join(path, 'client.sock'));
    t.regex(await refusalOf(path), /client\.sock is there already and is not a socket; move it away/);
    t.truthy(lstatSync(join(path, 'client.sock')));
  }
});

test('refuses a lock file that is not one', async (t) => {
  const garbage = temporaryDirectory(t);
  writeFileSync(join(garbage, 'daemon.lock'), 'precious '.repeat(1000));
  t.regex(await refusalOf(garbage), /Cannot lock .*move that file away/);
  t.true(readFileSync(join(garbage, 'daemon.lock'), 'utf8').startsWith('precious'));
  const link = temporaryDirectory(t);
  symlinkSync(join(garbage, 'daemon.lock'), join(link, 'daemon.lock'));
  t.regex(await refusalOf(link), /daemon\.lock is not a regular file/);
});

test('a pid file that holds anything else tells nothing, and stops nobody', async (t) => {
  const path = temporaryDirectory(t);
  const mine = await openStateDirectory(path);
  writeFileSync(join(path, 'daemon.pid'), 'x'.repeat(1e6));
  t.regex(await refusalOf(path), /^Another daemon is already running/);
  mine.release();
});
