import test, { type ExecutionContext } from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { CallSlots } from '../../../daemon/sql/call-slots.ts';

const LONG_MS = 60_000;
const never = new AbortController().signal;
const limits = {
  runningMax: 3,
  runningPerSourceMax: 2,
  runningPerSessionMax: 2,
  waitingMax: 3,
  waitingPerSessionMax: 2,
};

/** Names in the order in which they got their slot. */
function makeSlots() {
  const slots = new CallSlots(limits);
  const entered: string[] = [];
  const claim = async (name: string, source: string, session: string, signal = never): Promise<() => void> => {
    const leave = await slots.acquire(source, session, LONG_MS, signal);
    entered.push(name);
    return leave;
  };
  return { slots, entered, claim };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function isBusy(t: ExecutionContext, call: Promise<unknown>): Promise<void> {
  t.is(((await t.throwsAsync(call, { instanceOf: Fault })) as Fault).code, 'BUSY');
}

test('F10: lets run as many as the limits of a source, a session and all of them allow, and no more', async (t) => {
  const { entered, claim } = makeSlots();
  const leave = await claim('a1', 'a', 's1');
  await claim('a2', 'a', 's2');
  void claim('a3', 'a', 's3');
  await settled();
  t.deepEqual(entered, ['a1', 'a2'], 'the source is full');
  await claim('b1', 'b', 's1');
  void claim('c1', 'c', 's4');
  await settled();
  t.deepEqual(entered, ['a1', 'a2', 'b1'], 'all are taken');
  leave();
  await settled();
  t.deepEqual(entered, ['a1', 'a2', 'b1', 'a3']);
});

test('a session at its limit waits while a later call of another runs', async (t) => {
  const { entered, claim } = makeSlots();
  const leave = await claim('1', 'a', 's1');
  await claim('2', 'b', 's1');
  void claim('3', 'c', 's1');
  await claim('4', 'c', 's2');
  leave();
  await settled();
  t.deepEqual(entered, ['1', '2', '4', '3']);
});

test('a full queue says BUSY, to one session and to all', async (t) => {
  const { claim } = makeSlots();
  await claim('1', 'a', 's1');
  await claim('2', 'a', 's1');
  void claim('3', 'a', 's1');
  void claim('4', 'a', 's1');
  await isBusy(t, claim('5', 'b', 's1'));
  void claim('6', 'a', 's2');
  await isBusy(t, claim('7', 'a', 's3'));
  await t.notThrowsAsync(claim('8', 'b', 's3'), 'who need not wait does not meet the queue');
});

test('whoever waits too long, or is given up, leaves the queue', async (t) => {
  const { slots, entered, claim } = makeSlots();
  const leave = await claim('1', 'a', 's1');
  await claim('2', 'a', 's1');
  await isBusy(t, slots.acquire('a', 's2', 1, never));
  const controller = new AbortController();
  const given = claim('3', 'a', 's2', controller.signal);
  controller.abort();
  t.is(((await t.throwsAsync(given, { instanceOf: Fault })) as Fault).code, 'INTERRUPTED');
  t.is(((await t.throwsAsync(claim('4', 'b', 's2', controller.signal))) as Fault).code, 'INTERRUPTED');
  void claim('5', 'a', 's3');
  leave();
  await settled();
  t.deepEqual(entered, ['1', '2', '5']);
});
