import { inspect } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';

const redactorOf = (values: Readonly<Record<string, string>>): Redactor => {
  const redactor = new Redactor();
  for (const [name, value] of Object.entries(values)) redactor.add(name, value);
  return redactor;
};

test('without a secret every text, value and piece passes as it is', (t) => {
  const redactor = new Redactor();
  const value = { a: ['text', 1, null] };
  t.is(redactor.redact('text'), 'text');
  t.is(redactor.redactJson(value), value);
  const stream = redactor.stream();
  t.is(stream.push('te') + stream.push('xt') + stream.flush(), 'text');
});

test('a value of four characters is redacted, one of three is not', (t) => {
  const redactor = redactorOf({ short: 'abc', pin: '1234' });
  t.is(redactor.redact('abc 1234 12345'), 'abc [redacted:pin] [redacted:pin]5');
});

const awkward = 'p&ss "w/\\ord+\n1ä';
for (const [how, encoded] of [
  ['as it is', awkward],
  ['escaped for JSON', JSON.stringify({ a: awkward })],
  ['shown inside an object', inspect({ a: awkward })],
  ['in base64', `Basic ${Buffer.from(awkward).toString('base64')}`],
  ['in base64 without padding', Buffer.from(awkward).toString('base64').replaceAll('=', '')],
  ['in base64url', Buffer.from(awkward).toString('base64url')],
  ['percent-encoded', `https://example.com/?q=${encodeURIComponent(awkward)}&r=1`],
  ['as a form', new URLSearchParams({ q: awkward }).toString()],
] as const) {
  test(`E06, J10: a secret is redacted ${how}`, (t) => {
    const redacted = redactorOf({ token: awkward }).redact(encoded);
    t.true(redacted.includes('[redacted:token]'), redacted);
    for (const part of ['ss', 'ord', Buffer.from(awkward).toString('base64').slice(0, 6)]) {
      t.false(redacted.includes(part), redacted);
    }
  });
}

test('J10: no line of a secret of several lines leaves, however they are broken; a short one is left alone', (t) => {
  const key = `-----BEGIN KEY-----\n${'Ab1/'.repeat(16)}\n${'cD2+'.repeat(16)}\nshort\n-----END KEY-----`;
  const redactor = redactorOf({ key });
  for (const text of [
    key,
    inspect({ key }, { breakLength: 40 }),
    key.replaceAll('\n', '\r\n'),
    JSON.stringify([key]),
  ]) {
    t.notRegex(redactor.redact(text), /Ab1|cD2|KEY--/);
  }
  t.is(redactor.redact('in short'), 'in short');
});

test('secrets that overlap, or hold one another, leave nothing of either', (t) => {
  t.is(redactorOf({ one: 'abcdef', two: 'cdefgh' }).redact('-abcdefgh-'), '-[redacted:one]-');
  t.is(redactorOf({ inner: 'cdef', outer: 'abcdefgh' }).redact('abcdefgh cdef'), '[redacted:outer] [redacted:inner]');
  t.is(redactorOf({ same: 'aaaa' }).redact('aaaaaaa b'), '[redacted:same] b');
});

test('of one name the four newest values are known', (t) => {
  const redactor = new Redactor();
  for (const value of ['value-1', 'value-2', 'value-3', 'value-4', 'value-5', 'value-5']) redactor.add('key', value);
  t.is(redactor.redact('value-1 value-2 value-5'), 'value-1 [redacted:key] [redacted:key]');
});

test('JSON data is redacted in texts, names and numbers, at any depth', (t) => {
  const redactor = redactorOf({ key: 'hunter2', pin: '123456' });
  const data = JSON.parse('{"a":[{"__proto__":"is hunter2","hunter2":1}],"n":123456,"m":12,"x":null,"y":true}');
  t.deepEqual(
    JSON.stringify(redactor.redactJson(data)),
    '{"a":[{"__proto__":"is [redacted:key]","[redacted:key]":1}],"n":"[redacted:pin]","m":12,"x":null,"y":true}',
  );
  let deep: unknown = 'hunter2';
  for (let depth = 0; depth < 5000; depth++) deep = [deep];
  t.false(JSON.stringify(redactor.redactJson(deep)).includes('hunter2'));
});

test('a stream holds back only what may be the beginning of a secret', (t) => {
  const stream = redactorOf({ key: 'hunter2' }).stream();
  t.is(stream.push('hello h'), 'hello ');
  t.is(stream.push('u'), '');
  t.is(stream.push('ndred'), 'hundred');
  t.is(stream.push('hunter'), '');
  t.is(stream.push('2!'), '[redacted:key]!');
  t.is(stream.push('hunt'), '');
  t.is(stream.flush(), 'hunt');
  t.is(stream.push('er2'), 'er2');
});

test('a secret that becomes known while a stream is open is found from then on', (t) => {
  const redactor = new Redactor();
  const stream = redactor.stream();
  t.is(stream.push('hunter2 '), 'hunter2 ');
  redactor.add('key', 'hunter2');
  t.is(stream.push('hun') + stream.push('ter2') + stream.flush(), '[redacted:key]');
});

test('a stream gives what the whole text would, however it is cut', (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 4, maxLength: 8 });
  const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 }), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 4 }), pieces, (values, texts) => {
      const redactor = redactorOf(Object.fromEntries(values.map((value, index) => [`s${index}`, value])));
      const stream = redactor.stream();
      const streamed = texts.map((text) => stream.push(text)).join('') + stream.flush();
      t.is(streamed, redactor.redact(texts.join('')));
    }),
    { numRuns: 2000 },
  );
});
