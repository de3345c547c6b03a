import { spawn } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  fdatasync,
  fdatasyncSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { LogFileIo } from '../../../daemon/audit/log-file.ts';
import { Fault } from '../../../daemon/fault.ts';
import { auditFolder, closed, decision, kindsOf, openLog, recordsOf, until, verifyFolder } from './audit-folder.ts';

const FIRST = 'audit-000001.jsonl';

/** A disk that can be made to fail. */
function fallibleIo() {
  const failing = { write: '', sync: '', room: Number.POSITIVE_INFINITY };
  const fail = (code: string): void => {
    if (code !== '') throw Object.assign(new Error(code), { code });
  };
  const syncLater = promisify(fdatasync);
  const io: LogFileIo = {
    write: (descriptor, bytes, offset) => {
      if (failing.room === 0) fail(failing.write);
      const part = bytes.subarray(offset, offset + Math.min(failing.room, bytes.length));
      failing.room -= part.length;
      return writeSync(descriptor, part);
    },
    syncNow: (descriptor) => {
      fail(failing.sync);
      fdatasyncSync(descriptor);
    },
    sync: async (descriptor) => {
      fail(failing.sync);
      await syncLater(descriptor);
    },
  };
  return { failing, io };
}

test('J07: on a full disk what cannot be recorded is refused, and the log is whole after the next start', async (t) => {
  const folder = auditFolder(t);
  const program = fileURLToPath(import.meta.resolve('./limited-writer.ts'));
  // The limit holds for every file of the process, so it must not be made to write any other, such as its coverage.
  const limited = 'unset NODE_V8_COVERAGE && ulimit -f 16 && exec "$0" "$@"';
  const child = spawn('bash', ['-c', limited, process.execPath, program, folder]);
  t.teardown(() => child.kill('SIGKILL'));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  t.is(err, '');
  const { refusals, complaints } = JSON.parse(out);
  for (const refusal of refusals)
    t.regex(refusal, /^UNAVAILABLE The audit log is not safe: it cannot be written \(EFBIG\)/);
  t.is(complaints.length, 1, 'and the operator is told once');
  const log = openLog(t, folder);
  await log.close();
  t.is(kindsOf(folder).filter((kind) => kind === 'audit.recovered').length, 1);
  t.like(await verifyFolder(folder), { ok: true });
});

test('J07: once the disk has room again everything that was noted is there, in order, and the outage too', async (t) => {
  const folder = auditFolder(t);
  const { io, failing } = fallibleIo();
  const said: string[] = [];
  const log = openLog(t, folder, { io, log: (line) => said.push(line) });
  // Cut in the middle of a character of several bytes.
  Object.assign(failing, { write: 'ENOSPC', room: 60 });
  log.note('session.closed', { sessionId: '\u{1f600}'.repeat(30), reason: 'r' });
  t.throws(() => log.append('capability.decision', decision), { instanceOf: Fault, message: /ENOSPC/ });
  t.throws(() => log.append('session.closed', closed), { instanceOf: Fault });
  log.note('session.lost', { sessionId: 'ses_1', code: 'HOST_CRASHED', message: 'm' });
  failing.room = Number.POSITIVE_INFINITY;
  log.append('session.closed', closed, 'always');
  await log.close();
  t.deepEqual(kindsOf(folder), [
    ...['audit.key', 'session.closed', 'capability.decision', 'session.lost', 'audit.recovered', 'session.closed'],
    'audit.head',
  ]);
  t.is(recordsOf(folder)[4]?.fields['reason'], 'ENOSPC');
  t.is(said.length, 2);
  t.like(await verifyFolder(folder), { ok: true });
});

test('J07: where a record cannot be brought to the disk, nothing goes on until it can', async (t) => {
  const folder = auditFolder(t);
  const { io, failing } = fallibleIo();
  const log = openLog(t, folder, { io, syncMs: 10 });
  failing.sync = 'EIO';
  t.throws(() => log.append('capability.decision', decision, 'always'), { message: /brought to the disk \(EIO\)/ });
  t.throws(() => log.append('capability.decision', decision), { instanceOf: Fault });
  failing.sync = '';
  t.notThrows(() => log.append('capability.decision', decision));
  failing.sync = 'EIO';
  await until(() => {
    try {
      log.append('session.closed', closed);
      return false;
    } catch {
      return true;
    }
  });
  failing.sync = '';
  await log.close();
  t.like(await verifyFolder(folder), { ok: true });
});

test('J07: what is only noted while nothing can be written is kept up to a bound, and counted beyond it', async (t) => {
  const folder = auditFolder(t);
  const { io, failing } = fallibleIo();
  const log = openLog(t, folder, { io });
  Object.assign(failing, { write: 'ENOSPC', room: 0 });
  t.throws(() => log.append('capability.decision', decision));
  const reason = 'x'.repeat(2000);
  const noted = 4000;
  for (let count = 0; count < noted; count++) log.note('client.refused', { reason });
  failing.room = Number.POSITIVE_INFINITY;
  log.append('session.closed', closed);
  await log.close();
  const kept = kindsOf(folder).filter((kind) => kind === 'client.refused').length;
  t.true(kept > 1000 && kept < noted);
  t.is(recordsOf(folder).find(({ kind }) => kind === 'audit.recovered')?.fields['lost'], noted - kept);
  t.like(await verifyFolder(folder), { ok: true });
});

/** The last says whether the records are still all there. */
const changes: readonly [title: string, act: (file: string) => void, what: RegExp, isWhole: boolean][] = [
  ['deleted', (file) => rmSync(file), /it was deleted or moved away/, false],
  [
    'replaced by a copy',
    (file) => {
      renameSync(file, `${file}.1`);
      copyFileSync(`${file}.1`, file);
    },
    /another file was put in its place/,
    true,
  ],
  ['cut to nothing, as logrotate does with copytruncate', (file) => truncateSync(file), /its end was cut off/, false],
  ['written to by another program', (file) => appendFileSync(file, '{}\n'), /another program has written to it/, false],
];
for (const [title, act, what, isWhole] of changes) {
  test(`J07: a log that was ${title} while open is noticed, and nothing new is let through`, async (t) => {
    const folder = auditFolder(t);
    const said: string[] = [];
    const log = openLog(t, folder, { syncMs: 10, log: (line) => said.push(line) });
    log.append('capability.decision', decision);
    act(join(folder, FIRST));
    await until(() => said.length > 0);
    t.regex(said[0] ?? '', what);
    const fault = t.throws(() => log.append('capability.decision', decision), { instanceOf: Fault });
    t.is(fault?.code, 'UNAVAILABLE');
    t.regex(fault?.message ?? '', /restarted/);
    t.false(fault?.message.includes(folder), 'what guest code may read names no path');
    t.notThrows(() => log.note('session.closed', closed));
    await log.close();
    t.regex(said.at(-1) ?? '', /could not be written/);
    t.is((await verifyFolder(folder)).ok, isWhole);

    const next = openLog(t, folder);
    next.append('capability.decision', decision);
    await next.close();
    const broken = recordsOf(folder).find(({ kind }) => kind === 'audit.broken');
    t.is(broken?.fields['code'], isWhole ? undefined : 'AUDIT_BROKEN');
  });
}

test('J07: a log that is put back as it was goes on, with all that was noted meanwhile', async (t) => {
  const folder = auditFolder(t);
  const log = openLog(t, folder, { syncMs: 10 });
  const file = join(folder, FIRST);
  renameSync(file, `${file}.1`);
  await until(() => {
    try {
      log.append('capability.decision', decision);
      return false;
    } catch {
      return true;
    }
  });
  log.note('session.lost', { sessionId: 'ses_1', code: 'HOST_CRASHED', message: 'm' });
  renameSync(`${file}.1`, file);
  log.append('capability.decision', decision);
  await log.close();
  t.deepEqual(kindsOf(folder).slice(-4), ['session.lost', 'audit.recovered', 'capability.decision', 'audit.head']);
  t.like(await verifyFolder(folder), { ok: true });
});

test('J08: two writers on one folder are noticed by both the first and whoever verifies', async (t) => {
  const folder = auditFolder(t);
  const said: string[] = [];
  const first = openLog(t, folder, { syncMs: 10, log: (line) => said.push(line) });
  await until(() => statSync(join(folder, FIRST)).size > 0);
  const second = openLog(t, folder, { syncMs: 10 });
  second.append('capability.decision', decision);
  await until(() => said.length > 0);
  t.throws(() => first.append('capability.decision', decision), { message: /another program has written to it/ });
  await second.close();
  t.like(await verifyFolder(folder), { ok: true }, 'and what the other one wrote is whole');
});
