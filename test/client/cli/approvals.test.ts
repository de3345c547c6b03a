import test from 'ava';
import { approvalsAnswer, approvalsDecide, approvalsList, approvalsShow } from '../../../client/cli/approvals.ts';
import { CliError } from '../../../client/cli/cli-error.ts';
import { PyreplError } from '../../../client/errors.ts';
import type { ApprovalInfo } from '../../../client/protocol.ts';
import { FakeDaemon, NO_ANSWER, Refusal } from '../fake-daemon.ts';
import { fakeContext } from './fake-context.ts';

const ID = 'apr_AAAAAAAAAAAAAAAAAAAAAA';
const HASH = 'ab'.repeat(32);

function infoOf(changes: Partial<ApprovalInfo> = {}): ApprovalInfo {
  return {
    ...{ approvalId: ID, hash: HASH, kind: 'call', status: 'pending', sessionId: 'ses_1', sessionName: null },
    ...{ level: 'trusted', language: 'javascript', executionId: 'exe_1', position: 'cell:2:1:7' },
    ...{
      capability: 'write_file',
      args: ['/workspace/a.txt', { bytes: 3 }],
      argsBytes: 35,
      standing: false,
      raisesTo: null,
    },
    ...{ untrusted: null, createdAt: '2026-01-01T00:00:00.000Z', deadline: '2026-01-01T01:00:00.000Z' },
    ...{ settledAt: null, comment: null, settledBy: null },
    ...changes,
  };
}

/** A daemon with an approval inbox; what is settled changes in it. */
async function daemonWith(...infos: ApprovalInfo[]): Promise<FakeDaemon> {
  const daemon = await FakeDaemon.listen();
  const find = (params: Record<string, unknown>): ApprovalInfo => {
    const info = infos.find(({ approvalId }) => approvalId === params['approvalId']);
    if (info === undefined) throw new Refusal('UNKNOWN_APPROVAL', 'There is no approval request of that id.');
    return info;
  };
  daemon.handlers['approval.list'] = ({ afterChange }) =>
    afterChange === undefined ? { change: 1, approvals: infos } : NO_ANSWER;
  daemon.handlers['approval.show'] = find;
  daemon.handlers['approval.settle'] = (params) => {
    const settledAt = '2026-01-01T00:10:00.000Z';
    const status = params['decision'] === 'approve' ? 'approved' : 'denied';
    return { ...find(params), status, settledAt, settledBy: 'admin', comment: params['comment'] ?? null };
  };
  return daemon;
}

test('lists what waits, one request a row, and says where text is not to be trusted', async (t) => {
  const question = infoOf({
    kind: 'approve',
    capability: 'approve',
    untrusted: { title: 'x'.repeat(90), details: '' },
  });
  await using daemon = await daemonWith(infoOf(), question);
  const context = fakeContext();
  t.is(await approvalsList(context, { stateDir: daemon.stateDir }), 0);
  const [heading = '', call = '', asked = ''] = context.written.out.split('\n');
  t.regex(heading, /^ID +STATUS +KIND +SESSION +LEVEL +CAPABILITY +DEADLINE +TEXT \(NOT TRUSTED\)$/);
  t.regex(call, /^apr_A+ +pending +call +ses_1 +trusted +write_file +2026-01-01T01:00:00.000Z +-$/);
  t.true(asked.endsWith(`"${'x'.repeat(40)}…"`));
  t.deepEqual(daemon.of('approval.list')[0]?.params, { status: 'pending' });
});

test('says so where nothing waits; --json prints one document', async (t) => {
  await using empty = await daemonWith();
  const context = fakeContext();
  await approvalsList(context, { stateDir: empty.stateDir, status: 'settled' });
  t.is(context.written.out, 'there are no approval requests\n');
  t.deepEqual(empty.of('approval.list')[0]?.params, { status: 'settled' });
  await using daemon = await daemonWith(infoOf());
  const json = fakeContext();
  await approvalsList(json, { stateDir: daemon.stateDir, json: true });
  t.deepEqual(JSON.parse(json.written.out), [infoOf()]);
});

test('--watch prints what is there, then what is new and settled, until Ctrl-C', async (t) => {
  await using daemon = await daemonWith(infoOf());
  const other = infoOf({ approvalId: 'apr_BBBBBBBBBBBBBBBBBBBBBB' });
  daemon.handlers['approval.list'] = ({ afterChange }) => {
    if (afterChange === undefined) return { change: 1, approvals: [infoOf()] };
    if (afterChange === 1) return { change: 3, approvals: [other, infoOf({ status: 'timed-out' })] };
    return NO_ANSWER;
  };
  const context = fakeContext();
  const watching = approvalsList(context, { stateDir: daemon.stateDir, watch: true });
  await daemon.received('approval.list', 3);
  t.like(daemon.of('approval.list')[2]?.params, { status: 'all', afterChange: 3 });
  context.handlers.interrupt?.();
  t.is(await watching, 0);
  t.is(context.handlers.interrupt, null);
  t.deepEqual(
    context.written.out.split('\n').map((line) => line.slice(0, 15)),
    ['pending    apr_', 'pending    apr_', 'timed-out  apr_', ''],
  );
});

test('--watch --json prints one document a line', async (t) => {
  await using daemon = await daemonWith(infoOf());
  const context = fakeContext();
  const watching = approvalsList(context, { stateDir: daemon.stateDir, watch: true, json: true });
  await daemon.received('approval.list', 2);
  context.handlers.interrupt?.();
  await watching;
  t.is(context.written.out, `${JSON.stringify(infoOf())}\n`);
});

test('show tells what the daemon knows from what the code says', async (t) => {
  const untrusted = { title: 'Harmless', details: '{\n  "a": 1\n}' };
  await using daemon = await daemonWith(infoOf({ untrusted, sessionName: 'nightly' }));
  const context = fakeContext();
  t.is(await approvalsShow(context, ID, { stateDir: daemon.stateDir }), 0);
  t.is(
    context.written.out,
    `approval  ${ID}
kind      a capability call that needs approval
status    pending; denied at 2026-01-01T01:00:00.000Z if nobody decides
session   ses_1 ("nightly")
level     trusted
code      javascript, cell:2:1:7, exe_1

What it will do (from the daemon)
  │ call write_file with 35 bytes of arguments:
  │ [
  │   "/workspace/a.txt",
  │   {
  │     "bytes": 3
  │   }
  │ ]

Text from the code (not trusted)
  │ Harmless
  │ {
  │   "a": 1
  │ }
`,
  );
});

test('each kind of request says what follows from an approval', async (t) => {
  const shown = async (changes: Partial<ApprovalInfo>): Promise<string> => {
    await using daemon = await daemonWith(infoOf(changes));
    const context = fakeContext();
    await approvalsShow(context, ID, { stateDir: daemon.stateDir });
    return context.written.out;
  };
  t.regex(await shown({ kind: 'approve' }), /Nothing by itself/);
  t.regex(await shown({ kind: 'review', untrusted: { title: '', details: '' } }), /"approvals answer".*│ \(none\)/s);
  t.regex(await shown({ kind: 'level', capability: null, raisesTo: 'trusted' }), /from level trusted to level trusted/);
  t.regex(
    await shown({ status: 'denied', settledAt: '2026-01-01T00:10:00.000Z', settledBy: 'ada', comment: 'no' }),
    /status +denied at 2026.*\n.*settled by +ada\ncomment +"no"/s,
  );
  t.regex(await shown({ args: '["long… (9 characters more)' }), /│ \["long… \(9 characters more\)\n/);
});

test('K07: no text of the code reaches the terminal’s controls or the start of a line', async (t) => {
  const title = `${' '.repeat(66)}status    approved \x1b[2J\x1b]52;c;ZXZpbA==\x07`;
  const wide = '批'.repeat(60);
  await using daemon = await daemonWith(infoOf({ untrusted: { title, details: `<b>${wide}` } }));
  const context = fakeContext({ isTerminal: true });
  await approvalsShow(context, ID, { stateDir: daemon.stateDir });
  const { out } = context.written;
  t.notRegex(out, /[\0-\x09\x0b-\x1f\x7f-\x9f]/);
  const lines = out.slice(out.indexOf('Text from the code')).trimEnd().split('\n').slice(1);
  t.true(lines.length > 3);
  for (const line of lines) {
    t.true(line.startsWith('  │ '));
    t.true([...line].reduce((columns, character) => columns + (character > '~' ? 2 : 1), 0) <= 73);
  }
});

test('approve and deny show the request, ask, and send the hash of what was shown', async (t) => {
  for (const [decision, question] of [
    ['approve', 'Approve? [y/N] '],
    ['deny', 'Deny? [y/N] '],
  ] as const) {
    await using daemon = await daemonWith(infoOf());
    const context = fakeContext({ isTerminal: true, stdin: 'y\n' });
    t.is(await approvalsDecide(context, ID, decision, { stateDir: daemon.stateDir, comment: 'seen' }), 0);
    t.deepEqual(daemon.of('approval.settle')[0]?.params, { approvalId: ID, hash: HASH, decision, comment: 'seen' });
    t.regex(context.written.out, /What it will do/);
    t.regex(context.written.out, new RegExp(`${ID} is ${decision === 'approve' ? 'approved' : 'denied'}\n$`));
    t.is(context.written.err, question);
  }
});

test('anything but a yes decides nothing', async (t) => {
  for (const stdin of ['n\n', '\n', 'yes please\n', '']) {
    await using daemon = await daemonWith(infoOf());
    const context = fakeContext({ isTerminal: true, stdin });
    t.is(await approvalsDecide(context, ID, 'approve', { stateDir: daemon.stateDir }), 1);
    t.is(daemon.of('approval.settle').length, 0);
    t.regex(context.written.err, /nothing is decided/);
  }
});

test('where nobody can be asked --yes is needed, and nothing is asked with it', async (t) => {
  await using daemon = await daemonWith(infoOf());
  const { stateDir } = daemon;
  const error = await t.throwsAsync(approvalsDecide(fakeContext(), ID, 'approve', { stateDir }), {
    instanceOf: CliError,
  });
  t.is(error?.status, 2);
  t.regex(error?.message ?? '', /--yes/);
  t.is(daemon.of('approval.settle').length, 0);
  const context = fakeContext();
  t.is(await approvalsDecide(context, ID, 'deny', { stateDir, yes: true }), 0);
  t.is(context.written.err, '');
  t.deepEqual(daemon.of('approval.settle')[0]?.params, { approvalId: ID, hash: HASH, decision: 'deny' });
});

test('with --json stdout has the settled request alone', async (t) => {
  await using daemon = await daemonWith(infoOf());
  const context = fakeContext();
  await approvalsDecide(context, ID, 'approve', { stateDir: daemon.stateDir, yes: true, json: true });
  t.like(JSON.parse(context.written.out), { approvalId: ID, status: 'approved' });
  t.regex(context.written.err, /What it will do/);
});

test('K11: a request that somebody else settled says so', async (t) => {
  await using daemon = await daemonWith(infoOf({ status: 'denied', settledAt: '2026-01-01T00:10:00.000Z' }));
  daemon.handlers['approval.settle'] = () => {
    throw new Refusal('APPROVAL_SETTLED', 'This request is settled already: denied at 2026.', { outcome: 'denied' });
  };
  const context = fakeContext({ isTerminal: true, stdin: 'y\n' });
  const error = await t.throwsAsync(approvalsDecide(context, ID, 'approve', { stateDir: daemon.stateDir }), {
    instanceOf: PyreplError,
  });
  t.is(error?.code, 'APPROVAL_SETTLED');
  t.notRegex(context.written.err, /Approve\?/);
});

test('answer approves a review with another value, from the command line or from stdin', async (t) => {
  await using daemon = await daemonWith(infoOf({ kind: 'review' }));
  const { stateDir } = daemon;
  const asked = fakeContext({ isTerminal: true, stdin: 'y\n' });
  t.is(await approvalsAnswer(asked, ID, '{"sum": 2}', { stateDir }), 0);
  t.is(await approvalsAnswer(fakeContext({ stdin: 'null' }), ID, '-', { stateDir, yes: true }), 0);
  t.deepEqual(
    daemon.of('approval.settle').map(({ params }) => params),
    [
      { approvalId: ID, hash: HASH, decision: 'approve', value: { sum: 2 } },
      { approvalId: ID, hash: HASH, decision: 'approve', value: null },
    ],
  );
  for (const [value, message] of [
    ['sum', /not JSON.*quotes/],
    ['-', /--yes/],
  ] as const) {
    const error = await t.throwsAsync(approvalsAnswer(asked, ID, value, { stateDir }), { instanceOf: CliError });
    t.is(error?.status, 2);
    t.regex(error?.message ?? '', message);
  }
});

test('the beginning of an id is enough where no other begins so', async (t) => {
  const twins = ['apr_BBBBBBBBBBBBBBBBBBBBB1', 'apr_BBBBBBBBBBBBBBBBBBBBB2'];
  await using daemon = await daemonWith(infoOf(), ...twins.map((approvalId) => infoOf({ approvalId })));
  const { stateDir } = daemon;
  const context = fakeContext();
  await approvalsShow(context, 'apr_AAAA', { stateDir, json: true });
  t.is((JSON.parse(context.written.out) as ApprovalInfo).approvalId, ID);
  const failure = async (id: string): Promise<Error> => {
    const error: unknown = await approvalsShow(fakeContext(), id, { stateDir }).catch((thrown: unknown) => thrown);
    if (error instanceof Error) return error;
    throw new Error('nothing was thrown');
  };
  t.like(await failure('apr_AAA'), {
    status: 2,
    message: '"apr_AAA" is too short: give at least 8 characters of the id',
  });
  t.like(await failure('apr_BBBB'), { status: 2 });
  t.regex((await failure('apr_BBBB')).message, /^2 ids begin with "apr_BBBB": apr_B+1, apr_B+2$/);
  t.like(await failure('apr_CCCC'), { code: 'UNKNOWN_APPROVAL' });
  t.like(await failure('apr_CCCCCCCCCCCCCCCCCCCCCC'), { code: 'UNKNOWN_APPROVAL' });
});

test('where no daemon listens the status is 3', async (t) => {
  const error = await t.throwsAsync(approvalsList(fakeContext(), { stateDir: '/nowhere/at/all' }), {
    instanceOf: CliError,
  });
  t.is(error?.status, 3);
});
