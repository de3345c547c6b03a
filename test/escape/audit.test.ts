import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { refusalOf } from '../e2e/_administered.ts';
import { answering, ClientFunctions, silent } from '../e2e/_client-functions.ts';
import { sessionOf } from '../e2e/_file-daemon.ts';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { until } from '../harness/processes.ts';

const test = anyTest as TestFn;
const VERIFY = fileURLToPath(import.meta.resolve('../../daemon/audit/verify-main.ts'));

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'pyrepl3-audit-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const auditOf = (stateDir: string): string => join(stateDir, 'audit');

function logFiles(audit: string): string[] {
  return readdirSync(audit)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => join(audit, name));
}

function linesOf(audit: string): string[] {
  return logFiles(audit).flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(Boolean));
}

const recordsOf = (audit: string): { seq: number; kind: string; fields: Record<string, unknown> }[] =>
  linesOf(audit).map((line) => JSON.parse(line));

/** What the program for auditors says of a folder, offline. */
async function verdict(path: string): Promise<{ status: number; ok: boolean; problems: { seq: number | null }[] }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [VERIFY, path, '--json'], { encoding: 'utf8' }, (error, stdout, stderr) => {
      const status = error === null ? 0 : Number(error.code);
      if (status > 1) reject(new Error(stderr));
      else resolve({ status, ...JSON.parse(stdout) });
    });
  });
}

/** A log of a daemon that has ended in good order, with calls allowed and denied in it. */
async function finishedLog(t: ExecutionContext): Promise<string> {
  const stateDir = folder(t);
  const daemon = await DaemonProcess.start(t, { stateDir });
  const client = await daemon.connect();
  const session = sessionOf(client, (await client.call('session.create', { level: 'standard' })).sessionId);
  await session.run('await kv.set("a", 1); await hash("sha256", "x"); try { await hash("md5", "x") } catch {}');
  await daemon.stop();
  const copy = folder(t);
  cpSync(auditOf(stateDir), copy, { recursive: true });
  return copy;
}

test.serial(
  'J01: what guest code and clients write into the log stays one JSON string of bounded length in one line',
  async (t) => {
    const daemon = await DaemonProcess.start(t);
    const client = await daemon.connect();
    const evil = '\n{"seq":1,"kind":"policy.applied"}\r\n\u2028\u0000\u001b[2J"}';
    const { sessionId } = await client.call('session.create', {
      level: 'standard',
      name: evil,
      labels: { evil },
    });
    const session = sessionOf(client, sessionId);
    const functions = new ClientFunctions(client);
    await functions.provide(
      sessionId,
      'tool',
      answering(() => null),
      { summary: evil },
    );
    const text = JSON.stringify(evil);
    await session.run(
      `const evil = ${text}; await tool(evil, { [evil]: "x".repeat(1e6) }).catch(() => 0); await tool(evil, { [evil]: "x".repeat(1e5) }); await kv.set("k", evil); await fetch("https://h/" + encodeURI(evil)).catch(() => 0); await read_file(evil).catch(() => 0)`,
    );
    await session.run(`throw new Error(${text})`);
    await refusalOf(client.callAny('session.create', { level: evil }));
    await daemon.stop();
    const audit = auditOf(daemon.stateDir);
    const lines = linesOf(audit);
    t.deepEqual(
      lines.map((line) => JSON.parse(line).seq),
      lines.map((_, index) => index + 1),
      'no line was forged',
    );
    t.true(lines.every((line) => line.length <= 16 * 1024));
    t.false(lines.some((line) => /\p{Cc}/u.test(line)));
    t.is(recordsOf(audit).filter(({ kind }) => kind === 'policy.applied').length, 1);
  },
);

test.serial(
  'J03: an edit, a swap, a removal, a copy or other whitespace in a log is found with the number of its record',
  async (t) => {
    const source = await finishedLog(t);
    t.deepEqual((await verdict(source)).ok, true);
    const [name = ''] = logFiles(source).map((path) => path.slice(source.length + 1));
    const lines = readFileSync(join(source, name), 'utf8').split('\n').slice(0, -1);
    const at = lines.findIndex((line) => line.includes('"verdict":"deny"'));
    t.true(at > 3);
    const line = lines[at] ?? '';
    const attacks: readonly [what: string, to: readonly string[], seq: number][] = [
      ['a denial made an allow', lines.with(at, line.replace('"deny"', '"allow"')), at + 1],
      ['two lines swapped', lines.with(at, lines[at - 1] ?? '').with(at - 1, line), at],
      ['a line removed', lines.toSpliced(at, 1), at + 1],
      ['a line doubled', lines.toSpliced(at, 0, line), at + 2],
      ['a space put in', lines.with(at, line.replace('{"at":', '{ "at":')), at + 1],
      ['the members in another order', lines.with(at, reordered(line)), at + 1],
      ['the end cut off', lines.slice(0, at), at + 1],
    ];
    for (const [what, changed, seq] of attacks) {
      const copy = folder(t);
      cpSync(source, copy, { recursive: true });
      writeFileSync(join(copy, name), `${changed.join('\n')}\n`);
      const { ok, status, problems } = await verdict(copy);
      t.false(ok, what);
      t.is(status, 1);
      t.true(
        [seq, seq - 1].includes(problems[0]?.seq ?? -1),
        `${what}: ${JSON.stringify(problems[0])}, expected ${seq}`,
      );
    }
  },
);

function reordered(line: string): string {
  const { hash, ...rest } = JSON.parse(line);
  return JSON.stringify({ hash, ...rest });
}

test.serial(
  'J04: a log that somebody wrote anew, with a chain and a key of its own, does not verify against the public key',
  async (t) => {
    const [real, forged] = [await finishedLog(t), await finishedLog(t)];
    t.true((await verdict(forged)).ok);
    const keyFile =
      readdirSync(real).find((name) => readFileSync(join(real, name), 'utf8').includes('PUBLIC KEY')) ?? '';
    cpSync(join(real, keyFile), join(forged, keyFile));
    t.false((await verdict(forged)).ok);
  },
);

for (const [what, tear] of [
  ['a line that was not finished', (path: string) => appendFileSync(path, '{"at":"2026-01-01T00:00:00.000Z","fie')],
  ['a block of zeros', (path: string) => appendFileSync(path, Buffer.alloc(4096))],
  ['half of its last record', (path: string) => truncateSync(path, readFileSync(path).length - 40)],
] as const) {
  test.serial(`J06: a log that a crash left with ${what} is gone on with, and says so`, async (t) => {
    const stateDir = folder(t);
    const first = await DaemonProcess.start(t, { stateDir });
    await (await first.connect()).call('session.create', { level: 'standard' });
    await first.stop('SIGKILL');
    const audit = auditOf(stateDir);
    const before = recordsOf(audit).length;
    tear(logFiles(audit).at(-1) ?? '');
    const second = await DaemonProcess.start(t, { stateDir });
    const admin = await second.connect('admin');
    const { records } = await admin.call('audit.query', { kind: 'audit.recovered' });
    const broken = await admin.call('audit.query', { kind: 'audit.broken' });
    // Where the record that was cut had been signed for already, that is no crash but a change, and is told as one.
    t.is(records.length + broken.records.length, 1);
    if (broken.records.length === 0) t.true((await admin.call('audit.verify', {})).ok);
    t.true(recordsOf(audit).length >= before, 'no whole record is gone');
  });
}

for (const [what, harm] of [
  ['deleted', (path: string) => rmSync(path)],
  ['moved away', (path: string) => renameSync(path, `${path}.old`)],
  [
    'replaced by another',
    (path: string) => {
      cpSync(path, `${path}.new`);
      renameSync(`${path}.new`, path);
    },
  ],
  ['emptied in place', (path: string) => truncateSync(path, 0)],
] as const) {
  test.serial(`J07: while the log is ${what} no effect happens, and the daemon says why`, async (t) => {
    const daemon = await DaemonProcess.start(t);
    const client = await daemon.connect();
    const session = sessionOf(client, (await client.call('session.create', { level: 'standard' })).sessionId);
    await session.run('await kv.set("n", 0)');
    harm(logFiles(auditOf(daemon.stateDir)).at(-1) ?? '');
    // Looked at once a second: until then what is recorded goes to the file that was opened.
    const set =
      'try { const { version } = await kv.entry("n"); await kv.set("n", version); "done" } catch (error) { error.code }';
    await until(async () => {
      const { error, value } = await session.run(set);
      return (error?.code ?? (value?.kind === 'json' ? value.json : '')) === 'UNAVAILABLE';
    });
    t.is(await refusalOf(client.call('session.create', { level: 'standard' })), 'UNAVAILABLE');
    const admin = await daemon.connect('admin');
    t.false((await admin.call('audit.verify', {})).ok);
    t.regex(daemon.stderr, /audit log/);
    t.true(daemon.running);
  });
}

test.serial('J08: a second daemon on the same state directory is refused, and the log has one writer', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const before = linesOf(auditOf(daemon.stateDir)).length;
  const error = await t.throwsAsync(DaemonProcess.start({ teardown: () => undefined }, { stateDir: daemon.stateDir }));
  t.regex(error?.message ?? '', /already running/);
  t.is(linesOf(auditOf(daemon.stateDir)).length, before);
  t.true((await (await daemon.connect('admin')).call('audit.verify', {})).ok);
});

for (const level of ['standard', 'unrestricted']) {
  test.serial(
    `J09: a daemon killed between an effect of level ${level} and its outcome leaves the intent in a whole log`,
    async (t) => {
      const stateDir = folder(t);
      const daemon = await DaemonProcess.start(t, { stateDir });
      const client = await daemon.connect();
      const session = sessionOf(client, (await client.call('session.create', { level })).sessionId);
      const functions = new ClientFunctions(client);
      await functions.provide(session.sessionId, 'effect', silent);
      session.run('await effect("transfer")').catch(() => undefined);
      // It has left the daemon: its intent has to be on record.
      const { params } = await functions.call('effect');
      await daemon.stop('SIGKILL');
      const audit = auditOf(stateDir);
      const ofCall = recordsOf(audit).filter(({ fields }) => fields['callId'] === params['callId']);
      t.deepEqual(
        ofCall.map(({ kind, fields }) => [kind, fields['verdict'], fields['capability']]),
        [['capability.decision', 'allow', 'effect']],
      );
      const copy = folder(t);
      cpSync(audit, copy, { recursive: true });
      t.true((await verdict(copy)).ok, 'the copy verifies offline');
      const again = await DaemonProcess.start(t, { stateDir });
      t.true((await (await again.connect('admin')).call('audit.verify', {})).ok);
    },
  );
}

test.serial('F16, J09: a host that is killed after a call leaves both the intent and the outcome', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const session = sessionOf(client, (await client.call('session.create', { level: 'standard' })).sessionId);
  const functions = new ClientFunctions(client);
  await functions.provide(session.sessionId, 'effect', silent);
  const result = session.run('await effect()');
  const { params } = await functions.call('effect');
  for (const { pid, cordon } of (await admin.call('daemon.stats', {})).hosts) {
    if (cordon !== null) process.kill(pid, 'SIGKILL');
  }
  t.is((await result).status, 'error');
  const outcome = async () =>
    (await admin.call('audit.query', { kind: 'capability.outcome' })).records.find(
      ({ fields }) => fields['callId'] === params['callId'],
    );
  await until(async () => (await outcome()) !== undefined);
  t.is((await outcome())?.fields['outcome'], 'failed');
});

test.serial(
  'J12: a root that holds the log, or is held by it, is refused at the start, and no path of a session leads to it',
  async (t) => {
    for (const path of [(state: string) => state, (state: string) => auditOf(state), () => '/']) {
      const stateDir = folder(t);
      const policy = new PolicyFolder();
      t.teardown(() => policy.remove());
      policy.edit('policy', 'roots:', `roots:\n  logs: { path: ${path(stateDir)} }`);
      policy.grant('standard', 'read_file', '{ roots: [workspace, logs], fileBytesMax: 8388608 }');
      const starting = DaemonProcess.start(
        { teardown: () => undefined },
        { stateDir, args: ['--policies', policy.path] },
      );
      const error = await t.throwsAsync(starting);
      t.regex(error?.message ?? '', /logs/);
    }
    const daemon = await DaemonProcess.start(t);
    const client = await daemon.connect();
    const session = sessionOf(client, (await client.call('session.create', { level: 'unrestricted' })).sessionId);
    for (const path of ['../../audit', '/workspace/../../audit', auditOf(daemon.stateDir), '/proc/self/fd']) {
      const { error, value } = await session.run(`await list_files(${JSON.stringify(path)})`);
      t.is(value, undefined, path);
      t.notRegex(error?.message ?? '', new RegExp(daemon.stateDir));
    }
  },
);

test.serial(
  'J14: refusals, approvals, edits, levels and ended hosts each leave a record of their own kind',
  async (t) => {
    const policy = new PolicyFolder();
    t.teardown(() => policy.remove());
    const daemon = await DaemonProcess.start(t, { args: ['--policies', policy.path] });
    const client = await daemon.connect();
    const admin = await daemon.connect('admin');
    const session = sessionOf(client, (await client.call('session.create', { level: 'trusted' })).sessionId);
    const { sessionId } = session;
    await refusalOf(client.callAny('daemon.stats', {}));
    await refusalOf(client.call('session.create', { level: 'unrestricted' }));
    await session.run('exec');
    await session.run('await hash("md5", "x")');
    const asked = session.run('await approve("?")');
    const requested = await session.event('approval.requested');
    const { hash } = await admin.call('approval.show', { approvalId: requested.approvalId });
    await admin.call('approval.settle', { approvalId: requested.approvalId, hash, decision: 'deny' });
    await asked;
    policy.edit('trusted', /^ {2}delete_file: .*\n/m, '');
    await session.event('capabilities.changed');
    policy.edit('sandbox', 'rank: 10', 'rank: ten');
    await until(async () => (await admin.call('audit.query', { kind: 'policy.rejected' })).records.length > 0);
    await session.run('for (;;);', 100);
    await session.run('var lost = 1');
    const [host] = (await admin.call('daemon.stats', {})).hosts.filter(({ cordon }) => cordon !== null);
    process.kill(Number(host?.pid), 'SIGKILL');
    await session.event('session.lost');
    await client.call('session.setLevel', { sessionId, level: 'sandbox' });
    const gone = once(client.socket, 'close');
    await client.call('session.close', { sessionId });
    client.close();
    await gone;
    await admin.call('audit.verify', {});
    await daemon.stop();
    const kinds = new Set(recordsOf(auditOf(daemon.stateDir)).map(({ kind }) => kind));
    const expected =
      'daemon.started client.connected client.refused level.denied session.created execution.started execution.finished limit.hit capability.decision approval.requested approval.settled capability.withdrawn policy.applied policy.rejected host.ended session.lost session.level session.closed daemon.stopped audit.head';
    t.deepEqual(
      expected.split(' ').filter((kind) => !kinds.has(kind)),
      [],
    );
    t.true(existsSync(join(auditOf(daemon.stateDir), 'head.json')));
  },
);
