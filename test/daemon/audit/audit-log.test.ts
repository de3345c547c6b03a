import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { AuditLog } from '../../../daemon/audit/audit-log.ts';
import { Fault } from '../../../daemon/fault.ts';

const closed = { sessionId: 'ses_1', reason: 'done' };
const decision = {
  sessionId: 'ses_1',
  executionId: null,
  level: 'sandbox',
  capability: 'input',
  args: '[]',
  verdict: 'deny',
} as const;

function file(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-audit-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'audit.jsonl');
}
const records = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

test('records are lines of JSON, numbered, in a file that only its owner can read', async (t) => {
  const path = file(t);
  const log = new AuditLog(path, () => 0);
  log.append('session.closed', closed);
  log.note('session.closed', { ...closed, reason: 'line\nbreak\u2028' });
  await turn();
  t.deepEqual(records(path), [
    { seq: 1, at: '1970-01-01T00:00:00.000Z', kind: 'session.closed', ...closed },
    { seq: 2, at: '1970-01-01T00:00:00.000Z', kind: 'session.closed', sessionId: 'ses_1', reason: 'line\nbreak\u2028' },
  ]);
  t.is(statSync(path).mode & 0o777, 0o600);
  log.close();
});

test('a decision is in the file before append returns, and with it all that came before', (t) => {
  const path = file(t);
  const log = new AuditLog(path, () => 0);
  log.append('session.closed', closed);
  log.append('capability.decision', decision);
  t.deepEqual(
    records(path).map(({ kind }) => kind),
    ['session.closed', 'capability.decision'],
  );
  log.close();
});

test('a log is continued where it ended, and a line that was torn off stands alone', (t) => {
  const path = file(t);
  const first = new AuditLog(path, () => 0);
  first.append('capability.decision', decision);
  first.close();
  appendFileSync(path, '{"seq":2,"at":"19');
  const second = new AuditLog(path, () => 0);
  second.append('capability.decision', decision);
  second.close();
  const lines = readFileSync(path, 'utf8').split('\n');
  t.is(lines[1], '{"seq":2,"at":"19');
  t.is(JSON.parse(lines[2] ?? '').seq, 2);
});

test('a symbolic link in the place of the log is refused', (t) => {
  const path = file(t);
  writeFileSync(`${path}.target`, '');
  symlinkSync(`${path}.target`, path);
  t.throws(() => new AuditLog(path, () => 0), { code: 'ELOOP' });
});

test('J07: what cannot be recorded is refused, before anything else is let through', async (t) => {
  // A device that is always full.
  const log = new AuditLog('/dev/full', () => 0);
  t.is(t.throws(() => log.append('capability.decision', decision), { instanceOf: Fault })?.code, 'UNAVAILABLE');
  const refusal = t.throws(() => log.append('session.closed', closed), { instanceOf: Fault });
  t.regex(refusal?.message ?? '', /ENOSPC/);
  t.notThrows(() => log.note('session.closed', closed), 'what has happened is kept until it can be written');
  await turn();
  t.throws(() => log.append('session.closed', closed), { instanceOf: Fault });
  log.close();
});
