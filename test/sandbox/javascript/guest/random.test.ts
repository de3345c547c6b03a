import test from 'ava';
import { makeGenerator } from '../../../../sandbox/javascript/guest/generator.ts';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global } = installHere();
const { crypto, Crypto } = global;

test('Math.random gives numbers from 0 to below 1 that use 53 bits', (t) => {
  const values = Array.from({ length: 2000 }, () => global.Math.random());
  t.true(values.every((value) => value >= 0 && value < 1));
  t.true(values.some((value) => (value * 2 ** 53) % 2 === 1));
  const mean = values.reduce((sum, value) => sum + value) / values.length;
  t.true(Math.abs(mean - 0.5) < 0.05);
  t.is(new Set(values).size, 2000);
});

test('getRandomValues fills every integer typed array and gives it back', (t) => {
  const types = [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
  ];
  for (const Type of types) {
    const array = new Type(64);
    t.is(crypto.getRandomValues(array), array);
    t.true(new Set(array as Iterable<unknown>).size > 32);
  }
  const bytes = new Uint8Array(12);
  crypto.getRandomValues(bytes.subarray(3, 9));
  t.deepEqual([...bytes.subarray(0, 3), ...bytes.subarray(9)], [0, 0, 0, 0, 0, 0]);
  t.is(crypto.getRandomValues(new Uint8Array(0)).length, 0);
});

test('getRandomValues fills 65,536 bytes and refuses one more, floats and anything else', (t) => {
  t.notThrows(() => crypto.getRandomValues(new Uint8Array(65_536)));
  t.throws(() => crypto.getRandomValues(new Uint8Array(65_537)), { name: 'QuotaExceededError' });
  for (const wrong of [
    new Float64Array(1),
    new Float32Array(1),
    [1],
    new DataView(new ArrayBuffer(1)),
    null,
    undefined,
  ]) {
    t.throws(() => crypto.getRandomValues(wrong), { name: 'TypeMismatchError' });
  }
  t.throws(() => Crypto.prototype.getRandomValues.call({}, new Uint8Array(1)), { instanceOf: TypeError });
  t.throws(() => Crypto.prototype.randomUUID.call({}), { instanceOf: TypeError });
  t.throws(() => new Crypto(), { instanceOf: TypeError });
});

test('randomUUID gives version 4 UUIDs, each another', (t) => {
  const ids = Array.from({ length: 500 }, () => crypto.randomUUID());
  for (const id of ids) t.regex(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.is(new Set(ids).size, 500);
});

test('a generator repeats itself from the same seed, and every digit of the seed and of what is mixed in counts', (t) => {
  const first = (seed: string, mixed = '') => {
    const generator = makeGenerator(seed);
    if (mixed !== '') generator.mix(mixed);
    return Array.from({ length: 4 }, () => generator.random32()).join();
  };
  const seed = '00112233445566778899aabbccddeeff';
  t.is(first(seed), first(seed.toUpperCase()));
  const variants = Array.from(seed, (_, position) => `${seed.slice(0, position)}1${seed.slice(position + 1)}`);
  const distinct = new Set(variants.filter((variant) => variant !== seed).map((variant) => first(variant)));
  t.is(distinct.size, variants.filter((variant) => variant !== seed).length);
  t.not(first(seed, '1'), first(seed));
  t.not(first(seed, '1'), first(seed, '2'));
  t.not(first(seed, `${'0'.repeat(40)}1`), first(seed, `${'0'.repeat(40)}2`));
  t.throws(() => makeGenerator('xyz'), { instanceOf: RangeError });
});

test('randomness works in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const { random } = Math; const c = crypto; const a = new Uint8Array(9); const b = new BigUint64Array(2);',
    `c.getRandomValues(a); c.getRandomValues(b); \`\${random()} \${c.randomUUID()} \${a[0]} \${a[8]} \${b[1]}\``,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
