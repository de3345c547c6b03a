import test from 'ava';
import fc from 'fast-check';
import { parseDocument } from 'yaml';
import { CAPABILITY_NAMES } from '../../policies/capabilities.ts';
import { type DeniedCall, learn } from '../../policies/learn.ts';
import type { LevelName } from '../../policies/policy.ts';
import { ownLevel, policyOf, problemsOf } from './policy-of.ts';
import { editedFiles, shippedFiles, shippedPolicy } from './shipped-files.ts';

const policy = shippedPolicy();
const learned = (level: LevelName, ...denials: DeniedCall[]): string => learn(denials, policy, level).yaml;
/** The YAML without its comments. */
const grantsOf = (yaml: string): string => yaml.replace(/^ *#.*\n/gm, '');

test('what a session was denied becomes the smallest grants that would have let it through', (t) => {
  const yaml = learned(
    'restricted',
    {
      capability: 'fetch',
      args: ['open', 'https://api.example.com/v1/a?b', { method: 'GET', headers: [], body: null }],
    },
    {
      capability: 'fetch',
      args: ['open', 'https://api.example.com/v1/a?b', { method: 'GET', headers: [], body: null }],
    },
    { capability: 'fetch', args: ['open', 'http://localhost:8080/', { method: 'POST', headers: [], body: null }] },
    { capability: 'sleep', args: [90_000] },
    { capability: 'sleep', args: ['2m'] },
    { capability: 'write_file', args: ['/workspace/a.txt', { bytes: 12 }] },
    { capability: 'hash', args: null },
  );
  t.is(
    grantsOf(yaml),
    [
      'grants:',
      '  fetch:',
      '    hosts:',
      '      - api.example.com:443',
      '      - localhost:8080',
      '    methods:',
      '      - GET',
      '      - POST',
      '  sleep:',
      '    msMax: 120000',
      '  write_file:',
      '    roots:',
      '      - workspace',
      '    fileBytesMax: 12',
      '  hash: true',
      '',
    ].join('\n'),
  );
  t.regex(yaml, /# Needed by fetch\("open", "https:\/\/api\.example\.com\/v1\/a\?b", .*\), 2 times\n/);
  t.regex(yaml, /# Needed by sleep\(90000\)\n {2}# Needed by sleep\("2m"\)\n {2}sleep:/);
  t.regex(yaml, /# Needed by hash\n/);
  t.regex(yaml, /# Not told by the calls, and as they are by themselves: addresses, credentials, /);
});

test('what is learned is a level that grants it, in a policy that has the names', (t) => {
  const denials: DeniedCall[] = [
    { capability: 'websocket', args: ['open', 'wss://live.example.com/x', {}] },
    { capability: 'dns', args: ['Example.COM', 'A'] },
    { capability: 'kv', args: ['get', 'a', { store: 'shared' }] },
    { capability: 'query', args: ['scratch', 'select 1'] },
    { capability: 'exec', args: ['git', ['status'], { timeoutMs: 5000 }] },
    { capability: 'encrypt', args: ['encrypt', { bytes: 3 }, { secret: 'key' }] },
    { capability: 'env', args: ['REGION'] },
    { capability: 'transaction', args: ['scratch', [['select 1'], ['select 2']]] },
    { capability: 'input', args: null },
    { capability: 'web_assembly', args: null },
  ];
  const files = editedFiles('policy', (text) =>
    [
      text,
      'secrets: { key: { env: KEY } }',
      'variables: { REGION: { value: eu } }',
      'programs: { git: { path: /usr/bin/git } }',
    ].join('\n'),
  );
  const { yaml, denied } = learn(denials, policyOf(files), 'sandbox');
  t.is(denied, denials.length);
  const { grants } =
    policyOf([...files, ownLevel('learned', 15, 'extends: sandbox', yaml)]).levels.get('learned') ?? {};
  t.like(grants?.get('websocket')?.constraints, { hosts: ['live.example.com:443'] });
  t.like(grants?.get('dns')?.constraints, { hosts: ['example.com'] });
  t.like(grants?.get('kv')?.constraints, { stores: ['shared'] });
  t.like(grants?.get('exec')?.constraints, { programs: ['git'], timeMsMax: 5000 });
  t.like(grants?.get('transaction')?.constraints, { sources: ['scratch'], statementsMax: 2 });
  t.deepEqual([grants?.has('input'), grants?.has('web_assembly')], [true, true]);
});

test('a list that the level has already keeps its entries, and what is enough already is not stated', (t) => {
  const files = editedFiles('standard', (text) =>
    text.replace('fetch: { hosts: []', 'fetch: { hosts: ["*.a.example"]'),
  );
  const calls: DeniedCall[] = ['https://b.example/', 'https://x.a.example/'].map((url) => ({
    capability: 'fetch',
    args: ['open', url, { method: 'HEAD' }],
  }));
  t.is(
    grantsOf(learn(calls, policyOf(files), 'standard').yaml),
    'grants:\n  fetch:\n    hosts:\n      - "*.a.example"\n      - b.example:443\n',
  );
});

test('where the arguments do not tell what was refused, a comment says so', (t) => {
  const yaml = learned('standard', { capability: 'query', args: ['scratch', 'select 1'] });
  t.is(grantsOf(yaml), 'grants: {}\n');
  t.regex(yaml, /# The level grants it; which constraint refused the calls cannot be told from their arguments\./);
});

test('a name that policy.yaml lacks, and a number that no policy may grant, are said', (t) => {
  const yaml = learned(
    'standard',
    { capability: 'query', args: ['sales', 'select 1'] },
    { capability: 'sleep', args: [1e15] },
    { capability: 'my_tool', args: [1] },
  );
  t.regex(yaml, /# sources: policy\.yaml has to say first what "sales" is, under "sources"\./);
  t.regex(yaml, /# msMax: 1000000000000000 is more than any policy may grant\./);
  t.regex(yaml, /# "my_tool" is not a capability of the policy; a client may provide it/);
});

test('nothing denied teaches nothing', (t) => {
  t.deepEqual(learn([], policy, 'sandbox'), { yaml: '# Nothing was denied.\n', denied: 0 });
});

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'x\ngrants:\n  exec: true',
    '\u2028exec: true',
    '# ',
    '"',
    ': ',
    'https://a.example\nexec: true/',
    '*',
  ),
  fc.jsonValue() as fc.Arbitrary<unknown>,
);
const hostile = fc.record({
  capability: fc.oneof(fc.constantFrom<string>(...CAPABILITY_NAMES), fc.string({ unit: 'binary' })),
  args: fc.oneof(
    fc.constant(null),
    fc.array(anything, { maxLength: 3 }),
    fc.tuple(fc.constant('open'), anything, anything),
  ),
});

test('whatever guest code passed, what is learned is YAML that grants only what was called', (t) => {
  fc.assert(
    fc.property(fc.array(hostile, { minLength: 1, maxLength: 4 }), (denials) => {
      const { yaml } = learn(denials, policy, 'sandbox');
      const document = parseDocument(yaml);
      if (document.errors.length > 0) throw new Error(`${document.errors}\n${yaml}`);
      const names = Object.keys(document.toJS().grants ?? {});
      const called = new Set(denials.map(({ capability }) => capability));
      if (!names.every((name) => called.has(name))) throw new Error(yaml);
      const problems = problemsOf([...shippedFiles(), ownLevel('learned', 15, 'extends: sandbox', yaml)]);
      // All that may be wrong with it is what it says itself: a name that policy.yaml has to have first.
      return problems.every((problem) => /is not under "\w+" in policy\.yaml/.test(problem));
    }),
    { numRuns: 300 },
  );
  t.pass();
});
