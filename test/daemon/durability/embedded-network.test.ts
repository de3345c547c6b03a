import test, { type ExecutionContext } from 'ava';
import type { DurableStore } from '../../../daemon/durability/durable-store.ts';
import { EmbeddedNetwork } from '../../../daemon/durability/embedded-network.ts';
import { ask, type Message } from '../../../daemon/durability/sdk.ts';
import { openStore, storeFile } from './store-file.ts';

const TARGET = { 'resonate:target': 'local://any@pyrepl3' };
const EXTERNAL = { 'resonate:external': 'true' };
const FAR_MS = 8e15;

async function openNetwork(t: ExecutionContext, store: DurableStore, nowMs: () => number = Date.now) {
  const network = new EmbeddedNetwork({ store, clock: { nowMs } });
  const messages: Message[] = [];
  const waiting: (() => void)[] = [];
  network.recv((message) => {
    messages.push(message);
    for (const look of waiting.splice(0)) look();
  });
  await network.init();
  t.teardown(() => network.stop());
  const received = async (count: number): Promise<Message[]> => {
    while (messages.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    return messages;
  };
  return { network, messages, received };
}

const create = (network: EmbeddedNetwork, id: string, tags: Record<string, string>, timeoutAt = FAR_MS) =>
  ask(network, 'promise.create', { id, timeoutAt, param: { data: `of ${id}` }, tags });
const settle = (network: EmbeddedNetwork, id: string, data: string) =>
  ask(network, 'promise.settle', { id, state: 'resolved', value: { data } });
const acquire = (network: EmbeddedNetwork, id: string, version: number) =>
  ask(network, 'task.acquire', { id, version, pid: 'p', ttl: 1000 });

test('a promise that was created is there after a restart, pending or settled', async (t) => {
  const file = storeFile(t);
  const first = openStore(t, file);
  const { network } = await openNetwork(t, first);
  await create(network, 'a', EXTERNAL);
  await create(network, 'b', EXTERNAL);
  await settle(network, 'b', 'done');
  await network.stop();
  first.close();
  const again = (await openNetwork(t, openStore(t, file))).network;
  const a = await ask(again, 'promise.get', { id: 'a' });
  t.like(a.data, { promise: { state: 'pending', param: { data: 'of a' } } });
  const b = await create(again, 'b', EXTERNAL);
  t.like(b.data, { promise: { state: 'resolved', value: { data: 'done' } } });
  t.is((await ask(again, 'promise.get', { id: 'c' })).head.status, 404);
});

test('what is finished leaves the memory with its commit, and is still found', async (t) => {
  const { network } = await openNetwork(t, openStore(t, null));
  await create(network, 'a', EXTERNAL);
  t.is(network.liveCount, 1);
  await settle(network, 'a', 'x');
  t.is(network.liveCount, 0);
  t.like((await settle(network, 'a', 'y')).data, { promise: { value: { data: 'x' } } });
  t.is(network.liveCount, 0);
});

test('two settlements of one turn are one outcome', async (t) => {
  const { network } = await openNetwork(t, openStore(t, null));
  await create(network, 'a', EXTERNAL);
  const outcomes = await Promise.all(['x', 'y', 'z'].map((value) => settle(network, 'a', value)));
  for (const { data } of outcomes) t.like(data, { promise: { value: { data: 'x' } } });
});

test('a task is announced, and one that a dead process held is announced again', async (t) => {
  const file = storeFile(t);
  const store = openStore(t, file);
  const first = await openNetwork(t, store);
  await create(first.network, 'held', TARGET);
  await create(first.network, 'waiting', TARGET);
  await create(first.network, 'done', TARGET);
  await first.received(3);
  t.like((await acquire(first.network, 'held', 0)).data, { task: { state: 'acquired', version: 1 } });
  await acquire(first.network, 'done', 0);
  const head = { corrId: '', version: '' };
  const action = { kind: 'promise.settle', head, data: { id: 'done', state: 'resolved', value: {} } } as const;
  await ask(first.network, 'task.fulfill', { id: 'done', version: 1, action });
  await first.network.stop();
  store.close();
  const second = await openNetwork(t, openStore(t, file));
  const messages = await second.received(2);
  const tasks = messages.map((message) => (message.kind === 'execute' ? message.data.task : null));
  t.deepEqual(
    tasks.sort((a, b) => Number(b?.version) - Number(a?.version)),
    [
      { id: 'held', version: 1 },
      { id: 'waiting', version: 0 },
    ],
  );
  t.is((await acquire(second.network, 'held', 1)).head.status, 200);
  t.is((await acquire(second.network, 'held', 1)).head.status, 409, 'and nobody gets it twice');
});

test('a listener is told of the outcome, of one that was settled before as well', async (t) => {
  const { network, received } = await openNetwork(t, openStore(t, null));
  const listen = () => ask(network, 'promise.register_listener', { awaited: 'a', address: network.unicast });
  await create(network, 'a', EXTERNAL);
  t.like((await listen()).data, { promise: { state: 'pending' } });
  await settle(network, 'a', 'x');
  const [message] = await received(1);
  t.like(message, { kind: 'unblock', data: { promise: { id: 'a', value: { data: 'x' } } } });
  t.like((await listen()).data, { promise: { state: 'resolved' } });
});

test('a promise that has a target is settled when its time comes, also where that was while nobody ran', async (t) => {
  const file = storeFile(t);
  let nowMs = 1000;
  const store = openStore(t, file);
  const first = await openNetwork(t, store, () => nowMs);
  await create(first.network, 'a', { ...TARGET, 'resonate:timer': 'true' }, 2000);
  await ask(first.network, 'promise.register_listener', { awaited: 'a', address: first.network.unicast });
  await first.network.stop();
  store.close();
  nowMs = 5000;
  const second = await openNetwork(t, openStore(t, file), () => nowMs);
  const settled = (await second.received(2)).find(({ kind }) => kind === 'unblock');
  t.like(settled, { data: { promise: { state: 'resolved', settledAt: 2000 } } });
});

test('a clock that goes back stands still, and one that was set is followed', async (t) => {
  let nowMs = 1_000_000;
  const { network } = await openNetwork(t, openStore(t, null), () => nowMs);
  const createdAt = async (id: string) =>
    (await create(network, id, EXTERNAL)).data as { promise: { createdAt: number } };
  t.is((await createdAt('a')).promise.createdAt, 1_000_000);
  nowMs -= 500;
  t.is((await createdAt('b')).promise.createdAt, 1_000_000);
  nowMs -= 600_000;
  t.is((await createdAt('c')).promise.createdAt, 399_500);
});

test('what was finished is forgotten after the retention, and what is live never is', async (t) => {
  let nowMs = 1000;
  const store = openStore(t, null);
  const { network } = await openNetwork(t, store, () => nowMs);
  await create(network, 'live', EXTERNAL);
  const ids = Array.from({ length: 2500 }, (_, number) => `p${number}`);
  await Promise.all(ids.map((id) => create(network, id, EXTERNAL)));
  await Promise.all(ids.map((id) => settle(network, id, 'x')));
  const rows = () => store.prepare('SELECT count(*) AS count FROM resonate').get()?.['count'];
  network.sweep();
  store.commitNow();
  t.is(rows(), 2501);
  nowMs += 8 * 24 * 3_600_000;
  network.sweep();
  for (let sweeps = 0; sweeps < 3; sweeps++) store.commitNow();
  t.is(rows(), 1);
  t.is((await ask(network, 'promise.get', { id: 'live' })).head.status, 200);
});

test('nothing is answered before it is committed, and all of it is once the disk takes it again', async (t) => {
  const store = openStore(t, null);
  const { network } = await openNetwork(t, store);
  let refuse = true;
  store.write(() => {
    if (refuse) throw new Error('the disk is full');
  });
  const answered: string[] = [];
  const one = create(network, 'a', EXTERNAL).then(() => answered.push('a'));
  const two = settle(network, 'a', 'x').then(() => answered.push('settled a'));
  t.throws(() => store.commitNow(), { message: /full/ });
  const three = create(network, 'b', EXTERNAL).then(() => answered.push('b'));
  await new Promise(setImmediate);
  t.deepEqual(answered, []);
  refuse = false;
  store.commitNow();
  await Promise.all([one, two, three]);
  t.deepEqual(answered, ['a', 'settled a', 'b']);
  t.like((await ask(network, 'promise.get', { id: 'a' })).data, { promise: { value: { data: 'x' } } });
});

test('a request that shares objects with its sender is applied as it was sent', async (t) => {
  const { network } = await openNetwork(t, openStore(t, null));
  const param = { data: 'as sent' };
  const created = ask(network, 'promise.create', { id: 'a', timeoutAt: FAR_MS, param, tags: EXTERNAL });
  param.data = 'changed';
  const { data } = (await created) as { data: { promise: { param: { data: string } } } };
  t.is(data.promise.param.data, 'as sent');
  data.promise.param.data = 'changed';
  t.like((await ask(network, 'promise.get', { id: 'a' })).data, { promise: { param: { data: 'as sent' } } });
});

test('what we do not use is refused as not implemented, and a stopped network answers nothing', async (t) => {
  const { network } = await openNetwork(t, openStore(t, null));
  t.is((await ask(network, 'debug.reset', {})).head.status, 501);
  t.is((await ask(network, 'schedule.get', { id: 'a' })).head.status, 501);
  await network.stop();
  await t.throwsAsync(create(network, 'a', EXTERNAL));
});

test('a task that waits for promises still does after a restart, and so does what was noted for one that runs', async (t) => {
  const file = storeFile(t);
  const store = openStore(t, file);
  const { network } = await openNetwork(t, store);
  for (const id of ['suspended', 'running']) {
    await create(network, id, TARGET);
    await acquire(network, id, 0);
  }
  for (const id of ['a', 'b']) await create(network, id, EXTERNAL);
  const head = { corrId: '', version: '' };
  const data = { awaiter: 'suspended', awaited: 'a' };
  const actions = [{ kind: 'promise.register_callback' as const, head, data }];
  t.is((await ask(network, 'task.suspend', { id: 'suspended', version: 1, actions })).head.status, 200);
  await ask(network, 'promise.register_callback', { awaiter: 'running', awaited: 'b' });
  await settle(network, 'b', 'x');
  await network.stop();
  store.close();
  const again = await openNetwork(t, openStore(t, file));
  t.like((await ask(again.network, 'task.get', { id: 'running' })).data, { task: { resumes: ['b'] } });
  await again.received(1);
  await settle(again.network, 'a', 'x');
  t.like((await again.received(2))[1], { kind: 'execute', data: { task: { id: 'suspended', version: 1 } } });
});
