import test from 'ava';
import { cleanAndPoisoned, installHere } from './_guest-realm.ts';

const { DOMException: Guest } = installHere().global;

test('DOMException is an error with the name, message and legacy code of the platform', (t) => {
  for (const name of ['AbortError', 'DataCloneError', 'NotFoundError', 'TimeoutError', 'Own', 'Error', 'toString']) {
    const error = new Guest('text', name);
    const platform = new DOMException('text', name);
    t.deepEqual(
      [error.name, error.message, error.code, String(error)],
      [name, 'text', platform.code, String(platform)],
    );
  }
  const plain = new Guest();
  t.deepEqual([plain.name, plain.message, plain.code], ['Error', '', 0]);
  t.true(plain instanceof Error && plain instanceof Guest);
  t.true((Error as unknown as { isError: (value: unknown) => boolean }).isError(plain));
  t.is(Object.prototype.toString.call(plain), '[object DOMException]');
  t.is(Guest.prototype.name, 'Error');
});

test('its stack begins with its name and leaves the constructor out', (t) => {
  const { stack } = new Guest('text', 'AbortError');
  t.regex(stack, /^AbortError: text\n/);
  t.notRegex(stack, /new DOMException/);
});

test('its constants are those of the platform, on the class and on its prototype', (t) => {
  for (const name of Object.getOwnPropertyNames(DOMException).filter((key) => key.endsWith('_ERR'))) {
    const value = (DOMException as unknown as Record<string, number>)[name];
    t.is(Guest[name], value, name);
    t.is(Guest.prototype[name], value, name);
  }
  t.throws(() => Guest('text'), { instanceOf: TypeError });
});

test('DOMException works in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    'const E = DOMException;',
    `const e = new E('text', 'SyntaxError'); class Mine extends E {} const m = new Mine('m'); e.name + e.message + e.code + m.message + m.name`,
  );
  t.is(clean, 'SyntaxErrortext12mError');
  t.is(poisoned, clean);
});
