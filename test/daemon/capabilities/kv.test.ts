import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KvCapability } from '../../../daemon/capabilities/kv.ts';
import { KvStore } from '../../../daemon/kv/kv-store.ts';
import { call, failure, outcome } from '../files/_file-tree.ts';

const constraints = { stores: ['session', 'team'], valueBytesMax: 100, totalBytesMax: 10_000, keysMax: 2000 };

function using(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'kv-'));
  const store = new KvStore(join(folder, 'kv.sqlite'));
  t.teardown(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const capability = new KvCapability(store);
  let calls = 0;
  const kv = (...args: unknown[]) => call(capability, constraints, args, { callKey: `${++calls}` });
  const kvOf =
    (sessionId: string) =>
    (...args: unknown[]) =>
      call(capability, constraints, args, { sessionId, callKey: `${++calls}` });
  return { capability, kv, kvOf, store };
}

test('gets what was set, with its version, and nothing where nothing is', async (t) => {
  const { kv } = using(t);
  t.is(await kv('get', 'k'), null);
  t.deepEqual(await kv('set', 'k', { a: [1, null, 'ü\0'] }), { version: 1 });
  t.deepEqual(await kv('get', 'k'), { value: { a: [1, null, 'ü\0'] }, version: 1 });
  t.deepEqual(await kv('set', 'k', null), { version: 2 });
  t.deepEqual(await kv('get', 'k'), { value: null, version: 2 });
  t.true(await kv('delete', 'k'));
  t.false(await kv('delete', 'k'));
  t.deepEqual(await kv('set', 'k', 1), { version: 3 });
});

test('a session has a store of its own beside the shared ones that its level grants', async (t) => {
  const { kvOf } = using(t);
  const [one, two] = [kvOf('ses_1'), kvOf('ses_2')];
  await one('set', 'k', 'own');
  await one('set', 'k', 'shared', { store: 'team' });
  t.is(await two('get', 'k'), null);
  t.like(await two('get', 'k', { store: 'team' }), { value: 'shared' });
  for (const store of ['other', 'ses_1', '', 'Team', '__proto__']) {
    for (const args of [
      ['get', 'k', { store }],
      ['set', 'k', 1, { store }],
      ['delete', 'k', { store }],
      ['list', { store }],
    ]) {
      t.deepEqual(await failure(two(...args)), {
        code: 'CAPABILITY_DENIED',
        message: 'kv may not use that store in this session; it may use session, team.',
        details: { capability: 'kv' },
      });
    }
  }
});

test('compares and sets', async (t) => {
  const { kv } = using(t);
  t.deepEqual(await kv('set', 'k', 1, { ifVersion: null }), { version: 1 });
  t.like(await failure(kv('set', 'k', 2, { ifVersion: null })), { code: 'CONFLICT', details: { version: 1 } });
  t.deepEqual(await kv('set', 'k', 2, { ifVersion: 1 }), { version: 2 });
  t.like(await failure(kv('delete', 'k', { ifVersion: 1 })), { code: 'CONFLICT', details: { version: 2 } });
  t.true(await kv('delete', 'k', { ifVersion: 2 }));
  t.like(await failure(kv('set', 'k', 3, { ifVersion: 2 })), { code: 'CONFLICT', details: { version: null } });
});

test('lists keys with a cursor, by prefix', async (t) => {
  const { kv } = using(t);
  for (let i = 0; i < 1001; i++) await kv('set', `k${String(i).padStart(4, '0')}`, 0);
  const first = (await kv('list')) as { keys: { key: string; version: number }[]; cursor: string };
  t.is(first.keys.length, 1000);
  t.deepEqual(await kv('list', { cursor: first.cursor }), { keys: [{ key: 'k1000', version: 1 }], cursor: null });
  t.like(await kv('list', { prefix: 'k00', limit: 1000 }), { keys: { length: 100 }, cursor: null });
  t.like(await kv('list', { prefix: 'k0099', limit: 1 }), { keys: [{ key: 'k0099' }], cursor: null });
  t.deepEqual(await kv('list', { prefix: 'x' }), { keys: [], cursor: null });
});

test('keys of any Unicode are told apart by their code points', async (t) => {
  const { kv } = using(t);
  const keys = ['\0', 'caf\u00e9', 'cafe\u0301', '😀', '__proto__', ' ', 'K', 'k', 'ü'.repeat(256)];
  for (const key of keys) await kv('set', key, key.length);
  for (const key of keys) t.like(await kv('get', key), { value: key.length, version: 1 });
});

test('a value is kept as JSON, whatever its keys are called', async (t) => {
  const { kv } = using(t);
  await kv('set', 'k', JSON.parse('{"__proto__":{"a":1},"constructor":1,"then":2}'));
  const { value } = (await kv('get', 'k')) as { value: object };
  t.is(JSON.stringify(value), '{"__proto__":{"a":1},"constructor":1,"then":2}');
  t.is(Object.getPrototypeOf(value), Object.prototype);
});

// With a `toJSON`, even one that is no function, V8 writes JSON by recursion.
const deep: unknown = JSON.parse(`{"toJSON":1,"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
for (const [what, args] of [
  ['nothing', []],
  ['no such operation', ['drop']],
  ['the name of something every object has', ['constructor', 'k']],
  ['an operation that is no string', [['get'], 'k']],
  ['no key', ['get']],
  ['an empty key', ['get', '']],
  ['a key that is no string', ['get', 1]],
  ['a key of 513 bytes', ['get', `${'ü'.repeat(256)}x`]],
  ['a key that is not well-formed', ['get', '\ud800']],
  ['too many arguments', ['get', 'k', {}, 1]],
  ['unknown options', ['get', 'k', { ifVersion: 1 }]],
  ['options that are null', ['get', 'k', null]],
  ['a version of 0', ['set', 'k', 1, { ifVersion: 0 }]],
  ['a version that is no number', ['set', 'k', 1, { ifVersion: '1' }]],
  ['a value nested too deep', ['set', 'k', deep]],
  ['a limit of 0', ['list', { limit: 0 }]],
  ['a limit of 1001', ['list', { limit: 1001 }]],
  ['a prefix that is no string', ['list', { prefix: 1 }]],
  ['a cursor that is none', ['list', { cursor: '' }]],
] as const) {
  test(`F07: ${what} is refused`, async (t) => {
    t.is(await outcome(using(t).kv(...args)), 'INVALID_PARAMS');
  });
}

test('a made-up cursor lists nothing beyond its prefix and its store', async (t) => {
  const { kv } = using(t);
  await kv('set', 'a', 1);
  await kv('set', 'b/1', 1);
  await kv('set', 'z', 1);
  const cursor = Buffer.from('A').toString('base64url');
  t.deepEqual(await kv('list', { prefix: 'b/', cursor }), { keys: [{ key: 'b/1', version: 1 }], cursor: null });
});

test('an ended session keeps nothing any more', async (t) => {
  const { capability, kv } = using(t);
  const signal = AbortSignal.abort();
  t.is(await outcome(call(capability, constraints, ['set', 'k', 1], { signal })), 'INTERRUPTED');
  t.is(await kv('get', 'k'), null);
});

test('what is recorded of a value is its size and hash', async (t) => {
  const { kv, capability } = using(t);
  t.is(await outcome(kv('set', 'big', 'x'.repeat(98))), 'none');
  t.is(await outcome(kv('set', 'big', 'x'.repeat(99))), 'TOO_LARGE valueBytesMax');
  const sha256 = createHash('sha256').update('"secret"').digest('hex');
  t.deepEqual(capability.audited(['set', 'k', '"secret"', { ifVersion: 1 }]), [
    'set',
    'k',
    { bytes: 8, sha256 },
    { ifVersion: 1 },
  ]);
  t.deepEqual(capability.audited(['get', 'k', undefined]), ['get', 'k', undefined]);
});
