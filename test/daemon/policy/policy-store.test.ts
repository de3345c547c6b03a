import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { Entitlements } from '../../../daemon/capabilities/entitlements.ts';
import { Fault } from '../../../daemon/fault.ts';
import { PolicyStore, type PolicyUpdate } from '../../../daemon/policy/policy-store.ts';
import { BUILT_IN } from '../../../policies/capabilities.ts';
import { levelOf } from '../../../policies/evaluate.ts';
import { editedFiles, shippedFiles } from '../../policies/shipped-files.ts';
import { AuditList, freshDirectory, openStore, sleepOf, until, withSleep, writeFiles } from './policy-fixture.ts';

const by = 'admin-1';

test('a policy is in force from the start, and the audit log says which', (t) => {
  const { store, audit, folder } = openStore(t);
  t.is(store.current.levels.size, 5);
  t.is(store.folder, folder);
  t.regex(store.hash, /^[0-9a-f]{64}$/);
  t.deepEqual(audit.records, [
    { kind: 'policy.applied', hash: store.hash, previousHash: null, by: 'start', changes: [] },
  ]);
});

test('F12: without a folder, or with a broken one, no store opens, and every problem is named', (t) => {
  const directory = freshDirectory(t);
  const open = (folder: string) =>
    t.throws(
      () =>
        PolicyStore.open({
          source: { folder, applyTo: folder, checkModes: true },
          audit: new AuditList(),
          log: () => undefined,
        }),
      { instanceOf: Fault, code: 'UNAVAILABLE' },
    );
  t.regex(open(join(directory, 'nowhere')).message, /^The policy files in .*nowhere cannot be read: /);
  mkdirSync(join(directory, 'empty'));
  t.regex(open(join(directory, 'empty')).message, /no file defines the level "sandbox"/);
  const broken = writeFiles(
    join(directory, 'broken'),
    editedFiles('sandbox', (text) => text.replace('print: true', 'prnt: true').replace('rank: 10', 'rank: ten')),
  );
  t.regex(
    open(broken).message,
    /cannot be used:\nsandbox\.yaml:4:7: rank: .*\nsandbox\.yaml:8:3: grants\.prnt: .*"print"\?/,
  );
});

test('an edit of the folder takes effect by itself, after it was recorded with its changes in words', async (t) => {
  const { store, folder, audit } = openStore(t);
  const before = store.hash;
  const updates: (PolicyUpdate & { recorded: number })[] = [];
  store.subscribe((update) => updates.push({ ...update, recorded: audit.of('policy.applied').length }));
  writeFiles(folder, withSleep(70_000));
  await until(() => updates.length > 0);
  t.is(sleepOf(store), 70_000);
  t.like(updates[0], { policy: store.current, widenRunning: false, recorded: 2 });
  t.deepEqual(audit.of('policy.applied')[1], {
    kind: 'policy.applied',
    hash: store.hash,
    previousHash: before,
    by: 'reload',
    changes: ['restricted: sleep: msMax 60000 ms becomes 70000 ms'],
  });
});

test('F12: a folder that is broken, or half written, changes nothing and is reported once', async (t) => {
  const { store, folder, audit, lines } = openStore(t);
  const { hash, current } = store;
  const rejected = () => audit.of('policy.rejected');
  writeFileSync(join(folder, 'standard.yaml'), 'level: standard\nrank: 30\nextends: restr');
  await until(() => rejected().length === 1);
  rmSync(join(folder, 'sandbox.yaml'));
  await until(() => rejected().length === 2);
  t.is(store.current, current);
  t.is(store.hash, hash);
  t.deepEqual(rejected()[0], {
    kind: 'policy.rejected',
    by: 'reload',
    problems: [
      'standard.yaml:1:1: "description" is missing here',
      'standard.yaml:3:10: extends: there is no level "restr"; expected one of: sandbox, restricted',
    ],
  });
  t.regex(lines[0] ?? '', /^The policy in .* cannot be used:\nstandard\.yaml:1:1: [\s\S]*stays in force\.$/);
  // The same content again, written anew, is not reported again; what is mended takes effect.
  writeFileSync(join(folder, 'standard.yaml'), 'level: standard\nrank: 30\nextends: restr');
  writeFiles(folder, withSleep(70_000));
  await until(() => sleepOf(store) === 70_000);
  t.is(rejected().length, 2);
});

test('F12: a folder that disappears leaves the policy in force', async (t) => {
  const { store, folder, audit } = openStore(t);
  const { current } = store;
  renameSync(folder, `${folder}-away`);
  await until(() => audit.of('policy.rejected').length === 1);
  t.is(store.current, current);
  writeFiles(folder, withSleep(70_000));
  await until(() => sleepOf(store) === 70_000);
});

test('an edit that changes texts and no rule is another policy all the same', async (t) => {
  const { store, folder, audit } = openStore(t);
  writeFileSync(join(folder, 'sandbox.yaml'), `# One line more.\n${shippedFiles()[0]?.text}`);
  await until(() => audit.of('policy.applied').length === 2);
  t.deepEqual(audit.changes(1), []);
  t.is(store.current.levels.get('sandbox')?.grants.get('print')?.origin.line, 9);
});

test('what cannot be recorded does not take effect, and is tried again', async (t) => {
  const { store, folder, audit, lines } = openStore(t);
  audit.broken = true;
  writeFiles(folder, withSleep(70_000));
  await until(() => lines.length > 0);
  t.is(sleepOf(store), 60_000);
  t.throws(() => store.apply(withSleep(80_000), { by }));
  t.is(sleepOf(store), 60_000);
  t.regex(readFileSync(join(folder, 'restricted.yaml'), 'utf8'), /msMax: 70000/);
  audit.broken = false;
  await until(() => sleepOf(store) === 70_000);
  t.is(lines.length, 1);
});

test('a policy that this machine cannot carry out is refused like a broken one', async (t) => {
  let refused = 0;
  const accept = (): void => {
    if (refused++ > 0) throw new Fault('UNAVAILABLE', 'The root "data" cannot be opened.');
  };
  const { store, folder, audit } = openStore(t, { accept });
  t.throws(() => store.apply(withSleep(70_000), { by }), { message: 'The root "data" cannot be opened.' });
  t.throws(() => store.apply(withSleep(70_000), { by, dryRun: true }));
  writeFiles(folder, withSleep(70_000));
  await until(() => audit.of('policy.rejected').length > 0);
  t.deepEqual(audit.of('policy.rejected')[0]?.['problems'], ['The root "data" cannot be opened.']);
  t.is(sleepOf(store), 60_000);
});

test('apply records, writes the folder as a whole and takes effect at once', (t) => {
  const { store, folder, audit } = openStore(t);
  writeFileSync(join(folder, 'README'), 'about');
  mkdirSync(join(folder, '.git'));
  const before = store.hash;
  const updates: PolicyUpdate[] = [];
  store.subscribe((update) => updates.push(update));
  const files = [
    ...withSleep(70_000),
    { name: 'office.yaml', text: 'level: office\nrank: 35\nextends: standard\ndescription: Ours.\n' },
  ];
  const applied = store.apply(files, { by, widenRunning: true });
  t.deepEqual(applied, {
    hash: store.hash,
    previousHash: before,
    changes: [
      { level: 'restricted', capability: 'sleep', allows: 'more', words: 'sleep: msMax 60000 ms becomes 70000 ms' },
      applied.changes[1] as (typeof applied.changes)[number],
    ],
  });
  t.like(audit.of('policy.applied')[1], { by, hash: store.hash, previousHash: before });
  t.is(audit.changes(1)[0], 'sessions that exist already are given what their levels grant now');
  t.like(updates, [{ policy: store.current, widenRunning: true }]);
  t.deepEqual(readdirSync(folder).toSorted(), ['.git', 'README', ...files.map(({ name }) => name)].toSorted());
  t.deepEqual(readdirSync(dirname(folder)), ['levels']);
  for (const { name, text } of files) {
    t.is(readFileSync(join(folder, name), 'utf8'), text);
    t.is(lstatSync(join(folder, name)).mode & 0o7777, 0o644);
  }
  t.is(lstatSync(folder).mode & 0o7777, 0o755);
  // A level that is no longer there goes with the next one.
  store.apply(shippedFiles(), { by });
  t.false(existsSync(join(folder, 'office.yaml')));
  t.true(existsSync(join(folder, '.git')));
});

test('the folder that was applied is watched in the place of the one before', async (t) => {
  const { store, folder } = openStore(t);
  store.apply(withSleep(70_000), { by });
  writeFiles(folder, withSleep(90_000));
  await until(() => sleepOf(store) === 90_000);
  t.pass();
});

test('a dry run says what would change, and changes nothing', (t) => {
  const { store, folder, audit } = openStore(t);
  const before = store.hash;
  const { hash, previousHash, changes } = store.apply(withSleep(70_000), { by, dryRun: true });
  t.is(previousHash, before);
  t.not(hash, before);
  t.is(changes.length, 1);
  t.is(store.hash, before);
  t.is(audit.records.length, 1);
  t.regex(readFileSync(join(folder, 'restricted.yaml'), 'utf8'), /msMax: 60000/);
});

test('what is no policy is not applied, and every problem is in the details', (t) => {
  const { store } = openStore(t);
  const files = editedFiles('sandbox', (text) =>
    text.replace('print: true', 'prnt: true').replace('log: true', 'lgo: true'),
  );
  const { message, details } = t.throws(() => store.apply(files, { by }), {
    instanceOf: Fault,
    code: 'POLICY_INVALID',
  });
  t.regex(message, /^These files are no policy:\nsandbox\.yaml:8:3: /);
  t.like(details?.['problems'], [{ line: 8 }, { line: 11 }]);
});

for (const name of [
  '../evil.yaml',
  'a/b.yaml',
  '.hidden.yaml',
  'Office.yaml',
  'office.yml',
  'office.yaml\0',
  '',
  `${'x'.repeat(65)}.yaml`,
]) {
  test(`a file named ${JSON.stringify(name.slice(0, 20))} is not written`, (t) => {
    const { store, folder } = openStore(t);
    const files = [
      ...shippedFiles(),
      { name, text: 'level: office\nrank: 35\nextends: standard\ndescription: Ours.\n' },
    ];
    t.throws(() => store.apply(files, { by }), {
      instanceOf: Fault,
      code: 'POLICY_INVALID',
      message: /is not named as policy files are/,
    });
    t.is(readdirSync(folder).length, shippedFiles().length);
    t.deepEqual(readdirSync(dirname(folder)), ['levels']);
  });
}

test('F05: a running session has less from its next call on, and more only where the administrator says so', (t) => {
  const { store } = openStore(t);
  const { grants } = levelOf(store.current, 'restricted');
  const entitlements = new Entitlements('restricted', grants, () => store.current, BUILT_IN);
  const longest = () => entitlements.grantOf('sleep')?.constraints['msMax'];
  store.apply(withSleep(100), { by });
  t.is(longest(), 100);
  store.apply(withSleep(70_000), { by });
  t.is(longest(), 60_000);
  store.subscribe(({ widenRunning }) => widenRunning && entitlements.widen(undefined));
  store.apply(withSleep(80_000), { by, widenRunning: true });
  t.is(longest(), 80_000);
});

test('two files of one name are not applied', (t) => {
  const { store } = openStore(t);
  const files = [...shippedFiles(), { name: 'policy.yaml', text: 'ceilings: { client: unrestricted }' }];
  t.throws(() => store.apply(files, { by }), {
    code: 'POLICY_INVALID',
    message: 'There are two files named "policy.yaml".',
  });
});

test('what cannot be written is recorded as rejected, and nothing has changed', (t) => {
  const { store, folder, audit } = openStore(t);
  const { hash } = store;
  renameSync(folder, `${folder}-away`);
  writeFileSync(folder, 'a file in the way');
  t.throws(() => store.apply(withSleep(70_000), { by }), {
    instanceOf: Fault,
    code: 'UNAVAILABLE',
    message: /is not a directory/,
  });
  t.is(store.hash, hash);
  t.like(audit.records.at(-1), { kind: 'policy.rejected', by });
});

test('a listener that fails keeps nobody else from being told', (t) => {
  const { store, lines } = openStore(t);
  let told = 0;
  store.subscribe(() => {
    throw new Error('it fails');
  });
  const unsubscribe = store.subscribe(() => told++);
  store.apply(withSleep(70_000), { by });
  unsubscribe();
  store.apply(withSleep(80_000), { by });
  t.is(told, 1);
  t.regex(lines[0] ?? '', /^after the policy changed: Error: it fails/);
});

test('the hash tells names and texts apart, whatever their order', (t) => {
  const { store } = openStore(t);
  t.is(store.apply(shippedFiles().toReversed(), { by, dryRun: true }).hash, store.hash);
  const own = (name: string) => [
    ...shippedFiles(),
    { name, text: 'level: office\nrank: 35\nextends: standard\ndescription: Ours.\n' },
  ];
  const hashes = ['a.yaml', 'b.yaml'].map((name) => store.apply(own(name), { by, dryRun: true }).hash);
  t.not(hashes[0], hashes[1]);
});
