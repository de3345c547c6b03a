import test from 'ava';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global, written } = installHere();
const { Event: Guest, EventTarget: Target, CustomEvent: Custom, AbortController: Controller } = global;

test('listeners run in order of addition, each once for the same callback', (t) => {
  const target = new Target();
  const calls: string[] = [];
  const first = () => calls.push('first');
  target.addEventListener('x', first);
  target.addEventListener('x', () => calls.push('second'));
  target.addEventListener('x', first);
  target.addEventListener('x', first, { capture: true });
  target.addEventListener('x', null);
  target.addEventListener('x', () => calls.push('once'), { once: true });
  t.true(target.dispatchEvent(new Guest('x')));
  target.removeEventListener('x', first, true);
  target.removeEventListener('x', null);
  target.removeEventListener('y', first);
  target.dispatchEvent(new Guest('x'));
  t.deepEqual(calls, ['first', 'second', 'first', 'once', 'first', 'second']);
});

test('a listener may add and remove listeners while an event is under way', (t) => {
  const target = new Target();
  const calls: string[] = [];
  const removed = () => calls.push('removed');
  target.addEventListener('x', () => {
    target.removeEventListener('x', removed);
    target.addEventListener('x', () => calls.push('added'));
  });
  target.addEventListener('x', removed);
  target.addEventListener('x', () => calls.push('last'));
  target.dispatchEvent(new Guest('x'));
  t.deepEqual(calls, ['last']);
});

test('preventDefault, stopImmediatePropagation and passive do what the standard says', (t) => {
  const target = new Target();
  target.addEventListener('x', (event: Event) => event.preventDefault());
  target.addEventListener('x', (event: Event) => event.stopImmediatePropagation());
  target.addEventListener('x', () => t.fail());
  target.addEventListener('p', (event: Event) => event.preventDefault(), { passive: true });
  t.false(target.dispatchEvent(new Guest('x', { cancelable: true })));
  t.true(target.dispatchEvent(new Guest('x')));
  t.true(target.dispatchEvent(new Guest('p', { cancelable: true })));
});

test('an event tells what it is', (t) => {
  const target = new Target();
  const event = new Guest('x', { bubbles: true, cancelable: true, composed: true });
  t.deepEqual(
    [event.type, event.bubbles, event.cancelable, event.composed, event.isTrusted],
    ['x', true, true, true, false],
  );
  t.deepEqual([event.target, event.currentTarget, event.eventPhase, event.composedPath()], [null, null, 0, []]);
  target.addEventListener('x', function (this: unknown, seen: Event) {
    t.is(this, target);
    t.is(seen, event);
    t.is(event.currentTarget, target);
    t.is(event.srcElement, target);
    t.is(event.eventPhase, Guest.AT_TARGET);
    t.deepEqual(event.composedPath(), [target]);
    t.throws(() => target.dispatchEvent(event), { name: 'InvalidStateError' });
    event.returnValue = false;
    event.returnValue = true;
    event.cancelBubble = true;
    t.true(event.cancelBubble);
    event.stopPropagation();
  });
  t.false(target.dispatchEvent(event));
  t.is(event.target, target);
  t.deepEqual(
    [event.defaultPrevented, event.returnValue, event.cancelBubble, event.timeStamp],
    [true, false, false, 1234.75],
  );
  t.deepEqual([new Custom('c', { detail: 5 }).detail, new Custom('c').detail], [5, null]);
  t.is(String(event), '[object Event]');
});

test('handleEvent is looked up when the event comes', (t) => {
  const target = new Target();
  const calls: unknown[] = [];
  const listener: { handleEvent?: unknown } = {};
  target.addEventListener('x', listener);
  target.dispatchEvent(new Guest('x'));
  t.regex(written.at(-1) ?? '', /^stderr: Uncaught in an event listener: TypeError: .*handleEvent/);
  listener.handleEvent = function (this: unknown) {
    calls.push(this);
  };
  target.dispatchEvent(new Guest('x'));
  t.deepEqual(calls, [listener]);
});

test('what a listener throws is reported and stops neither the others nor the dispatch', (t) => {
  const hostile = {
    get stack() {
      throw new Error('again');
    },
  };
  for (const [thrown, shown] of [
    [new Error('mine'), /Error: mine/],
    ['text', /: text\n$/],
    [hostile, /cannot be shown\n$/],
    [Symbol('s'), /cannot be shown/],
  ] as const) {
    const target = new Target();
    let reached = false;
    target.addEventListener('x', () => {
      throw thrown;
    });
    target.addEventListener('x', () => {
      reached = true;
    });
    t.true(target.dispatchEvent(new Guest('x')));
    t.true(reached);
    t.regex(written.at(-1) ?? '', shown);
  }
});

test('the signal option removes the listener on abort', (t) => {
  const target = new Target();
  const controller = new Controller();
  let count = 0;
  target.addEventListener('x', () => (count += 1), { signal: controller.signal });
  target.dispatchEvent(new Guest('x'));
  controller.abort();
  target.addEventListener('x', () => (count += 1), { signal: controller.signal });
  target.dispatchEvent(new Guest('x'));
  t.is(count, 1);
  t.throws(() => target.addEventListener('x', () => {}, { signal: {} }), { instanceOf: TypeError });
});

test('wrong arguments and wrong receivers are TypeErrors', (t) => {
  const target = new Target();
  t.throws(() => target.addEventListener('x', 5), { instanceOf: TypeError });
  t.throws(() => target.dispatchEvent({ type: 'x' }), { instanceOf: TypeError });
  t.throws(() => Target.prototype.dispatchEvent.call({}, new Guest('x')), { instanceOf: TypeError });
  t.throws(() => Target(), { instanceOf: TypeError });
  t.throws(() => new Guest(), { instanceOf: TypeError });
});

test('events work in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const T = EventTarget; const E = Event; const C = CustomEvent; const A = AbortController;',
    `let out = ''; const target = new (class extends T {})(); const gone = () => { out += 'gone'; }; const c = new A();
     target.addEventListener('x', (event) => { out += event.type + event.detail; }); target.addEventListener('x', gone);
     target.addEventListener('x', { handleEvent() { out += 'object'; } }, false); target.addEventListener('x', gone, true);
     target.addEventListener('x', () => { throw 1; });
     target.addEventListener('x', () => { out += 'signal'; }, { capture: false, once: false, passive: false, signal: c.signal });
     target.removeEventListener('x', gone); target.removeEventListener('x', gone, true);
     target.dispatchEvent(new C('x', { bubbles: false, cancelable: false, composed: false, detail: 5 })); c.abort(1); target.dispatchEvent(new E('x')); out`,
  );
  t.is(clean, 'x5objectsignalxundefinedobject');
  t.is(poisoned, clean);
});
