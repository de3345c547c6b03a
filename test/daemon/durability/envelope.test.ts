import test from 'ava';
import fc from 'fast-check';
import { type Json, open, seal } from '../../../daemon/durability/envelope.ts';

test('whatever JSON is sealed is opened unchanged', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const kept = JSON.parse(JSON.stringify(value)) as Json;
      t.deepEqual(open(seal({ value: value as Json })), { value: kept });
    }),
  );
});

test('what was sealed is plain characters that any server takes', (t) => {
  t.regex(seal({ value: '\0\ud800ü"\\' }), /^[A-Za-z0-9+/=]+$/);
});

test('what is none of ours, or of another version, is not opened', (t) => {
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
  for (const data of [undefined, null, 7, '', 'no', '\0', encoded(null), encoded([]), encoded({}), encoded({ v: 2 })])
    t.is(open(data), null);
});
