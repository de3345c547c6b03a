import test from 'ava';
import * as v from 'valibot';
import type { CallContext } from '../../../daemon/capabilities/capability.ts';
import { DnsCapability } from '../../../daemon/capabilities/dns.ts';
import { Fault } from '../../../daemon/fault.ts';
import { Network } from '../../../daemon/network/network.ts';
import type { ConstraintsOf } from '../../../policies/capabilities.ts';
import { failure, NO_CREDENTIALS } from '../network/_fetching.ts';
import { addressesOf, nameBytes, type RecordType, startNameServer } from '../network/_name-server.ts';
import { allowed, fakeContext } from './_call-context.ts';

const GRANT: ConstraintsOf<'dns'> = { hosts: ['*.test', 'localhost'], addresses: [], timeMsMax: 60_000 };

/** `dns` as a session has it, asking the name server, or the system where there is none. */
function asking(
  nameServer: string | null,
  constraints: Partial<ConstraintsOf<'dns'>> = {},
  context: CallContext = fakeContext(),
) {
  const resolve = nameServer === null ? {} : { servers: [nameServer] };
  const capability = new DnsCapability(new Network({ resolve, credentials: NO_CREDENTIALS }));
  const grant = { ...GRANT, ...constraints };
  return async (...input: unknown[]): Promise<unknown> => {
    const parsed = v.safeParse(capability.args, input);
    if (!parsed.success) throw new Fault('INVALID_PARAMS', parsed.issues[0].message);
    const refusal = capability.refuse(parsed.output, grant);
    if (refusal !== null) throw new Fault('CAPABILITY_DENIED', refusal);
    return capability.invoke(allowed('dns', parsed.output, grant), context);
  };
}

test('answers the public addresses of a name, of both kinds or of one', async (t) => {
  const names = await startNameServer(t, addressesOf({ 'a.test': ['8.8.8.8', '8.8.4.4', '2600::1'] }));
  const dns = asking(names.address);
  t.deepEqual(await dns('a.test'), ['8.8.8.8', '8.8.4.4', '2600::1']);
  t.deepEqual(await dns('A.Test.', 'A'), ['8.8.8.8', '8.8.4.4']);
  t.deepEqual(await dns('a.test', 'AAAA'), ['2600::1']);
  t.deepEqual(await dns('a.test', null), await dns('a.test'));
});

test('answers the records of other types', async (t) => {
  const records: Partial<Record<RecordType, Buffer>> = {
    CNAME: nameBytes('b.test'),
    MX: Buffer.concat([Buffer.from([0, 10]), nameBytes('mail.test')]),
    TXT: Buffer.from('\x03one\x04 two', 'latin1'),
    SRV: Buffer.concat([Buffer.from([0, 1, 0, 2, 0x1f, 0x90]), nameBytes('c.test')]),
  };
  const names = await startNameServer(t, (_, type) => {
    const data = records[type];
    return data === undefined ? [] : [data];
  });
  const dns = asking(names.address);
  t.deepEqual(await dns('a.test', 'CNAME'), ['b.test']);
  t.deepEqual(await dns('a.test', 'MX'), [{ exchange: 'mail.test', priority: 10 }]);
  t.deepEqual(await dns('a.test', 'TXT'), ['one two']);
  t.deepEqual(await dns('_sip._tcp.a.test', 'SRV'), [{ name: 'c.test', port: 8080, priority: 1, weight: 2 }]);
});

test('leaves out addresses that are not public and not listed, and says so where no other is left', async (t) => {
  const names = await startNameServer(
    t,
    addressesOf({ 'mixed.test': ['10.0.0.1', '8.8.8.8', 'fd00::1'], 'private.test': ['10.0.0.1', '169.254.169.254'] }),
  );
  const dns = asking(names.address);
  t.deepEqual(await dns('mixed.test'), ['8.8.8.8']);
  t.is(await failure(dns('mixed.test', 'AAAA')), 'EFFECT_FAILED refused');
  t.is(await failure(dns('private.test')), 'EFFECT_FAILED refused');
  t.deepEqual(await asking(names.address, { addresses: ['10.0.0.0/8'] })('private.test'), ['10.0.0.1']);
});

test('H01: asks the system where no name server is given, under the same rules', async (t) => {
  t.is(await failure(asking(null)('localhost')), 'EFFECT_FAILED refused');
  const answers = (await asking(null, { addresses: ['127.0.0.0/8', '::1'] })('localhost')) as string[];
  t.true(answers.includes('127.0.0.1') || answers.includes('::1'));
});

test('H13: a name that the grant does not list is refused before anybody is asked', async (t) => {
  const names = await startNameServer(t, addressesOf({}));
  const dns = asking(names.address);
  for (const name of ['secret-data.evil.net', 'test', 'atest', 'a.test.evil.net']) {
    t.is(await failure(dns(name)), 'CAPABILITY_DENIED', name);
  }
  t.deepEqual(names.questions, []);
});

test('only the host of a rule counts', async (t) => {
  const names = await startNameServer(t, addressesOf({ 'a.test': ['8.8.8.8'] }));
  t.deepEqual(await asking(names.address, { hosts: ['a.test:8443/path'] })('a.test'), ['8.8.8.8']);
});

test('a name or a record that is not there is not found', async (t) => {
  const names = await startNameServer(t, addressesOf({ 'a.test': ['8.8.8.8'] }));
  const dns = asking(names.address);
  t.is(await failure(dns('b.test')), 'EFFECT_FAILED not-found');
  t.is(await failure(dns('b.test', 'MX')), 'EFFECT_FAILED not-found');
  t.is(await failure(dns('a.test', 'AAAA')), 'EFFECT_FAILED not-found');
  t.is(await failure(dns('a.test', 'MX')), 'EFFECT_FAILED not-found');
});

test('a silent name server costs no more than the time allowed', async (t) => {
  const names = await startNameServer(t, () => 'silence');
  const dns = asking(names.address, { timeMsMax: 50 });
  t.is(await failure(dns('a.test')), 'EFFECT_FAILED timed-out');
  t.is(await failure(dns('a.test', 'TXT')), 'EFFECT_FAILED timed-out');
});

test('withdrawing the capability ends a question that waits', async (t) => {
  const withdrawal = new AbortController();
  const names = await startNameServer(t, () => 'silence');
  const answer = failure(asking(names.address, {}, fakeContext({ signal: withdrawal.signal }))('a.test', 'MX'));
  withdrawal.abort();
  t.is(await answer, 'INTERRUPTED');
});

for (const args of [
  [],
  [1],
  [''],
  ['.'],
  ['a b.test'],
  ['a..test'],
  ['127.0.0.1'],
  ['127.1'],
  ['::1'],
  [`${'a'.repeat(64)}.test`],
  [`${'a.'.repeat(130)}test`],
  ['a.test', 'ANY'],
  ['a.test', 'PTR'],
  ['a.test', 'A', 1],
]) {
  test(`the arguments ${JSON.stringify(args).slice(0, 24)} are refused`, async (t) => {
    t.is(await failure(asking(null)(...args)), 'INVALID_PARAMS');
  });
}
