/** Files that are run as programs, by the real command line: what they find in their arguments, and what they end with. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);
const COMMAND = fileURLToPath(import.meta.resolve('../../client/cli/pyrepl3.js'));
const folder = mkdtempSync(join(tmpdir(), 'scripts-'));
symlinkSync(COMMAND, join(folder, 'pyrepl3'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

const PATH = [folder, dirname(process.execPath), process.env['PATH']].join(delimiter);

const execute = (program: string, args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, PATH };
    execFile(program, args, { cwd: folder, env }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
  });

/** Runs a script as a shell does: the system reads its first line. */
function runScript(name: string, lines: readonly string[], ...args: string[]): Promise<Ended> {
  const shebang = `#!/usr/bin/env -S pyrepl3 run --state-dir ${file.daemon.stateDir}`;
  writeFileSync(join(folder, name), [shebang, ...lines, ''].join('\n'));
  chmodSync(join(folder, name), 0o755);
  return execute(`./${name}`, args);
}

const runPython = (source: string, ...args: string[]): Promise<Ended> =>
  execute('pyrepl3', ['run', '--state-dir', file.daemon.stateDir, '--lang', 'python', '-e', source, ...args]);

test.serial('a script of Python is executed from the shell, with its arguments and as __main__', async (t) => {
  const lines = ['import sys', 'if __name__ == "__main__": print(sys.argv)'];
  const { status, out, err } = await runScript('script.py', lines, 'a b', '--json', '-x');
  t.deepEqual([status, out, err], [0, "['./script.py', 'a b', '--json', '-x']\n", '']);
});

test.serial('so are scripts of JavaScript and TypeScript, which find them in argv', async (t) => {
  const { status, out } = await runScript('script.js', ['print(JSON.stringify(argv))'], 'a', '--level');
  t.deepEqual([status, out], [0, '["./script.js","a","--level"]\n']);
  const lines = ['const argv: readonly string[] = ["mine"]', 'await null; print(argv.length)'];
  t.is((await runScript('script.ts', lines, 'a')).out, '1\n', 'a program may use the name for itself');
  const awaiting = await runScript('script.mjs', ['await null', 'null.x']);
  t.is(awaiting.status, 1);
  t.regex(awaiting.err, /^TypeError: .*\n +at cell:1:3:/, 'the first line counts');
});

test.serial('a program of Python ends with the status that it asks for, and says why it could not go on', async (t) => {
  t.deepEqual(await runPython('import sys; sys.exit(int(sys.argv[1]))', '3'), { status: 3, out: '', err: '' });
  t.deepEqual(await runPython('print(1); raise SystemExit'), { status: 0, out: '1\n', err: '' });
  t.deepEqual(await runPython('import sys; sys.exit(-1)'), { status: 255, out: '', err: '' });
  t.deepEqual(await runPython('import sys; sys.exit("no more")'), { status: 1, out: '', err: 'no more\n' });
  t.deepEqual(await runPython('import sys; sys.exit(True)'), { status: 1, out: '', err: '' });
  const failed = await runPython('def f():\n    raise ValueError("bad")\nf()');
  t.is(failed.status, 1);
  t.regex(
    failed.err,
    /^Traceback \(most recent call last\):\n {2}File "cell:1", line 3, in <module>\n[\s\S]*ValueError: bad\n$/,
  );
  t.is((await runPython('raise KeyboardInterrupt')).status, 130);
});

test.serial('the arguments outlive what the session holds: a reset, and a sleep', async (t) => {
  const session = await file.session({ language: 'python', argv: ['tool', 'ü', ''] });
  const read = async () => session.value('import sys; sys.argv');
  const expected = { kind: 'json', json: ['tool', 'ü', ''] };
  t.deepEqual(await read(), expected);
  await session.run('sys.argv.append("more")');
  await file.client.call('session.reset', { sessionId: session.sessionId });
  t.deepEqual(await read(), expected);
  await session.run('sys.argv.append("more")');
  await file.client.call('session.hibernate', { sessionId: session.sessionId });
  t.deepEqual(await session.value('sys.argv[1:]'), { kind: 'json', json: ['ü', '', 'more'] });
  const plain = await file.session({ language: 'python' });
  t.deepEqual(await plain.value('import sys; sys.argv'), { kind: 'json', json: [''] });
  const script = await file.session({ argv: ['x'] });
  t.deepEqual(await script.value('argv'), { kind: 'json', json: ['x'] });
});

test.serial('arguments are bounded, in number and in length', async (t) => {
  const open = (argv: unknown) => file.client.callAny('session.create', { argv });
  await t.notThrowsAsync(open(Array(1000).fill('x')));
  await t.notThrowsAsync(open(['x'.repeat(1_048_576)]));
  for (const argv of [Array(1001).fill('x'), ['x'.repeat(1_048_577)], [1], 'x', [null]])
    await t.throwsAsync(open(argv), { message: /argv/ });
});
