import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { CellFailure, FakeDaemon, Refusal } from '../fake-daemon.ts';
import { fakeContext, runWith } from './fake-context.ts';

async function fileWith(name: string, content: string | Uint8Array): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'cells-'));
  const path = join(folder, name);
  await writeFile(path, content);
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('prints the value as a shell user expects: strings as they are, other JSON compact, nothing for undefined', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const printed = async (source: string): Promise<string> =>
    (await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, '-e', source)).out;
  t.is(await printed('42'), '42\n');
  t.is(await printed('"a b"'), 'a b\n');
  t.is(await printed('{"a":[1,null]}'), '{"a":[1,null]}\n');
  t.is(await printed('null'), 'null\n');
  t.is(await printed(''), '');
  t.is(await printed('-1'), '-1\n');
});

test('on a terminal objects are indented', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const context = fakeContext({ isTerminal: true });
  t.is((await runWith(context, 'run', '--state-dir', daemon.stateDir, '-e', '{"a":1}')).out, '{\n  "a": 1\n}\n');
});

test('streams what the guest writes, keeps stdout and stderr apart, and ends an unfinished line before the value', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (_source, cell) => {
    cell.print('out');
    cell.print('err\n', 'stderr');
    cell.emit({ kind: 'display', executionId: 'x', data: { 'text/plain': 'not mine' } });
    return 1;
  };
  const { out, err, status } = await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, '-e', 'x');
  t.deepEqual([out, err, status], ['out\n1\n', 'err\n', 0]);
});

test('an error goes to stderr with its stack, and the status is 1', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = () => {
    throw new RangeError('too far');
  };
  const { out, err, status } = await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, '-e', 'x');
  t.deepEqual([out, err, status], ['', 'RangeError: too far\n    at cell:1:1\n', 1]);
});

test('all cells run in one session, also after one that failed; the last value is printed', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using file = await fileWith('cells.json', JSON.stringify(['1', 'no', '3']));
  const { out, err, status } = await runWith(
    fakeContext(),
    'run',
    '--state-dir',
    daemon.stateDir,
    '--cells',
    file.path,
  );
  t.is(out, '3\n');
  t.regex(err, /^SyntaxError: /);
  t.is(status, 1);
  t.is(daemon.of('session.create').length, 1);
  t.is(daemon.of('session.execute').length, 3);
});

test('--json prints exactly one document: the result, or an array of results, output inside', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (source, cell) => {
    cell.print('noise');
    return JSON.parse(source);
  };
  const args = ['run', '--json', '--state-dir', daemon.stateDir];
  const one = await runWith(fakeContext(), ...args, '-e', '42');
  t.like(JSON.parse(one.out), {
    status: 'ok',
    cell: 1,
    value: { kind: 'json', json: 42 },
    output: { stdout: 'noise' },
  });
  t.is(one.err, '');
  await using file = await fileWith('cells.json', JSON.stringify(['1', 'no']));
  const many = await runWith(fakeContext(), ...args, '--cells', file.path);
  t.deepEqual(
    (JSON.parse(many.out) as { status: string }[]).map(({ status }) => status),
    ['ok', 'error'],
  );
  t.deepEqual([many.status, many.err], [1, '']);
});

test('a cell that the daemon refuses has a result of the same shape', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.limits = { ...daemon.limits, sourceBytesMax: 3 };
  const args = ['run', '--state-dir', daemon.stateDir];
  const { out, status } = await runWith(fakeContext(), ...args, '--json', '-e', '12345');
  t.like(JSON.parse(out), { status: 'error', cell: 1, error: { code: 'TOO_LARGE' }, output: { stdout: '' } });
  t.is(status, 1);
  t.regex((await runWith(fakeContext(), ...args, '-e', '12345')).err, /5 bytes.*\[TOO_LARGE\]\n$/);
});

test('the language goes by the extension unless it is given; level and timeout are passed on', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using file = await fileWith('cell.mts', '1');
  const args = ['run', '--state-dir', daemon.stateDir];
  await runWith(fakeContext(), ...args, file.path);
  await runWith(fakeContext(), ...args, '--lang', 'javascript', file.path);
  await runWith(fakeContext({ stdin: '7' }), ...args, '--level', 'standard', '--timeout', '50', '-');
  const created = daemon.of('session.create').map(({ params }) => params);
  t.deepEqual(created, [
    { language: 'typescript', argv: [file.path] },
    { language: 'javascript', argv: [file.path] },
    { language: 'javascript', argv: ['-'], level: 'standard' },
  ]);
  t.like(daemon.of('session.execute')[2]?.params, { source: '7', timeoutMs: 50 });
});

test('without an extension that says it, the language is that of the #! line', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const languageOf = async (firstLine: string, name = 'script'): Promise<unknown> => {
    await using file = await fileWith(name, `${firstLine}\n1`);
    await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, file.path);
    return daemon.of('session.create').at(-1)?.params['language'];
  };
  t.is(await languageOf('#!/usr/bin/env python3'), 'python');
  t.is(await languageOf('#!/usr/bin/python3.14 -I'), 'python');
  t.is(await languageOf('#!/usr/bin/env -S pyrepl3 run --lang python'), 'python');
  t.is(await languageOf('#!/usr/bin/env -S pyrepl3 run --lang=typescript --level standard'), 'typescript');
  t.is(await languageOf('#!/usr/bin/env -S pyrepl3 run'), 'javascript');
  t.is(await languageOf('#!/usr/bin/env python3', 'script.js'), 'javascript');
  t.is(await languageOf('# python3'), 'javascript');
  t.is(await languageOf('#!/usr/bin/env -S pyrepl3 run --lang cobol'), 'javascript');
});

test('what follows the file, or -e, is for the program, options included; a list of cells has no arguments', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using file = await fileWith('cell.py', '1');
  const args = ['run', '--state-dir', daemon.stateDir];
  const argvOf = async (...words: string[]): Promise<unknown> => {
    t.is((await runWith(fakeContext({ stdin: '1' }), ...args, ...words)).err, '');
    return daemon.of('session.create').at(-1)?.params['argv'];
  };
  t.deepEqual(await argvOf(file.path, 'a', '--json', '-x', '--', 'b'), [file.path, 'a', '--json', '-x', '--', 'b']);
  t.deepEqual(await argvOf('-e', '1', 'a', '--level'), ['-c', 'a', '--level']);
  t.deepEqual(await argvOf('-', 'a'), ['-', 'a']);
  await using cells = await fileWith('cells.json', '["1"]');
  t.is(await argvOf('--cells', cells.path), undefined);
});

test('a program of Python ends with the status that Python would give it', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const failing = (error: ConstructorParameters<typeof CellFailure>[0]) => {
    daemon.script = () => {
      throw new CellFailure(error);
    };
  };
  const ran = async (...words: string[]): Promise<{ err: string; status: number }> => {
    const { err, status } = await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, ...words);
    return { err, status };
  };
  const python = () => ran('--lang', 'python', '-e', 'x');
  failing({ name: 'SystemExit', message: '3', exitStatus: 3 });
  t.deepEqual(await python(), { err: '', status: 3 });
  failing({ name: 'SystemExit', message: '-1', exitStatus: -1 });
  t.is((await python()).status, 255);
  failing({ name: 'SystemExit', message: '256', exitStatus: 256 });
  t.is((await python()).status, 0);
  failing({ name: 'SystemExit', message: 'no more' });
  t.deepEqual(await python(), { err: 'no more\n', status: 1 });
  failing({ name: 'ValueError', message: 'bad', stack: '  File "cell:1", line 1, in <module>' });
  const traceback = 'Traceback (most recent call last):\n  File "cell:1", line 1, in <module>\nValueError: bad\n';
  t.deepEqual(await python(), { err: traceback, status: 1 });
  failing({ name: 'KeyboardInterrupt' });
  t.is((await python()).status, 130);
  failing({ name: 'SystemExit', message: '3', exitStatus: 3 });
  await using cells = await fileWith('cells.json', '["1"]');
  t.is((await ran('--lang', 'python', '--cells', cells.path)).status, 1, 'a list of cells is ok or it is not');
});

test('input() reads the lines of stdin, and null when they have ended or stdin was the source', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = async (_source, cell) => [await cell.ask('a? '), await cell.ask('b? '), await cell.ask('c? ')];
  const args = ['run', '--state-dir', daemon.stateDir];
  const piped = await runWith(fakeContext({ stdin: 'one\ntwo' }), ...args, '-e', 'x');
  t.deepEqual([piped.out, piped.err], ['["one","two",null]\n', '']);
  t.is((await runWith(fakeContext({ stdin: 'x' }), ...args, '-')).out, '[null,null,null]\n');
});

test('on a terminal input() asks, with a prompt that cannot do anything to the terminal', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (_source, cell) => cell.ask('\x1b]52;c;ZXZpbA==\x07name? ');
  const context = fakeContext({ stdin: 'Ada\n', isTerminal: true });
  const { out, err } = await runWith(context, 'run', '--state-dir', daemon.stateDir, '-e', 'x');
  t.deepEqual([out, err], ['Ada\n', 'name? ']);
});

test('Ctrl-C interrupts the cell and leaves out the rest; a second one ends the command with 130', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using file = await fileWith('cells.json', '["1", "2"]');
  const context = fakeContext();
  daemon.script = async (_source, cell) => {
    await cell.interrupted;
    context.handlers.interrupt?.();
    throw new Refusal('INTERRUPTED', 'interrupted');
  };
  const running = runWith(context, 'run', '--state-dir', daemon.stateDir, '--cells', file.path);
  await daemon.received('session.execute');
  context.handlers.interrupt?.();
  t.is((await running).status, 1);
  t.is(daemon.of('session.execute').length, 1);
  t.deepEqual(context.exits, [130]);
});

test('where no daemon listens a private one is started in a fresh directory and leaves nothing behind', async (t) => {
  const stateDir = join(tmpdir(), 'nobody-listens-here');
  const context = fakeContext({ env: { PATH: process.env['PATH'] ?? '' } });
  const { out, status } = await runWith(context, 'run', '--state-dir', stateDir, '-e', '"where"');
  t.is(status, 0);
  t.regex(out, /pyrepl3-\w{6}\n$/);
  t.false(existsSync(out.trim()));
  t.false(existsSync(stateDir));
});

test('a private daemon keeps nothing on the disk that would only be removed with it', async (t) => {
  const context = fakeContext({ env: { PATH: process.env['PATH'] ?? '' } });
  const { out } = await runWith(context, 'run', '--state-dir', join(tmpdir(), 'nobody-listens-here'), '-e', '"args"');
  t.regex(out, /--ephemeral/);
});

test('a daemon that cannot be started or dies is status 3, with its own last words', async (t) => {
  const args = ['run', '--state-dir', join(tmpdir(), 'nobody-listens-here'), '-e'];
  const failing = await runWith(fakeContext({ env: { FAKE_DAEMON_FAILS: '1' } }), ...args, '1');
  t.deepEqual([failing.status, failing.out], [3, '']);
  t.regex(failing.err, /could not be started: .*the disk is full\n$/);
  const dying = await runWith(fakeContext(), ...args, '"fail"');
  t.is(dying.status, 3);
});

test('every wrong usage is status 2 and one line on stderr that says what to do', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using notCells = await fileWith('cells.json', '{"a":1}');
  await using notJson = await fileWith('cells.json', '[');
  await using notText = await fileWith('cell.js', new Uint8Array([0xff, 0xfe]));
  const wrong: Record<string, [string[], RegExp]> = {
    nothing: [[], /nothing to run: give one of FILE/],
    'two sources': [['-e', '1', '--cells', notCells.path], /more than one thing/],
    'arguments for a list of cells': [['--cells', notCells.path, 'a'], /takes no file and no arguments/],
    'an unreadable file': [['/does/not/exist.js'], /cannot read .*ENOENT/],
    'a file that is not text': [[notText.path], /not UTF-8/],
    'cells that are not a list': [['--cells', notCells.path], /JSON array of strings/],
    'cells that are not JSON': [['--cells', notJson.path], /is not JSON/],
    'an unknown option': [['--bogus'], /unknown option '--bogus'.*--help/],
    'an unknown language': [['--lang', 'cobol', '-e', '1'], /cobol.*javascript, typescript, python/],
    'an unknown level': [['--level', 'god', '-e', '1'], /unknown level "god".*sandbox/],
    'a timeout of zero': [['--timeout', '0', '-e', '1'], /whole number of milliseconds/],
    'a timeout that is no number': [['--timeout', '1e3', '-e', '1'], /whole number of milliseconds/],
    'a missing argument': [['-e'], /argument missing/],
  };
  for (const [what, [args, message]] of Object.entries(wrong)) {
    const { status, out, err } = await runWith(fakeContext(), 'run', '--state-dir', daemon.stateDir, ...args);
    t.deepEqual([status, out], [2, ''], what);
    t.regex(err, message, what);
    t.regex(err, /^pyrepl3: [^\n]+\n$/, what);
  }
});

test('a level above the ceiling is wrong usage, any other refusal status 1', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const args = ['run', '--state-dir', daemon.stateDir, '--level', 'trusted', '-e', '1'];
  daemon.handlers['session.create'] = () => {
    throw new Refusal('LEVEL_DENIED', 'above the ceiling');
  };
  t.is((await runWith(fakeContext(), ...args)).status, 2);
  daemon.handlers['session.create'] = () => {
    throw new Refusal('BUSY', 'full');
  };
  const { status, err } = await runWith(fakeContext(), ...args);
  t.deepEqual([status, err], [1, 'pyrepl3: full [BUSY]\n']);
});
