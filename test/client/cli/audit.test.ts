import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { auditQuery, auditTail, auditVerify } from '../../../client/cli/audit.ts';
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { type AuditQuery, AuditReader } from '../../../daemon/audit/audit-reader.ts';
import { FakeDaemon, NO_ANSWER } from '../fake-daemon.ts';
import { type FakeContext, fakeContext } from './fake-context.ts';

const MAIN = fileURLToPath(import.meta.resolve('../../../daemon/main.ts'));

function freshFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-audit-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A log with a few records. */
async function filledLog(t: ExecutionContext): Promise<{ stateDir: string; log: AuditLog }> {
  const stateDir = freshFolder(t);
  const log = AuditLog.open(join(stateDir, 'audit'), () => 0);
  t.teardown(() => log.close());
  const executed = { sessionId: 'ses_1', executionId: 'exe_1' };
  log.append('execution.started', { ...executed, sourceSha256: 'ab' });
  log.append('capability.decision', {
    ...{
      ...executed,
      callId: 'call_1',
      level: 'standard',
      capability: '=cmd()',
      args: ['a,"b"\u202e\x9b\n'],
      argsBytes: 2,
    },
    ...{ policyHash: 'h', verdict: 'deny', code: 'CAPABILITY_DENIED', reason: 'not "granted",\r\nat all' },
  });
  return { stateDir, log };
}

/** What the real program says to what a command starts it with. */
async function started(context: FakeContext): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, context.replaced.at(-1) ?? []);
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await closed, out, err };
}

async function verify(...args: Parameters<typeof auditVerify> extends [unknown, ...infer A] ? A : never) {
  const context = { ...fakeContext(), daemonMain: MAIN };
  await auditVerify(context, ...args);
  return await started(context);
}

/** A daemon that answers with what is in a log. */
async function daemonOf(log: AuditLog): Promise<FakeDaemon> {
  const daemon = await FakeDaemon.listen();
  const reader = new AuditReader(log);
  daemon.handlers['audit.query'] = (params) => reader.query(params as AuditQuery);
  // Where the test is over, so is the log, and nobody waits for the answer.
  daemon.handlers['audit.tail'] = ({ afterSeq, waitMs }) =>
    reader.tail(afterSeq as number | undefined, Number(waitMs ?? 0)).catch(() => NO_ANSWER);
  return daemon;
}

test('verify says that a log is whole, without a daemon, also of a copy elsewhere', async (t) => {
  const { stateDir, log } = await filledLog(t);
  await log.close();
  const whole = await verify([], { stateDir });
  t.is(whole.err, '');
  t.is(whole.out, 'the log is whole: 4 records, 1 to 4, signed up to 4\n');
  t.is(whole.status, 0);
  const copy = join(freshFolder(t), '-copy');
  cpSync(join(stateDir, 'audit'), copy, { recursive: true });
  rmSync(join(copy, 'signing-key.pem'));
  const json = await verify([copy], { json: true });
  t.like(JSON.parse(json.out), { ok: true, records: 4, firstSeq: 1, lastSeq: 4, signedSeq: 4, problems: [] });
});

test('verify names the record that was changed, and ends with status 1', async (t) => {
  const { stateDir, log } = await filledLog(t);
  await log.close();
  const file = join(stateDir, 'audit/audit-000001.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('exe_1', 'exe_2'));
  const { status, out } = await verify([], { stateDir });
  t.is(status, 1);
  t.is(
    out,
    'audit-000001.jsonl:2: record 2: the record was changed\nthe log is BROKEN: 3 records, 1 to 4, signed up to 4\n',
  );
});

test('verify takes single files with a key from elsewhere, and says what it cannot tell of them', async (t) => {
  const { stateDir, log } = await filledLog(t);
  await log.close();
  const audit = (name: string): string => join(stateDir, 'audit', name);
  const elsewhere = freshFolder(t);
  cpSync(audit('public-key.pem'), join(elsewhere, 'key.pem'));
  cpSync(audit('head.json'), join(elsewhere, 'anchor.json'));
  cpSync(audit('audit-000001.jsonl'), join(elsewhere, 'a.jsonl'));
  const options = { key: [join(elsewhere, 'key.pem')] };
  const alone = await verify([join(elsewhere, 'a.jsonl')], options);
  t.regex(alone.out, /^the log is whole: .*\nno head\.json was given: /);
  const lines = readFileSync(audit('audit-000001.jsonl'), 'utf8').split('\n');
  writeFileSync(join(elsewhere, 'a.jsonl'), `${lines.slice(0, 2).join('\n')}\n`);
  const anchored = await verify([join(elsewhere, 'a.jsonl')], { ...options, head: [join(elsewhere, 'anchor.json')] });
  t.is(anchored.status, 1);
  t.regex(anchored.out, /record 3: the log was cut: it ends with record 2, .*anchor\.json says that it reached 4/);
});

test('verify that cannot look says what is missing, and ends with status 2', async (t) => {
  const folder = freshFolder(t);
  const cases: [string[], Parameters<typeof verify>[1], RegExp][] = [
    [[join(folder, 'nothing')], {}, /ENOENT/],
    [[folder], {}, /no public key beside the log: name one with --key/],
    [[folder], { first: '0' }, /--first must be the number of a record/],
    [[folder], { key: [MAIN] }, /is no Ed25519 public key/],
  ];
  for (const [paths, options, expected] of cases) {
    const { status, err, out } = await verify(paths, options);
    t.is(status, 2);
    t.is(out, '');
    t.regex(err, expected);
    t.regex(err, /^pyrepl3: /);
  }
});

test('query prints a table in which no text of guest code can do anything', async (t) => {
  const { log } = await filledLog(t);
  await using daemon = await daemonOf(log);
  const context = fakeContext();
  const options = { stateDir: daemon.stateDir, session: 'ses_1', limit: 5, since: '1969-12-31', until: '10m' };
  t.is(await auditQuery(context, options), 0);
  const lines = context.written.out.split('\n');
  t.is(lines.length, 4);
  t.regex(lines[0] ?? '', /^SEQ +AT +KIND +SESSION +LEVEL +CAPABILITY +VERDICT +DETAILS$/);
  t.regex(
    lines[1] ?? '',
    /^3 +1970-01-01T00:00:00.000Z +capability.decision +ses_1 +standard +=cmd\(\) +deny +args=\["a,/,
  );
  t.notRegex(context.written.out, /[\u202e\x9b\r]/);
  t.regex(lines[2] ?? '', /^2 .* execution.started +ses_1 +- +- +- +executionId=exe_1 sourceSha256=ab$/);
  const [{ params = {} } = {}] = daemon.of('audit.query');
  t.like(params, { sessionId: 'ses_1', limit: 5, since: '1969-12-31T00:00:00.000Z' });
});

test('query prints JSON Lines and CSV, as many as asked for, and says where nothing matches', async (t) => {
  const { log } = await filledLog(t);
  await using daemon = await daemonOf(log);
  const { stateDir } = daemon;
  const run = async (options: Parameters<typeof auditQuery>[1]): Promise<string> => {
    const context = fakeContext();
    t.is(await auditQuery(context, { ...options, stateDir }), 0);
    return context.written.out;
  };
  const json = (await run({ json: true })).trimEnd().split('\n');
  t.deepEqual(
    json.map((line) => JSON.parse(line).seq),
    [3, 2, 1],
  );
  t.is((await run({ json: true, limit: 1 })).trimEnd().split('\n').length, 1);
  const csv = await run({ csv: true, capability: '=cmd()' });
  t.true(
    csv.startsWith('seq,at,kind,sessionId,level,capability,verdict,fields,prev,hash\r\n3,1970-01-01T00:00:00.000Z,'),
  );
  t.true(csv.includes(',ses_1,standard,\'=cmd(),deny,"{""args"":'), 'no cell is a formula');
  t.is(csv.split('\r\n').length, 3);
  t.is(await run({ kind: 'violation' }), 'nothing in the audit log matches\n');
  t.is(await run({ kind: 'violation', json: true }), '');
});

test('query refuses what it does not understand before it asks the daemon', async (t) => {
  const context = fakeContext();
  await t.throwsAsync(auditQuery(context, { json: true, csv: true }), { message: /choose one/ });
  for (const since of ['yesterday', '5 minutes', '-1m', '']) {
    await t.throwsAsync(auditQuery(context, { since }), { message: /--since takes a time such as/ });
  }
});

test('tail prints the newest records, and with --follow those that come, until Ctrl-C', async (t) => {
  const { log } = await filledLog(t);
  await using daemon = await daemonOf(log);
  const context = fakeContext();
  t.is(await auditTail(context, { stateDir: daemon.stateDir }), 0);
  t.is(context.written.out.split('\n').length, 4);
  t.true(context.written.out.startsWith('1  1970-01-01T00:00:00.000Z  audit.key  '));

  const following = fakeContext();
  const write = following.out.write.bind(following.out);
  const seen = Promise.withResolvers<void>();
  const out = {
    ...following.out,
    write: (line: string) => {
      write(line);
      if (line.includes('session.closed')) seen.resolve();
    },
  };
  const tail = auditTail({ ...following, out }, { stateDir: daemon.stateDir, follow: true, json: true });
  const asked = Promise.withResolvers<void>();
  const answer = daemon.handlers['audit.tail'];
  daemon.handlers['audit.tail'] = (params, peer) => {
    if (params['afterSeq'] !== undefined) asked.resolve();
    return answer?.(params, peer);
  };
  await asked.promise;
  log.append('session.closed', { sessionId: 'ses_1', reason: 'r' });
  await seen.promise;
  following.handlers.interrupt?.();
  t.is(await tail, 0);
  t.is(JSON.parse(following.written.out.trimEnd().split('\n').at(-1) ?? '').kind, 'session.closed');
});
