/** Calls that wait for a person: grants that need approval, `approve` and `review`. */
import test from 'ava';
import { AdministeredDaemon, refusalOf } from './_administered.ts';
import type { TestSession } from './_file-daemon.ts';

/** What nobody answers in a test is to be over soon. */
const WAIT_MS_MAX = 300;

const file = new AdministeredDaemon(test, (policy) => {
  policy.grant('standard', 'hash', '{ algorithms: [sha256], bytesMax: 100, approval: always }');
  policy.grant('standard', 'dns', '{ hosts: [], approval: once }');
  policy.grant('standard', 'kv', '{ stores: [session], approval: once }');
  const waitMsMax = `{ waitMsMax: ${WAIT_MS_MAX} }`;
  policy.write(
    'hasty.yaml',
    `level: hasty\nrank: 35\nextends: standard\ndescription: Waits for nobody.\ngrants:\n  approve: ${waitMsMax}\n  review: ${waitMsMax}\n`,
  );
});

const json = (value: unknown) => ({ kind: 'json' as const, json: value });
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

async function outcomeOf(session: TestSession): Promise<string> {
  return (await session.event('approval.settled')).outcome;
}

test('a call that needs approval waits, shows what it is about, and goes on when an administrator agrees', async (t) => {
  const session = await file.session({ level: 'standard', name: 'nightly' });
  const result = session.run('let x = 1;\nawait hash("sha256", "abc")');
  const request = await file.requestOf(session);
  t.like(request, {
    ...{ kind: 'call', status: 'pending', capability: 'hash', level: 'standard', language: 'javascript' },
    ...{ sessionId: session.sessionId, sessionName: 'nightly', standing: false, untrusted: null, settledBy: null },
  });
  t.regex(request.position ?? '', /^cell:1:2:\d+$/);
  t.true(request.argsBytes > 10);
  t.notRegex(JSON.stringify(request.args), /abc/, 'contents are not shown');
  const settled = await file.settle(request, 'approve', { comment: 'fine' });
  t.like(settled, { status: 'approved', comment: 'fine' });
  t.deepEqual((await result).value, json(ABC));
  t.is(await outcomeOf(session), 'approved');
});

test('approval: always asks for each call anew', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run('[await hash("sha256", "abc"), await hash("sha256", "abc")]');
  const first = await file.requestOf(session);
  await file.settle(first, 'approve');
  const second = await file.requestOf(session, [first]);
  t.not(second.hash, first.hash, 'the same call is another request');
  await file.settle(second, 'approve');
  t.deepEqual((await result).value, json([ABC, ABC]));
});

test('approval: once asks once for a session, and a new session again', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run('await kv.set("a", 1); await kv.get("a")');
  const request = await file.requestOf(session);
  t.true(request.standing);
  await file.settle(request, 'approve');
  t.deepEqual((await result).value, json(1));
  t.deepEqual(await session.value('await kv.get("a")'), json(1));
  t.is(session.events().filter(({ kind }) => kind === 'approval.requested').length, 1);
  const other = await file.session({ level: 'standard' });
  const waiting = other.run('await kv.get("a")');
  await file.settle(await file.requestOf(other), 'deny');
  t.is((await waiting).error?.name, 'ApprovalDenied');
});

test('a denial is ApprovalDenied with the comment, the effect never happens, and the next call asks again', async (t) => {
  const session = await file.session({ level: 'standard' });
  const result = session.run('await hash("sha256", "abc")');
  const request = await file.requestOf(session);
  await file.settle(request, 'deny', { comment: 'not on a Friday' });
  const { error } = await result;
  t.is(error?.name, 'ApprovalDenied');
  t.regex(error?.message ?? '', /not on a Friday/);
  t.is(await outcomeOf(session), 'denied');
  const decisions = await file.records('capability.decision', { sessionId: session.sessionId });
  t.deepEqual(
    decisions.map(({ fields }) => fields['verdict']),
    ['ask'],
  );
});

test('what cannot be allowed anyway asks nobody', async (t) => {
  const session = await file.session({ level: 'standard' });
  t.is((await session.run('await hash("md5", "abc")')).error?.code, 'CAPABILITY_DENIED');
  t.is((await session.run('await kv.get("k", { stroe: "x" })')).error?.name, 'InvalidArguments');
  t.false(session.events().some(({ kind }) => kind === 'approval.requested'));
});

test('the wall clock of a cell stands still while an administrator thinks', async (t) => {
  const session = await file.session({ level: 'standard', limits: { cellWallMsMax: 150, cellCpuMsMax: 150 } });
  const result = session.run('await hash("sha256", "abc")');
  const request = await file.requestOf(session);
  const requestedMs = performance.now();
  await file.records('approval.requested');
  while (performance.now() - requestedMs < 400) await new Promise((resolve) => setTimeout(resolve, 50));
  await file.settle(request, 'approve');
  t.deepEqual((await result).value, json(ABC));
  t.is((await session.run('await new Promise(() => {})')).error?.code, 'TIMED_OUT', 'and runs again after');
});

for (const [what, act, code] of [
  ['a reset', 'session.reset', 'INTERRUPTED'],
  ['closing the session', 'session.close', 'SESSION_CLOSED'],
] as const) {
  test(`${what} ends a cell that waits for approval, and a late approval starts nothing`, async (t) => {
    const session = await file.session({ level: 'standard' });
    const { sessionId, client } = session;
    const { result } = await session.start('await hash("sha256", "abc")', 'cell');
    const request = await file.requestOf(session);
    await client.call(act, { sessionId });
    t.is((await result).error?.code, code);
    t.is(await outcomeOf(session), 'cancelled');
    t.is(await refusalOf(file.settle(request, 'approve')), 'APPROVAL_SETTLED');
    const { approvalId } = request;
    t.is((await (await file.admin).call('approval.show', { approvalId })).status, 'cancelled');
    const decisions = await file.records('capability.decision', { sessionId });
    t.deepEqual(
      decisions.map(({ fields }) => fields['verdict']),
      ['ask'],
    );
  });
}

test('an interrupt ends a cell that waits for approval and takes its request back, and its variables stay', async (t) => {
  const session = await file.session({ level: 'standard' });
  await session.run('var kept = 1');
  const { result } = await session.start('await hash("sha256", "abc")', 'cell');
  await file.requestOf(session);
  await session.client.call('session.interrupt', { sessionId: session.sessionId });
  t.is((await result).error?.code, 'INTERRUPTED');
  t.is((await session.event('approval.settled')).outcome, 'cancelled');
  t.deepEqual(await session.value('kept'), json(1));
});

test('approve() is true or false, and shows the question as the code’s own words', async (t) => {
  const session = await file.session({ level: 'trusted' });
  const result = session.run('[await approve("Delete 3 files?", { files: 3 }), await approve("Really?")]');
  const first = await file.requestOf(session);
  t.like(first, { kind: 'approve', capability: 'approve', untrusted: { title: 'Delete 3 files?' } });
  t.regex(first.untrusted?.details ?? '', /"files": 3/);
  await file.settle(first, 'approve');
  await file.settle(await file.requestOf(session, [first]), 'deny');
  t.deepEqual((await result).value, json([true, false]));
});

test('review() answers the value as it was approved or edited, and rejects where it was refused', async (t) => {
  const session = await file.session({ level: 'trusted' });
  const result = session.run(
    'const draft = { to: "all" }; const one = await review(draft, { title: "mail" }); const two = await review(draft); let three; try { await review(draft) } catch (e) { three = [e.code, e.message] } [one, two, three, draft]',
  );
  const first = await file.requestOf(session);
  t.like(first, { kind: 'review', untrusted: { title: 'mail' } });
  await file.settle(first, 'approve');
  const second = await file.requestOf(session, [first]);
  await file.settle(second, 'approve', { value: { to: 'nobody', then: 1 } });
  await file.settle(await file.requestOf(session, [first, second]), 'deny', { comment: 'no' });
  t.deepEqual(
    (await result).value,
    json([{ to: 'all' }, { to: 'nobody', then: 1 }, ['APPROVAL_DENIED', 'The reviewer refused it: no'], { to: 'all' }]),
  );
});

test('K10: what nobody answers in time is denied, once, and a later approval does not count', async (t) => {
  const session = await file.session({ level: 'hasty' });
  t.deepEqual(await session.value('await approve("anyone?")'), json(false));
  const { approvalId } = await session.event('approval.requested');
  const { hash, status } = await (await file.admin).call('approval.show', { approvalId });
  t.is(status, 'timed-out');
  const late = (await file.admin).call('approval.settle', { approvalId, hash, decision: 'approve' });
  t.is(await refusalOf(late), 'APPROVAL_SETTLED');
  t.deepEqual(await session.value('try { await review(1) } catch (error) { error.code }'), json('TIMED_OUT'));
  const settled = await file.records('approval.settled', { sessionId: session.sessionId });
  t.deepEqual(
    settled.map(({ fields }) => fields['outcome']),
    ['timed-out', 'timed-out'],
  );
});

test('an administrator who watches is told of a request and of its outcome, and can list them', async (t) => {
  const admin = await file.daemon.connect('admin');
  const session = await file.ownSession({ level: 'trusted' });
  const { change } = await admin.call('approval.list', {});
  const result = session.run('await approve("watched?")');
  const of = async (afterChange: number) => admin.call('approval.list', { status: 'all', afterChange, waitMs: 10_000 });
  let seen = await of(change);
  while (!seen.approvals.some(({ sessionId }) => sessionId === session.sessionId)) seen = await of(seen.change);
  const [request] = seen.approvals.filter(({ sessionId }) => sessionId === session.sessionId);
  if (request === undefined) return t.fail();
  await file.settle(request, 'approve');
  let after = await of(seen.change);
  while (!after.approvals.some(({ approvalId }) => approvalId === request.approvalId)) after = await of(after.change);
  t.like(
    after.approvals.find(({ approvalId }) => approvalId === request.approvalId),
    { status: 'approved' },
  );
  t.deepEqual((await result).value, json(true));
  admin.close();
});

test.serial('a call that is approved after its capability was taken away is denied', async (t) => {
  const session = await file.session({ level: 'standard' });
  const { result } = await session.start('try { await dns("example.com") } catch (error) { error.code }', 'cell');
  // The host is refused before anybody is asked: nothing waits for it.
  t.deepEqual((await result).value, json('CAPABILITY_DENIED'));
  const waiting = session.run('try { await hash("sha256", "abc") } catch (error) { error.code }');
  const request = await file.requestOf(session);
  await file.edit((policy) =>
    policy.grant('standard', 'hash', '{ algorithms: [sha512], bytesMax: 100, approval: always }'),
  );
  await file.settle(request, 'approve');
  t.deepEqual((await waiting).value, json('CAPABILITY_DENIED'));
  await file.edit((policy) =>
    policy.grant('standard', 'hash', '{ algorithms: [sha256], bytesMax: 100, approval: always }'),
  );
});
