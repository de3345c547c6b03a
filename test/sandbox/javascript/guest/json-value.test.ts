import test from 'ava';
import { makeJsonValue } from '../../../../sandbox/javascript/guest/json-value.ts';
import { makeFakeKernel, makeRealm } from './poisoned-realm.ts';

const jsonValue = makeJsonValue(makeFakeKernel().kernel);
const MAX = 100_000;

test('writes what is JSON exactly as JSON.stringify does', (t) => {
  const values: unknown[] = [
    ...[
      null,
      true,
      false,
      0,
      1.5,
      -3,
      1e300,
      5e-324,
      '',
      'a',
      '"\\\n\u2028',
      '\ud800',
      '\udc00x',
      '😀',
      'é'.repeat(100),
    ],
    ...[
      [],
      {},
      [1, [2, [null]]],
      { a: { b: [] }, 'b c': 'd', 1: 2 },
      [{}, {}],
      Object.assign(Object.create(null), { a: 1 }),
    ],
    { ['__proto__']: 1, constructor: 2, length: 3 },
  ];
  for (const value of values) t.deepEqual(jsonValue(value, MAX), { json: JSON.stringify(value) });
});

test('answers null for whatever would not come back as it was', (t) => {
  class Foo {
    a = 1;
  }
  const cyclic: unknown[] = [];
  cyclic.push([cyclic]);
  const getter = Object.defineProperty({}, 'a', { get: () => t.fail('a getter was invoked'), enumerable: true });
  const none: unknown[] = [
    ...[
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -0,
      1n,
      Symbol('a'),
      () => 1,
      new Foo(),
      new Map(),
      new Set(),
      new Date(0),
      /a/,
    ],
    ...[
      [undefined],
      [1, , 2],
      new Array(3),
      [-0],
      { a: undefined },
      { a: () => 1 },
      { [Symbol('a')]: 1 },
      { a: 1n },
      getter,
    ],
    ...[
      Object.assign([1], { extra: 1 }),
      Object.assign([1], { [Symbol('a')]: 1 }),
      cyclic,
      new (class extends Array {})(),
    ],
    ...[
      Object.defineProperty({}, 'a', { value: 1 }),
      Object.setPrototypeOf([], null),
      Object.create({ a: 1 }),
      new Number(1),
    ],
    ...[
      { toJSON: () => 1 },
      Object.defineProperty([1], 0, { get: () => t.fail('a getter was invoked') }),
      new Uint8Array(1),
      new Error('x'),
    ],
  ];
  for (const value of none) t.is(jsonValue(value, MAX), null);
});

test('answers null for Proxies whose traps throw, and reads the others through their traps', (t) => {
  const trap = (): never => {
    throw new Error('trap');
  };
  t.is(jsonValue(new Proxy({ a: 1 }, { ownKeys: trap }), MAX), null);
  t.is(jsonValue([new Proxy({ a: 1 }, { getOwnPropertyDescriptor: trap })], MAX), null);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  t.is(jsonValue(proxy, MAX), null);
  t.deepEqual(jsonValue(new Proxy({ a: 1 }, {}), MAX), { json: '{"a":1}' });
});

test('counts the bytes of the text and stops at the limit', (t) => {
  for (const value of ['abc', 'é😀\ud800', 12345, [1, 'é', [true]], { a: 'é', bé: [1, 2, {}] }, null]) {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    t.deepEqual(jsonValue(value, bytes), { json: JSON.stringify(value) });
    t.is(jsonValue(value, bytes - 1), 'too-large');
  }
  const big = 'x'.repeat(1e6);
  t.is(jsonValue(new Array(2000).fill(big), 5e6), 'too-large');
  t.is(jsonValue({ [big]: 1 }, MAX), 'too-large');
  t.is(jsonValue(big, MAX), 'too-large');
  let doubled: unknown[] = [];
  for (let i = 0; i < 60; i++) doubled = [doubled, doubled];
  t.is(jsonValue(doubled, MAX), 'too-large');
  const sparse: unknown[] = [];
  sparse[2 ** 32 - 2] = 1;
  t.is(jsonValue(sparse, MAX), null);
});

test('writes 200 levels and no more', (t) => {
  const nest = (levels: number): unknown[] => {
    let value: unknown[] = [];
    for (let i = 1; i < levels; i++) value = [value];
    return value;
  };
  t.deepEqual(jsonValue(nest(200), MAX), { json: '['.repeat(200) + ']'.repeat(200) });
  t.is(jsonValue(nest(201), MAX), null);
  t.is(jsonValue(nest(1e6), 1e7), null);
});

test('writes the same in an isolate whose every built-in is poisoned', (t) => {
  const { evaluate, poison } = makeRealm({ makeJsonValue });
  evaluate(`
    var subject = (() => {
      const jsonValue = makeJsonValue(kernel);
      const big = 'x'.repeat(1000);
      const values = [null, true, 1.5, -0, 'a"é', [1, [2, { a: 'b' }]], { a: [], 'b c': {} }, Object.create(null), [1, , 2], [undefined], new Map(), [big]];
      const count = values.length;
      values[count] = 0;
      return () => {
        let text = '';
        for (let i = 0; i < count; i++) {
          const result = jsonValue(values[i], 500);
          text += (result === null || typeof result === 'string' ? result : result.json) + '\\n';
        }
        return text;
      };
    })();
  `);
  const before = evaluate('subject()');
  t.is(
    before,
    'null\ntrue\n1.5\nnull\n"a\\"é"\n[1,[2,{"a":"b"}]]\n{"a":[],"b c":{}}\n{}\nnull\nnull\nnull\ntoo-large\n',
  );
  poison();
  t.is(evaluate('subject()'), before);
});
