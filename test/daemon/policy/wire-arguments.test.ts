import test from 'ava';
import * as v from 'valibot';
import type { Capability } from '../../../daemon/capabilities/capability.ts';
import { makeEffects } from '../../../daemon/capabilities/effects.ts';
import { wireArguments } from '../../../daemon/policy/wire-arguments.ts';

// No engine is used: what a capability shows of its arguments, and what it refuses, needs none.
const engines = new Proxy({}, { get: () => ({}) });
const effects = makeEffects(engines as never, { monotonicMs: () => 0, nowMs: () => 0 } as never) as unknown as Readonly<
  Record<string, Capability>
>;

const calls: readonly [string, readonly unknown[]][] = [
  ['read_file', ['/data/a.txt', { encoding: 'bytes' }]],
  ['list_files', ['/data', { recursive: true }]],
  ['write_file', ['/data/a.txt', { text: 'secret' }, { append: true }]],
  ['delete_file', ['/data/a.txt']],
  ['kv', ['get', 'a', { store: 'shared' }]],
  ['kv', ['set', 'a', '"secret"', { store: 'shared' }]],
  ['kv', ['list', { prefix: 'a' }]],
  [
    'fetch',
    [
      'open',
      'https://a.example/x',
      { method: 'POST', headers: [['accept', '*/*']], body: { text: 'secret' }, redirect: 'follow' },
    ],
  ],
  ['fetch', ['open', 'https://a.example/x', { method: 'GET', headers: [], body: null, redirect: 'manual' }]],
  ['dns', ['a.example', 'A']],
  ['websocket', ['open', 'wss://a.example/x', { protocols: ['chat'] }]],
  ['query', ['sales', 'select ?', [1]]],
  ['execute', ['sales', 'delete from a']],
  ['transaction', ['sales', [['select 1'], ['select ?', [2]]]]],
  ['hash', ['sha256', { text: 'secret' }, { key: { text: 'secret' } }]],
  ['encrypt', ['encrypt', { text: 'secret' }, { secret: 'key' }]],
  ['encrypt', ['encrypt', { text: 'secret' }, { base64: `${'B'.repeat(43)}=` }]],
  ['env', ['REGION']],
  ['secret', ['token']],
  ['exec', ['git', ['status'], { stdin: { text: 'secret' }, timeoutMs: 100 }]],
  ['sleep', [1500]],
];

for (const [name, args] of calls) {
  test(`what the log shows of ${name}(${JSON.stringify(args)}) is a call that the policy can be asked about`, (t) => {
    const capability = effects[name] as Capability;
    const original = v.parse(capability.args, args);
    const shown = JSON.parse(JSON.stringify(capability.audited(original)));
    const again = wireArguments(name, shown);
    t.notRegex(
      JSON.stringify(again),
      /secret"|BBB/.test(JSON.stringify(args)) && name !== 'encrypt' ? /"secret"/ : /BBB/,
    );
    const parsed = v.safeParse(capability.args, again);
    t.true(parsed.success, JSON.stringify([shown, again]));
    const none = new Proxy({}, { get: () => [] });
    t.is(capability.refuse(parsed.output, none as never), capability.refuse(original, none as never));
    // What fitted no grant is logged as the text that came.
    t.deepEqual(v.safeParse(capability.args, wireArguments(name, JSON.stringify(args))).success, true);
  });
}

for (const shown of [
  `["open","https://a.example/${'x'.repeat(600)}`,
  ['open', 'https://a.example/… [900 more characters]'],
  ['a', '[cut]'],
  [['[3 more]']],
  { operation: 'read', '…': '[4 more]' },
  null,
  5,
  'not JSON',
]) {
  test(`of ${JSON.stringify(shown).slice(0, 40)} the arguments are not known as a whole`, (t) =>
    t.is(wireArguments('dns', shown), null));
}
