import { createHash, createHmac } from 'node:crypto';
import test from 'ava';
import * as v from 'valibot';
import { HashCapability } from '../../../daemon/capabilities/hash.ts';
import { Fault } from '../../../daemon/fault.ts';
import { CAPABILITY_FIELDS } from '../../../policies/capabilities.ts';
import { allowed, fakeContext } from './_call-context.ts';

const hash = new HashCapability();
const ALGORITHMS = ['sha256', 'sha384', 'sha512', 'sha3-256', 'blake2b512', 'sha1', 'md5'];
const constraints = { algorithms: ALGORITHMS, bytesMax: 64 };
type Args = Parameters<HashCapability['audited']>[0];
const run = (args: Args, bytesMax = 64): Promise<string> =>
  hash.invoke(allowed('hash', args, { ...constraints, bytesMax }), fakeContext());

for (const algorithm of ALGORITHMS) {
  test(`computes ${algorithm} of texts and bytes, and its HMAC`, async (t) => {
    const bytes = Buffer.from('grüße');
    t.is(await run([algorithm, { text: 'grüße' }]), createHash(algorithm).update(bytes).digest('hex'));
    t.is(
      await run([algorithm, { base64: bytes.toString('base64') }, {}]),
      createHash(algorithm).update(bytes).digest('hex'),
    );
    const hmac = createHmac(algorithm, 'key').update(bytes).digest('hex');
    t.is(await run([algorithm, { text: 'grüße' }, { key: { text: 'key' } }]), hmac);
  });
}

test('every algorithm that a policy can name is one that it computes', async (t) => {
  const parsed = v.parse(CAPABILITY_FIELDS.hash.algorithms.schema, ALGORITHMS);
  t.deepEqual(parsed, ALGORITHMS);
  t.is(await run(['sha256', { text: 'abc' }]), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('refuses an algorithm that the level does not list, known or not, with the same words', (t) => {
  const narrow = { ...constraints, algorithms: ['sha256'] };
  t.is(hash.refuse(['sha256', { text: '' }], narrow), null);
  const refusals = ['md5', 'nope'].map((name) => hash.refuse([name, { text: '' }], narrow)?.replace(name, 'NAME'));
  t.is(refusals[0], refusals[1]);
  t.regex(refusals[0] ?? '', /"NAME".*it may use sha256/);
});

test('takes as many bytes as the level allows, key included, and not one more', async (t) => {
  t.is((await run(['md5', { text: 'x'.repeat(64) }])).length, 32);
  t.is((await run(['md5', { text: 'x'.repeat(60) }, { key: { base64: 'AAAAAA==' } }])).length, 32);
  const tooLarge = { instanceOf: Fault, message: /at most 64 bytes/ };
  t.is((await t.throwsAsync(run(['md5', { text: 'x'.repeat(65) }]), tooLarge)).code, 'TOO_LARGE');
  t.is((await t.throwsAsync(run(['md5', { text: 'ä'.repeat(33) }]), tooLarge)).code, 'TOO_LARGE');
  await t.throwsAsync(run(['md5', { text: 'x'.repeat(61) }, { key: { base64: 'AAAAAA==' } }]), tooLarge);
});

test('the daemon goes on with other work while a large text is hashed, and stops when the session ends', async (t) => {
  const large = { base64: Buffer.alloc(4 * 1024 * 1024).toString('base64') };
  const ending = new AbortController();
  const call = allowed('hash', ['sha256', large] as Args, { ...constraints, bytesMax: 2 ** 26 });
  const hashing = hash.invoke(call, fakeContext({ signal: ending.signal }));
  setImmediate(() => ending.abort());
  t.is((await t.throwsAsync(hashing, { instanceOf: Fault })).code, 'INTERRUPTED');
  t.is(
    await hash.invoke(call, fakeContext()),
    createHash('sha256')
      .update(Buffer.alloc(4 * 1024 * 1024))
      .digest('hex'),
  );
});

test('F07: takes arguments of no other form', (t) => {
  const good = { text: 'x' };
  for (const args of [
    [],
    ['sha256'],
    ['sha256', 'x'],
    [1, good],
    ['sha256', { text: 'x', base64: '' }],
    ['sha256', { base64: 'A' }],
    ['sha256', { base64: 'A===' }],
    ['sha256', { base64: 'AA-_' }],
    ['sha256', {}],
    ['sha256', null],
    ['sha256', good, null],
    ['sha256', good, { key: 'x' }],
    ['sha256', good, { key: good, more: 1 }],
    ['sha256', good, {}, 1],
    { 0: 'sha256', 1: good, length: 2 },
  ]) {
    t.false(v.is(hash.args, args), JSON.stringify(args));
  }
});

test('J10: neither data nor key are shown', (t) => {
  const shown = hash.audited(['sha256', { text: 'secret data' }, { key: { text: 'secret key' } }]);
  t.deepEqual(shown, ['sha256', { bytes: 11 }, { keyed: true }]);
});
