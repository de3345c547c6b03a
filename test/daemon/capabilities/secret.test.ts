import test from 'ava';
import * as v from 'valibot';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';
import { SecretCapability } from '../../../daemon/capabilities/secret.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const secret = new SecretCapability({ secret: (name) => (name === 'crm_token' ? 'hunter2' : null) });
const constraints = { names: ['crm_token', 'unreadable'] };

test('J10: a listed secret has its value, which is redacted from then on; what is shown of the call is the name', async (t) => {
  const redactor = new Redactor();
  const value = await secret.invoke(allowed('secret', ['crm_token'], constraints), fakeContext({ redactor }));
  t.is(value, 'hunter2');
  t.is(redactor.redact('token=hunter2'), 'token=[redacted:crm_token]');
  t.deepEqual(secret.audited(['crm_token']), ['crm_token']);
});

test('E06: a secret that is not listed is refused in the same words, whether or not there is one', (t) => {
  t.is(secret.refuse(['crm_token'], constraints), null);
  const narrow = { names: ['unreadable'] };
  t.is(
    secret.refuse(['crm_token'], narrow)?.replace('crm_token', 'X'),
    secret.refuse(['nobody'], narrow)?.replace('nobody', 'X'),
  );
});

test('a listed secret that cannot be had fails without saying where it was looked for', async (t) => {
  const call = secret.invoke(allowed('secret', ['unreadable'], constraints), fakeContext());
  const fault = await t.throwsAsync(call, { instanceOf: Fault });
  t.like(fault, { code: 'EFFECT_FAILED', message: 'secret("unreadable") has no value.' });
});

test('F07: takes one short name', (t) => {
  t.true(v.is(secret.args, ['x'.repeat(128)]));
  for (const args of [[], [1], [null], ['a', 'b'], ['x'.repeat(129)], { 0: 'a' }]) t.false(v.is(secret.args, args));
});
