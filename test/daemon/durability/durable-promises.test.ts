import test from 'ava';
import type { Outcome } from '../../../daemon/durability/durable-promises.ts';
import type { Json } from '../../../daemon/durability/envelope.ts';
import { local } from '../../../daemon/durability/resonate.ts';
import { Fault } from '../../../daemon/fault.ts';
import { KINDS, remoteFor, serverFor } from './runtimes.ts';
import { openStore, storeFile } from './store-file.ts';

const outcomeOf = (promises: { watch: (key: string, callback: (outcome: Outcome) => void) => unknown }, key: string) =>
  new Promise<Outcome>((resolve) => promises.watch(key, resolve));

for (const [where, start] of Object.entries(KINDS)) {
  test(`a promise is found again by its key, with what it was made with, ${where}`, async (t) => {
    const { promises } = await start(t);
    t.deepEqual(await promises.create('k', { ask: 1 }, null), { state: 'pending', request: { ask: 1 } });
    t.deepEqual(await promises.create('k', { ask: 2 }, 1), { state: 'pending', request: { ask: 1 } });
    t.true(await promises.settle('k', { said: 'yes' }));
    t.deepEqual(await promises.create('k', null, null), {
      state: 'settled',
      request: { ask: 1 },
      value: { said: 'yes' },
    });
  });

  test(`of many who settle at once one is told that it did, and all watchers hear its value, ${where}`, async (t) => {
    const { promises } = await start(t);
    await promises.create('k', null, null);
    const heard = [1, 2].map(() => outcomeOf(promises, 'k'));
    const won = await Promise.all([1, 2, 3, 4, 5].map((value) => promises.settle('k', value)));
    t.is(won.filter(Boolean).length, 1);
    const value = won.indexOf(true) + 1;
    t.deepEqual(await Promise.all(heard), [
      { state: 'settled', value },
      { state: 'settled', value },
    ]);
    t.false(await promises.settle('k', value), 'also where it says the same');
    t.deepEqual(await outcomeOf(promises, 'k'), { state: 'settled', value });
  });

  test(`a deadline is an outcome, and settling after it is none, ${where}`, async (t) => {
    const { promises } = await start(t);
    await promises.create('k', null, Date.now() + 100);
    t.deepEqual(await outcomeOf(promises, 'k'), { state: 'timed-out' });
    t.false(await promises.settle('k', 1));
    t.deepEqual(await promises.create('k', null, null), { state: 'timed-out', request: null });
    t.is((await promises.create('late', 1, Date.now() - 1)).state, 'timed-out');
  });

  test(`a watch that was taken back hears nothing, and the others of the same promise do, ${where}`, async (t) => {
    const { promises } = await start(t);
    await promises.create('k', null, null);
    const heard: string[] = [];
    const callback = (): unknown => heard.push('first');
    const forget = promises.watch('k', callback);
    promises.watch('k', callback);
    const last = outcomeOf(promises, 'k');
    forget();
    forget();
    await promises.settle('k', null);
    await last;
    t.deepEqual(heard, ['first']);
  });

  test(`what is watched before it exists is heard of when it does, ${where}`, async (t) => {
    const { promises } = await start(t);
    const heard = outcomeOf(promises, 'k');
    await promises.create('other', null, null);
    t.false(await promises.settle('k', 1));
    await promises.create('k', null, null);
    await promises.settle('k', 2);
    t.deepEqual(await heard, { state: 'settled', value: 2 });
  });

  test(`values that the SDK would take for others of its own come back as they were, ${where}`, async (t) => {
    const { promises } = await start(t);
    const value: Json = ['__INF__', { __type: 'error', message: 'm' }, '\0\ud800', -0, 1e300, { v: 7, by: 'me' }];
    const kept = JSON.parse(JSON.stringify(value));
    await promises.create('k:\0/ü', value, null);
    t.deepEqual(await promises.create('k:\0/ü', null, null), { state: 'pending', request: kept });
    await promises.settle('k:\0/ü', value);
    t.deepEqual(await outcomeOf(promises, 'k:\0/ü'), { state: 'settled', value: kept });
  });

  test(`a key that no id can be made of is refused before anything is asked, ${where}`, async (t) => {
    const { promises } = await start(t);
    for (const key of ['', 'x'.repeat(1025), '\ud800', 7 as unknown as string])
      await t.throwsAsync(promises.create(key, null, null), { instanceOf: Fault });
    t.is((await promises.create('x'.repeat(1024), null, null)).state, 'pending');
  });
}

test('a deadline that passed while nobody ran is honoured once, at the start', async (t) => {
  const file = storeFile(t);
  let nowMs = 1_000_000;
  const clock = { nowMs: () => nowMs, monotonicMs: () => performance.now() };
  const log = (): void => undefined;
  const store = openStore(t, file);
  const first = await local({ store, clock, log });
  await first.promises.create('timer', { of: 'sleep' }, nowMs + 1000);
  await first.promises.create('answered', null, nowMs + 1000);
  await first.promises.settle('answered', 1);
  await first.stop();
  store.close();
  nowMs += 3 * 24 * 3_600_000;
  const second = await local({ store: openStore(t, file), clock, log });
  t.teardown(() => second.stop());
  let times = 0;
  second.promises.watch('timer', () => times++);
  t.deepEqual(await outcomeOf(second.promises, 'timer'), { state: 'timed-out' });
  t.deepEqual(await outcomeOf(second.promises, 'answered'), { state: 'settled', value: 1 });
  t.is(times, 1);
});

test('what one daemon asks is answered through another', async (t) => {
  const { url } = await serverFor(t);
  const [one, other] = [await remoteFor(t, url), await remoteFor(t, url)];
  await one.promises.create('k', { ask: 1 }, null);
  const heard = outcomeOf(one.promises, 'k');
  t.like(await other.promises.create('k', null, null), { state: 'pending', request: { ask: 1 } });
  t.true(await other.promises.settle('k', 'yes'));
  t.deepEqual(await heard, { state: 'settled', value: 'yes' });
  t.false(await one.promises.settle('k', 'no'));
});

test('without an answer of the server a promise is refused as UNAVAILABLE, and goes on when it answers again', async (t) => {
  const server = await serverFor(t);
  const { promises } = await remoteFor(t, server.url);
  await promises.create('k', null, null);
  server.isCutOff = true;
  const refused = await t.throwsAsync(promises.create('other', null, null), { instanceOf: Fault });
  t.is((refused as Fault).code, 'UNAVAILABLE');
  server.isCutOff = false;
  t.true(await promises.settle('k', 1));
  t.deepEqual(await outcomeOf(promises, 'k'), { state: 'settled', value: 1 });
});

test('an outcome that is none of ours has no value', async (t) => {
  const server = await serverFor(t);
  const { promises } = await remoteFor(t, server.url);
  await promises.create('k', null, null);
  const heard = outcomeOf(promises, 'k');
  const id = [...server.machine.promises.keys()].find((key) => key.startsWith('pyrepl3-p-')) as string;
  const head = { corrId: '1', version: '2026-04-01' };
  const body = JSON.stringify({
    kind: 'promise.settle',
    head,
    data: { id, state: 'resolved', value: { data: 'eyJ9' } },
  });
  await fetch(server.url, { method: 'POST', body });
  t.deepEqual(await heard, { state: 'settled', value: null });
});
