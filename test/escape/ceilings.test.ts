/** F04: what an administrator opened at a high level, used over client.sock by whoever presents the same token. */
import test from 'ava';
import { METHODS } from '../../client/protocol.ts';
import { AdministeredDaemon, refusalOf } from '../e2e/_administered.ts';
import { answering, ClientFunctions } from '../e2e/_client-functions.ts';
import { sessionOf, type TestSession } from '../e2e/_file-daemon.ts';
import type { RawClient } from '../harness/daemon-process.ts';

const file = new AdministeredDaemon(
  test,
  (policy) => policy.edit('policy', 'client: trusted', 'client: standard').grant('restricted', 'provided', 'true'),
  [],
);

/** What takes a session out of reach instead of using it. */
const LEAVING = ['session.close', 'session.detach', 'session.setLevel', 'capability.withdraw'];
/** What each method needs beside the session. */
const PARAMS: Readonly<Record<string, object>> = {
  'session.execute': { source: '1' },
  'session.complete': { source: '', cursor: 0 },
  'session.inspect': { source: '', cursor: 0 },
  'session.isComplete': { source: '' },
  'namespace.get': { name: 'x' },
  'namespace.set': { values: { x: 1 } },
  'namespace.delete': { names: ['x'] },
  'checkpoint.restore': { name: 'x' },
  'capability.provide': { name: 'f', summary: 's', parameters: true },
  'input.answer': { requestId: 'x', text: '' },
};
const USING = Object.entries(METHODS).flatMap(([method, { role, params }]) =>
  role === 'client' && 'sessionId' in params.entries && !LEAVING.includes(method) ? [method] : [],
);

/** One client with a connection to each socket. */
async function both(): Promise<{ readonly admin: RawClient; readonly client: RawClient; close(): void }> {
  const [admin, client] = await Promise.all([file.daemon.connect('admin'), file.daemon.connect('client')]);
  const { token } = await admin.call('daemon.hello', {});
  await client.call('daemon.hello', { token });
  return {
    admin,
    client,
    close() {
      for (const connection of [admin, client]) connection.close();
    },
  };
}

async function refusesToBeUsed(session: TestSession, client: RawClient): Promise<readonly string[]> {
  const { sessionId } = session;
  const got: string[] = [];
  for (const method of USING) {
    const code = await refusalOf(client.callAny(method, { sessionId, ...PARAMS[method] }));
    if (code !== 'LEVEL_DENIED') got.push(`${method}: ${code}`);
  }
  return got;
}

test.serial(
  'F04: a session above the ceiling of clients is LEVEL_DENIED to its own client on client.sock',
  async (t) => {
    const { admin, client, close } = await both();
    const session = await file.session({ level: 'trusted' }, admin);
    const { sessionId } = session;
    t.true(USING.length > 12, USING.join());
    t.deepEqual(await refusesToBeUsed(session, client), []);
    t.like(await t.throwsAsync(client.call('session.show', { sessionId })), {
      message: `The session is at level trusted, above the ceiling of client.sock, which is standard. It can be closed, or moved down with session.setLevel.`,
      details: { ceiling: 'standard', level: 'trusted' },
    });
    await file.record('level.denied', (of) => of['sessionId'] === sessionId && of['asked'] === 'trusted');
    t.deepEqual(await session.value('1'), { kind: 'json', json: 1 }, 'admin.sock goes on with it');
    t.is(await refusalOf(client.call('session.setLevel', { sessionId, level: 'trusted' })), 'LEVEL_DENIED');
    t.is((await client.call('session.setLevel', { sessionId, level: 'standard' })).level, 'standard');
    t.deepEqual(await sessionOf(client, sessionId).value('typeof encrypt'), { kind: 'json', json: 'undefined' });
    close();
  },
);

test.serial('F04: somebody else’s session above the ceiling is unknown, like any other', async (t) => {
  const session = await file.session({ level: 'trusted' }, await file.admin);
  for (const method of [...USING, ...LEAVING]) {
    const params = { sessionId: session.sessionId, level: 'sandbox', name: 'f', ...PARAMS[method] };
    const { entries } = METHODS[method as keyof typeof METHODS].params;
    const known = Object.fromEntries(Object.entries(params).filter(([name]) => name in entries));
    t.is(await refusalOf(file.client.callAny(method, known)), 'UNKNOWN_SESSION', method);
  }
});

test.serial('F04: a client may close its own session that is above its ceiling', async (t) => {
  const { admin, client, close } = await both();
  const { sessionId } = await file.session({ level: 'unrestricted' }, admin);
  await client.call('session.close', { sessionId });
  t.is(await refusalOf(admin.call('session.show', { sessionId })), 'UNKNOWN_SESSION');
  close();
});

test.serial('F04: a ceiling that comes down reaches sessions that are open, and the events that stream', async (t) => {
  const session = await file.ownSession({ level: 'standard' });
  const { sessionId, client } = session;
  const functions = new ClientFunctions(client);
  await functions.provide(
    sessionId,
    'mine',
    answering(() => 1),
  );
  const admin = await file.admin;
  await admin.call('session.attach', { sessionId });
  await file.edit((policy) => policy.edit('policy', 'client: standard', 'client: restricted'));
  try {
    const last = await session.event('session.detached');
    t.like(last, {
      role: 'client',
      reason: 'The session is at level standard, above the ceiling of client.sock, which is restricted.',
    });
    t.deepEqual(await refusesToBeUsed(session, client), []);
    const { error } = await sessionOf(admin, sessionId).run('print("secret"); await mine("secret")');
    t.is(error?.code, 'EFFECT_FAILED', 'nor do its arguments go to the client');
    t.deepEqual(functions.calls, []);
    const { seq } = await admin.event((event) => event.sessionId === sessionId && event.kind === 'execution.finished');
    t.true(seq > last.seq);
    await client.call('session.list', {});
    t.is(session.events().at(-1)?.seq, last.seq, 'nothing came after the last event');
  } finally {
    await file.edit((policy) => policy.edit('policy', 'client: restricted', 'client: standard'));
  }
  await client.call('session.attach', { sessionId, afterSeq: 0 });
  t.deepEqual(await session.value('await mine()'), { kind: 'json', json: 1 }, 'as soon as it may, it goes on');
  client.close();
});

test.serial('F04: a session that is raised above the ceiling of its client is followed by it no more', async (t) => {
  const session = await file.ownSession({ level: 'standard' });
  const { sessionId, client } = session;
  await (await file.admin).call('session.setLevel', { sessionId, level: 'trusted' });
  t.is((await session.event('session.level')).level, 'trusted');
  const last = await session.event('session.detached');
  t.is(await refusalOf(client.call('session.execute', { sessionId, source: '1' })), 'LEVEL_DENIED');
  await sessionOf(await file.admin, sessionId).run('print("secret")');
  await client.call('session.list', {});
  t.is(session.events().at(-1)?.seq, last.seq);
  client.close();
});
