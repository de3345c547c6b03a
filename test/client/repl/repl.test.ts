import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { HISTORY_LINES_MAX, History } from '../../../client/repl/history.ts';
import { type FakeContext, fakeContext, runWith } from '../cli/fake-context.ts';
import { FakeDaemon, Refusal } from '../fake-daemon.ts';

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'repl-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const lines = async (daemon: FakeDaemon, ...typed: string[]): Promise<{ out: string; err: string; status: number }> =>
  runWith(fakeContext({ stdin: typed.join('\n') }), 'repl', '--state-dir', daemon.stateDir);

/** Somebody at a terminal, who types when the screen shows what they wait for. */
class Typist {
  readonly keys = new PassThrough();
  readonly context: FakeContext;

  constructor(stateHome: string) {
    this.context = fakeContext({
      stdin: this.keys,
      isTerminal: true,
      env: { XDG_STATE_HOME: stateHome, TERM: 'xterm' },
    });
  }

  async sees(text: string): Promise<void> {
    const { written } = this.context;
    const screen = (): string => written.editor + written.out + written.err;
    while (!screen().includes(text)) {
      // What is printed beside the editor is a string of its own: the loop of events goes round until it is there.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async types(text: string, until: string): Promise<void> {
    const { written } = this.context;
    written.editor = '';
    written.out = '';
    written.err = '';
    this.keys.write(text);
    await this.sees(until);
  }
}

test('over a pipe it runs each cell and prints values as Node does, without prompts or colours', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const { out, err, status } = await lines(daemon, '1', '', '"a"', '{"a":1}');
  t.deepEqual([out, err, status], ["1\n'a'\n{ a: 1 }\n", '', 0]);
});

test('lines are one cell until the session says that it is complete; the end of input completes it', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (source) => source;
  const { out } = await lines(daemon, 'f {', '}', 'g {');
  t.is(out, "'f {\\n}'\n'g {'\n");
});

test('an error is printed and the loop goes on; loss of the state is told', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (source, cell) => {
    if (source !== '1') return JSON.parse(source);
    cell.emit({ kind: 'session.lost', code: 'HOST_CRASHED', message: 'The host died.' });
    throw new Refusal('SESSION_LOST', 'The cell was lost.');
  };
  const { out, err } = await lines(daemon, '1', '2');
  t.is(out, '2\n');
  t.regex(err, /The host died\. \[HOST_CRASHED\]\nEverything declared so far is lost/);
  t.regex(err, /The cell was lost\. \[SESSION_LOST\]/);
});

test('the dot commands do what .help says', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using home = await folder();
  const file = join(home.path, 'cell.js');
  writeFileSync(file, '{"loaded":true}');
  const saved = join(home.path, 'saved.js');
  const { out, err } = await lines(
    daemon,
    '.help',
    '.level',
    '.level restricted',
    '.vars',
    `.load ${file}`,
    `.save ${saved}`,
    '.reset',
    '.nonsense',
    '.load',
    '.exit',
    '1',
  );
  t.regex(out, /\.load FILE +run a file as one cell/);
  t.regex(out, /sandbox \(levels, lowest first: sandbox, restricted/);
  t.regex(out, /at level restricted now/);
  t.regex(out, /nothing is declared yet\n\{ loaded: true \}\n1 cells are in .*\nthe session is empty now\n$/);
  t.is(readFileSync(saved, 'utf8'), '{"loaded":true}\n');
  t.regex(err, /there is no command \.nonsense; \.help lists them\nsay which file\n/);
  t.is(daemon.of('session.execute').length, 1);
});

test('input() takes the next line; a session that ends ends the loop', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = async (source, cell) => {
    if (source !== 'end') return cell.ask('name? ');
    cell.emit({ kind: 'session.closed', reason: 'policy violation' });
    return null;
  };
  const { out, err } = await lines(daemon, 'ask', 'Ada', 'end', 'never');
  t.is(out.split('\n')[0], "'Ada'");
  t.regex(err, /the session has ended: policy violation/);
  t.is(daemon.of('session.execute').length, 2);
});

test('at a terminal: banner, prompts, continuation, completion, and a history that only its owner can read', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using home = await folder();
  daemon.script = (source) => source;
  const typist = new Typist(home.path);
  const running = runWith(typist.context, 'repl', '--state-dir', daemon.stateDir);
  await typist.sees('> ');
  t.regex(typist.context.written.out, /PyREPL3 1\.2\.3: javascript at level sandbox\. Joined the daemon at/);
  await typist.types('f {\r', '... ');
  await typist.types('}\r', "'f {\\n}'");
  await typist.types('he\t', 'he!');
  await typist.types('\r', "'he!'");
  typist.keys.write('\x04');
  t.is((await running).status, 0);
  const path = join(home.path, 'pyrepl3', 'repl-history');
  t.is(readFileSync(path, 'utf8'), 'f {\n}\nhe!\n');
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('at a terminal Ctrl-C interrupts the running cell and keeps the session, clears a line, and twice leaves', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using home = await folder();
  daemon.script = async (_source, cell) => {
    cell.print('running\n');
    await cell.interrupted;
    throw new Refusal('INTERRUPTED', 'interrupted');
  };
  const typist = new Typist(home.path);
  const running = runWith(typist.context, 'repl', '--state-dir', daemon.stateDir);
  await typist.sees('> ');
  await typist.types('1\r', 'running');
  await typist.types('\x03', '[INTERRUPTED]');
  await typist.types('half a line', 'half a line');
  await typist.types('\x03', '> ');
  await typist.types('\x03', 'once more');
  typist.keys.write('\x03');
  t.is((await running).status, 0);
  t.is(daemon.of('session.execute').length, 1);
});

test('at a terminal the answer to input() is kept out of the history, and late output appears above the prompt', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using home = await folder();
  daemon.script = (_source, cell) => cell.ask('\x1b[2Jpassword? ');
  const typist = new Typist(home.path);
  const running = runWith(typist.context, 'repl', '--state-dir', daemon.stateDir);
  await typist.sees('> ');
  await typist.types('ask\r', 'password? ');
  t.false(typist.context.written.editor.includes('\x1b[2J'));
  await typist.types('hunter2\r', "'hunter2'");
  await typist.sees('> ');
  daemon.session().emit({ kind: 'output', executionId: null, stream: 'stdout', text: 'late\n' });
  await typist.sees('late');
  await typist.types('\x1b[A', 'ask');
  await typist.types('\x03', '> ');
  typist.keys.write('\x04');
  await running;
  t.is(readFileSync(join(home.path, 'pyrepl3', 'repl-history'), 'utf8'), 'ask\n');
});

test('the history keeps its newest lines only, and a path that cannot be written costs nothing but the history', async (t) => {
  await using home = await folder();
  const path = join(home.path, 'state', 'repl-history');
  const first = new History(path);
  for (let i = 0; i < HISTORY_LINES_MAX + 5; i++) first.add(`line ${i}`);
  first.add('  ');
  const second = new History(path);
  t.is(second.lines[0], `line ${HISTORY_LINES_MAX + 4}`);
  t.is(second.lines.length, HISTORY_LINES_MAX);
  t.is(readFileSync(path, 'utf8').split('\n').length, HISTORY_LINES_MAX + 1);
  const nowhere = join(path, 'below-a-file');
  new History(nowhere).add('lost');
  t.false(existsSync(nowhere));
});
