import { createDecipheriv, hkdfSync } from 'node:crypto';
import test from 'ava';
import * as v from 'valibot';
import { EncryptCapability } from '../../../daemon/capabilities/encrypt.ts';
import type { WireData } from '../../../daemon/capabilities/wire-data.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const secrets = new Map([
  ['disk', Buffer.from('a passphrase')],
  ['other', Buffer.from('another passphrase')],
]);
const encrypt = new EncryptCapability({ secretBytes: (name) => secrets.get(name) ?? null });
const constraints = { secrets: ['disk', 'other', 'gone'], bytesMax: 1000 };
const ownKey = { base64: Buffer.alloc(32, 7).toString('base64') };
type Args = Parameters<EncryptCapability['audited']>[0];
const run = (...args: Args): Promise<WireData> => encrypt.invoke(allowed('encrypt', args, constraints), fakeContext());
const bytesIn = (data: WireData): Buffer => Buffer.from('base64' in data ? data.base64 : data.text, 'base64');
const textIn = (data: WireData): string => bytesIn(data).toString();

for (const [what, key] of [
  ['a named secret', { secret: 'disk' }],
  ['a key of 32 bytes', ownKey],
] as const) {
  test(`what was encrypted under ${what} is decrypted under it, whatever its length`, async (t) => {
    for (const text of ['', 'grüße', 'x'.repeat(1000)]) {
      const sealed = await run('encrypt', { text }, key);
      t.is(bytesIn(sealed).length, 1 + 12 + Buffer.byteLength(text) + 16);
      t.is(textIn(await run('decrypt', sealed, key)), text);
    }
  });
}

test('the layout is a version, a nonce that is never the same, the ciphertext and the tag', async (t) => {
  const [sealed, again] = await Promise.all([1, 2].map(() => run('encrypt', { text: 'hello' }, { secret: 'disk' })));
  t.notDeepEqual(sealed, again);
  const bytes = bytesIn(sealed as WireData);
  t.is(bytes[0], 1);
  const key = Buffer.from(hkdfSync('sha256', 'a passphrase', '', 'pyrepl3 encrypt 1', 32));
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 13)).setAAD(bytes.subarray(0, 1));
  decipher.setAuthTag(bytes.subarray(-16));
  t.is(Buffer.concat([decipher.update(bytes.subarray(13, -16)), decipher.final()]).toString(), 'hello');
});

test('another key, any changed byte and any cut fail in the same words', async (t) => {
  const sealed = bytesIn(await run('encrypt', { text: 'hello' }, { secret: 'disk' }));
  const messages = new Set<string>();
  const fails = async (bytes: Buffer, key: Args[2]): Promise<void> => {
    const opened = run('decrypt', { base64: bytes.toString('base64') }, key);
    const fault = await t.throwsAsync(opened, { instanceOf: Fault });
    t.like(fault, { code: 'EFFECT_FAILED', details: { reason: 'authentication' } });
    messages.add(fault.message);
  };
  await fails(sealed, { secret: 'other' });
  await fails(sealed, ownKey);
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    await fails(changed, { secret: 'disk' });
    await fails(sealed.subarray(0, index), { secret: 'disk' });
  }
  t.is(messages.size, 1);
});

test('a secret that is not granted and one that does not exist are refused in the same words', (t) => {
  const refuse = (secret: string): string | null =>
    encrypt.refuse(['encrypt', { text: '' }, { secret }], { secrets: ['disk'], bytesMax: 1 });
  t.is(refuse('disk'), null);
  t.is(refuse('other')?.replace('other', 'X'), refuse('nobody')?.replace('nobody', 'X'));
  t.is(encrypt.refuse(['encrypt', { text: '' }, ownKey], { secrets: [], bytesMax: 1 }), null);
});

test('a granted secret that has no value fails without saying where it was looked for', async (t) => {
  const fault = await t.throwsAsync(run('encrypt', { text: '' }, { secret: 'gone' }), { instanceOf: Fault });
  t.like(fault, {
    code: 'EFFECT_FAILED',
    details: { reason: 'not-found' },
    message: 'The secret "gone" has no value.',
  });
});

test('encrypts as many bytes as the level allows and not one more, and decrypts all that it encrypts', async (t) => {
  const sealed = await run('encrypt', { text: 'x'.repeat(1000) }, ownKey);
  t.is(textIn(await run('decrypt', sealed, ownKey)).length, 1000);
  const tooLarge = await t.throwsAsync(run('encrypt', { text: 'x'.repeat(1001) }, ownKey), { instanceOf: Fault });
  t.is(tooLarge.code, 'TOO_LARGE');
  const more = { base64: Buffer.alloc(1030).toString('base64') };
  t.is((await t.throwsAsync(run('decrypt', more, ownKey), { instanceOf: Fault })).code, 'TOO_LARGE');
});

test('F07: takes no key but a name or 32 bytes, and no other verb', (t) => {
  const data = { text: '' };
  for (const args of [
    ['sign', data, ownKey],
    ['encrypt', data],
    ['encrypt', data, 'disk'],
    ['encrypt', data, { secret: 1 }],
    ['encrypt', data, { secret: 'disk', base64: ownKey.base64 }],
    ['encrypt', data, { base64: Buffer.alloc(31).toString('base64') }],
    ['encrypt', data, { base64: Buffer.alloc(33).toString('base64') }],
    ['encrypt', data, { text: 'x'.repeat(32) }],
    ['encrypt', data, ownKey, 1],
  ]) {
    t.false(v.is(encrypt.args, args), JSON.stringify(args));
  }
  t.true(v.is(encrypt.args, ['decrypt', data, ownKey]));
});

test('J10: neither data nor key are shown, the name of a secret is', (t) => {
  t.deepEqual(encrypt.audited(['encrypt', { text: 'abc' }, { secret: 'disk' }]), [
    'encrypt',
    { bytes: 3 },
    { secret: 'disk' },
  ]);
  t.deepEqual(encrypt.audited(['encrypt', { text: 'abc' }, ownKey]), ['encrypt', { bytes: 3 }, { bytes: 32 }]);
});
