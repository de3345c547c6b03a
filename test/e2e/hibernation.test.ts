import test from 'ava';
import { Survivor } from '../chaos/_survivor.ts';

const jsonOf = (result: { status: string; value?: unknown }): unknown =>
  (result.value as { json?: unknown } | undefined)?.json ?? result;

async function isolatesOf(session: Survivor): Promise<number> {
  const admin = await session.daemon.connect('admin');
  const { hosts } = await admin.call('daemon.stats', {});
  admin.close();
  return hosts.reduce((sum, { isolates }) => sum + isolates, 0);
}

test('a session that sleeps has no isolate, and is as it was when it is used again', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  await session.run(
    'let n = 41; const grow = () => ++n; class C { #x = 1; get x() { return this.#x } } const c = new C()',
  );
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: true });
  t.is(await isolatesOf(session), 0);
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: true }, 'asleep already');
  t.deepEqual(jsonOf(await session.run('[grow(), c.x]')), [42, 1]);
  t.is(await isolatesOf(session), 1);
});

test('a session that nobody follows is asleep in the journal alone, is listed, and wakes with its next cell, also in a later daemon', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  await session.run('let n = 1');
  await client.call('session.detach', { sessionId });
  await client.call('session.hibernate', { sessionId });
  const { sessions } = await client.call('session.list', {});
  t.like(sessions[0], { sessionId, cells: 1, state: 'idle', level: 'trusted' });
  const stranger = await session.daemon.connect();
  t.is((await t.throwsAsync(stranger.call('session.show', { sessionId })))?.message, 'There is no session of that id.');
  t.is(jsonOf(await session.run('++n')), 2);
  await client.call('session.hibernate', { sessionId });
  await session.crash();
  t.is(await isolatesOf(session), 0);
  t.is(jsonOf(await session.run('++n')), 3);
});

test('a session with a timer, or with code that runs, stays awake', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  await session.run('let ticks = 0; const timer = setInterval(() => ticks++, 10); 0');
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: false });
  await session.run('clearInterval(timer)');
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: true });
});

test('a cell that waits for a person or a sleep can sleep itself, and goes on when it is over', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  const cell = session.begin(
    'print("a"); const [text] = await Promise.all([input("?"), sleep("2s")]); print(text); text',
  );
  const asked = await session.event(({ kind }) => kind === 'input.requested');
  t.deepEqual(await client.call('session.hibernate', { sessionId }), { hibernated: true });
  t.is(await isolatesOf(session), 0);
  const { requestId } = asked as unknown as { requestId: string };
  await client.call('input.answer', { sessionId, requestId, text: 'b' });
  const result = await cell.result();
  t.is(jsonOf(result), 'b');
  t.is(result.output.stdout, 'a\nb\n');
});

test('a cell that sleeps can be interrupted', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  const cell = session.begin('let before = 1; await sleep("1h")');
  await session.event(({ kind }) => kind === 'execution.started');
  while (!(await client.call('session.hibernate', { sessionId })).hibernated) await new Promise(setImmediate);
  await client.call('session.interrupt', { sessionId });
  t.is((await cell.result()).error?.code, 'INTERRUPTED');
  t.is(jsonOf(await session.run('before')), 1);
});
