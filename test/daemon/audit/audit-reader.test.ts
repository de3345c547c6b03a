import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { AuditRecord } from '../../../client/protocol.ts';
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { type AuditQuery, AuditReader } from '../../../daemon/audit/audit-reader.ts';
import { listLogFiles } from '../../../daemon/audit/log-folder.ts';
import { Fault } from '../../../daemon/fault.ts';
import { auditFolder, closed, decision, openLog, recordsOf, until } from './audit-folder.ts';

/** A log of several files, whose clock goes on by a second a record. */
function filledLog(t: ExecutionContext, rotateBytes = 5000): { log: AuditLog; reader: AuditReader; folder: string } {
  const folder = auditFolder(t);
  let now = 0;
  const log = AuditLog.open(folder, () => (now += 1000), { rotateBytes });
  t.teardown(() => log.close());
  for (let index = 0; index < 60; index++) {
    const sessionId = `ses_${index % 4}`;
    const verdict = index % 5 === 0 ? 'deny' : 'allow';
    const level = index % 2 === 0 ? 'standard' : 'trusted';
    if (index % 3 === 0) log.append('capability.decision', { ...decision, sessionId, verdict, level });
    else if (index % 7 === 0) log.append('session.level', { sessionId, from: 'sandbox', to: 'trusted', by: 'admin' });
    else log.append('session.closed', { sessionId, reason: '\u2028x'.repeat(index) }, 'always');
  }
  log.append('capability.injected', { sessionId: 'ses_9', capabilities: ['kv', 'fetch'], reason: 'r' }, 'always');
  return { log, reader: new AuditReader(log), folder };
}

/** All pages of a query, one after the other. */
async function allOf(reader: AuditReader, query: AuditQuery): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await reader.query({ ...query, ...(cursor !== undefined && { cursor }) });
    records.push(...page.records);
    cursor = page.cursor;
  }
  return records;
}

test('a query answers what matches, newest first, over all files and page by page', async (t) => {
  const { reader, folder } = filledLog(t);
  t.true(listLogFiles(folder).length > 3);
  const records = recordsOf(folder).toReversed();
  t.deepEqual(await allOf(reader, {}), records);
  const of = (record: AuditRecord, name: string): unknown => record.fields[name];
  const queries: [AuditQuery, (record: AuditRecord) => boolean][] = [
    [{ sessionId: 'ses_1' }, (record) => of(record, 'sessionId') === 'ses_1'],
    [{ kind: 'session.level' }, ({ kind }) => kind === 'session.level'],
    [{ verdict: 'deny' }, (record) => of(record, 'verdict') === 'deny'],
    [{ level: 'trusted' }, (record) => of(record, 'level') === 'trusted' || of(record, 'to') === 'trusted'],
    [{ capability: 'kv' }, ({ kind }) => kind === 'capability.decision' || kind === 'capability.injected'],
    [{ capability: 'fetch' }, ({ kind }) => kind === 'capability.injected'],
    [{ verdict: 'allow', sessionId: 'ses_2' }, (r) => of(r, 'verdict') === 'allow' && of(r, 'sessionId') === 'ses_2'],
    [
      { since: '1970-01-01T00:00:30Z', until: '1970-01-01T00:00:40.000Z' },
      ({ at }) => at.slice(17, 19) >= '30' && at < '1970-01-01T00:00:40.001Z',
    ],
    [{ capability: 'none' }, () => false],
  ];
  for (const [query, matches] of queries) {
    const expected = records.filter(matches);
    for (const limit of [1, 7, 1000])
      t.deepEqual(await allOf(reader, { ...query, limit }), expected, JSON.stringify(query));
  }
});

test('a page goes on exactly where the one before ended, wherever files and lines begin', async (t) => {
  const { reader, folder, log } = filledLog(t, 1e9);
  const records = recordsOf(folder);
  await t.notThrowsAsync(() =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: records.length + 5 }),
        fc.integer({ min: 1, max: 9 }),
        async (seq, limit) => {
          const { records: found } = await reader.query({ cursor: String(seq), limit });
          const { records: after } = await reader.tail(seq, 0);
          const before = records.slice(0, seq - 1).toReversed();
          return JSON.stringify([found, after]) === JSON.stringify([before.slice(0, limit), records.slice(seq)]);
        },
      ),
      { numRuns: 60 },
    ),
  );
  t.is(log.lastSeq, records.length);
});

test('a cursor that no answer held is refused', async (t) => {
  const { reader } = filledLog(t);
  for (const cursor of ['', '-1', '1e3', 'x', '9'.repeat(64)]) {
    const fault = await t.throwsAsync(reader.query({ cursor }), { instanceOf: Fault });
    t.is(fault?.code, 'INVALID_PARAMS');
  }
});

test('an answer fits into a message, however long the records are', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder);
  for (let count = 0; count < 1200; count++) log.note('session.closed', { ...closed, reason: '\u4e2d'.repeat(2000) });
  log.append('capability.decision', decision);
  const reader = new AuditReader(log);
  const { records, cursor } = await reader.query({ limit: 1000 });
  t.true(records.length < 1000);
  t.true(Buffer.byteLength(JSON.stringify(records)) < 5 * 1024 * 1024);
  t.is(cursor, String(records.at(-1)?.seq));
  t.is((await allOf(reader, { limit: 1000 })).length, recordsOf(folder).length);
});

test('lines that are none do not end a query, nor does one that is being written', async (t) => {
  const { reader, folder } = filledLog(t, 1e9);
  const [file] = listLogFiles(folder);
  const path = file?.path ?? '';
  const lines = readFileSync(path, 'utf8').split('\n');
  const expected = recordsOf(folder).toReversed();
  writeFileSync(
    path,
    [...lines.slice(0, 9), 'no record', '', '{"seq":"x"}', '[]', 'x'.repeat(300_000), ...lines.slice(9)].join('\n'),
  );
  appendFileSync(path, '{"at":');
  t.deepEqual(await allOf(reader, { limit: 5 }), expected);
  t.deepEqual((await reader.tail(3, 0)).records, expected.toReversed().slice(3));
});

test('a tail begins with the newest records, and waits for those that follow', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { rotateBytes: 2000 });
  const reader = new AuditReader(log);
  for (let count = 0; count < 30; count++) log.append('capability.decision', decision);
  const newest = await reader.tail(undefined, 0);
  t.is(newest.records.length, 20);
  t.is(newest.lastSeq, log.lastSeq);
  t.is(newest.records.at(-1)?.seq, log.lastSeq);
  const next = reader.tail(newest.lastSeq, 60_000);
  log.append('session.closed', closed);
  await until(() => log.lastSeq > newest.lastSeq);
  t.like(await next, { lastSeq: log.lastSeq });
  t.is((await next).records[0]?.kind, 'session.closed');
  t.deepEqual(await reader.tail(log.lastSeq, 0), { records: [], lastSeq: log.lastSeq });
  const stop = new AbortController();
  const stopped = reader.tail(log.lastSeq, 60_000, stop.signal);
  stop.abort();
  t.deepEqual((await stopped).records, []);
});
