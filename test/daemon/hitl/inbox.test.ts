import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { HITL_LIMITS } from '../../../daemon/hitl/hitl-limits.ts';
import { ADMIN, codeOf, makeInbox, requestOf } from './_inbox-fixture.ts';

const never = new AbortController().signal;

test('a request is recorded and listed with what the daemon knows, and an approval answers it', async (t) => {
  const { inbox, ask, records } = makeInbox();
  const { approvalId, settlement } = ask();
  const info = inbox.get(approvalId);
  t.regex(approvalId, /^apr_[\w-]{22}$/);
  t.like(info, {
    ...{ kind: 'call', status: 'pending', sessionId: 'ses_1', sessionName: 'nightly', level: 'trusted' },
    ...{ language: 'javascript', position: 'cell:2:1:7', executionId: 'exe_1', capability: 'write_file' },
    ...{ args: ['/workspace/a.txt', { bytes: 3 }], argsBytes: 35, untrusted: null },
    ...{ createdAt: '2026-01-01T00:00:00.000Z', deadline: '2026-01-01T00:01:00.000Z', settledAt: null },
  });
  t.deepEqual(inbox.list('pending').approvals, [info]);
  const verdict = { approvalId, hash: info.hash, decision: 'approve', comment: 'fine' } as const;
  t.like(inbox.settle(verdict, ADMIN), { status: 'approved', comment: 'fine', settledBy: 'admin' });
  t.deepEqual(await settlement, { outcome: 'approved', comment: 'fine', approvalId });
  t.deepEqual(
    records.map(({ kind, fields }) => [kind, fields['approvalId'], fields['outcome']]),
    [
      ['approval.requested', approvalId, undefined],
      ['approval.settled', approvalId, 'approved'],
    ],
  );
  t.deepEqual(inbox.list('pending').approvals, []);
  t.is(inbox.list('settled').approvals.length, 1);
});

test('a denial answers with the comment', async (t) => {
  const { inbox, ask } = makeInbox();
  const { approvalId, settlement } = ask();
  const { hash } = inbox.get(approvalId);
  inbox.settle({ approvalId, hash, decision: 'deny', comment: 'not today' }, ADMIN);
  t.deepEqual(await settlement, { outcome: 'denied', comment: 'not today', approvalId });
});

test('K06: nobody settles what their own session asks for, and no client settles anything', async (t) => {
  const { inbox, ask, settle, records } = makeInbox();
  const asking = ask();
  t.is(
    codeOf(() => settle(asking, 'approve', { principal: 'owner', role: 'admin' })),
    'ROLE_DENIED',
  );
  t.is(
    codeOf(() => settle(asking, 'approve', { principal: 'other', role: 'client' })),
    'ROLE_DENIED',
  );
  const guessed = { approvalId: 'apr_1', hash: '0'.repeat(64), decision: 'approve' } as const;
  t.is(
    codeOf(() => inbox.settle(guessed, { principal: 'other', role: 'client' })),
    'ROLE_DENIED',
  );
  t.is(
    codeOf(() => inbox.settle(guessed, ADMIN)),
    'UNKNOWN_APPROVAL',
  );
  t.is(inbox.get(asking.approvalId).status, 'pending');
  t.is(records.length, 1);
});

test('K06: ids are unguessable, and an object’s own names are no ids', (t) => {
  const { inbox, ask } = makeInbox();
  const ids = new Set(Array.from({ length: 10 }, () => ask().approvalId));
  t.is(ids.size, 10);
  for (const id of ['', 'constructor', '__proto__', 'ses_1:1'])
    t.is(
      codeOf(() => inbox.get(id)),
      'UNKNOWN_APPROVAL',
    );
});

test('K06: a decision counts for the request that was shown and for no other, not even an identical one', (t) => {
  const { inbox, ask } = makeInbox();
  const [one, other] = [ask(), ask()];
  const { hash } = inbox.get(one.approvalId);
  t.not(hash, inbox.get(other.approvalId).hash);
  const fault = t.throws(() => inbox.settle({ approvalId: other.approvalId, hash, decision: 'approve' }, ADMIN), {
    instanceOf: Fault,
  });
  t.is(fault?.code, 'INVALID_PARAMS');
  t.regex(fault?.message ?? '', /what was shown is not what is pending/);
  t.is(inbox.get(other.approvalId).status, 'pending');
});

test('K07: the real arguments are shown by the daemon, what the code wrote beside them, escaped and capped', (t) => {
  const { inbox, ask } = makeInbox();
  const { approvalId } = ask({
    kind: 'approve',
    args: ['\u202egnp.exe'],
    sessionName: 'a\nstatus   approved',
    guest: { title: `Harmless\nstatus: approved${'!'.repeat(300)}`, details: '<b>\x1b[8m</b>'.repeat(100_000) },
  });
  const { args, untrusted, sessionName } = inbox.get(approvalId);
  t.deepEqual(args, ['\\u{202e}gnp.exe']);
  t.is(sessionName, 'a⏎status   approved');
  t.regex(untrusted?.title ?? '', /^Harmless⏎status: approved!+… \(\d+ characters more\)$/);
  t.true((untrusted?.title.length ?? 0) < HITL_LIMITS.titleCharsMax + 40);
  t.true(untrusted?.details.startsWith('<b>\\u{1b}[8m</b>'));
  t.true((untrusted?.details.length ?? 0) < HITL_LIMITS.detailsCharsMax + 40);
});

test('K09: a flood stops at the cap of a session and at the cap of all, and room comes back with each outcome', async (t) => {
  const { inbox, ask, settle, records } = makeInbox({ pendingOfSessionMax: 3, pendingMax: 5 });
  const [first] = [ask(), ask(), ask()];
  const tooMany = ask();
  t.like(await t.throwsAsync(tooMany.settlement, { instanceOf: Fault }), {
    code: 'BUSY',
    details: { pendingOfSessionMax: 3 },
  });
  t.is(tooMany.approvalId, '');
  ask({ sessionId: 'ses_2' });
  ask({ sessionId: 'ses_3' });
  t.like(await t.throwsAsync(ask({ sessionId: 'ses_4' }).settlement, { instanceOf: Fault }), {
    code: 'BUSY',
    details: { pendingMax: 5 },
  });
  t.is(inbox.list('pending').approvals.length, 5);
  t.is(records.length, 5);
  settle(first, 'deny');
  t.not(ask().approvalId, '');
});

test('K09: ten thousand requests leave a bounded inbox, with the latest outcomes', async (t) => {
  const { inbox, ask, settle } = makeInbox();
  const refused: unknown[] = [];
  for (let count = 0; count < 10_000; count++) ask().settlement.catch((error: Fault) => refused.push(error.code));
  await Promise.resolve();
  t.is(inbox.list('all').approvals.length, HITL_LIMITS.pendingOfSessionMax);
  for (let count = 0; count < HITL_LIMITS.settledKept + 10; count++) settle(ask({ sessionId: 'ses_2' }), 'deny');
  t.is(inbox.list('settled').approvals.length, HITL_LIMITS.settledKept);
  t.is(refused.length, 10_000 - HITL_LIMITS.pendingOfSessionMax);
});

test('a list with as many requests as there can be fits into one frame', (t) => {
  const { inbox, ask } = makeInbox();
  const wide = '字'.repeat(20_000);
  const comment = '字'.repeat(HITL_LIMITS.commentCharsMax);
  const changes = { kind: 'review', args: [wide], position: wide, sessionName: wide, capability: wide } as const;
  const guest = { title: wide, details: wide };
  for (let count = 0; count < HITL_LIMITS.settledKept; count++) {
    const { approvalId } = ask({ ...changes, guest });
    inbox.settle({ approvalId, hash: inbox.get(approvalId).hash, decision: 'deny', comment }, ADMIN);
  }
  for (let count = 0; count < HITL_LIMITS.pendingMax; count++) ask({ ...changes, guest, sessionId: `ses_${count}` });
  t.is(inbox.list('all').approvals.length, HITL_LIMITS.settledKept + HITL_LIMITS.pendingMax);
  t.true(Buffer.byteLength(JSON.stringify(inbox.list('all'))) < 8 * 1024 * 1024);
});

test('where the request cannot be recorded nobody is asked', async (t) => {
  const { inbox, ask, auditFails } = makeInbox();
  auditFails.yes = true;
  t.like(await t.throwsAsync(ask().settlement, { instanceOf: Fault }), { code: 'UNAVAILABLE' });
  t.deepEqual(inbox.list('all').approvals, []);
});

test('where a decision cannot be recorded it does not count, and the request goes on waiting', async (t) => {
  const { inbox, ask, settle, auditFails, time } = makeInbox();
  const asking = ask();
  auditFails.yes = true;
  t.is(
    codeOf(() => settle(asking, 'approve')),
    'UNAVAILABLE',
  );
  t.is(
    codeOf(() => settle(asking, 'deny')),
    'UNAVAILABLE',
  );
  t.is(inbox.get(asking.approvalId).status, 'pending');
  time.advance(60_000);
  t.is((await asking.settlement).outcome, 'timed-out');
});

test('a reviewer may answer with another value, of bounded size; no other request takes one', async (t) => {
  const { inbox, ask } = makeInbox();
  const review = ask({ kind: 'review', guest: { title: '', details: { sum: 1 } }, valueBytesMax: 9 });
  const { hash } = inbox.get(review.approvalId);
  const verdict = { approvalId: review.approvalId, hash, decision: 'approve' } as const;
  t.is(
    codeOf(() => inbox.settle({ ...verdict, value: { sum: 100 } }, ADMIN)),
    'TOO_LARGE',
  );
  t.is(
    codeOf(() => inbox.settle({ ...verdict, decision: 'deny', value: 1 }, ADMIN)),
    'INVALID_PARAMS',
  );
  t.is(
    codeOf(() => inbox.settle({ ...verdict, comment: 'x'.repeat(2001) }, ADMIN)),
    'TOO_LARGE',
  );
  inbox.settle({ ...verdict, value: { sum: 2 } }, ADMIN);
  t.like(await review.settlement, { outcome: 'approved', value: { sum: 2 } });
  const call = ask();
  const other = { approvalId: call.approvalId, hash: inbox.get(call.approvalId).hash, decision: 'approve' } as const;
  t.is(
    codeOf(() => inbox.settle({ ...other, value: null }, ADMIN)),
    'INVALID_PARAMS',
  );
});

test('whoever watches is told of what was requested and settled since, once, and of nothing after the wait', async (t) => {
  const { inbox, ask, settle, time } = makeInbox();
  const before = ask();
  const { change } = inbox.list('pending');
  const watching = inbox.changes(change, 1000, never);
  const after = ask();
  settle(before, 'deny');
  const answer = await watching;
  t.deepEqual(
    answer.approvals.map(({ approvalId, status }) => [approvalId, status]),
    [
      [after.approvalId, 'pending'],
      [before.approvalId, 'denied'],
    ],
  );
  const nothing = inbox.changes(answer.change, 1000, never);
  time.advance(1000);
  t.deepEqual(await nothing, { change: answer.change, approvals: [] });
  t.is(time.timers, 1);
});

test('watching ends with the connection and is bounded', async (t) => {
  const { inbox, time } = makeInbox({ watchersMax: 1 });
  const gone = new AbortController();
  const { change } = inbox.list('all');
  const watching = inbox.changes(change, 1000, gone.signal);
  t.like(await t.throwsAsync(inbox.changes(change, 1000, never), { instanceOf: Fault }), { code: 'BUSY' });
  gone.abort();
  t.deepEqual(await watching, { change, approvals: [] });
  t.deepEqual(await inbox.changes(change, 1000, gone.signal), { change, approvals: [] });
  t.is(time.timers, 0);
});

test('after the number of an earlier daemon everything is new, whichever way the clock was set', async (t) => {
  const { inbox, ask } = makeInbox();
  const { approvalId } = ask();
  const { change } = inbox.list('all');
  for (const earlier of [0, 77, change + 77]) {
    t.like(await inbox.changes(earlier, 1000, never), { change, approvals: [{ approvalId }] });
  }
});

test('the hash covers each thing that a decision is about', (t) => {
  const { inbox, ask } = makeInbox({ pendingOfSessionMax: 100 });
  const hashes = [
    {},
    { argsJson: '[]' },
    { level: 'standard' },
    { sessionId: 'ses_2' },
    { capability: 'delete_file' },
    { guest: { title: 'x', details: null } },
  ].map((changes) => inbox.get(ask(changes).approvalId).hash);
  t.is(new Set(hashes).size, hashes.length);
  t.true(hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash)));
  t.notThrows(() => ask({ ...requestOf(), argsJson: '"\ud800"', guest: { title: '\ud800', details: '\udfff' } }));
});
