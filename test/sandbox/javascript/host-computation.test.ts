import test from 'ava';
import { computeForGuest } from '../../../sandbox/javascript/host-computation.ts';

const compute = (operation: unknown, ...args: unknown[]): string | null =>
  computeForGuest(operation, args, { sourceOf: () => undefined, placeOf: () => undefined });

test('the text of the streams library makes a ReadableStream', (t) => {
  const text = compute('streams.source');
  const library = new Function('exports', 'module', `${text}; return exports`)({}, {});
  t.is(typeof library.ReadableStream, 'function');
});

test('anything that is no computation is answered with null', (t) => {
  for (const operation of ['', 'constructor', '__proto__', undefined, null, 5, {}]) t.is(compute(operation, 'a'), null);
  t.is(compute('stack.frames', 5), null);
  t.is(compute('streams.source', {}), null);
});
