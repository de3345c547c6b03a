import test from 'ava';
import fc from 'fast-check';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global } = installHere();
const clone = global.structuredClone as (value: unknown, options?: unknown) => never;

test('clones any data as the platform does', (t) => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withBoxedValues: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      t.deepEqual(clone(value), structuredClone(value));
    }),
    { numRuns: 300 },
  );
});

test('objects keep own enumerable string keys, read once, and lose their class', (t) => {
  let reads = 0;
  class Point {
    #secret = 1;
    x = 1;
    get counted() {
      return this.#secret;
    }
  }
  const value = Object.defineProperties(Object.assign(new Point(), { [Symbol('s')]: 1 }), {
    hidden: { value: 1 },
    once: { enumerable: true, get: () => (reads += 1) },
  });
  const copy = clone(value) as object;
  t.deepEqual(copy, { x: 1, once: 1 } as never);
  t.is(reads, 1);
  t.is(Object.getPrototypeOf(copy), Object.prototype);
  t.deepEqual(Object.keys(clone(JSON.parse('{"__proto__":1,"toString":2,"0":3}'))), ['0', '__proto__', 'toString']);
  t.deepEqual(clone(Object.create(null, { a: { value: 1, enumerable: true } })), { a: 1 } as never);
  t.deepEqual(clone(Object.create(Map.prototype)), {} as never);
});

test('arrays keep their length, holes and extra properties', (t) => {
  const value = Object.assign([1, , 3, ,], { extra: 'x' });
  const copy = clone(value) as unknown[];
  t.deepEqual(copy, structuredClone(value) as never);
  t.deepEqual([copy.length, 1 in copy, 3 in copy, Array.isArray(copy)], [4, false, false, true]);
  const sparse: number[] = [];
  sparse[2 ** 32 - 2] = 1;
  t.is((clone(sparse) as unknown[]).length, 2 ** 32 - 1);
});

test('cycles and shared references stay what they are', (t) => {
  const shared = { n: 1 };
  const value: Record<string, unknown> = {
    a: shared,
    b: [shared],
    map: new Map([[shared, shared]]),
    set: new Set([shared]),
  };
  value.self = value;
  (value.map as Map<unknown, unknown>).set('self', value);
  const copy = clone(value) as typeof value;
  const { a } = copy as { a: never };
  t.is(copy.self, copy);
  t.is((copy.b as unknown[])[0], a);
  t.is((copy.map as Map<unknown, unknown>).get(a), a);
  t.is((copy.map as Map<unknown, unknown>).get('self'), copy);
  t.true((copy.set as Set<unknown>).has(a));
  t.not(a, shared as never);
});

test('errors keep type, message, stack and cause', (t) => {
  const error = new RangeError('text', { cause: { deep: new TypeError('inner') } });
  const copy = clone(error) as RangeError & { cause: { deep: Error } };
  t.true(copy instanceof RangeError);
  t.deepEqual([copy.message, copy.stack, copy.cause.deep.message], ['text', error.stack, 'inner']);
  t.is(Object.keys(copy).length, 0);
  t.is((clone(Object.assign(new Error('x'), { name: 'Own' })) as Error).name, 'Error');
  t.false(Object.hasOwn(clone(new Error()), 'message'));
  const legacy = clone(new global.DOMException('gone', 'AbortError')) as DOMException;
  t.true(legacy instanceof global.DOMException);
  t.deepEqual([legacy.name, legacy.message, legacy.code], ['AbortError', 'gone', 20]);
});

test('regular expressions keep source and flags and start anew', (t) => {
  const value = /a\/b/dgimsuy;
  value.lastIndex = 3;
  const copy = clone(value) as RegExp;
  t.deepEqual([copy.source, copy.flags, copy.lastIndex], [value.source, value.flags, 0]);
  t.is((clone(/[a]/v) as RegExp).flags, 'v');
});

test('views share one copy of their buffer', (t) => {
  const buffer = new ArrayBuffer(16, { maxByteLength: 32 });
  const value = {
    bytes: new Uint8Array(buffer, 4, 8),
    view: new DataView(buffer, 2, 6),
    big: new BigInt64Array(buffer, 8, 1),
    buffer,
  };
  value.bytes[0] = 7;
  const copy = clone(value) as typeof value;
  t.is(copy.bytes.buffer, copy.buffer);
  t.is(copy.view.buffer, copy.buffer);
  t.not(copy.buffer, buffer);
  t.deepEqual([copy.bytes.byteOffset, copy.bytes.length, copy.view.byteLength, copy.view.getUint8(2)], [4, 8, 6, 7]);
  t.deepEqual([copy.buffer.resizable, copy.buffer.maxByteLength, copy.big.length], [true, 32, 1]);
});

test('what cannot be cloned is a DataCloneError', (t) => {
  const detached = new ArrayBuffer(1);
  structuredClone(detached, { transfer: [detached] });
  const shrunk = new ArrayBuffer(8, { maxByteLength: 8 });
  const outside = new DataView(shrunk, 4, 4);
  shrunk.resize(2);
  const wrong = [
    () => {},
    Symbol('s'),
    Object(Symbol('s')),
    new WeakMap(),
    new WeakSet(),
    Promise.resolve(),
    detached,
    outside,
  ];
  const ours = [
    new global.URL('http://a'),
    new global.AbortController(),
    new global.EventTarget(),
    global.crypto,
    class {},
  ];
  const builtIn = [Temporal.Now.instant(), new Intl.NumberFormat()];
  for (const value of [...wrong, ...ours, ...builtIn, new SharedArrayBuffer(1)]) {
    const error = t.throws(() => clone({ value }), { name: 'DataCloneError', message: /could not be cloned\.$/ });
    t.is((error as DOMException | undefined)?.code, 25);
  }
  t.throws(() => global.structuredClone(), { instanceOf: TypeError });
  t.is(global.structuredClone.length, 1);
});

test('a transfer moves buffers and detaches the originals', (t) => {
  const buffer = Uint8Array.from([1, 2, 3]).buffer;
  const aside = new ArrayBuffer(4);
  const copy = clone({ view: new Uint8Array(buffer) }, { transfer: new Set([buffer, aside]) }) as { view: Uint8Array };
  t.deepEqual([...copy.view], [1, 2, 3]);
  t.deepEqual([buffer.detached, aside.detached], [true, true]);
});

test('a transfer list with anything wrong in it moves nothing', (t) => {
  const good = new ArrayBuffer(1);
  const detached = new ArrayBuffer(1);
  structuredClone(detached, { transfer: [detached] });
  for (const transfer of [
    [good, {}],
    [good, good],
    [good, detached],
    [good, null],
  ]) {
    t.throws(() => clone(1, { transfer }), { name: 'DataCloneError' });
  }
  t.throws(() => clone(() => {}, { transfer: [good] }), { name: 'DataCloneError' });
  t.throws(() => clone(1, { transfer: 5 }), { instanceOf: TypeError });
  t.false(good.detached);
});

test('a structure of any depth is cloned or is a RangeError', (t) => {
  let deep: unknown = null;
  for (let depth = 0; depth < 1_000_000; depth += 1) deep = { deep };
  t.throws(() => clone(deep), { instanceOf: RangeError });
  let fine: unknown = null;
  for (let depth = 0; depth < 500; depth += 1) fine = [fine];
  t.deepEqual(clone(fine), fine as never);
});

test('structuredClone works in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    `const copyOf = structuredClone; const { call } = Function.prototype; const bind = call.bind(call.bind); const un = (f) => bind(call, f);
     const get = un(Map.prototype.get); const has = un(Set.prototype.has); const time = un(Date.prototype.getTime);
     const source = un(Object.getOwnPropertyDescriptor(RegExp.prototype, 'source').get); const proto = Object.getPrototypeOf; const AP = Array.prototype;
     const value = { a: [1, 'x', [2]], get: 1, m: new Map([['k', { v: 1 }]]), s: new Set([3]), d: new Date(7), r: /q/gi, e: new TypeError('bad'),
       b: new Uint8Array([5, 6]), v: new DataView(new ArrayBuffer(2)), o: Object(8n), n: null, z: undefined };
     value.self = value; const transferred = new ArrayBuffer(3);`,
    `const c = copyOf(value, { transfer: [transferred] });
     let out = c.a[0] + c.a[1] + c.a[2][0] + c.a.length + c.get + get(c.m, 'k').v + has(c.s, 3) + time(c.d) + source(c.r) + c.e.message + c.b[1];
     out += (c.self === c) + (proto(c.a) === AP) + (c.z === undefined) + (c.b !== value.b);
     try { copyOf({ f() {} }); } catch (error) { out += error.name + error.message; } out`,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
