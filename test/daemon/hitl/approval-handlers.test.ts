import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { approvalHandlers } from '../../../daemon/hitl/approval-handlers.ts';
import type { ApprovalList } from '../../../daemon/hitl/inbox.ts';
import { Caller } from '../../../daemon/transport/caller.ts';
import { makeInbox } from './_inbox-fixture.ts';

const callerOf = (role: 'admin' | 'client'): Caller =>
  new Caller('con_1', role, { send: () => undefined, signal: new AbortController().signal } as never, {} as never);

const SETTLED = { restored: () => Promise.resolve(), committed: () => Promise.resolve() };

test('an administrator lists, shows and settles; the list after a change holds what is new, of the status asked for', async (t) => {
  const { inbox, ask } = makeInbox();
  const handlers = approvalHandlers(inbox, SETTLED);
  const caller = callerOf('admin');
  const { approvalId, settlement } = ask();
  const { hash } = await (handlers['approval.show']({ approvalId }, caller) as ReturnType<typeof inbox.get>);
  const listed = await handlers['approval.list']({}, caller);
  t.like(listed, { approvals: [{ approvalId }] });
  const { change: afterChange } = listed as ApprovalList;
  t.like(await handlers['approval.settle']({ approvalId, hash, decision: 'approve' }, caller), { status: 'approved' });
  t.is((await settlement).outcome, 'approved');
  t.like(await handlers['approval.list']({ afterChange }, caller), {
    change: afterChange + 1,
    approvals: { length: 0 },
  });
  for (const status of ['settled', 'all'] as const) {
    t.like(await handlers['approval.list']({ afterChange, status }, caller), { approvals: [{ approvalId }] });
  }
});

test('K06: an administrator who owns the session cannot settle for it, another connection’s client can', async (t) => {
  const { inbox, ask } = makeInbox();
  const handlers = approvalHandlers(inbox, SETTLED);
  const owner = callerOf('admin');
  const { approvalId } = ask({ principal: owner.principal });
  const { hash } = inbox.get(approvalId);
  const verdict = { approvalId, hash, decision: 'approve' } as const;
  const settleAs = async (caller: Caller) => handlers['approval.settle'](verdict, caller);
  t.is((await t.throwsAsync(settleAs(owner), { instanceOf: Fault }))?.code, 'ROLE_DENIED');
  t.like(await settleAs(callerOf('admin')), { status: 'approved' });
});

test('I12: a client that settles is told the same about an id that exists and one that does not', async (t) => {
  const { inbox, ask } = makeInbox();
  const handlers = approvalHandlers(inbox, SETTLED);
  const { approvalId } = ask();
  const verdict = { hash: inbox.get(approvalId).hash, decision: 'deny' } as const;
  const said: unknown[] = [];
  for (const id of [approvalId, 'apr_AAAAAAAAAAAAAAAAAAAAAA']) {
    const act = async () => handlers['approval.settle']({ approvalId: id, ...verdict }, callerOf('client'));
    const { code, message, details } = (await t.throwsAsync(act(), { instanceOf: Fault })) ?? {};
    said.push({ code, message, details });
  }
  t.deepEqual(said[0], said[1]);
  t.like(said[0], { code: 'ROLE_DENIED' });
  // To administrators an id that never was reads like one that is forgotten.
  const shown = async () => handlers['approval.show']({ approvalId: 'apr_x' }, callerOf('admin'));
  t.is((await t.throwsAsync(shown(), { instanceOf: Fault }))?.code, 'UNKNOWN_APPROVAL');
});

test('nobody is told what waits before the requests of an earlier daemon are in the inbox again', async (t) => {
  const { inbox, ask } = makeInbox();
  const { promise: restored, resolve } = Promise.withResolvers<void>();
  const handlers = approvalHandlers(inbox, { ...SETTLED, restored: () => restored });
  const listed = handlers['approval.list']({}, callerOf('admin'));
  const { approvalId } = ask();
  const shown = handlers['approval.show']({ approvalId }, callerOf('admin'));
  const { hash } = inbox.get(approvalId);
  const settled = handlers['approval.settle']({ approvalId, hash, decision: 'deny' }, callerOf('admin'));
  t.is(inbox.get(approvalId).status, 'pending');
  resolve();
  t.like(await listed, { approvals: [{ approvalId }] });
  t.like(await shown, { approvalId });
  t.like(await settled, { status: 'denied' });
});
