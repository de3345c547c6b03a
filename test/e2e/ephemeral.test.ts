import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { DaemonProcess } from '../harness/daemon-process.ts';

const TOKEN = 'a-token-for-both-daemons-0123456789';

test('an ephemeral daemon leaves no file of sessions, and its sessions end with it', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-test-'));
  const first = await DaemonProcess.start(t, { stateDir, args: ['--ephemeral'] });
  const client = await first.connect();
  await client.call('daemon.hello', { token: TOKEN });
  await client.call('session.create', {});
  await first.stop();
  t.false(existsSync(join(stateDir, 'durable.sqlite')));
  const second = await DaemonProcess.start(t, { stateDir, args: ['--ephemeral'] });
  const again = await second.connect();
  await again.call('daemon.hello', { token: TOKEN });
  t.deepEqual((await again.call('session.list', {})).sessions, []);
});

test('an ephemeral daemon on the directory of a durable one leaves its sessions and their files as they are', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-test-'));
  const durable = await DaemonProcess.start(t, { stateDir });
  const client = await durable.connect();
  await client.call('daemon.hello', { token: TOKEN });
  const { sessionId } = await client.call('session.create', { level: 'standard' });
  const source = 'const kept = 41; await write_file("kept.txt", "kept"); await kv.set("kept", 1)';
  t.is((await client.call('session.execute', { sessionId, source })).status, 'ok');
  await durable.stop();
  const ephemeral = await DaemonProcess.start(t, { stateDir, args: ['--ephemeral'] });
  t.deepEqual((await (await ephemeral.connect('admin')).call('session.list', {})).sessions, []);
  await ephemeral.stop();
  const again = await (await DaemonProcess.start(t, { stateDir })).connect();
  await again.call('daemon.hello', { token: TOKEN });
  const { value } = await again.call('session.execute', {
    sessionId,
    source: '[kept, await read_file("kept.txt"), await kv.get("kept")]',
  });
  t.deepEqual(value, { kind: 'json', json: [41, 'kept', 1] });
});
