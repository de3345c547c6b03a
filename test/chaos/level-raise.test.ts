/** A higher level that a session has asked for: it waits for an administrator over every death of the daemon. */
import test from 'ava';
import { Survivor } from './_survivor.ts';

const start = (t: Parameters<typeof Survivor.start>[0]) => Survivor.start(t, { level: 'restricted' });
const raise = (session: Survivor, level = 'standard') =>
  session.client.call('session.setLevel', { sessionId: session.sessionId, level });
const shown = (session: Survivor) => session.client.call('session.show', { sessionId: session.sessionId });
const told = (session: Survivor, kind: string) => session.told.filter((event) => event.kind === kind).length;

test.serial(
  'a raise that was asked for before the daemon died is the same request, and can be approved after it',
  async (t) => {
    const session = await start(t);
    await session.run('var kept = 1');
    raise(session).catch(() => undefined);
    const before = await session.asked('level');
    await session.crash();
    const { approvalId, hash, createdAt, deadline, raisesTo } = await session.asked('level');
    t.deepEqual({ ...before, approvalId, hash, createdAt, deadline, raisesTo }, before);
    t.is((await shown(session)).level, 'restricted');
    await session.settle('level', 'approve');
    t.is((await shown(session)).level, 'standard', 'nobody has to ask for it again');
    await session.crash();
    t.is((await shown(session)).level, 'standard');
    t.deepEqual(
      [told(session, 'approval.requested'), told(session, 'approval.settled'), told(session, 'session.level')],
      [1, 1, 1],
    );
    t.true(session.gapless);
  },
);

test.serial('who asks again for the same raise waits for the one request, and is told how it ended', async (t) => {
  const session = await start(t);
  raise(session).catch(() => undefined);
  const { approvalId } = await session.asked('level');
  await session.crash();
  const again = raise(session);
  const twice = raise(session).catch((error: Error) => error.message);
  t.is((await session.asked('level')).approvalId, approvalId);
  t.is((await session.client.call('session.list', {})).sessions.length, 1, 'both have been asked');
  await session.settle('level', 'deny');
  await t.throwsAsync(again, { message: /not raised to level standard/ });
  t.regex(String(await twice), /not raised to level standard/);
  t.is(told(session, 'approval.requested'), 1);
  await session.crash();
  const admin = await session.daemon.connect('admin');
  t.deepEqual((await admin.call('approval.list', { status: 'pending' })).approvals, [], 'what was denied is over');
  admin.close();
});

test.serial('a raise that waits ends with its session, though another daemon has asked for it', async (t) => {
  const session = await start(t);
  raise(session).catch(() => undefined);
  await session.asked('level');
  await session.crash();
  const { approvalId } = await session.asked('level');
  await session.client.call('session.close', { sessionId: session.sessionId });
  const admin = await session.daemon.connect('admin');
  t.is((await admin.call('approval.show', { approvalId })).status, 'cancelled');
  admin.close();
});

test.serial('K06: a raise that a later daemon asks for is judged by the ceiling of then', async (t) => {
  const session = await start(t);
  raise(session).catch(() => undefined);
  await session.asked('level');
  session.args = ['--client-ceiling', 'restricted'];
  await session.crash();
  await session.settle('level', 'approve');
  t.is((await shown(session)).level, 'restricted');
});
