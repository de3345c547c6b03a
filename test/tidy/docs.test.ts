import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { CLOSE, FAULTS, type FaultCode, METHODS, type SessionEvent } from '../../client/protocol.ts';
import { parseConfig } from '../../daemon/config.ts';
import { LIMIT_NAMES } from '../../policies/limits.ts';
import { parsePolicy } from '../../policies/parse.ts';
import { LEVELS } from '../../policies/policy.ts';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { repoFiles, root } from './repo-files.ts';

const page = (path: string): string => readFileSync(join(root, path), 'utf8');
const readme = page('README.md');
const protocol = page('docs/PROTOCOL.md');
const cli = join(root, 'client/cli/pyrepl3.js');

/** The kinds of events; a kind that is missing here, or is none, does not compile. */
const EVENT_KINDS = Object.keys({
  'execution.started': 0,
  'execution.finished': 0,
  output: 0,
  'output.truncated': 0,
  display: 0,
  log: 0,
  'input.requested': 0,
  'input.settled': 0,
  'session.level': 0,
  'capabilities.changed': 0,
  'approval.requested': 0,
  'approval.settled': 0,
  'session.lost': 0,
  'session.reset': 0,
  'session.detached': 0,
  'session.closed': 0,
} satisfies Record<SessionEvent['kind'], 0>);

/** What stands in the fenced blocks of one language, in order. */
function blocks(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');
}

/** The first cells of a table's rows, in the section under a heading. */
function rowsOf(markdown: string, heading: string): string[] {
  const section = markdown.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(1).map((row) => row.split(' | ')[0]?.slice(2) ?? '');
}

/** The text under each `### \`name\`` heading. */
function sections(markdown: string): Map<string, string> {
  const parts = markdown.split(/^#{1,3} /m).filter((part) => part.startsWith('`'));
  return new Map(parts.map((part) => [part.slice(1, part.indexOf('`', 1)), part]));
}

interface Run {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a program to its end; what it writes to stdout and stderr comes as one text. */
async function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>>; readonly input?: string },
): Promise<Run> {
  const env = { PATH: process.env['PATH'] ?? '', NO_COLOR: '1', ...options.env };
  const child = spawn(command, args, { cwd: options.cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  child.stdin.end(options.input ?? '');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = await closed;
  return { status, output: out + err };
}

function freshDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pyrepl3-docs-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Whether a text is what a page prints, where `…` stands for anything. */
function looksLike(actual: string, printed: string): boolean {
  const pattern = printed
    .split('…')
    .map((part) => RegExp.escape(part))
    .join('[\\s\\S]*?');
  return new RegExp(`^${pattern}$`).test(actual);
}

test('every fault code has a page with its blame and number, and every page has a code', (t) => {
  const pages = repoFiles
    .filter(({ path }) => path.startsWith('docs/errors/') && !path.endsWith('README.md'))
    .map(({ path }) => basename(path, '.md'));
  t.deepEqual(pages.toSorted(), Object.keys(FAULTS).toSorted());
  const list = page('docs/errors/README.md');
  for (const [code, { blame, rpc }] of Object.entries(FAULTS)) {
    const markdown = page(`docs/errors/${code}.md`);
    t.true(markdown.startsWith(`# ${code}\n`), code);
    t.true(markdown.includes(`\n| Blame | \`${blame}\` (`), code);
    t.true(markdown.includes(`\n| JSON-RPC error code | \`${rpc}\` |\n`), code);
    for (const heading of ['Example', 'What to do', 'Details']) t.true(markdown.includes(`\n## ${heading}\n\n`), code);
    t.true(list.includes(`| [${code}](${code}.md) | \`${blame}\` | ${rpc} |`), code);
  }
});

test('no page names a fault code that does not exist', (t) => {
  const pages = repoFiles.filter(({ path }) => path === 'README.md' || path.startsWith('docs/'));
  const unknown = pages.flatMap(({ path, text: markdown }) =>
    [...markdown.matchAll(/errors\/(?!README)([A-Z_]+)\.md|code":"([A-Z_]+)"/g)]
      .map((match) => match[1] ?? match[2] ?? '')
      .filter((code) => !Object.hasOwn(FAULTS, code))
      .map((code) => `${path}: ${code}`),
  );
  t.deepEqual(unknown, []);
});

test('PROTOCOL describes every method with every parameter and its role, and no others', (t) => {
  const described = sections(protocol);
  t.deepEqual([...described.keys()].toSorted(), Object.keys(METHODS).toSorted());
  for (const [method, { role, params }] of Object.entries(METHODS)) {
    const section = described.get(method) ?? '';
    const listed = [...section.matchAll(/^- `(\w+)`/gm)].map((match) => match[1]);
    t.deepEqual(listed.toSorted(), Object.keys(params.entries).toSorted(), method);
    t.is(section.includes('Role `admin` only'), role === 'admin', method);
    t.true(section.includes('nswers '), method);
  }
});

test('PROTOCOL describes every kind of event and every close code, and no others', (t) => {
  t.deepEqual(
    rowsOf(protocol, 'Events'),
    EVENT_KINDS.map((kind) => `\`${kind}\``),
  );
  const closes = Object.entries(CLOSE).map(([name, code]) => `| ${code} | \`${name}\` |`);
  for (const row of closes) t.true(protocol.includes(row), row);
  t.is([...protocol.matchAll(/^\| 4\d{3} \|/gm)].length, closes.length);
});

test('the limits that README prints are those of the levels', (t) => {
  const files = repoFiles.filter(({ path }) => path.startsWith('policies/levels/'));
  const parsed = parsePolicy(files.map(({ path, text: yaml }) => ({ name: basename(path), text: yaml })));
  if (!parsed.ok) throw new Error('the levels do not parse');
  const units = (name: string, value: number): string => {
    if (name.endsWith('MiBMax')) return `${value} MiB`;
    if (name.endsWith('MsMax')) return `${value / 1000} s`;
    return name.endsWith('BytesMax') ? `${value / 2 ** 20} MiB` : value.toLocaleString('en-US');
  };
  for (const name of LIMIT_NAMES) {
    const row = readme.split('\n').find((line) => line.startsWith('| ') && line.includes(`(\`${name}\`)`));
    const values = LEVELS.map((level) => units(name, parsed.policy.levels.get(level)?.limits[name] ?? 0));
    t.is(row?.split('|').slice(2, -1).join('|').trim(), values.join(' | '), name);
  }
});

test('every command that a page tells to type exists', async (t) => {
  const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> };
  const help = new Map<string, string>();
  const helpOf = async (command: readonly string[]): Promise<string> => {
    const key = command.join(' ');
    const known = help.get(key);
    if (known !== undefined) return known;
    const { status, output } = await runProgram(process.execPath, [cli, ...command, '--help'], { cwd: root });
    if (status !== 0) throw new Error(`pyrepl3 ${key} --help: ${output}`);
    help.set(key, output);
    return output;
  };
  const pages = repoFiles.filter(
    ({ path }) => path.endsWith('.md') && (path.startsWith('docs/') || !path.includes('/')),
  );
  for (const { path, text: markdown } of pages) {
    for (const [, name = ''] of markdown.matchAll(/\bnpm run (?:--silent )?([\w:]+)/g)) {
      t.true(Object.hasOwn(scripts, name), `${path}: npm run ${name}`);
    }
    const commands = markdown.matchAll(/(?:npx pyrepl3|npm start(?: --silent)? --) ([a-z]+)((?: [^`\n|>]+)?)/g);
    for (const [, command = '', rest = ''] of commands) {
      const [, act] = /^ ([a-z]+)/.exec(rest) ?? [];
      const isGroup = ['session', 'approvals', 'policy', 'audit'].includes(command);
      const usage = await helpOf(isGroup && act !== undefined ? [command, act] : [command]);
      const unquoted = rest.replaceAll(/'[^']*'/g, '');
      for (const [option] of unquoted.matchAll(/(?<= )--?[a-z][a-z-]*/g)) {
        t.true(usage.includes(option), `${path}: pyrepl3 ${command} ${option}`);
      }
    }
  }
  t.true(help.size > 3);
});

test('the command that SECURITY-MODEL gives administrators is one that the daemon takes', (t) => {
  const [block = ''] = blocks(page('docs/SECURITY-MODEL.md'), 'sh');
  const [, args = ''] = /^npx pyrepl3 (serve .+)$/m.exec(block) ?? [];
  t.is(parseConfig([...args.split(' '), '--state-dir', 'state']).policiesDir, 'my-levels');
  const [, copied = ''] = /^cp -R (\S+) my-levels$/m.exec(block) ?? [];
  t.true(repoFiles.some(({ path }) => path === `${copied}/sandbox.yaml`));
});

test('the console sessions of README run and print what it says', async (t) => {
  const cwd = freshDirectory(t);
  const preamble = [
    `npx() { shift; "${process.execPath}" "${cli}" "$@"; }`,
    `npm() { while [ "$1" != -- ]; do shift; done; shift; "${process.execPath}" "${cli}" "$@"; }`,
    'exec 2>&1',
  ];
  const consoles = blocks(readme, 'console');
  t.true(consoles.length >= 3);
  for (const block of consoles) {
    const steps = block.split(/^\$ /m).slice(1);
    const script = steps.map((step) => step.slice(0, step.indexOf('\n')));
    // A record separator stands before what each command prints; its exit status is kept for the next one's `$?`.
    const lines = [...preamble, ...script.map((line) => `s=$?; printf '\\036'; (exit $s)\n${line}`)];
    const { output } = await runProgram('bash', ['-c', lines.join('\n')], { cwd, env: { HOME: cwd, CHECKOUT: root } });
    const printed = output.split('\x1e').slice(1);
    for (const [index, step] of steps.entries()) {
      const expected = step.slice(step.indexOf('\n') + 1).trimEnd();
      const actual = (printed[index] ?? '').trimEnd();
      t.true(looksLike(actual, expected), `$ ${script[index]}\n${actual}`);
    }
  }
});

test('the programs of README run against a daemon and print what it says', async (t) => {
  const directory = freshDirectory(t);
  const daemon = await DaemonProcess.start(t, { args: [], stateDir: join(directory, 'pyrepl3') });
  // As npm links a package that is worked on.
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules/pyrepl3'));
  const programs = blocks(readme, 'ts');
  const prints = blocks(readme, 'text');
  t.is(programs.length, prints.length);
  const env = { XDG_STATE_HOME: directory };
  for (const [index, program] of programs.entries()) {
    const file = join(directory, `program-${index}.mts`);
    writeFileSync(file, program);
    const { status, output } = await runProgram(process.execPath, [file], { cwd: directory, env });
    t.is(output, prints[index] ?? '', daemon.stderr);
    t.is(status, 0);
  }
});

test('the frames of PROTOCOL, sent by its own program, are answered as it says', async (t) => {
  const directory = freshDirectory(t);
  const daemon = await DaemonProcess.start(t, { args: [] });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  const [program = ''] = blocks(protocol, 'js');
  const file = join(directory, 'frames.mjs');
  writeFileSync(file, program);
  const frames = blocks(protocol, 'json').map((block) => block.trimEnd().split('\n'));
  const [hello = [], create = [], execute = [], answers = []] = frames;
  const child = spawn(process.execPath, [file, daemon.clientSocket], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill());
  const received: string[] = [];
  let sessionId: string | undefined;
  child.stdin.write(`${hello[0]}\n${create[0]}\n`);
  for await (const line of child.stdout.setEncoding('utf8').compose(splitLines)) {
    received.push(line);
    const message = JSON.parse(line);
    if (message.id === 2) {
      sessionId = message.result.sessionId;
      child.stdin.end(`${execute[0]?.replace('SESSION', String(sessionId))}\n`);
    }
  }
  const shape = (line: string): string =>
    line
      .replaceAll(/exe_[\w-]+/g, 'exe')
      .replaceAll(String(sessionId), 'SESSION')
      .replaceAll(/"(durationMs|cpuMs|heapBytes)":[\d.]+/g, '"$1":0');
  t.deepEqual(received.slice(2).map(shape), answers.map(shape));
});

async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

test('every fault that an example of PROTOCOL shows has the blame and the number of its code', (t) => {
  const examples = [...protocol.matchAll(/"error":\{"code":(-\d+),.*"data":\{"code":"([A-Z_]+)","blame":"(\w+)"/g)];
  t.true(examples.length > 0);
  for (const [, number, code = '', blame] of examples) {
    t.like(FAULTS[code as FaultCode], { rpc: Number(number), blame } as object);
  }
});
