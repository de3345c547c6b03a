import test from 'ava';
import fc from 'fast-check';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { global } = installHere();
const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

test('btoa and atob do what the platform does with any bytes', (t) => {
  fc.assert(
    fc.property(latin1, (text) => {
      t.is(global.btoa(text), btoa(text));
      t.is(global.atob(btoa(text)), text);
    }),
  );
});

test('atob accepts and refuses what forgiving-base64 does', (t) => {
  const piece = fc.constantFrom('A', 'z', '9', '+', '/', '=', '==', ' ', '\n', 'YQ', 'YWI', '-', 'é', '\u0100');
  const attempt = (decode: (text: string) => string, text: string) => {
    try {
      return decode(text);
    } catch (error) {
      return (error as Error).name;
    }
  };
  const samples = [
    '',
    'YQ',
    'YQ=',
    'YQ==',
    'Y Q = =',
    'YWI=',
    'YWJj',
    'YWJj=',
    'A',
    '=',
    '====',
    'YR==',
    'YQ==YQ==',
    'AAAA==',
    'YQ=A',
  ];
  for (const text of samples) t.is(attempt(global.atob, text), attempt(atob, text), text);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const text = pieces.join('');
      t.is(attempt(global.atob, text), attempt(atob, text), JSON.stringify(text));
    }),
  );
});

test('what cannot be encoded or decoded is an InvalidCharacterError, and nothing at all a TypeError', (t) => {
  t.throws(() => global.btoa('\u0100'), { name: 'InvalidCharacterError' });
  t.throws(() => global.atob('*'), { name: 'InvalidCharacterError' });
  t.throws(() => global.btoa(), { instanceOf: TypeError });
  t.throws(() => global.atob(), { instanceOf: TypeError });
  t.is(global.btoa(null), btoa('null'));
  t.deepEqual([global.btoa.length, global.atob.length, global.btoa.name], [1, 1, 'btoa']);
});

test('atob and btoa work in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const encode = btoa; const decode = atob;',
    `let out = encode('a\\u00ffbc') + decode('YWJj\\nZA==') + encode(''); try { decode('*'); } catch (error) { out += error.name + error.code; } out`,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
