import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const session = new CapabilitySession(['kv'], (_, [operation, key]) => {
  if (operation === 'get') return key === 'none' ? null : { value: key === 'null' ? null : { a: 1 }, version: 3 };
  if (operation === 'set') return key === 'odd' ? {} : { version: 4 };
  return operation === 'delete' ? true : { keys: [{ key: 'a', version: 3 }], cursor: null };
});
test.after.always(() => session.close());

test.serial('kv is a frozen object of functions, each of which is a call', async (t) => {
  t.deepEqual(
    await session.run(
      '[Object.isFrozen(kv), Object.keys(kv), Object.values(kv).map((f) => Reflect.ownKeys(f).map(String).sort().join()).every((k) => k === "length,name")]',
    ),
    [true, ['get', 'entry', 'set', 'delete', 'list'], true],
  );
  t.deepEqual(await session.run("await kv.get('k', { store: 's' })"), { a: 1 });
  t.deepEqual(session.calls.at(-1), ['kv', 'get', 'k', { store: 's' }]);
  t.deepEqual(await session.run("await kv.entry('k')"), { value: { a: 1 }, version: 3 });
  t.deepEqual(session.calls.at(-1), ['kv', 'get', 'k']);
  t.is(await session.run("await kv.set('k', null, { ifVersion: null })"), 4);
  t.deepEqual(session.calls.at(-1), ['kv', 'set', 'k', null, { ifVersion: null }]);
  t.is(await session.run("await kv.delete('k')"), true);
  t.deepEqual(session.calls.at(-1), ['kv', 'delete', 'k']);
  t.deepEqual(await session.run("await kv.list({ prefix: 'a' })"), { keys: [{ key: 'a', version: 3 }], cursor: null });
});

test.serial('what is not there is undefined, and null is a value', async (t) => {
  t.deepEqual(
    await session.run(
      "[await kv.get('none') === undefined, await kv.entry('none') === undefined, await kv.get('null') === null]",
    ),
    [true, true, true],
  );
});

test.serial('a value that is none is refused, and an answer without a version as well', async (t) => {
  t.regex(String(await session.run("await kv.set('k', undefined)")), /^TypeError: kv.set\(\) needs a value/);
  t.regex(String(await session.run("await kv.set('k', new Map())")), /^TypeError: Argument 3 of kv\(\)/);
  t.is(await session.run("await kv.set('odd', 1).catch((error) => error.code)"), 'INTERNAL');
});
