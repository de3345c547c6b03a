import { copyFileSync, existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';

const TOKEN = 'a-token-for-both-daemons-0123456789';

async function connected(daemon: DaemonProcess): Promise<RawClient> {
  const client = await daemon.connect();
  await client.call('daemon.hello', { token: TOKEN });
  return client;
}

test('a backup that is made while cells run is a state directory to go on from', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await connected(daemon);
  const { sessionId } = await client.call('session.create', { level: 'trusted' });
  const busy = await client.call('session.create', {});
  await client.call('session.execute', { sessionId, source: 'let n = 41; const more = () => ++n;' });
  const waiting = client.call('session.execute', { sessionId, executionId: 'asks', source: 'n + (await input("? "))' });
  waiting.catch(() => undefined);
  await client.event(({ kind }) => kind === 'input.requested');
  let writing = true;
  const cells = (async () => {
    let acknowledged = 0;
    for (; writing; acknowledged++)
      await client.call('session.execute', {
        sessionId: busy.sessionId,
        source: 'globalThis.m = (globalThis.m ?? 0) + 1',
      });
    return acknowledged;
  })();
  const file = join(mkdtempSync(join(tmpdir(), 'pyrepl3-test-')), 'copy.sqlite');
  const before = await client.call('namespace.get', { sessionId: busy.sessionId, name: 'm' }).catch(() => null);
  const { bytes } = await (await daemon.connect('admin')).call('daemon.backup', { file });
  writing = false;
  const acknowledged = await cells;
  t.is(statSync(file).mode & 0o777, 0o600);
  t.is(statSync(file).size, bytes);
  for (const suffix of ['-journal', '-wal', '-shm']) t.false(existsSync(`${file}${suffix}`), suffix);
  await daemon.stop('SIGKILL');

  const stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-test-'));
  copyFileSync(file, join(stateDir, 'durable.sqlite'));
  const restored = await connected(await DaemonProcess.start(t, { stateDir }));
  const { value } = await restored.call('session.execute', { sessionId: busy.sessionId, source: 'm' });
  const m = value?.kind === 'json' ? Number(value.json) : Number.NaN;
  const known = before?.value.kind === 'json' ? Number(before.value.json) : 0;
  t.true(m >= known && m <= acknowledged + 1, `${known} <= ${m} <= ${acknowledged + 1}`);
  await restored.call('session.attach', { sessionId, afterSeq: 0 });
  const asked = await restored.event((event) => event.sessionId === sessionId && event.kind === 'input.requested');
  const { requestId } = asked as unknown as { requestId: string };
  await restored.call('input.answer', { sessionId, requestId, text: '!' });
  const asks = { sessionId, executionId: 'asks', source: 'n + (await input("? "))' };
  t.deepEqual((await restored.call('session.execute', asks)).value, { kind: 'json', json: '41!' });
  t.deepEqual((await restored.call('session.execute', { sessionId, source: 'more()' })).value, {
    kind: 'json',
    json: 42,
  });
});

test('a backup replaces nothing, goes only where it can, and only administrators can have one made', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-test-'));
  const taken = join(folder, 'taken');
  writeFileSync(taken, 'mine');
  const admin = await daemon.connect('admin');
  const refused: readonly (readonly [string, RegExp])[] = [
    [taken, /something of that name/],
    [folder, /something of that name/],
    [join(daemon.stateDir, 'durable.sqlite'), /something of that name/],
    [join(daemon.stateDir, 'durable.sqlite-journal'), /part of the one that is in use/],
    [join(folder, 'missing', 'copy'), /ENOENT/],
    ['copy.sqlite', /absolute path/],
  ];
  for (const [file, message] of refused) {
    const fault = await t.throwsAsync(admin.call('daemon.backup', { file }), { message }, file);
    t.is((fault as unknown as { code: string }).code, 'INVALID_PARAMS');
  }
  t.is(readFileSync(taken, 'utf8'), 'mine');
  const file = join(folder, 'copy.sqlite');
  await t.throwsAsync((await daemon.connect()).call('daemon.backup', { file }), { message: /administrators/ });
  t.false(existsSync(file));
  await admin.call('daemon.backup', { file });
  const { records } = await admin.call('audit.query', { kind: 'daemon.backup', limit: 1 });
  t.like(records[0]?.fields, { file });
});

test('an ephemeral daemon says that it has nothing to copy', async (t) => {
  const daemon = await DaemonProcess.start(t, { args: ['--ephemeral'] });
  const file = join(daemon.stateDir, 'copy.sqlite');
  const backup = (await daemon.connect('admin')).call('daemon.backup', { file });
  await t.throwsAsync(backup, { message: /ephemeral/ });
  t.false(existsSync(file));
});
