import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

/** A cell that replaces every method and accessor it can reach with one that throws, and plants accessors on Object.prototype. */
const POISON = `(() => {
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Object; const { ownKeys } = Reflect;
  const poison = function () { throw 'a poisoned built-in was used' };
  const spoil = (target, key) => {
    const descriptor = getOwnPropertyDescriptor(target, key);
    if (descriptor === undefined || !descriptor.configurable) return;
    if ('value' in descriptor) { if (typeof descriptor.value === 'function') defineProperty(target, key, { __proto__: null, value: poison }) }
    else defineProperty(target, key, { __proto__: null, get: poison, set: poison });
  };
  const targets = []; const seen = new Set([globalThis, poison]);
  const add = (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
    seen.add(value); targets.push(value); add(getPrototypeOf(value));
    for (const key of ownKeys(value)) { const d = getOwnPropertyDescriptor(value, key); add(d.value); add(d.get); }
  };
  const names = ownKeys(globalThis);
  for (const name of names) { const d = getOwnPropertyDescriptor(globalThis, name); if (name[0] !== '_') add(d.value) }
  for (const value of [[].values(), new Map().entries(), new Set().values(), ''[Symbol.iterator](), 'a'.matchAll(/a/g), function* () {}, async () => {}, async function* () {}]) add(value);
  const keys = targets.map((target) => ownKeys(target)); const described = names.map((name) => getOwnPropertyDescriptor(globalThis, name));
  for (let i = 0; i < targets.length; i++) { if (targets[i] === console) continue; for (let j = 0; j < keys[i].length; j++) spoil(targets[i], keys[i][j]) }
  const planted = { __proto__: null, get: poison, set: poison, configurable: true };
  for (let i = 0; i < 8; i++) defineProperty(Object.prototype, i, planted);
  const inherited = ['value', 'writable', 'enumerable', 'configurable', 'done', 'then', 'toJSON', 'depth', 'maxLength', 'compact', 'cause', 'errors', 'json', 'outer', 'text', 'status', 'open', 'settle'];
  for (let i = 0; i < inherited.length; i++) defineProperty(Object.prototype, inherited[i], planted);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (name !== 'console' && name !== 'print' && name !== 'input' && name !== 'display' && name !== 'log' && name !== 'globalThis' && name[0] !== '_')
      { const d = described[i]; if (d.configurable && typeof d.value === 'function') defineProperty(globalThis, name, { __proto__: null, value: poison }) }
  }
  return 'poisoned';
})()`;

for (const level of ['restricted', 'trusted']) {
  test.serial(
    `A08: after every built-in was poisoned, cells are run and shown as before at level ${level}`,
    async (t) => {
      const { client } = shared();
      const guest = await Guest.open(client, { level });
      const { sessionId } = guest;
      t.is(await guest.json(POISON), 'poisoned');

      t.deepEqual(await guest.json("({ a: [1, 'x', null, true] })"), { a: [1, 'x', null, true] });
      t.deepEqual(await guest.json('await 1; [2]'), [2]);
      t.deepEqual(
        await guest.json('let kept = 5; const fixed = 6; class K {} function f() { return kept + fixed } [f()]'),
        [11],
      );
      t.deepEqual(await guest.json('kept++; [kept, f()]'), [6, 12]);
      t.is((await guest.run('fixed = 1')).error?.name, 'TypeError');
      t.deepEqual((await guest.run('({ f, k: new K(), n: 1n })')).value?.kind, 'preview');
      const printed = await guest.run("console.log({ a: 1 }, [1, 'x'], 'text', 5); console.error('e'); print('p')");
      t.is(printed.error, undefined);
      t.deepEqual(printed.output, { stdout: "{ a: 1 } [ 1, 'x' ] text 5\np\n", stderr: 'e\n', truncated: false });
      const thrown = await guest.run("throw { a: [1, 'x'] }");
      t.deepEqual([thrown.error?.code, thrown.error?.message], ['RUNTIME_ERROR', "{ a: [ 1, 'x' ] }"]);
      const failed = await guest.run('null.x');
      t.is(failed.error?.code, 'RUNTIME_ERROR');
      t.regex(failed.error?.message ?? '', /Cannot read properties of null/);

      const { names } = await client.call('namespace.list', { sessionId });
      t.true(names.some(({ name, preview }) => name === 'kept' && preview === '6'));
      t.deepEqual((await client.call('namespace.get', { sessionId, name: 'kept' })).value, { kind: 'json', json: 6 });
      await client.call('namespace.set', { sessionId, values: { put: { deep: [1] } } });
      t.deepEqual(await guest.json('put'), { deep: [1] });
      t.deepEqual((await client.call('namespace.delete', { sessionId, names: ['put'] })).deleted, ['put']);
      await guest.close();
    },
  );
}
