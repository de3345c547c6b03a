import anyTest, { type TestFn } from 'ava';
import { AdministeredDaemon, refusalOf } from '../e2e/_administered.ts';
import { RpcFault } from '../harness/daemon-process.ts';

const test = anyTest as TestFn;
const file = new AdministeredDaemon(test, (policy) => {
  policy.grant('standard', 'kv', '{ stores: [session], approval: always }');
  policy.write(
    'hasty.yaml',
    'level: hasty\nrank: 35\nextends: standard\ndescription: Waits for nobody.\ngrants:\n  approve: { waitMsMax: 1500 }\n',
  );
});

const json = (value: unknown) => ({ kind: 'json' as const, json: value });

test('K06: nothing in the isolate settles a request, and its id is nowhere in it', async (t) => {
  const session = await file.session({ level: 'trusted' });
  const waiting = await session.start('globalThis.answer = approve("May I?"); 0', 'ask');
  const request = await file.requestOf(session);
  await waiting.result;
  const reach =
    '[typeof settle, typeof approval, Reflect.ownKeys(answer).length, JSON.stringify(answer), await Promise.race([answer, 0]), Reflect.ownKeys(globalThis).map(String).filter((n) => /appro/i.test(n))]';
  t.deepEqual(await session.value(reach), json(['undefined', 'undefined', 0, '{}', 0, ['approve']]));
  await session.run('answer.resolve?.(true); answer.then = (f) => f(true); Object.setPrototypeOf(answer, null)');
  t.is((await (await file.admin).call('approval.show', { approvalId: request.approvalId })).status, 'pending');
  await file.settle(request, 'deny');
});

test('K06: whoever asks cannot settle, list or show on its own socket, and the same identity cannot on the other', async (t) => {
  const session = await file.ownSession({ level: 'trusted' });
  const { client } = session;
  const { token } = await client.call('daemon.hello', {});
  const result = session.run('await approve("May I?")');
  const { approvalId, hash } = await file.requestOf(session);
  for (const [method, params] of [
    ['approval.settle', { approvalId, hash, decision: 'approve' }],
    ['approval.list', {}],
    ['approval.show', { approvalId }],
  ] as const) {
    t.is(await refusalOf(client.callAny(method, params)), 'ROLE_DENIED');
    await file.record('client.refused', ({ reason }) => String(reason).includes(method));
  }
  const itself = await file.daemon.connect('admin');
  await itself.call('daemon.hello', { token });
  t.is(await refusalOf(itself.call('approval.settle', { approvalId, hash, decision: 'approve' })), 'ROLE_DENIED');
  // A session that an administrator opened is the administrator's own, too.
  const owned = await file.session({ level: 'trusted' }, itself);
  const asked = owned.run('await approve("And I?")');
  const other = await file.requestOf(owned);
  const own = { approvalId: other.approvalId, hash: other.hash, decision: 'approve' } as const;
  t.is(await refusalOf(itself.call('approval.settle', own)), 'ROLE_DENIED');
  await file.settle(other, 'approve');
  t.deepEqual((await asked).value, json(true));
  await file.settle({ ...other, approvalId, hash }, 'deny');
  t.deepEqual((await result).value, json(false));
  for (const connection of [client, itself]) connection.close();
});

test('K06: a decision names the exact request: another’s hash, a wrong one or a guessed id decides nothing', async (t) => {
  const admin = await file.admin;
  const [one, other] = [await file.session({ level: 'trusted' }), await file.session({ level: 'trusted' })];
  const results = [one.run('await approve("same words")'), other.run('await approve("same words")')];
  const [first, second] = [await file.requestOf(one), await file.requestOf(other)];
  t.not(first.hash, second.hash);
  const settle = (approvalId: string, hash: string) =>
    refusalOf(admin.call('approval.settle', { approvalId, hash, decision: 'approve' }));
  t.is(await settle(first.approvalId, second.hash), 'INVALID_PARAMS');
  t.is(await settle(first.approvalId, '0'.repeat(64)), 'INVALID_PARAMS');
  for (const id of [
    `${one.sessionId}:1`,
    '1',
    'apr_',
    'constructor',
    '__proto__',
    '',
    first.approvalId.toLowerCase(),
  ]) {
    t.is(await settle(id, first.hash), 'UNKNOWN_APPROVAL', id);
  }
  for (const request of [first, second]) await file.settle(request, 'deny');
  t.deepEqual(
    (await Promise.all(results)).map(({ value }) => value),
    [json(false), json(false)],
  );
});

test('K07: what misleads in the code’s words is spelled out, cut and labelled, and the arguments are the daemon’s own', async (t) => {
  const session = await file.session({ level: 'trusted', name: 'safe\u202e\u001b[2J\nstatus: approved' });
  const lies = 'ok\u202egnihton\u001b[31m\u0007\nhash: 00\r\nstatus: approved<b>p\u0430ypal</b>\u200b\u2028';
  const result = session.run(
    `await approve(${JSON.stringify(lies)} + "A".repeat(5000), { capability: "none", big: ${JSON.stringify(lies)} + "B".repeat(50000) })`,
  );
  const request = await file.requestOf(session);
  const { title, details } = request.untrusted ?? { title: '', details: '' };
  for (const text of [title, details, request.sessionName ?? '']) {
    t.notRegex(text.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\u0430]/);
  }
  t.notRegex(title, /\n/);
  t.notRegex(request.sessionName ?? '', /\n/);
  t.notRegex(details, /^(?:hash|status):/m);
  t.true(title.length < 300 && details.length < 4100);
  t.regex(title, /characters more\)$/);
  t.is(request.capability, 'approve');
  t.is(request.kind, 'approve');
  t.true(request.argsBytes > 55_000, 'how much it really was is told');
  await file.settle(request, 'deny');
  await result;
});

test('K07: what an administrator approves is what happens: the arguments are copied before they are shown', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run(
    'const value = { amount: 1 }; const done = kv.set("k", value); value.amount = 1e6; await done; await kv.get("k")',
  );
  const first = await file.requestOf(session);
  await file.settle(first, 'approve');
  await file.settle(await file.requestOf(session, [first]), 'approve');
  t.deepEqual((await result).value, json({ amount: 1 }));
});

test('K09: ten thousand requests of one session leave sixteen, the others are refused, and another session is heard', async (t) => {
  const session = await file.session({ level: 'trusted' });
  const flood = await session.value(
    'globalThis.busy = 0; for (let n = 0; n < 20; n++) { const some = []; for (let i = 0; i < 500; i++) some.push(approve("please " + i).catch((e) => { if (e.code === "BUSY") busy++ })); await Promise.all(n === 0 ? some.slice(16) : some) } busy',
  );
  t.deepEqual(flood, json(10_000 - 16));
  const pending = async () =>
    (await (await file.admin).call('approval.list', {})).approvals.filter(
      ({ sessionId }) => sessionId === session.sessionId,
    ).length;
  t.is(await pending(), 16);
  const other = await file.session({ level: 'trusted' });
  const result = other.run('await approve("me too")');
  await file.settle(await file.requestOf(other), 'approve');
  t.deepEqual((await result).value, json(true));
  await session.client.call('session.close', { sessionId: session.sessionId });
  t.is(await pending(), 0);
});

test('K10: a request of 1.5 s that nobody answers is denied at its deadline, not before it, and once', async (t) => {
  const session = await file.session({ level: 'hasty' });
  t.deepEqual(await session.value('await approve("anyone?")'), json(false));
  const settled = await file.records('approval.settled', { sessionId: session.sessionId });
  t.deepEqual(
    settled.map(({ fields }) => [fields['outcome'], fields['by']]),
    [['timed-out', null]],
  );
  const { approvalId } = await session.event('approval.requested');
  const { deadline, settledAt } = await (await file.admin).call('approval.show', { approvalId });
  // The deadline is kept by a clock of its own; the two are of the same moment within its grain.
  t.true(Date.parse(settledAt ?? '') >= Date.parse(deadline) - 5);
});

test('K11: approve, deny and cancel at the same moment from four connections have one outcome', async (t) => {
  const admins = await Promise.all(Array.from({ length: 4 }, () => file.daemon.connect('admin')));
  for (let round = 0; round < 20; round++) {
    const session = await file.session({ level: 'trusted' });
    const result = session.run('await approve("race")');
    const { approvalId, hash } = await file.requestOf(session);
    const decisions = admins.map((admin, index) =>
      admin
        .call('approval.settle', { approvalId, hash, decision: index % 2 === 0 ? 'approve' : 'deny' })
        .then(({ status }) => ({ won: true, outcome: status as string }))
        .catch((error: unknown) => {
          if (!(error instanceof RpcFault) || error.code !== 'APPROVAL_SETTLED') throw error;
          return { won: false, outcome: String(error.details['outcome']) };
        }),
    );
    if (round % 2 === 1) await session.client.call('session.close', { sessionId: session.sessionId });
    const told = await Promise.all(decisions);
    const { status } = await (await file.admin).call('approval.show', { approvalId });
    t.true(told.filter(({ won }) => won).length <= 1);
    t.deepEqual([...new Set(told.map(({ outcome }) => outcome))], [status], 'everybody is told the one outcome');
    const records = await file.records('approval.settled', { sessionId: session.sessionId });
    t.deepEqual(
      records.map(({ fields }) => fields['outcome']),
      [status],
      'which is in the log once',
    );
    const { value, error } = await result;
    if (round % 2 === 0) t.deepEqual(value, json(status === 'approved'));
    else t.true(error?.code === 'SESSION_CLOSED' || value !== undefined);
    if (round % 2 === 0) await session.client.call('session.close', { sessionId: session.sessionId });
  }
  for (const admin of admins) admin.close();
});

test('E07: ids of sessions and requests are 128 random bits, and no two are alike or in order', async (t) => {
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) {
    const session = await file.session({ level: 'trusted' });
    const result = session.run('await approve("id")');
    const request = await file.requestOf(session);
    ids.push(session.sessionId.replace('ses_', ''), request.approvalId.replace('apr_', ''));
    await file.settle(request, 'deny');
    await result;
    await session.client.call('session.close', { sessionId: session.sessionId });
  }
  t.true(ids.every((id) => /^[\w-]{22}$/.test(id)));
  t.is(new Set(ids.flatMap((id) => [id.slice(0, 6), id.slice(-6)])).size, 2 * ids.length, 'no part of them repeats');
  t.notDeepEqual(ids.toSorted(), ids);
});
