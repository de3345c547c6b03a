import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { RECORD_KINDS } from '../../../daemon/audit/audit-records.ts';
import { listLogFiles } from '../../../daemon/audit/log-folder.ts';
import { HEAD_RECORDS } from '../../../daemon/audit/signed-head.ts';
import {
  auditFolder,
  closed,
  decision,
  kindsOf,
  linesOf,
  openLog,
  recordsOf,
  until,
  verifyFolder,
} from './audit-folder.ts';

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('records are numbered lines of JSON in files that only their owner can read', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder);
  log.append('session.closed', closed);
  log.note('session.closed', { ...closed, reason: 'line\nbreak\u2028' });
  await turn();
  const [key, first, second] = recordsOf(folder);
  t.is(key?.kind, 'audit.key');
  t.like(first, { seq: 2, at: '1970-01-01T00:00:00.000Z', kind: 'session.closed', fields: closed, prev: key?.hash });
  t.like(second, { seq: 3, fields: { sessionId: 'ses_1', reason: 'line\nbreak\u2028' }, prev: first?.hash });
  t.is(modeOf(folder), 0o700);
  for (const name of ['audit-000001.jsonl', 'signing-key.pem', 'head.json'])
    t.is(modeOf(join(folder, name)), 0o600, name);
});

test('a decision is in the file before append returns, and with it all that came before', (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder);
  log.note('session.closed', closed);
  t.deepEqual(kindsOf(folder), ['audit.key']);
  log.append('capability.decision', decision);
  t.deepEqual(kindsOf(folder), ['audit.key', 'session.closed', 'capability.decision']);
});

test('any record is on the disk before append returns where its level asks for that, and within the interval otherwise', async (t) => {
  const folder = auditFolder(t);
  const synced: string[] = [];
  const { writeSync } = await import('node:fs');
  const io = {
    write: (descriptor: number, bytes: Buffer, offset: number) => writeSync(descriptor, bytes, offset),
    syncNow: () => void synced.push('now'),
    sync: async () => void synced.push('later'),
  };
  const log = openLog(t, folder, { io, syncMs: 10 });
  await until(() => synced.includes('later'));
  synced.length = 0;
  log.append('capability.decision', decision);
  t.deepEqual(synced, []);
  log.append('session.closed', closed, 'always');
  t.deepEqual(synced, ['now']);
  t.is(kindsOf(folder).at(-1), 'session.closed');
  await until(() => synced.includes('later'));
});

test('a log is continued where it ended, over restarts', async (t) => {
  const folder = auditFolder(t);
  for (let run = 0; run < 3; run++) {
    const log = AuditLog.open(folder, () => 0);
    log.append('daemon.started', { version: '1.2.3', pid: run });
    await log.close();
  }
  const kinds = ['audit.key', ...Array(3).fill(['daemon.started', 'audit.head']).flat()];
  t.deepEqual(kindsOf(folder), kinds);
  t.deepEqual(
    recordsOf(folder).map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7],
  );
  t.like(await verifyFolder(folder), { ok: true, records: 7, firstSeq: 1, lastSeq: 7, signedSeq: 7 });
});

test('a file that has grown to the size given is followed by another, and the chain goes on in it', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { rotateBytes: 4096 });
  for (let count = 0; count < 40; count++) log.append('capability.decision', decision);
  await log.close();
  const files = listLogFiles(folder);
  t.true(files.length > 3);
  for (const [index, { path }] of files.entries()) {
    const kinds = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).kind);
    t.is(kinds.at(-1), 'audit.head', 'what a file ends with is signed');
    if (index > 0) t.is(kinds[0], 'audit.rotated');
  }
  t.like(await verifyFolder(folder), { ok: true, records: linesOf(folder).length, problems: [] });
});

test('a head is signed after so many records, after so long, and at the end', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { syncMs: 10, headMs: 10 });
  await until(() => kindsOf(folder).includes('audit.head'));
  t.deepEqual(kindsOf(folder), ['audit.key', 'audit.head'], 'and nothing new is nothing to sign');
  await log.close();
  const second = openLog(t, folder);
  for (let count = 0; count <= HEAD_RECORDS; count++) second.append('capability.decision', decision);
  t.is(kindsOf(folder).indexOf('audit.head', 2), 2 + HEAD_RECORDS);
  await second.close();
  t.deepEqual(kindsOf(folder).slice(-2), ['capability.decision', 'audit.head']);
  t.like(await verifyFolder(folder), { ok: true });
});

test('head.json follows what is on the disk, and nothing of it is lost when the process just ends', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { syncMs: 10 });
  log.append('capability.decision', decision);
  const headSeq = () => JSON.parse(readFileSync(join(folder, 'head.json'), 'utf8')).seq;
  await until(() => headSeq() === 2);
  t.like(await verifyFolder(folder), { ok: true, lastSeq: 2, signedSeq: 2 });
  log.append('capability.decision', decision);
  t.like(
    await log.verify(),
    { ok: true, lastSeq: 3, signedSeq: 3 },
    'the daemon knows of what is newer than head.json',
  );
});

test('J11: numbers are the order, whatever the clock says', async (t) => {
  const folder = auditFolder(t);
  const times = [5000, 5000, 1000, -1e300, Number.NaN, 1e300, Number.POSITIVE_INFINITY, 0];
  let now = 0;
  const log = AuditLog.open(folder, () => now);
  for (const time of times) {
    now = time;
    t.notThrows(() => log.append('capability.decision', decision));
  }
  await log.close();
  const records = recordsOf(folder);
  t.deepEqual(
    records.map(({ seq }) => seq),
    records.map((_, index) => index + 1),
  );
  for (const { at } of records) t.false(Number.isNaN(Date.parse(at)), at);
  t.like(await verifyFolder(folder), { ok: true });
});

test('J08: symbolic links in the place of the log or its key are refused, and so is a key that others can read', (t) => {
  const folder = auditFolder(t);
  const target = `${folder}.target`;
  writeFileSync(target, '');
  mkdirSync(folder, { mode: 0o700 });
  symlinkSync(target, join(folder, 'audit-000001.jsonl'));
  t.throws(() => AuditLog.open(folder, () => 0), { message: /not a plain file/ });
  t.is(readFileSync(target, 'utf8'), '');

  const second = auditFolder(t);
  mkdirSync(second, { mode: 0o700 });
  symlinkSync(target, join(second, 'signing-key.pem'));
  t.throws(() => AuditLog.open(second, () => 0), { message: /chmod 600/ });

  const third = auditFolder(t);
  mkdirSync(third, { mode: 0o700 });
  writeFileSync(join(third, 'signing-key.pem'), 'no key', { mode: 0o600 });
  t.throws(() => AuditLog.open(third, () => 0), { message: /not an Ed25519 key/ });
});

test('J14: denials, refusals, approvals, policy changes, level changes and kills have kinds of their own', (t) => {
  const kinds = ['capability.decision', 'client.refused', 'level.denied', 'approval.requested', 'approval.settled'];
  kinds.push('policy.applied', 'policy.rejected', 'session.level', 'host.killed', 'limit.hit', 'violation');
  for (const kind of kinds) t.true(Object.hasOwn(RECORD_KINDS, kind), kind);
});

test('whoever waits for records is told of the first, at the deadline, or when the wait is given up', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder);
  await log.untilWritten(0, 60_000);
  const waiting = log.untilWritten(1, 60_000);
  log.append('capability.decision', decision);
  await waiting;
  await log.untilWritten(2, 1);
  const stop = new AbortController();
  const stopped = log.untilWritten(2, 60_000, stop.signal);
  stop.abort();
  await stopped;
  t.is(log.lastSeq, 2);
});

test('what is noted while the log is being closed is signed as well, and nothing is written after', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder);
  const closing = log.close();
  log.note('session.closed', closed);
  await closing;
  t.deepEqual(kindsOf(folder), ['audit.key', 'audit.head', 'session.closed', 'audit.head']);
  t.notThrows(() => log.note('session.closed', closed));
  t.throws(() => log.append('capability.decision', decision), { message: /stopping/ });
  t.like(await verifyFolder(folder), { ok: true, lastSeq: 4, signedSeq: 4 });
});
