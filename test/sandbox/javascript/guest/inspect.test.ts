import { format as nodeFormat, inspect as nodeInspect } from 'node:util';
import test from 'ava';
import { makeInspect } from '../../../../sandbox/javascript/guest/inspect.ts';
import { makeFakeKernel, makeRealm } from './poisoned-realm.ts';

const { inspect, format, width } = makeInspect(makeFakeKernel().kernel);

class Foo {
  x = 1;
}
class Bar extends Foo {
  y = [1, 2];
}
const cyclic: Record<string, unknown> = { name: 'a' };
cyclic.self = { inner: [cyclic] };
const extra = Object.assign([1, 2, 3], { note: 'x', 7: 1 });

test('shows values exactly as Node does', (t) => {
  const same: unknown[] = [
    ...[1, -0, 0, Number.NaN, Number.POSITIVE_INFINITY, 1e21, 10n, true, null, undefined, Symbol('a'), Symbol('')],
    ...['a', "it's", `it's "b"`, `it's "b" \`c\``, 'a\nb\\\u0007\u009f', '\ud83d', '😀', 'x'.repeat(20_000)],
    ...[[], [1, 2, 3], [1, , 3], new Array(5), [, , 1], [undefined, null], extra, [[[[[]]]]], [[[[1]]]]],
    ...[{}, { a: 1, 'b-c': 2, $: 3, '': 4, 12: 5 }, { a: { b: { c: { d: 1 } } } }, { ['__proto__']: 1 }],
    ...[new Foo(), new Bar(), { f: new Foo() }, Foo, Bar, class {}, class extends Foo {}, [Foo, Bar]],
    ...[() => 1, function named() {}, async () => 1, function* g() {}, async function* ag() {}, Math.max, Map],
    ...[Object.assign(() => 1, { a: 1 }), Object.create(null), Object.assign(Object.create(null), { a: 1 })],
    ...[new Map(), new Map([['a', { b: 1 }]]), new Set([1, 'b', [1]]), new Map([[{ a: 1 }, new Set([2])]])],
    ...[
      new Date(0),
      new Date(Number.NaN),
      /a\/b/giu,
      Object.assign(/x/, { a: 1 }),
      Object.assign(new Date(0), { a: 1 }),
    ],
    ...[new Number(3), new String('abc'), new Boolean(false), Object(1n), Object(Symbol('s')), new Number(-0)],
    ...[new Uint8Array(3), new Float64Array([1.5, -0]), new BigInt64Array(2), new Uint8Array(200), new Uint8Array()],
    ...[new WeakMap(), new WeakSet(), cyclic, [cyclic, cyclic], globalThis.Math, JSON, Reflect, () => {}],
    ...[(function* () {})(), new Foo().constructor.prototype, Map.prototype, RegExp.prototype, Object.prototype],
    ...[
      Array.from({ length: 120 }, (_, i) => i * 37),
      Array.from({ length: 30 }, (_, i) => 'ab'.repeat(i % 7)),
      Array(101).fill(1.5),
    ],
    ...[
      Array.from({ length: 12 }, (_, i) => ({ id: i, name: `item ${i}` })),
      new Set(Array.from({ length: 150 }, (_, i) => i)),
    ],
    {
      get a() {
        return 1;
      },
      set a(_) {},
      get b() {
        return 1;
      },
      set c(_: number) {},
    },
    { long: 'a long text\nof several lines, which does not fit on one line at all, as it is so long', b: 1 },
    { a: 'x'.repeat(30), b: 'y'.repeat(30), c: 'z'.repeat(30) },
    { level: { one: { a: 'x'.repeat(40), b: 'y'.repeat(40) }, two: [1, 2, 3], three: new Map([['k', { z: 1 }]]) } },
    { toString: 1, constructor: 'x' },
    class {
      static a = 1;
    },
    Object.defineProperty({ a: 1 }, Symbol.toStringTag, { value: 'Hidden' }),
    Object.setPrototypeOf(new Map([[1, 2]]), null),
    Object.setPrototypeOf(new Set([1]), null),
    Object.create(Object.create(null)),
    new (class Sub extends Map<number, number> {})([[1, 2]]),
    new (class Sub extends Array {})(3),
    new (class Sub extends Uint8Array {})(2),
    new (class Sub extends Promise<void> {})(() => {}).constructor,
    (function (..._: number[]) {
      return arguments;
    })(1, 2),
    [1.5, 22.25, 333, -4, 5, 6, 7, 8, 9, 10],
    ['日本語', 'abc', 'ééé', '한국', 'x', 'y', 'z', 'w'],
    [undefined, 'a', 1, 2, 3, 4, 5, 6],
  ];
  for (const value of same) t.is(inspect(value), nodeInspect(value));
});

test('shows options as Node does', (t) => {
  const value = { a: { b: { c: { d: { e: 1 } } } }, list: [1, 2, 3, 4, 5], text: 'abcdefghij' };
  const options = [
    ...[
      { depth: 0 },
      { depth: null },
      { depth: 5 },
      { depth: -1 },
      { compact: false },
      { compact: 1 },
      { breakLength: 20 },
    ],
    ...[
      { breakLength: Number.POSITIVE_INFINITY },
      { maxArrayLength: 2 },
      { maxStringLength: 3 },
      { maxArrayLength: null },
    ],
  ];
  for (const option of options) t.is(inspect(value, option), nodeInspect(value, option));
});

test('shows errors as Node does, with their class, extra properties, causes and aggregated errors', (t) => {
  class MyError extends Error {}
  class Named extends Error {
    override name = 'Special';
  }
  const plain = new Error('boom');
  const bare = new RangeError('no stack');
  bare.stack = 'RangeError: no stack';
  const coded = Object.assign(new TypeError('coded'), { code: 'E1' });
  const values = [plain, bare, coded, new MyError('mine'), new Named('n'), new Error(''), { nested: plain, b: [bare] }];
  for (const value of values) t.is(inspect(value), nodeInspect(value));

  const effect = new Error('effect', { cause: 'reason' });
  t.is(inspect(effect), nodeInspect(effect));
  const aggregate = new AggregateError([1, 'two'], 'several');
  t.is(inspect(aggregate), nodeInspect(aggregate));
  t.is(inspect(Object.create(Error.prototype)), nodeInspect(Object.create(Error.prototype)));
});

test('shows what differs from Node in its own documented way', (t) => {
  t.is(inspect({ [Symbol('a')]: 1 }), '{ [Symbol(a)]: 1 }');
  t.is(inspect(new Uint8Array([1, 2]).buffer), 'ArrayBuffer { [Uint8Contents]: <01 02>, byteLength: 2 }');
  t.is(inspect(new SharedArrayBuffer(1)), 'SharedArrayBuffer { [Uint8Contents]: <00>, byteLength: 1 }');
  t.is(inspect(Promise.resolve(1)), 'Promise {}');
  t.regex(
    inspect(new DataView(new ArrayBuffer(2))),
    /^DataView \{\n {2}byteLength: 2,\n {2}byteOffset: 0,\n {2}buffer: ArrayBuffer/,
  );
  t.is(inspect(new Map([[1, 2]]).entries()), 'Object [Map Iterator] {}');
  t.is(inspect(2n ** 40_000n), '[BigInt of more than 32,768 bits]');
  const detached = new ArrayBuffer(2);
  structuredClone(detached, { transfer: [detached] });
  t.is(inspect(detached), 'ArrayBuffer { (detached), byteLength: 0 }');
});

test('never invokes a getter and recognises built-ins by their internal slots', (t) => {
  let invoked = 0;
  const watch = { get: () => (invoked += 1), enumerable: true };
  const error = Object.defineProperties(new Error('m'), { stack: watch, cause: watch, errors: watch });
  inspect([Object.defineProperties({}, { a: watch, [Symbol.toStringTag]: watch, constructor: watch }), error]);
  t.is(invoked, 0);

  t.is(inspect({ __proto__: Map.prototype, a: 1 }), 'Map { a: 1 }');
  t.is(inspect(Object.create(Date.prototype)), 'Date {}');
  t.is(inspect(Object.create(Map.prototype)), 'Map {}');
});

test('is bounded and unharmed whatever the value is', (t) => {
  const trap = (): never => {
    throw new Error('trap');
  };
  const throwing = new Proxy(
    {},
    { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap },
  );
  t.is(inspect(throwing), '[unprintable]');
  t.is(inspect({ a: 1, throwing }), '{ a: 1, throwing: [unprintable] }');
  const revocable = Proxy.revocable({}, {});
  revocable.revoke();
  t.is(inspect([revocable.proxy]), '[ <Revoked Proxy> ]');
  const endless: object = new Proxy({}, { getPrototypeOf: () => endless });
  t.is(inspect(endless), 'Object <Complex prototype> {}');

  let deep: unknown[] = [];
  for (let i = 0; i < 1e6; i++) deep = [deep];
  t.is(inspect(deep), '[ [ [ [Array] ] ] ]');
  t.true(inspect(deep, { depth: null }).includes('[Array]'));

  const sparse: unknown[] = [];
  sparse[2 ** 32 - 2] = 1;
  t.is(inspect(sparse), '[ <4294967294 empty items>, 1 ]');
  t.true(inspect(new Array(2e6).fill(7)).includes('... 1999900 more items'));
  t.true(inspect(new Uint8Array(1e8)).includes('more items'));

  const big = 'x'.repeat(1e6);
  const limit = 65_536 + '… (truncated)'.length;
  const wide: Record<string, number> = {};
  for (let i = 0; i < 1e5; i++) wide[`k${i}`] = i;
  for (const value of [
    new Array(2000).fill(big),
    wide,
    { [big]: 1 },
    new Set([big, `${big}y`]),
    new Error(big),
    Symbol(big),
  ]) {
    t.true(inspect(value).length <= limit);
    t.true(inspect(value, { depth: null, maxStringLength: null, maxArrayLength: null }).length <= limit);
  }
  t.true(inspect(wide).endsWith('… (truncated)'));
  t.is(inspect('😀😀😀', { maxLength: 4 }), "'😀… (truncated)");
  t.is(inspect('abc', { maxLength: Number.NaN }), "'abc'");
});

test('formats placeholders as Node does', (t) => {
  class Shown {
    toString() {
      return 'shown';
    }
  }
  const calls: unknown[][] = [
    [],
    ['a'],
    ['%s'],
    ['100%', 1],
    ['%%', 1],
    ['%s %s', 'a'],
    ['%s', 'a', 'b', { c: 1 }],
    ['%d%%', 5],
    ['%x %s', 1],
    ['%s', null],
    ['%s', undefined],
    ['%s', -0],
    ['%s', 5n],
    ['%s', Symbol('a')],
    ['%s', { a: { b: 1 } }],
    ['%s', [1, [2]]],
    ['%s', new Shown()],
    ['%s', new Date(0)],
    ['%s', () => 1],
    ['%s', class A {}],
    ['%s', new Foo()],
    ['%s', Object.create(null)],
    ['%d', '42'],
    ['%d', 'x'],
    ['%d', 5n],
    ['%d', Symbol('a')],
    ['%d', {}],
    ['%i', 42.9],
    ['%i', '0x10'],
    ['%i', 3n],
    ['%f', '1.5'],
    ['%f', Symbol('a')],
    ['%j', { a: [1] }],
    ['%j', undefined],
    ['%j', cyclic],
    ['%O', { a: { b: { c: { d: 1 } } } }],
    ['%o', 1],
    ['%c styled', 'color: red'],
    ['a%', 1],
    [1, 'a', { b: 'c' }],
    ['%s%s', 1],
    [{ a: 1 }, 'b'],
    ['', 1],
    ['%i', -0],
    ['x %s y', 'é'],
  ];
  for (const call of calls) t.is(format(call), nodeFormat(...call));
});

test('formats what Node would throw for', (t) => {
  const throwing = {
    toString: () => {
      throw new Error('no');
    },
    valueOf: () => {
      throw new Error('no');
    },
  };
  t.is(format(['%s|%d|%i|%f', throwing, throwing, throwing, throwing]), Array(4).fill('[unprintable]').join('|'));
  t.is(
    format([
      '%j',
      {
        toJSON: () => {
          throw new Error('no');
        },
      },
    ]),
    '[unprintable]',
  );
  t.true(format(new Array(2000).fill('x'.repeat(2 ** 20))).endsWith('… (truncated)'));
});

test('counts the columns of wide and combining characters', (t) => {
  t.is(width('abc'), 3);
  t.is(width('日本'), 4);
  t.is(width('e\u0301'), 1);
  t.is(width('😀'), 2);
});

test('shows the same in an isolate whose every built-in is poisoned', (t) => {
  const { evaluate, poison } = makeRealm({ makeInspect });
  evaluate(`
    var subject = (() => {
      const { inspect, format } = makeInspect(kernel);
      class Foo { x = 1 }
      const cyclic = { list: [1, , 3] }; cyclic.self = cyclic;
      const error = new TypeError('boom', { cause: 'reason' }); error.stack; error.code = 1;
      const values = [
        cyclic, new Map([[1, { a: [1, 'b'] }]]), new Set([1, 2]), new Date(0), /a/g, error, new Foo(), Foo, [Foo], () => 1, async () => 1,
        function* g() {}, new Uint8Array(10), new Uint8Array(2).buffer, new DataView(new ArrayBuffer(1)), new Number(1), new String('ab'),
        Object(1n), Object(Symbol('s')), Promise.resolve(), new WeakMap(), new WeakSet(), [1.5, 2, 3, 4, 5, 6, 7, 8], 'text', -0, 10n,
        Symbol('z'), { [Symbol('k')]: 1, 'a-b': "it's", get g() { return 1 } }, Object.create(null), Object.setPrototypeOf(new Map([[1, 2]]), null),
        { a: { b: { c: { d: {} } } } }, (function () { return arguments })(1), 'x'.repeat(100) + '\\n' + 'y',
        new (class Sub extends Array {})(3), new AggregateError([1, 2], 'many'), { long: 'x'.repeat(70), other: 'y'.repeat(20) },
      ];
      const count = values.length;
      values[count] = error; // a spare, so that nothing is read past the end
      return () => {
        let text = '';
        for (let i = 0; i < count; i++) text += inspect(values[i]) + '\\n';
        const args = (...args) => args;
        return text + format(args('%s %d %i %f %j %o %O %c %%', 'a', 1, 2.5, 3.5, 'j', cyclic, cyclic, 'css', error, 'end')) +
          inspect(cyclic, { depth: 0, compact: false });
      };
    })();
  `);
  const before = evaluate('subject()');
  t.false((before as string).includes('[unprintable]'));
  poison();
  t.is(evaluate('subject()'), before);
});
