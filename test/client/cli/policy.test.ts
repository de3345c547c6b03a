import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { CliContext } from '../../../client/cli/cli-context.ts';
import { CliError } from '../../../client/cli/cli-error.ts';
import {
  policyApply,
  policyCheck,
  policyDiff,
  policyExplain,
  policyList,
  policyShow,
  policyTest,
} from '../../../client/cli/policy.ts';
import { policyEdit } from '../../../client/cli/policy-edit.ts';
import { DaemonProcess } from '../../harness/daemon-process.ts';
import { editedFiles, shippedFiles } from '../../policies/shipped-files.ts';
import { type FakeContext, fakeContext, type Outcome } from './fake-context.ts';

const daemonMain = fileURLToPath(new URL('../../../daemon/main.ts', import.meta.url));
type Files = ReturnType<typeof shippedFiles>;

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'pyrepl3-policy-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function folderOf(t: ExecutionContext, files: Files): string {
  const folder = join(directory(t), 'levels');
  mkdirSync(folder, { mode: 0o755 });
  for (const { name, text } of files) writeFileSync(join(folder, name), text, { mode: 0o644 });
  chmodSync(folder, 0o755);
  return folder;
}

async function outcome(
  act: (context: CliContext) => Promise<number>,
  context: FakeContext = fakeContext(),
): Promise<Outcome> {
  const status = await act({ ...context, daemonMain });
  return { status, out: context.written.out, err: context.written.err };
}

/** A state directory where no daemon listens: what needs none starts one of its own. */
const nobody = (t: ExecutionContext) => ({ stateDir: join(directory(t), 'nobody') });

const longer = (ms: number): Files => editedFiles('restricted', (text) => text.replace('msMax: 60000', `msMax: ${ms}`));

for (const command of ['check', 'diff', 'explain', 'test'] as const) {
  test(`${command} on a level with three deliberate mistakes shows each with its place, its line and what to write`, async (t) => {
    const folder = folderOf(
      t,
      editedFiles('restricted', (text) =>
        text
          .replace('sleep: { msMax: 60000 }', 'sleap: { msMax: 60000 }')
          .replace('entriesMax: 1000', 'entriesMax: lots')
          .replace('cellCpuMsMax: 10000', 'cellCpuMax: 10000'),
      ),
    );
    const at = { ...nobody(t), policies: folder };
    const table = join(directory(t), 'expected.yaml');
    writeFileSync(table, '- { level: sandbox, capability: fetch, expect: deny }\n');
    const commands: Readonly<Record<typeof command, (context: CliContext) => Promise<number>>> = {
      check: (context) => policyCheck(context, folder, at),
      diff: (context) => policyDiff(context, folderOf(t, shippedFiles()), folder, at),
      explain: (context) => policyExplain(context, { ...at, level: 'restricted', capability: 'sleep' }),
      test: (context) => policyTest(context, table, at),
    };
    const { status, out } = await outcome(commands[command]);
    t.is(status, 1);
    t.is(
      out,
      [
        `${folder}/restricted.yaml:11:3: grants.sleap: "sleap" is not a known capability; did you mean "sleep"?`,
        '  11 |   sleap: { msMax: 60000 }',
        '         ^',
        `${folder}/restricted.yaml:14:49: grants.list_files.entriesMax: expected a whole number from 1 to 100000 (entries), found the text "lots"`,
        '  14 |   list_files: { roots: [workspace], entriesMax: lots }',
        `       ${' '.repeat(48)}^`,
        `${folder}/restricted.yaml:20:3: limits.cellCpuMax: "cellCpuMax" is not a key here; did you mean "cellCpuMsMax"?`,
        '  20 |   cellCpuMax: 10000',
        '         ^',
        '3 problems',
        '',
      ].join('\n'),
    );
  });
}

test('check on a whole policy ends with status 0, and speaks JSON', async (t) => {
  const folder = folderOf(t, shippedFiles());
  const at = nobody(t);
  t.deepEqual(await outcome((context) => policyCheck(context, folder, at)), {
    status: 0,
    out: `${folder}: 6 files, no problems\n`,
    err: '',
  });
  const json = await outcome((context) => policyCheck(context, folder, { ...at, json: true }));
  t.deepEqual(JSON.parse(json.out), { ok: true, problems: [] });
  const broken = folderOf(
    t,
    editedFiles('sandbox', (text) => text.replace('print:', 'prnt:')),
  );
  const refused = await outcome((context) => policyCheck(context, broken, { ...at, json: true }));
  t.is(refused.status, 1);
  t.like(JSON.parse(refused.out), { ok: false, problems: [{ file: 'sandbox.yaml', line: 8, column: 3 }] });
});

test('a folder that is not there, or holds no policy, is wrong usage', async (t) => {
  const empty = directory(t);
  for (const [folder, message] of [
    [join(empty, 'nowhere'), /^cannot read the folder .*nowhere: /],
    [empty, /it holds no \.yaml file$/],
  ] as const) {
    const error = await t.throwsAsync(
      outcome((context) => policyCheck(context, folder, nobody(t))),
      { instanceOf: CliError, message },
    );
    t.is(error.status, 2);
  }
});

test('diff of two folders says in words what the second grants and takes away, once for all levels', async (t) => {
  const files = longer(70_000).map((file) =>
    file.name === 'sandbox.yaml' ? { ...file, text: file.text.replace('log: true', 'log: false') } : file,
  );
  const { status, out } = await outcome((context) =>
    policyDiff(context, folderOf(t, shippedFiles()), folderOf(t, files), { ...nobody(t), since: 48 }),
  );
  t.is(status, 0);
  t.is(
    out,
    [
      '- sandbox, restricted, standard, trusted, unrestricted: log is no longer granted',
      '+ restricted: sleep: msMax 60000 ms becomes 70000 ms',
      '',
      'None of the 0 calls of the last 48 hours that were looked at would be decided differently.',
      '',
    ].join('\n'),
  );
});

test('diff shows the problems of the folder that has them', async (t) => {
  const good = folderOf(t, shippedFiles());
  const bad = folderOf(
    t,
    editedFiles('sandbox', (text) => text.replace('print:', 'prnt:')),
  );
  const { status, out } = await outcome((context) => policyDiff(context, good, bad, nobody(t)));
  t.is(status, 1);
  t.true(out.startsWith(`${bad}/sandbox.yaml:8:3: `));
});

test('explain and test work on a folder without a running daemon, so that CI can guard a policy', async (t) => {
  const policies = folderOf(t, shippedFiles());
  const at = { ...nobody(t), policies };
  const denied = await outcome((context) =>
    policyExplain(context, { ...at, level: 'restricted', capability: 'sleep', args: '[60001]' }),
  );
  t.is(denied.status, 1);
  t.regex(
    denied.out,
    /^deny: restricted\/grants\/sleep \(restricted\.yaml, line 11\) grants sleep, and its constraints refuse this call: /,
  );
  t.regex(denied.out, /\nwritten +restricted\.yaml:11\n/);
  t.regex(denied.out, /\nlowest level +standard\n/);
  const allowed = await outcome((context) =>
    policyExplain(context, { ...at, level: 'restricted', capability: 'sleep', json: true }),
  );
  t.is(allowed.status, 0);
  t.like(JSON.parse(allowed.out), {
    verdict: 'allow',
    ruleId: 'restricted/grants/sleep',
    file: 'restricted.yaml',
    line: 11,
  });

  const table = join(directory(t), 'expected.yaml');
  writeFileSync(
    table,
    '- { level: sandbox, capability: fetch, expect: deny }\n- { level: sandbox, capability: print, expect: deny }\n',
  );
  const failed = await outcome((context) => policyTest(context, table, at));
  t.is(failed.status, 1);
  t.is(
    failed.out,
    `${table}:2: sandbox print: expected deny, found allow: sandbox/grants/print (sandbox.yaml, line 8) grants print\n1 as expected, 1 not\n`,
  );
  writeFileSync(table, '- { level: sandbox, capability: fetch, expect: deny }\n');
  t.deepEqual(await outcome((context) => policyTest(context, table, at)), {
    status: 0,
    out: '1 as expected, 0 not\n',
    err: '',
  });
  writeFileSync(table, '- { levl: sandbox, capability: fetch, expect: deny }\n');
  const wrong = await outcome((context) => policyTest(context, table, at));
  t.is(wrong.status, 1);
  t.true(
    wrong.out.startsWith(`${table}:1:5: 0.levl: "levl" is not a key here; did you mean "level"?\n  1 | - { levl`),
    wrong.out,
  );
});

test('arguments that are no JSON array are wrong usage', async (t) => {
  for (const args of ['ls', '{}', '"ls"']) {
    const act = outcome((context) =>
      policyExplain(context, { ...nobody(t), level: 'sandbox', capability: 'exec', args }),
    );
    t.is((await t.throwsAsync(act, { instanceOf: CliError })).status, 2);
  }
});

test('what asks about the policy in force says that no daemon is running', async (t) => {
  const error = await t.throwsAsync(
    outcome((context) => policyList(context, nobody(t))),
    { instanceOf: CliError },
  );
  t.is(error.status, 3);
  t.regex(error.message, /pyrepl3 serve/);
});

async function running(t: ExecutionContext): Promise<{ stateDir: string }> {
  const { stateDir } = await DaemonProcess.start(t);
  return { stateDir };
}

test('list, show, apply, diff and check against a running daemon', async (t) => {
  const at = await running(t);
  const list = await outcome((context) => policyList(context, at));
  t.regex(
    list.out,
    /^LEVEL +RANK +EXTENDS +DESCRIPTION\nsandbox +10 +- +Computes[\s\S]*\n\npolicy [0-9a-f]{64}\nfrom .*levels\n$/,
  );
  const shown = await outcome((context) => policyShow(context, 'restricted', at));
  t.is(shown.out, shippedFiles().find(({ name }) => name === 'restricted.yaml')?.text ?? '');

  const folder = folderOf(t, longer(70_000));
  const dry = await outcome((context) => policyApply(context, folder, { ...at, dryRun: true }));
  t.regex(
    dry.out,
    /^\+ restricted: sleep: msMax 60000 ms becomes 70000 ms\n\nnothing is applied; it would be policy [0-9a-f]{64}, before/,
  );
  const applied = await outcome((context) => policyApply(context, folder, at));
  t.regex(applied.out, /policy [0-9a-f]{64} is in force, before [0-9a-f]{64}\n$/);
  // Written where a restart finds it, not into the package.
  t.regex(readFileSync(join(at.stateDir, 'policy', 'restricted.yaml'), 'utf8'), /msMax: 70000/);
  t.deepEqual(
    (await outcome((context) => policyCheck(context, undefined, at))).out,
    `${join(at.stateDir, 'policy')}: 6 files, no problems\n`,
  );
  const diff = await outcome((context) => policyDiff(context, folder, undefined, at));
  t.regex(diff.out, /^no rule changes\n\nNone of/);
  const unknown = await t.throwsAsync(outcome((context) => policyShow(context, 'restrictde', at)));
  t.regex(unknown?.message ?? '', /did you mean "restricted"\?/);
  const broken = folderOf(
    t,
    editedFiles('sandbox', (text) => text.replace('print:', 'prnt:')),
  );
  const refused = await outcome((context) => policyApply(context, broken, at));
  t.deepEqual([refused.status, refused.out.startsWith(`${broken}/sandbox.yaml:8:3: `)], [1, true]);
});

test('show --effective writes out all that a level is, as a level file that is one', async (t) => {
  const at = await running(t);
  const { out } = await outcome((context) => policyShow(context, 'trusted', { ...at, effective: true }));
  t.regex(
    out,
    /\n {2}dns: \{ hosts: \[\], addresses: \[\], timeMsMax: 5000, rate: "600\/minute" \} # standard\.yaml:20\n/,
  );
  t.regex(out, /\n {2}print: true # sandbox\.yaml:8\n/);
  t.regex(out, /\n {2}timersMax: 10000 # sandbox\.yaml:35\n/);
  const files = shippedFiles().map((file) => (file.name === 'trusted.yaml' ? { ...file, text: out } : file));
  const folder = folderOf(t, files);
  t.is((await outcome((context) => policyCheck(context, folder, at))).status, 0);
  t.regex((await outcome((context) => policyDiff(context, folder, undefined, at))).out, /^no rule changes\n/);
});

/** Answers each question as it is asked. */
function answering(context: FakeContext, input: PassThrough, ...answers: string[]): FakeContext {
  const { err } = context;
  const write = (text: string): void => {
    err.write(text);
    if (text.endsWith('[y/N] ')) input.write(`${answers.shift() ?? 'n'}\n`);
  };
  return { ...context, err: { ...err, write } };
}

/** An editor that puts one text in the place of another. */
const editor = (...steps: string[]): string => `sed -i ${steps.map((step) => `-e '${step}'`).join(' ')}`;

async function edit(
  t: ExecutionContext,
  at: { stateDir: string },
  command: string,
  answers: string[],
  level = 'restricted',
) {
  const input = new PassThrough();
  const context = answering(fakeContext({ stdin: input, env: { EDITOR: command } }), input, ...answers);
  const result = await outcome((real) => policyEdit(real, level, at), context);
  const [, kept] = /the edited text is in (.*)\n/.exec(result.err) ?? [];
  if (kept !== undefined) t.teardown(() => rmSync(join(kept, '..'), { recursive: true, force: true }));
  return { ...result, kept };
}

test('edit opens the editor on a copy, shows what changes, asks, and applies', async (t) => {
  const at = await running(t);
  const done = await edit(t, at, editor('s/msMax: 60000/msMax: 70000/'), ['y']);
  t.is(done.status, 0, done.err);
  t.regex(done.err, /^\+ restricted: sleep: msMax 60000 ms becomes 70000 ms\n[\s\S]*Apply\? \[y\/N\] $/);
  t.regex(done.out, /^policy [0-9a-f]{64} is in force/);
  t.is(done.kept, undefined);
  const no = await edit(t, at, editor('s/msMax: 70000/msMax: 80000/'), ['n']);
  t.is(no.status, 1);
  t.is(no.out, 'nothing is applied\n');
  t.regex(readFileSync(no.kept ?? '', 'utf8'), /msMax: 80000/);
  t.regex((await outcome((context) => policyShow(context, 'restricted', at))).out, /msMax: 70000/);
  const unchanged = await edit(t, at, 'true', []);
  t.deepEqual([unchanged.status, unchanged.out], [0, 'nothing is changed\n']);
  const resources = await edit(t, at, editor('s/client: trusted/client: standard/'), ['y'], 'policy');
  t.regex(resources.err, /^- the policy: client\.sock may ask for levels up to standard, before up to trusted\n/);
  t.is(resources.status, 0);
});

test('edit shows what is wrong with a text, and offers to edit it again', async (t) => {
  const at = await running(t);
  // The first time it breaks the file, the second time it mends it.
  const command = editor('s/msMax: 60000/msMx: 70000/', 't', 's/msMx/msMax/');
  const done = await edit(t, at, command, ['y', 'y']);
  t.regex(done.err, /^restricted\.yaml:11:12: grants\.sleep\.msMx: "msMx" is not a key here; did you mean "msMax"\?\n/);
  t.regex(done.err, /Edit again\? \[y\/N\] \+ restricted: sleep/);
  t.is(done.status, 0);
  const given = await edit(t, at, editor('s/msMax: 70000/msMx: 70000/'), ['n']);
  t.deepEqual([given.status, given.out], [1, 'nothing is applied\n']);
  t.truthy(given.kept);
});

test('edit without an editor, or with one that fails, applies nothing', async (t) => {
  const at = await running(t);
  const none = await t.throwsAsync(
    outcome((context) => policyEdit(context, 'restricted', at)),
    { instanceOf: CliError },
  );
  t.is(none.status, 2);
  const failing = await t.throwsAsync(edit(t, at, 'false', []), {
    instanceOf: CliError,
    message: /ended with status 1; nothing is applied/,
  });
  t.is(failing.status, 1);
});
