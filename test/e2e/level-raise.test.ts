/** A session goes down at will, and up only when an administrator says so who does not profit from it. */
import test from 'ava';
import { AdministeredDaemon, refusalOf } from './_administered.ts';

const file = new AdministeredDaemon(test, (policy) => policy.edit('policy', 'client: trusted', 'client: standard'), []);

const json = (value: unknown) => ({ kind: 'json' as const, json: value });

test('a raise that the client asks for waits for an administrator, and the session starts again at the new level', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { sessionId, client } = session;
  await session.run('var kept = 1');
  const raised = client.call('session.setLevel', { sessionId, level: 'standard' });
  const request = await file.requestOf(session);
  t.like(request, { kind: 'level', raisesTo: 'standard', level: 'restricted', capability: null, status: 'pending' });
  t.is((await client.call('session.show', { sessionId })).level, 'restricted');
  t.deepEqual(await session.value('kept'), json(1), 'it goes on at its level meanwhile');
  await file.settle(request, 'approve');
  t.is((await raised).level, 'standard');
  t.deepEqual(await session.value('[typeof kept, typeof hash]'), json(['undefined', 'function']));
  const { fields } = await file.record('session.level', (of) => of['sessionId'] === sessionId);
  t.like(fields, { from: 'restricted', to: 'standard' });
});

test('a raise that is denied is APPROVAL_DENIED, and nothing changes', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { sessionId, client } = session;
  const raised = refusalOf(client.call('session.setLevel', { sessionId, level: 'standard' }));
  await file.settle(await file.requestOf(session), 'deny', { comment: 'no' });
  t.is(await raised, 'APPROVAL_DENIED');
  t.is((await client.call('session.show', { sessionId })).level, 'restricted');
});

test('F02: above the ceiling of its socket, or to a level that is none, a client cannot even ask', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { sessionId, client } = session;
  for (const [level, code] of [
    ['trusted', 'LEVEL_DENIED'],
    ['unrestricted', 'LEVEL_DENIED'],
    ['Standard', 'INVALID_PARAMS'],
    ['50', 'INVALID_PARAMS'],
    ['constructor', 'INVALID_PARAMS'],
    [50, 'INVALID_PARAMS'],
    [['unrestricted'], 'INVALID_PARAMS'],
    [{ level: 'trusted' }, 'INVALID_PARAMS'],
  ] as const) {
    t.is(await refusalOf(client.callAny('session.setLevel', { sessionId, level })), code, JSON.stringify(level));
    t.is(await refusalOf(client.callAny('session.create', { level })), code, JSON.stringify(level));
  }
  t.false(session.events().some(({ kind }) => kind === 'approval.requested'));
  await file.record('level.denied', ({ asked, ceiling }) => asked === 'unrestricted' && ceiling === 'standard');
});

test('K06: neither the client nor an administrator of the same principal settles its own raise', async (t) => {
  const session = await file.ownSession({ level: 'restricted' });
  const { sessionId, client } = session;
  const { token } = await client.call('daemon.hello', {});
  const raised = client.call('session.setLevel', { sessionId, level: 'standard' });
  const { approvalId, hash } = await file.requestOf(session);
  const decision = { approvalId, hash, decision: 'approve' } as const;
  t.is(await refusalOf(client.call('approval.settle', decision)), 'ROLE_DENIED');
  const itself = await file.daemon.connect('admin');
  await itself.call('daemon.hello', { token });
  t.is(await refusalOf(itself.call('approval.settle', decision)), 'ROLE_DENIED');
  t.is((await itself.call('approval.show', { approvalId })).status, 'pending');
  await file.settle({ ...(await itself.call('approval.show', { approvalId })) }, 'approve');
  t.is((await raised).level, 'standard');
  for (const connection of [itself, client]) connection.close();
});

test('a raise that waits ends with its session, and is cancelled', async (t) => {
  const session = await file.session({ level: 'restricted' });
  const { sessionId, client } = session;
  const raised = refusalOf(client.call('session.setLevel', { sessionId, level: 'standard' }));
  const request = await file.requestOf(session);
  await client.call('session.close', { sessionId });
  t.is(await raised, 'APPROVAL_DENIED');
  t.is((await (await file.admin).call('approval.show', { approvalId: request.approvalId })).status, 'cancelled');
});

test.serial('a raise that is approved after the ceiling came down is not made', async (t) => {
  const session = await file.ownSession({ level: 'sandbox' });
  const { sessionId, client } = session;
  const raised = refusalOf(client.call('session.setLevel', { sessionId, level: 'restricted' }));
  const request = await file.requestOf(session);
  await file.edit((policy) => policy.edit('policy', 'client: standard', 'client: sandbox'));
  await file.settle(request, 'approve');
  t.is(await raised, 'LEVEL_DENIED');
  t.is((await client.call('session.show', { sessionId })).level, 'sandbox');
  client.close();
  await file.edit((policy) => policy.edit('policy', 'client: sandbox', 'client: standard'));
});
