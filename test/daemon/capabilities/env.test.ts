import test from 'ava';
import * as v from 'valibot';
import { EnvCapability } from '../../../daemon/capabilities/env.ts';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const env = new EnvCapability({ variable: (name) => (name === 'REGION' ? 'europe' : null) });
const constraints = { names: ['REGION', 'UNSET'] };

test('a listed variable has its value, which is redacted from then on', async (t) => {
  const redactor = new Redactor();
  t.is(redactor.redact('europe'), 'europe');
  t.is(await env.invoke(allowed('env', ['REGION'], constraints), fakeContext({ redactor })), 'europe');
  t.is(redactor.redact('in europe'), 'in [redacted:REGION]');
});

test('E06: a name that is not listed is refused in the same words, whether or not the machine has it', (t) => {
  t.is(env.refuse(['REGION'], constraints), null);
  const refusals = ['PATH', 'HOME', 'NOWHERE', 'region', '__proto__'].map((name) =>
    env.refuse([name], constraints)?.replace(name, ''),
  );
  t.deepEqual([...new Set(refusals)], ['env("") is not granted to this session.']);
  t.is(env.refuse(['REGION'], { names: [] }), 'env("REGION") is not granted to this session.');
});

test('a listed variable without a value fails as not found', async (t) => {
  const call = env.invoke(allowed('env', ['UNSET'], constraints), fakeContext());
  const fault = await t.throwsAsync(call, { instanceOf: Fault });
  t.like(fault, { code: 'EFFECT_FAILED', details: { reason: 'not-found' } });
});

test('F07: takes one short name', (t) => {
  t.true(v.is(env.args, ['x'.repeat(128)]));
  for (const args of [[], [1], [null], ['a', 'b'], ['x'.repeat(129)], 'REGION', [['REGION']]])
    t.false(v.is(env.args, args));
});
