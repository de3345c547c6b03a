import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';
import { FakeDaemon, Refusal } from '../fake-daemon.ts';
import { fakeContext, runWith } from './fake-context.ts';

const XDG = { XDG_STATE_HOME: '/state', XDG_CACHE_HOME: '/cache' };
const CACHE = ['--cache-dir', '/cache/pyrepl3'];

test('serve becomes the daemon, on the XDG state directory unless told otherwise', async (t) => {
  const context = fakeContext({ env: XDG });
  await runWith(context, 'serve');
  await runWith(context, 'serve', '--state-dir', 'here', '--client-ceiling', 'standard', '--ephemeral');
  t.deepEqual(context.replaced, [
    [context.daemonMain, 'serve', '--state-dir', '/state/pyrepl3', ...CACHE],
    [context.daemonMain, 'serve', '--state-dir', 'here', ...CACHE, '--client-ceiling', 'standard', '--ephemeral'],
  ]);
});

test('without a command and without a terminal it serves', async (t) => {
  const context = fakeContext({ env: XDG });
  t.is((await runWith(context)).status, 0);
  t.deepEqual(context.replaced, [[context.daemonMain, 'serve', '--state-dir', '/state/pyrepl3', ...CACHE]]);
});

test('--version and --help go to stdout with status 0', async (t) => {
  t.deepEqual(await runWith(fakeContext(), '--version'), { status: 0, out: '1.2.3\n', err: '' });
  const { status, out, err } = await runWith(fakeContext(), '--help');
  t.deepEqual([status, err], [0, '']);
  for (const command of ['serve', 'run', 'repl', 'session', 'status']) t.true(out.includes(`\n  ${command} `), command);
});

test('an unknown command or option is one line on stderr with status 2', async (t) => {
  for (const args of [['rum'], ['--bogus'], ['session', 'lits'], ['session', 'show'], ['status', 'extra']]) {
    const { status, out, err } = await runWith(fakeContext(), ...args);
    t.deepEqual([status, out], [2, ''], args.join(' '));
    t.regex(err, /^pyrepl3: [^\n]+--help[^\n]+\n$/, args.join(' '));
  }
});

test('session list, show, interrupt and close speak JSON or text', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const at = ['--state-dir', daemon.stateDir];
  t.is((await runWith(fakeContext(), 'session', 'list', ...at)).out, 'there are no sessions\n');
  daemon.handlers['session.create']?.({}, undefined as never);
  t.regex((await runWith(fakeContext(), 'session', 'list', ...at)).out, /^ID .*CREATED\ns1 /);
  t.like(JSON.parse((await runWith(fakeContext(), 'session', 'list', '--json', ...at)).out), [{ sessionId: 's1' }]);
  t.regex((await runWith(fakeContext(), 'session', 'show', 's1', ...at)).out, /^id +s1\n/);
  t.like(JSON.parse((await runWith(fakeContext(), 'session', 'show', 's1', '--json', ...at)).out), {
    level: 'sandbox',
  });
  t.is((await runWith(fakeContext(), 'session', 'interrupt', 's1', ...at)).out, 'nothing was running in s1\n');
  t.is(
    (await runWith(fakeContext(), 'session', 'close', 's1', '--json', ...at)).out,
    '{"sessionId":"s1","closed":true}\n',
  );
  const gone = await runWith(fakeContext(), 'session', 'show', 's1', ...at);
  t.deepEqual([gone.status, gone.err], [1, 'pyrepl3: there is no session s1 [UNKNOWN_SESSION]\n']);
});

test('status prints what the daemon says of itself', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const { out } = await runWith(fakeContext(), 'status', '--state-dir', daemon.stateDir);
  t.regex(out, /up +61 s, draining/);
  t.regex(out, /2 +\(spare\) +0 +0\.0 MiB/);
  t.like(JSON.parse((await runWith(fakeContext(), 'status', '--json', '--state-dir', daemon.stateDir)).out), {
    pid: 1,
  });
});

test('backup has the daemon write the file that the shell means, and says how large it is', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.handlers['daemon.backup'] = ({ file }) => ({ file, bytes: 3 * 2 ** 20 });
  const at = ['--state-dir', daemon.stateDir];
  t.is((await runWith(fakeContext(), 'backup', 'copy', ...at)).out, `${resolve('copy')}: 3.0 MiB\n`);
  t.deepEqual(JSON.parse((await runWith(fakeContext(), 'backup', '/copy', '--json', ...at)).out), {
    file: '/copy',
    bytes: 3 * 2 ** 20,
  });
  daemon.handlers['daemon.backup'] = () => {
    throw new Refusal('INVALID_PARAMS', 'there is one');
  };
  t.like(await runWith(fakeContext(), 'backup', '/copy', ...at), {
    status: 1,
    err: 'pyrepl3: there is one [INVALID_PARAMS]\n',
  });
});

test('drain asks the daemon to end, and ends when it has', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const { stats } = { stats: daemon.handlers['daemon.stats'] };
  // No process has this number.
  daemon.handlers['daemon.stats'] = (params, peer) => ({ ...(stats?.(params, peer) as object), pid: 2 ** 30 });
  daemon.handlers['daemon.drain'] = ({ graceMs = 10_000 }, peer) => {
    setImmediate(() => peer.close(1001));
    return { graceMs, busy: 2 };
  };
  const at = ['--state-dir', daemon.stateDir];
  t.is(
    (await runWith(fakeContext(), 'drain', ...at)).out,
    'draining: 2 sessions are in the middle of something, for 10000 ms at most\nthe daemon has ended\n',
  );
  const { out } = await runWith(fakeContext(), 'drain', '--drain-ms', '0', '--json', ...at);
  t.deepEqual(JSON.parse(out), { graceMs: 0, busy: 2 });
  t.is((await runWith(fakeContext(), 'drain', '--drain-ms', '-1', ...at)).status, 2);
});

test('what needs a running daemon says where it looked and ends with status 3', async (t) => {
  const stateDir = join(tmpdir(), 'nobody-listens-here');
  for (const args of [['status'], ['session', 'list'], ['backup', 'copy'], ['drain']]) {
    const { status, out, err } = await runWith(fakeContext(), ...args, '--state-dir', stateDir);
    t.deepEqual([status, out], [3, '']);
    t.regex(err, /^pyrepl3: cannot reach a daemon at .*admin\.sock.*pyrepl3 serve[^\n]*\n$/);
  }
});
