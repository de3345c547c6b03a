import test from 'ava';
import fc from 'fast-check';
import { Fault } from '../../../daemon/fault.ts';
import { startNodeTimer } from '../../../daemon/hitl/deadline.ts';
import { Inbox } from '../../../daemon/hitl/inbox.ts';
import { ADMIN, codeOf, makeInbox, requestOf } from './_inbox-fixture.ts';

const DAY_MS = 86_400_000;

test('K10: at its deadline a request that nobody answered is denied, once, and never before', async (t) => {
  const { inbox, ask, settle, time, records } = makeInbox();
  const asking = ask({}, { waitMs: 1500 });
  time.advance(1499);
  t.is(inbox.get(asking.approvalId).status, 'pending');
  time.advance(1);
  t.is(inbox.get(asking.approvalId).status, 'timed-out');
  t.deepEqual(await asking.settlement, { outcome: 'timed-out', comment: null, approvalId: asking.approvalId });
  t.is(
    codeOf(() => settle(asking)),
    'APPROVAL_SETTLED',
  );
  time.advance(10_000);
  t.deepEqual(
    records.filter(({ kind }) => kind === 'approval.settled').map(({ fields }) => fields['outcome']),
    ['timed-out'],
  );
  t.is(time.timers, 0);
});

test('K10: an approval that comes after the deadline does not count, however late the timer is', async (t) => {
  const { ask, settle, time, records } = makeInbox();
  const asking = ask({}, { waitMs: 1500 });
  time.stall(1500);
  const fault = t.throws(() => settle(asking), { instanceOf: Fault });
  t.like(fault, { code: 'APPROVAL_SETTLED', details: { outcome: 'timed-out' } });
  t.is((await asking.settlement).outcome, 'timed-out');
  time.advance(1);
  t.is(records.length, 2);
});

test('K10: a real timer fires by itself', async (t) => {
  const audit = { append: () => undefined, note: () => undefined };
  const inbox = new Inbox({ audit, nowMs: Date.now, monotonicMs: () => performance.now() });
  const { signal } = new AbortController();
  t.is((await inbox.request(requestOf(), { waitMs: 5, signal })).outcome, 'timed-out');
  const stop = startNodeTimer(() => t.fail(), 0);
  stop();
});

test('a deadline further away than a timer can be set is kept', async (t) => {
  const { inbox, ask, time } = makeInbox();
  const { approvalId, settlement } = ask({}, { waitMs: 60 * DAY_MS });
  time.advance(60 * DAY_MS - 1);
  t.is(inbox.get(approvalId).status, 'pending');
  time.advance(1);
  t.is((await settlement).outcome, 'timed-out');
});

test('a request is withdrawn with its session, also where that has ended already', async (t) => {
  const { inbox, ask, settle, time } = makeInbox();
  const session = new AbortController();
  const asking = ask({}, { signal: session.signal });
  session.abort();
  t.is((await asking.settlement).outcome, 'cancelled');
  t.like(
    t.throws(() => settle(asking), { instanceOf: Fault }),
    {
      code: 'APPROVAL_SETTLED',
      details: { outcome: 'cancelled' },
    },
  );
  t.is((await ask({}, { signal: session.signal }).settlement).outcome, 'cancelled');
  t.deepEqual(inbox.list('pending').approvals, []);
  t.is(time.timers, 0);
});

test('K11: whoever decides late is told which outcome stands and whose it is', (t) => {
  const { ask, settle } = makeInbox();
  const asking = ask();
  settle(asking, 'deny', { principal: 'first', role: 'admin' });
  for (const decision of ['approve', 'deny'] as const) {
    const fault = t.throws(() => settle(asking, decision), { instanceOf: Fault });
    t.like(fault, { code: 'APPROVAL_SETTLED', details: { outcome: 'denied', settledBy: 'first' } });
    t.regex(fault?.message ?? '', /denied at 2026/);
  }
});

test('K11: approve, deny, timeout and cancel in any order and number leave one outcome, recorded once', async (t) => {
  const acts = fc.constantFrom(
    'approve',
    'deny',
    'late',
    'timer',
    'cancel',
    'other session',
    'audit fails',
    'audit works',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { maxLength: 12 }), async (order) => {
      const { inbox, ask, settle, time, records, auditFails } = makeInbox();
      const session = new AbortController();
      const asking = ask({}, { waitMs: 1000, signal: session.signal });
      const answers: unknown[] = [];
      const decide = (decision: 'approve' | 'deny'): void => {
        const code = codeOf(() => settle(asking, decision, ADMIN));
        if (code === undefined) answers.push(decision === 'approve' ? 'approved' : 'denied');
        else if (code !== 'UNAVAILABLE' && code !== 'APPROVAL_SETTLED') throw new Error(code);
      };
      for (const act of order) {
        if (act === 'approve' || act === 'deny') decide(act);
        else if (act === 'late') time.stall(1000);
        else if (act === 'timer') time.advance(1000);
        else if (act === 'cancel') session.abort();
        else if (act === 'other session') ask({ sessionId: 'ses_2' }).settlement.catch(() => undefined);
        else auditFails.yes = act === 'audit fails';
      }
      time.advance(1000);
      const { outcome } = await asking.settlement;
      const settled = records.filter(
        ({ kind, fields }) => kind === 'approval.settled' && fields['approvalId'] === asking.approvalId,
      );
      return (
        settled.length === 1 &&
        settled[0]?.fields['outcome'] === outcome &&
        inbox.get(asking.approvalId).status === outcome &&
        answers.length <= 1 &&
        answers.every((answer) => answer === outcome)
      );
    }),
    { numRuns: 500 },
  );
  t.pass();
});
