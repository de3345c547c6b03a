/** Levels and capabilities as a client and as guest code meet them. */
import test from 'ava';
import { DaemonProcess, type RpcFault } from '../harness/daemon-process.ts';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

test('a name that is a capability of a higher level is denied by name, and says which level grants it', async (t) => {
  const session = await file.session();
  for (const source of ['input("x")', 'await input()', 'input']) {
    const { error } = await session.run(source);
    t.like(error, { code: 'CAPABILITY_DENIED', name: 'ReferenceError' });
    t.deepEqual(error?.details, { capability: 'input', level: 'sandbox', lowestLevel: 'restricted' });
    t.regex(error?.message ?? '', /input is not defined: .*restricted/);
  }
  t.is((await session.run('inputs')).error?.code, 'RUNTIME_ERROR');
  t.deepEqual(await session.value('try { input() } catch (error) { error.message }'), {
    kind: 'json',
    json: 'input is not defined',
  });
});

test('a session that asked for `print` alone has nothing else, and is told so without being sent to another level', async (t) => {
  const session = await file.session({ capabilities: ['print'] });
  t.is((await session.run('print("yes")')).output.stdout, 'yes\n');
  for (const name of ['console', 'display', 'log']) {
    const { error } = await session.run(`${name}`);
    t.like(error, { code: 'CAPABILITY_DENIED', name: 'ReferenceError' });
    t.is(error?.details?.['capability'], name);
    t.notRegex(error?.message ?? '', /lowest level/);
  }
  const { capabilities } = await session.client.call('capability.list', { sessionId: session.sessionId });
  t.deepEqual(
    capabilities.filter(({ granted }) => granted).map(({ name }) => name),
    ['print'],
  );
});

test('capabilities beyond the level, and names that are none, are refused when the session is created', async (t) => {
  for (const capabilities of [['input'], ['print', 'web_assembly'], ['nonsense']]) {
    const error = await t.throwsAsync(file.session({ level: 'sandbox', capabilities }));
    t.is((error as unknown as RpcFault).code, 'CAPABILITY_DENIED', capabilities.join());
  }
});

test('WebAssembly, shared memory and resizable buffers exist only where a level grants them', async (t) => {
  const names =
    '[typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, typeof ArrayBuffer.prototype.resize].join()';
  const sandbox = await file.session();
  const trusted = await file.session({ level: 'trusted' });
  t.deepEqual(await sandbox.value(names), { kind: 'json', json: 'undefined,undefined,undefined,undefined' });
  t.deepEqual(await trusted.value(names), { kind: 'json', json: 'object,function,object,function' });
});

test('a session moves down, loses what the lower level lacks, and moves up only when an administrator agrees', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { sessionId, client } = session;
  await session.run('var kept = 1');
  const info = await client.call('session.setLevel', { sessionId, level: 'sandbox' });
  t.is(info.level, 'sandbox');
  t.false(info.capabilities.includes('input'));
  t.is((await session.event('session.level')).level, 'sandbox');
  t.is((await session.run('input()')).error?.code, 'CAPABILITY_DENIED');
  const raise = t.throwsAsync(client.call('session.setLevel', { sessionId, level: 'restricted' }));
  const { approvalId } = await session.event('approval.requested');
  const admin = await file.daemon.connect('admin');
  const { hash, raisesTo } = await admin.call('approval.show', { approvalId });
  t.is(raisesTo, 'restricted');
  await admin.call('approval.settle', { approvalId, hash, decision: 'deny' });
  t.is(((await raise) as unknown as RpcFault).code, 'APPROVAL_DENIED');
  t.is((await client.call('session.show', { sessionId })).level, 'sandbox');
  admin.close();
});

test('a level above the ceiling of a socket is LEVEL_DENIED, and the admin socket has no ceiling', async (t) => {
  const daemon = await DaemonProcess.start(t, { args: [] });
  const client = await daemon.connect();
  t.is((await client.call('daemon.hello', {})).levelCeiling, 'trusted');
  await client.call('session.create', { level: 'trusted' });
  const error = await t.throwsAsync(client.call('session.create', { level: 'unrestricted' }));
  t.is((error as unknown as RpcFault).code, 'LEVEL_DENIED');
  const admin = await daemon.connect('admin');
  t.is((await admin.call('session.create', { level: 'unrestricted' })).level, 'unrestricted');
});

test('randomness differs between sessions, and the clock of a sandbox stands still while a cell computes', async (t) => {
  const [one, other] = [await file.session(), await file.session()];
  const random = '[Math.random(), crypto.randomUUID()].join()';
  t.notDeepEqual(await one.value(random), await other.value(random));
  const still =
    'const t0 = Date.now(), p0 = performance.now(); for (let i = 0; i < 1e7; i++); [Date.now() - t0, performance.now() - p0]';
  t.deepEqual(await one.value(still), { kind: 'json', json: [0, 0] });
});
