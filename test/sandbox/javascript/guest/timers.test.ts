import test from 'ava';
import { cleanAndPoisoned, installHere, installInRealm } from './_guest-realm.ts';

test('setTimeout asks the host for a timer and fires once, with its arguments', (t) => {
  const { global, started, timers } = installHere();
  const calls: unknown[] = [];
  const id = global.setTimeout((...args: unknown[]) => calls.push(args), 20.9, 'a', 'b');
  t.deepEqual(started, [{ id, delayMs: 20, repeat: false }]);
  t.true(timers.fire(id));
  t.false(timers.fire(id));
  t.deepEqual(calls, [['a', 'b']]);
});

test('setInterval fires until it is cleared, and setImmediate has no delay', (t) => {
  const { global, started, stopped, timers } = installHere();
  let count = 0;
  const id = global.setInterval(() => (count += 1));
  const soon = global.setImmediate((step: number) => (count += step), 10);
  t.deepEqual(started, [
    { id, delayMs: 1, repeat: true },
    { id: soon, delayMs: 0, repeat: false },
  ]);
  timers.fire(id);
  timers.fire(id);
  timers.fire(soon);
  t.is(count, 12);
  global.clearInterval(String(id));
  t.false(timers.fire(id));
  t.deepEqual(stopped, [id]);
});

test('delays are clamped as in Node', (t) => {
  const { global, started } = installHere();
  for (const delay of [undefined, null, -1, 0, Number.NaN, '7', 2 ** 31 - 1, 2 ** 31, Number.POSITIVE_INFINITY, {}])
    global.setTimeout(() => {}, delay);
  t.deepEqual(
    started.map(({ delayMs }) => delayMs),
    [1, 1, 1, 1, 1, 7, 2 ** 31 - 1, 1, 1, 1],
  );
  t.throws(() => global.setTimeout(() => {}, 1n), { instanceOf: TypeError });
});

test('a callback must be a function, never text', (t) => {
  const { global, started } = installHere();
  for (const wrong of ['globalThis.x = 1', null, undefined, {}]) {
    for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']) {
      t.throws(() => global[name](wrong), { instanceOf: TypeError });
    }
  }
  t.deepEqual(started, []);
});

test('clearing takes anything, and clears only what exists', (t) => {
  const { global, stopped, timers } = installHere();
  const id = global.setTimeout(() => {}, 5);
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) {
    for (const unknown of [undefined, null, {}, [], 'x', -1, Number.NaN, Symbol('s'), id + 1])
      t.notThrows(() => global[name](unknown));
  }
  t.deepEqual(stopped, []);
  global.clearImmediate(id);
  t.deepEqual(stopped, [id]);
  t.false(timers.fire(id));
});

test('10,000 timers may be pending, and one more is a RangeError', (t) => {
  const { global, timers } = installHere();
  let id = 0;
  for (let index = 0; index < 10_000; index += 1) id = global.setTimeout(() => {}, 5);
  t.throws(() => global.setTimeout(() => {}, 5), { instanceOf: RangeError, message: /10,000/ });
  timers.fire(id);
  t.notThrows(() => global.setTimeout(() => {}, 5));
  t.throws(() => global.setImmediate(() => {}), { instanceOf: RangeError });
});

test('what a callback throws reaches whoever fired the timer, and the timer is done', (t) => {
  const { global, timers } = installHere();
  const id = global.setTimeout(() => {
    throw new Error('mine');
  });
  t.throws(() => timers.fire(id), { message: 'mine' });
  t.false(timers.fire(id));
});

test('queueMicrotask runs in order with promise reactions and ignores what the callback returns', async (t) => {
  const { global } = installHere();
  const order: string[] = [];
  global.queueMicrotask(() => order.push('a'));
  const reaction = Promise.resolve().then(() => order.push('b'));
  global.queueMicrotask(() => {
    order.push('c');
    return { then: () => t.fail() };
  });
  await reaction;
  await null;
  t.deepEqual(order, ['a', 'b', 'c']);
});

test('the functions look like built-ins', (t) => {
  const { global } = installHere();
  for (const name of [
    'setTimeout',
    'setInterval',
    'setImmediate',
    'clearTimeout',
    'clearInterval',
    'clearImmediate',
    'queueMicrotask',
  ]) {
    t.is(global[name].name, name);
    t.false(Object.keys(global).includes(name));
    t.throws(() => new global[name](() => {}), { instanceOf: TypeError });
  }
  t.is(global.setTimeout.length, 1);
});

test('timers work in a poisoned realm', async (t) => {
  const prepare = `const tools = { setTimeout, setInterval, clearTimeout, queueMicrotask, setImmediate }; let out = '';`;
  const expression = `tools.setTimeout((a, b) => { out += a + b; }, 5, 'x', 'y'); tools.clearTimeout(tools.setInterval(() => {}, 7));
    tools.setImmediate((a) => { out += a; }, 'z'); tools.queueMicrotask(() => { out += 'm'; }); out`;
  const { clean, poisoned } = cleanAndPoisoned(prepare, expression);
  t.deepEqual([clean, poisoned], ['', '']);
  const realm = installInRealm();
  realm.run(prepare);
  realm.poison();
  realm.run(expression);
  await null;
  t.deepEqual(realm.stopped, [2]);
  t.deepEqual([realm.fire(1), realm.fire(2), realm.fire(3)], [true, false, true]);
  t.is(realm.run('out'), 'mxyz');
});
