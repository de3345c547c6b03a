import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { ExecCapability } from '../../../daemon/capabilities/exec.ts';
import type { ProgramResult } from '../../../daemon/exec/run-program.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const PROGRAMS = new Map(
  Object.entries({ sh: '/bin/sh', node: process.execPath, missing: '/nowhere/at/all', directory: '/' }).map(
    ([name, path]) => [name, { path }] as const,
  ),
);
const constraints = { programs: [...PROGRAMS.keys()], timeMsMax: 60_000, outputBytesMax: 4096 };
type Args = Parameters<ExecCapability['audited']>[0];
type Run = (args: Args, changes?: object, context?: Parameters<typeof fakeContext>[0]) => Promise<ProgramResult>;

function setUp(t: ExecutionContext): { exec: ExecCapability; folder: string; run: Run } {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-exec-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const exec = new ExecCapability({ programs: () => PROGRAMS, folder });
  const run: Run = (args, changes = {}, context = {}) =>
    exec.invoke(allowed('exec', args, { ...constraints, ...changes }), fakeContext(context));
  return { exec, folder, run };
}

/** Whether a process is there and is more than the remains of one. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

test('a program runs to its end, with its status and what it wrote', async (t) => {
  const { run, folder } = setUp(t);
  t.deepEqual(await run(['sh', ['-c', 'echo "$1"; echo err >&2; exit 3', 'sh', 'a b; $HOME']]), {
    status: 3,
    signal: null,
    stdout: 'a b; $HOME\n',
    stderr: 'err\n',
    truncated: false,
  });
  t.like(await run(['sh', ['-c', 'kill -TERM $$']]), { status: null, signal: 'SIGTERM' });
  t.deepEqual(readdirSync(folder), []);
});

test('stdin is what the call gives, and closed where it gives nothing', async (t) => {
  const { run } = setUp(t);
  t.is((await run(['sh', ['-c', 'cat'], { stdin: { text: 'grüße' } }])).stdout, 'grüße');
  t.is((await run(['sh', ['-c', 'cat; echo end']])).stdout, 'end\n');
  t.like(await run(['sh', ['-c', 'exit 0'], { stdin: { text: 'x'.repeat(1_000_000) } }]), { status: 0 });
});

test('E06: a program has no environment, no descriptors, no shell of the daemon’s, and an empty directory of its own', async (t) => {
  const { run, folder } = setUp(t);
  const script = `const fs = require('node:fs');
    const fds = fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
    console.log(JSON.stringify({ env: process.env, cwd: process.cwd(), files: fs.readdirSync('.'),
      mode: fs.statSync('.').mode & 0o777, foreign: fds.filter((to) => to.startsWith('/') && !to.startsWith('/dev/') && !to.startsWith('/proc/')) }));
    fs.mkdirSync('left/behind', { recursive: true });`;
  const { stdout, stderr } = await run(['node', ['-e', script]]);
  t.is(stderr, '');
  const { cwd, ...rest } = JSON.parse(stdout);
  t.deepEqual(rest, { env: { LANG: 'C.UTF-8' }, files: [], mode: 0o700, foreign: [] });
  t.true(cwd.startsWith(folder));
  t.false(existsSync(cwd));
});

test('a program that is not listed is refused in the same words, whether or not there is one', async (t) => {
  const { exec, run } = setUp(t);
  const narrow = { ...constraints, programs: ['sh'] };
  t.is(exec.refuse(['sh', []], narrow), null);
  const refusals = ['node', 'missing', 'nothing', '/bin/sh', '../sh'].map((name) =>
    exec.refuse([name, []], narrow)?.replace(name, ''),
  );
  t.deepEqual([...new Set(refusals)], ['exec("") is not granted to this session.']);
  const gone = run(['gone', []], { programs: ['gone'] });
  t.is((await t.throwsAsync(gone, { instanceOf: Fault })).code, 'CAPABILITY_DENIED');
});

test('a program that cannot be started fails without telling where it is', async (t) => {
  const { run, folder } = setUp(t);
  for (const name of ['missing', 'directory']) {
    const fault = await t.throwsAsync(run([name, []]), { instanceOf: Fault });
    t.like(fault, {
      code: 'EFFECT_FAILED',
      details: { reason: 'not-found' },
      message: `The program "${name}" cannot be started.`,
    });
  }
  t.deepEqual(readdirSync(folder), []);
});

test('at its time a program is ended with everything that it started', async (t) => {
  const { run, exec } = setUp(t);
  const pids = join(mkdtempSync(join(tmpdir(), 'pyrepl3-pids-')), 'pids');
  t.teardown(() => rmSync(join(pids, '..'), { recursive: true, force: true }));
  const script = `trap '' TERM; (echo $$ > ${pids}; sleep 1000) & sleep 1000 & echo $! >> ${pids}; wait`;
  const fault = await t.throwsAsync(run(['sh', ['-c', script], { timeoutMs: 500 }]), { instanceOf: Fault });
  t.is(fault.code, 'TIMED_OUT');
  const started = existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n').map(Number) : [];
  await until(() => !started.some(isAlive));
  t.is(exec.refuse(['sh', [], { timeoutMs: 60_000 }], constraints), null);
  t.regex(exec.refuse(['sh', [], { timeoutMs: 60_001 }], constraints) ?? '', /at most 60000 ms/);
});

test('what a program leaves running is ended with it', async (t) => {
  const { run } = setUp(t);
  const { stdout, status } = await run(['sh', ['-c', 'sleep 1000 & echo $!']]);
  t.is(status, 0);
  await until(() => !isAlive(Number(stdout)));
});

test('the end of the session ends its programs', async (t) => {
  const { run, folder } = setUp(t);
  const ending = new AbortController();
  const running = run(['sh', ['-c', 'echo $$ > pid; exec sleep 1000']], {}, { signal: ending.signal });
  const files = (): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });
  await until(() => files().some((path) => path.endsWith('pid') && readFileSync(join(folder, path), 'utf8') !== ''));
  const path = files().find((each) => each.endsWith('pid')) ?? '';
  const pid = Number(readFileSync(join(folder, path), 'utf8'));
  t.true(isAlive(pid));
  ending.abort();
  t.is((await t.throwsAsync(running, { instanceOf: Fault })).code, 'INTERRUPTED');
  await until(() => !isAlive(pid));
  t.deepEqual(files(), []);
  const late = run(['sh', []], {}, { signal: ending.signal });
  t.is((await t.throwsAsync(late, { instanceOf: Fault })).code, 'INTERRUPTED');
});

test('a program may write as much as the level allows, on both streams together, and is ended beyond it', async (t) => {
  const { run } = setUp(t);
  const exact = await run(['sh', ['-c', 'printf 12345; printf 678 >&2']], { outputBytesMax: 8 });
  t.like(exact, { status: 0, stdout: '12345', stderr: '678', truncated: false });
  const more = await run(['sh', ['-c', 'while :; do echo 1234567; done']], { outputBytesMax: 20 });
  t.like(more, { status: null, signal: 'SIGKILL', truncated: true, stderr: '' });
  t.is(more.stdout, '1234567\n1234567\n1234');
});

test('four programs of one session run at once, and those of another besides', async (t) => {
  const { run } = setUp(t);
  const ending = new AbortController();
  const context = { signal: ending.signal };
  const running = Array.from({ length: 4 }, () => t.throwsAsync(run(['sh', ['-c', 'sleep 1000']], {}, context)));
  t.is((await t.throwsAsync(run(['sh', ['-c', ':']]), { instanceOf: Fault })).code, 'BUSY');
  t.is((await run(['sh', ['-c', ':']], {}, { sessionId: 'ses_other' })).status, 0);
  ending.abort();
  await Promise.all(running);
  t.is((await run(['sh', ['-c', ':']])).status, 0);
});

test('F07: takes a name, up to 256 arguments of 8192 bytes without NUL, and known options', (t) => {
  const { exec } = setUp(t);
  t.true(v.is(exec.args, ['sh', Array.from({ length: 256 }, () => ''), { stdin: { text: '' }, timeoutMs: 1 }]));
  t.true(v.is(exec.args, ['sh', ['x'.repeat(8192)]]));
  for (const args of [
    ['sh'],
    ['sh', 'ls'],
    ['sh', [1]],
    ['sh', ['a\0b']],
    ['sh', ['x'.repeat(8193)]],
    ['sh', ['ä'.repeat(4097)]],
    ['sh', Array.from({ length: 257 }, () => '')],
    ['sh', { 0: 'a', length: 1 }],
    [['sh'], []],
    ['sh', [], { env: {} }],
    ['sh', [], { cwd: '/' }],
    ['sh', [], { shell: true }],
    ['sh', [], { timeoutMs: 0 }],
    ['sh', [], { timeoutMs: 2 ** 31 }],
    ['sh', [], { stdin: 'text' }],
    ['sh', [], {}, 1],
  ]) {
    t.false(v.is(exec.args, args), JSON.stringify(args).slice(0, 60));
  }
});

test('J10: what goes to stdin is not shown', (t) => {
  const { exec } = setUp(t);
  t.deepEqual(exec.audited(['sh', ['-c', 'cat'], { stdin: { text: 'secret' }, timeoutMs: 5 }]), [
    'sh',
    ['-c', 'cat'],
    { stdin: { bytes: 6 }, timeoutMs: 5 },
  ]);
});
