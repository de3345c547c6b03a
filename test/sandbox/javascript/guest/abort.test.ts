import test from 'ava';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global, timers, started, abort, written } = installHere();
const { AbortController: Controller, AbortSignal: Signal, Event: GuestEvent } = global;

test('a controller aborts its signal once, with a reason', (t) => {
  const controller = new Controller();
  const { signal } = controller;
  const seen: unknown[] = [];
  signal.addEventListener('abort', (event: Event) => seen.push(event.type, event.isTrusted, event.target === signal));
  t.notThrows(() => signal.throwIfAborted());
  t.deepEqual([signal.aborted, signal.reason], [false, undefined]);
  controller.abort('why');
  controller.abort('again');
  t.deepEqual(seen, ['abort', true, true]);
  t.deepEqual([signal.aborted, signal.reason, controller.signal === signal], [true, 'why', true]);
  try {
    signal.throwIfAborted();
    t.fail();
  } catch (error) {
    t.is(error, 'why');
  }
});

test('without a reason there is an AbortError', (t) => {
  const { reason } = Signal.abort();
  t.like(reason, { name: 'AbortError', code: 20, message: 'This operation was aborted' });
  t.is(Signal.abort(null).reason, null);
});

test('timeout aborts with a TimeoutError when its timer fires', (t) => {
  const signal = Signal.timeout(50);
  const timer = started.at(-1);
  t.is(timer?.delayMs, 50);
  timers.fire(timer?.id ?? 0);
  t.is(signal.reason.name, 'TimeoutError');
  Signal.timeout(2 ** 40);
  t.is(started.at(-1)?.delayMs, 2 ** 31 - 1);
  for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY, undefined, 'x'])
    t.throws(() => Signal.timeout(wrong), { instanceOf: TypeError });
});

test('any follows all of its sources, through other derived signals as well', (t) => {
  const [a, b] = [new Controller(), new Controller()];
  const both = Signal.any([a.signal, b.signal]);
  const nested = Signal.any(new Set([both]));
  const order: string[] = [];
  a.signal.addEventListener('abort', () => order.push(`a ${nested.aborted}`));
  both.addEventListener('abort', () => order.push('both'));
  nested.addEventListener('abort', () => order.push('nested'));
  a.abort('first');
  b.abort('second');
  t.deepEqual(order, ['a true', 'both', 'nested']);
  t.deepEqual([both.reason, nested.reason], ['first', 'first']);
  t.is(Signal.any([new Controller().signal, Signal.abort(1), Signal.abort(2)]).reason, 1);
  t.false(Signal.any([]).aborted);
  t.throws(() => Signal.any([{}]), { instanceOf: TypeError });
});

test('onabort is a listener that can be replaced', (t) => {
  const controller = new Controller();
  const calls: string[] = [];
  const handler = () => calls.push('second');
  controller.signal.onabort = () => calls.push('first');
  controller.signal.onabort = handler;
  t.is(controller.signal.onabort, handler);
  controller.signal.dispatchEvent(new GuestEvent('abort'));
  t.false(controller.signal.aborted);
  controller.signal.onabort = 'nonsense';
  t.is(controller.signal.onabort, null);
  controller.abort();
  t.deepEqual(calls, ['second']);
});

test('other modules watch a signal before its listeners hear of it', (t) => {
  const controller = new Controller();
  const calls: unknown[] = [];
  t.is(
    abort.watch(controller.signal, (reason) => calls.push(reason)),
    'watched',
  );
  controller.signal.addEventListener('abort', () => calls.push('listener'));
  controller.abort('r');
  t.deepEqual(calls, ['r', 'listener']);
  t.is(
    abort.watch(controller.signal, () => t.fail()),
    'aborted',
  );
  t.is(abort.reasonOf(controller.signal), 'r');
  t.is(
    abort.watch({}, () => t.fail()),
    'no signal',
  );
  t.is(
    abort.watch(null, () => t.fail()),
    'no signal',
  );
});

test('signals are not constructible and belong to EventTarget', (t) => {
  t.throws(() => new Signal(), { instanceOf: TypeError, message: 'Illegal constructor' });
  t.throws(() => new Signal({}), { instanceOf: TypeError });
  t.throws(() => Controller(), { instanceOf: TypeError });
  t.true(new Controller().signal instanceof global.EventTarget);
  t.is(String(new Controller().signal), '[object AbortSignal]');
  t.deepEqual(written, []);
});

test('abort signals work in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const C = AbortController; const S = AbortSignal;',
    `let out = ''; const c = new C(); const any = S.any([c.signal, S.timeout(5)]); const nested = S.any([any]);
     any.addEventListener('abort', () => { out += 'any'; }); nested.onabort = () => { out += 'nested'; };
     c.abort(); out += c.signal.reason.name + nested.aborted + S.abort('r').reason; try { any.throwIfAborted(); } catch (error) { out += error.code; } out`,
  );
  t.is(clean, 'anynestedAbortErrortruer20');
  t.is(poisoned, clean);
});
