import test from 'ava';
import type { Constraints } from '../../policies/capabilities.ts';
import { levelOf } from '../../policies/evaluate.ts';
import type { Grant, LevelName, Policy } from '../../policies/policy.ts';
import { ownLevel, policyOf, problemsOf, withGrants } from './policy-of.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

function grantOf(policy: Policy, level: LevelName, capability: string): Grant | undefined {
  return levelOf(policy, level).grants.get(capability);
}

test('a grant that is just true has the constraints it inherits, and the fallbacks where it inherits none', (t) => {
  const sleep = (policy: Policy, level: LevelName) => grantOf(policy, level, 'sleep')?.constraints;
  const policy = policyOf(withGrants('sandbox', 'sleep: true'));
  t.deepEqual(sleep(policy, 'sandbox'), { msMax: 60_000 });
  const inheriting = policyOf([
    ...shippedFiles(),
    ownLevel('office', 35, 'extends: standard', 'grants: { sleep: true }'),
  ]);
  t.deepEqual(sleep(inheriting, 'office'), { msMax: 3_600_000 });
  t.is(grantOf(inheriting, 'office', 'sleep')?.ruleId, 'office/grants/sleep');
});

test('a grant states some constraints, and has the others as inherited or by themselves', (t) => {
  const policy = policyOf(withGrants('restricted', 'kv: { keysMax: 5 }'));
  const kv = (level: LevelName): Constraints | undefined => grantOf(policy, level, 'kv')?.constraints;
  t.like(kv('restricted'), { stores: ['session'], valueBytesMax: 65_536, keysMax: 5 });
  t.like(kv('standard'), { keysMax: 10_000 });
  // What the shipped files do with fetch: the methods of trusted, the hosts of standard.
  const fetchOf = policyOf(
    editedFiles('standard', (text) => text.replace('fetch: { hosts: []', 'fetch: { hosts: [api.example.com]')),
  );
  t.like(grantOf(fetchOf, 'trusted', 'fetch')?.constraints, {
    hosts: ['api.example.com'],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    redirectsMax: 5,
  });
});

test('approval, rate and budget stand beside the constraints, and are inherited one by one', (t) => {
  const policy = policyOf([
    ...withGrants('restricted', 'kv: { approval: once, rate: 60/minute, budget: { calls: 10 } }'),
    ownLevel('office', 25, 'extends: restricted', 'grants: { kv: { rate: 5/second, budget: { bytes: 9 } } }'),
  ]);
  t.deepEqual(grantOf(policy, 'restricted', 'kv')?.terms, {
    approval: 'once',
    rate: { calls: 60, perMs: 60_000 },
    budget: { calls: 10, bytes: null },
  });
  t.deepEqual(grantOf(policy, 'office', 'kv')?.terms, {
    approval: 'once',
    rate: { calls: 5, perMs: 1000 },
    budget: { calls: null, bytes: 9 },
  });
});

test('a level of its own stands below, between and above the five, and extends any lower one', (t) => {
  const policy = policyOf([
    ...shippedFiles(),
    ownLevel('office', 35, 'extends: standard', 'grants: { fetch: { hosts: [intranet.example.com] } }'),
    ownLevel('root-like_1', 60, 'extends: unrestricted', 'audit: always'),
  ]);
  t.deepEqual(
    [...policy.levels.keys()],
    ['sandbox', 'restricted', 'standard', 'office', 'trusted', 'unrestricted', 'root-like_1'],
  );
  t.deepEqual(grantOf(policy, 'office', 'fetch')?.constraints['hosts'], ['intranet.example.com']);
  t.deepEqual(grantOf(policy, 'trusted', 'fetch')?.constraints['hosts'], []);
  t.like(levelOf(policy, 'office').origin, { file: 'office.yaml', line: 1, level: 'office' });
  // As policy.yaml says; a higher level is out of reach until it says otherwise.
  t.is(policy.ceilings.admin, 'unrestricted');
});

for (const [what, files, expected] of [
  [
    'a level of its own on the rank of another',
    [...shippedFiles(), ownLevel('office', 30, 'extends: restricted')],
    ['office.yaml:2:7: rank: rank 30 is taken by level standard; choose one of its own'],
  ],
  [
    'a level of its own that extends one it is below',
    [...shippedFiles(), ownLevel('office', 35, 'extends: trusted')],
    [/^office\.yaml:4:10: extends: a level extends a lower one; trusted is not below office/],
  ],
  [
    'a mistyped level of its own in extends',
    [...shippedFiles(), ownLevel('office', 35, 'extends: standard'), ownLevel('lab', 36, 'extends: ofice')],
    ['lab.yaml:4:10: extends: there is no level "ofice"; did you mean "office"?'],
  ],
  [
    'a level with a name that is none',
    [...shippedFiles(), ownLevel('Office', 35, 'extends: standard')],
    [
      /^Office\.yaml:1:8: level: expected the name of a level: a letter, then up to 31 letters.*found the text "Office"/,
    ],
  ],
  [
    'a root that policy.yaml lacks',
    withGrants('sandbox', 'read_file: { roots: [workspce] }'),
    [
      'sandbox.yaml:8:23: grants.read_file.roots: "workspce" is not under "roots" in policy.yaml; did you mean "workspace"?',
    ],
  ],
  [
    'a root that is there by itself, and that policy.yaml lacks',
    editedFiles('policy', (text) => text.replace('workspace:', 'data:')).map((file) =>
      file.name === 'policy.yaml' || file.name === 'sandbox.yaml'
        ? file
        : {
            ...file,
            text: file.text
              .replaceAll('[workspace]', '[data]')
              .replace('delete_file: { roots: [data] }', 'delete_file: true'),
          },
    ),
    [
      'trusted.yaml:16:3: grants.delete_file: "roots" is not stated here, and by itself it is [workspace]: "workspace" is not ' +
        'under "roots" in policy.yaml; expected one of: data',
    ],
  ],
  [
    'a secret where policy.yaml has none',
    withGrants('sandbox', 'secret: { names: [token] }'),
    ['sandbox.yaml:8:20: grants.secret.names: "token" is not under "secrets" in policy.yaml; policy.yaml names none'],
  ],
  [
    'a rate that is none',
    withGrants('sandbox', 'sleep: { rate: 60 per minute }'),
    [/^sandbox\.yaml:8:18: grants\.sleep\.rate: expected a rate such as 60\/minute.*found the text "60 per minute"/],
  ],
  [
    'a budget of something else',
    withGrants('sandbox', 'sleep: { budget: { cals: 5 } }'),
    [/^sandbox\.yaml:8:\d+: grants\.sleep\.budget/],
  ],
  [
    'a host rule that is none',
    withGrants('sandbox', 'dns: { hosts: ["https://example.com"] }'),
    [/^sandbox\.yaml:8:18: grants\.dns\.hosts\.0: the text "https:\/\/example\.com" cannot stand here: /],
  ],
  [
    'a mistyped way to write a root in policy.yaml',
    editedFiles('policy', (text) => text.replace('# data: { path:', 'data: { pth:')),
    [
      'policy.yaml:10:9: roots.data: "path" is missing here',
      'policy.yaml:10:11: roots.data.pth: "pth" is not a key here; did you mean "path"?',
    ],
  ],
  [
    'a relative path in policy.yaml',
    editedFiles('policy', (text) => text.replace('# data: { path: /srv/data }', 'data: { path: data }')),
    ['policy.yaml:10:17: roots.data.path: expected an absolute path, found the text "data"'],
  ],
  [
    'a password in policy.yaml whose secret is not there',
    editedFiles('policy', (text) => text.replace('# crm: {', 'crm: {')),
    [/^policy\.yaml:16:\d+: sources\.crm\.postgres\.password\.secret: there is no secret "crm_password"/],
  ],
  [
    'a ceiling that is no level',
    editedFiles('policy', (text) => text.replace('client: trusted', 'client: trused')),
    ['policy.yaml:5:21: ceilings.client: there is no level "trused"; did you mean "trusted"?'],
  ],
  [
    'a mistyped section of policy.yaml',
    editedFiles('policy', (text) => text.replace('roots:', 'rots:').replace('{ private: true }', '{ private: true }')),
    ['policy.yaml:7:1: rots: "rots" is not a key here; did you mean "roots"?'],
  ],
] as const) {
  test(`${what} is a problem that says where it is and what was expected`, (t) => {
    const problems = problemsOf(files).filter(
      (problem) => !/"workspace" is not under "roots".*names none/.test(problem),
    );
    t.is(problems.length, expected.length, problems.join('\n'));
    for (const [index, line] of expected.entries()) {
      const problem = problems[index] ?? '';
      if (typeof line === 'string') t.is(problem, line);
      else t.regex(problem, line);
    }
  });
}

test('the shipped level files are a policy without the policy.yaml that comes with them', (t) => {
  const policy = policyOf(shippedFiles().filter(({ name }) => name !== 'policy.yaml'));
  t.deepEqual(policy.ceilings, { client: 'trusted', admin: 'unrestricted' });
  t.deepEqual(policy.resources.sources.get('scratch'), { kind: 'private' });
});
