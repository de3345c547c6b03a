/** The policy's files are edited while the daemon runs: an edit takes effect as a whole or not at all. */
import { chmodSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { AdministeredDaemon, refusalOf } from './_administered.ts';

const file = new AdministeredDaemon(test);

const json = (value: unknown) => ({ kind: 'json' as const, json: value });

async function hashInForce(): Promise<string> {
  return (await (await file.admin).call('policy.list', {})).hash;
}

/** Breaks the folder, sees that it is refused and said so, and mends it again. */
const broken: readonly [what: string, spoil: () => void, mend: () => void, problem: RegExp][] = [
  [
    'text that is no YAML',
    () => file.policy.edit('sandbox', 'level: sandbox', 'level: sandbox: ['),
    () => file.policy.edit('sandbox', 'level: sandbox: [', 'level: sandbox'),
    /sandbox\.yaml/,
  ],
  [
    'a capability with a wrong name',
    () => file.policy.grant('standard', 'hsah', '{ algorithms: [sha256] }'),
    () => file.policy.edit('standard', /^ {2}hsah: .*\n/m, ''),
    /hash/,
  ],
  [
    'one good file and one bad one',
    () => file.policy.grant('sandbox', 'hash', '{ algorithms: [sha256] }').edit('restricted', 'rank: 20', 'rank: high'),
    () => file.policy.edit('sandbox', /^ {2}hash: .*\n/m, '').edit('restricted', 'rank: high', 'rank: 20'),
    /restricted\.yaml/,
  ],
  [
    'a missing parent level',
    () => renameSync(join(file.policy.path, 'sandbox.yaml'), join(file.policy.path, 'sandbox.away')),
    () => renameSync(join(file.policy.path, 'sandbox.away'), join(file.policy.path, 'sandbox.yaml')),
    /sandbox/,
  ],
  [
    'a symbolic link',
    () => symlinkSync('/etc/hostname', join(file.policy.path, 'more.yaml')),
    () => unlinkSync(join(file.policy.path, 'more.yaml')),
    /more\.yaml/,
  ],
  [
    'a file that everybody may write',
    () => chmodSync(join(file.policy.path, 'sandbox.yaml'), 0o666),
    () => chmodSync(join(file.policy.path, 'sandbox.yaml'), 0o644),
    /sandbox\.yaml/,
  ],
  [
    'a root that holds the daemon’s own files',
    () => file.policy.edit('policy', 'roots:', `roots:\n  all: { path: ${file.daemon.stateDir} }`),
    () => file.policy.edit('policy', /^ {2}all: .*\n/m, ''),
    /all|own/,
  ],
];

for (const [what, spoil, mend, problem] of broken) {
  test.serial(`an edit with ${what} changes nothing, and is in the audit log`, async (t) => {
    const session = await file.session({ level: 'standard' });
    const hash = await hashInForce();
    const known = (await file.records('policy.rejected'))[0]?.seq ?? 0;
    spoil();
    try {
      let rejected = (await file.records('policy.rejected'))[0];
      while ((rejected?.seq ?? 0) <= known) {
        await (await file.admin).call('audit.tail', { afterSeq: known, waitMs: 200 });
        [rejected] = await file.records('policy.rejected');
      }
      t.regex(String(rejected?.fields['problems']), problem);
      t.is(rejected?.fields['by'], 'reload');
      t.is(await hashInForce(), hash);
      t.is((await session.run('await hash("sha256", "a")')).status, 'ok', 'a running session has what it had');
      const later = await file.session({ level: 'sandbox' });
      t.deepEqual(await later.value('typeof hash'), json('undefined'), 'and a new one no more');
      t.true(file.daemon.running);
    } finally {
      mend();
    }
  });
}

test.serial(
  'an edit is recorded with its hash and what it changes in words, before any session feels it',
  async (t) => {
    const previousHash = await hashInForce();
    const session = await file.session({ level: 'standard' });
    await file.edit((policy) => policy.edit('standard', /^ {2}hash: .*\n/m, ''));
    const applied = (await file.records('policy.applied'))[0];
    t.like(applied?.fields, { by: 'reload', previousHash, hash: await hashInForce() });
    t.regex(String(applied?.fields['changes']), /standard: .*hash/);
    const withdrawn = await file.record('capability.withdrawn', (of) => of['sessionId'] === session.sessionId);
    t.true((applied?.seq ?? 0) < withdrawn.seq);
  },
);

test.serial('policy.apply refuses what is no policy, whole, and leaves files and policy alone', async (t) => {
  const admin = await file.admin;
  const hash = await hashInForce();
  for (const files of [
    [],
    [{ name: 'x.yaml', text: '[' }],
    [{ name: '../x.yaml', text: 'level: x\nrank: 1\ngrants: {}' }],
    [{ name: '/etc/x.yaml', text: 'level: x\nrank: 1\ngrants: {}' }],
    [{ name: 'sandbox.yaml', text: 'level: sandbox\nrank: 10\ngrants: { nothing: true }' }],
  ]) {
    t.is(await refusalOf(admin.call('policy.apply', { files })), 'POLICY_INVALID', JSON.stringify(files));
  }
  t.is(await hashInForce(), hash);
});

test.serial(
  'the policy is for administrators: each of its methods is ROLE_DENIED on client.sock, and said in the log',
  async (t) => {
    const attempts: readonly [method: string, params: object][] = [
      ['policy.list', {}],
      ['policy.show', { level: 'sandbox' }],
      ['policy.validate', { files: [] }],
      ['policy.diff', {}],
      ['policy.explain', { level: 'sandbox', capability: 'fetch' }],
      ['policy.test', { table: '' }],
      ['policy.apply', { files: [], widenRunning: true }],
      ['policy.learn', { sessionId: 'x' }],
    ];
    for (const [method, params] of attempts) {
      t.is(await refusalOf(file.client.callAny(method, params)), 'ROLE_DENIED', method);
      await file.record('client.refused', ({ reason }) => String(reason).includes(method));
    }
  },
);
