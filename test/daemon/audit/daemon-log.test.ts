import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { DaemonProcess, RpcFault } from '../../harness/daemon-process.ts';
import { recordsOf, until } from './audit-folder.ts';

const PROGRAM = fileURLToPath(import.meta.resolve('../../../daemon/audit/verify-main.ts'));

test('J09: an allow that was recorded outlives SIGKILL of the daemon, its missing outcome shows, and the log stays whole', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-audit-daemon-'));
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }));
  const folder = join(stateDir, 'audit');
  const first = await DaemonProcess.start(t, { stateDir });
  const client = await first.connect();
  const { sessionId } = await client.call('session.create', { level: 'standard' });
  const cell = client.call('session.execute', { sessionId, source: `await sleep('1h')` });
  cell.catch(() => undefined);
  const allows = () =>
    recordsOf(folder).filter(({ kind, fields }) => kind === 'capability.decision' && fields['verdict'] === 'allow');
  await until(() => allows().length === 1);
  await first.stop('SIGKILL');
  t.false(recordsOf(folder).some(({ kind }) => kind === 'capability.outcome'));

  const second = await DaemonProcess.start(t, { stateDir });
  const admin = await second.connect('admin');
  // The call is made again, because its cell goes on.
  await until(() => allows().length === 2);
  const { records } = await admin.call('audit.query', { sessionId, verdict: 'allow' });
  t.deepEqual(records, allows().reverse());
  t.like(await admin.call('audit.verify', {}), { ok: true, problems: [] });
  const other = await second.connect();
  const fault = await t.throwsAsync(other.call('audit.query', {}), { instanceOf: RpcFault });
  t.is(fault?.code, 'ROLE_DENIED');
  t.is(await second.stop(), 0);
  const kinds = recordsOf(folder).map(({ kind }) => kind);
  t.is(kinds.at(-1), 'audit.head', 'and what a daemon ends with is signed');
  t.true(kinds.includes('daemon.stopped'));
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, folder], { encoding: 'utf8' });
  t.is(status, 0, stdout);
});
