import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { finishReplacement, readPolicyFolder, replacePolicyFolder } from '../../../daemon/policy/policy-folder.ts';
import { resolvePolicySource } from '../../../daemon/policy/policy-source.ts';
import { PolicyStore } from '../../../daemon/policy/policy-store.ts';
import { parsePolicy } from '../../../policies/parse.ts';
import { shippedFiles } from '../../policies/shipped-files.ts';
import { AuditList, freshDirectory, openStore, sleepOf, until, withSleep, writeFiles } from './policy-fixture.ts';

const shipped = fileURLToPath(new URL('../../../policies/levels', import.meta.url));
const checkModes = true;

test('the files of the package are a policy', (t) => {
  t.true(parsePolicy(readPolicyFolder(shipped, { checkModes: false })).ok);
});

for (const [mode, who] of [
  [0o646, 'every user'],
  [0o666, 'every user'],
] as const) {
  test(`M04: a level file with mode ${mode.toString(8)} is refused, and the message says how to close it`, (t) => {
    const folder = writeFiles(join(freshDirectory(t), 'levels'));
    chmodSync(join(folder, 'trusted.yaml'), mode);
    const { message } = t.throws(() => readPolicyFolder(folder, { checkModes }), {
      instanceOf: Fault,
      code: 'UNAVAILABLE',
    });
    t.regex(
      message,
      new RegExp(
        `trusted\\.yaml can be written by ${who} \\(mode 0${mode.toString(8)}\\).*chmod go-w '.*trusted\\.yaml'$`,
      ),
    );
  });
}

test('M04: a folder that every user may write to is refused', (t) => {
  const folder = writeFiles(join(freshDirectory(t), 'levels'));
  chmodSync(folder, 0o777);
  t.throws(() => readPolicyFolder(folder, { checkModes }), { message: /can be written by every user \(mode 0777\)/ });
});

test('M04: a level file that becomes open to everyone while the daemon runs is refused, and the policy stays', async (t) => {
  const { store, folder, audit } = openStore(t);
  writeFiles(folder, withSleep(70_000));
  chmodSync(join(folder, 'restricted.yaml'), 0o666);
  await until(() => audit.of('policy.rejected').length > 0);
  t.is(sleepOf(store), 60_000);
});

test('M04: a symbolic link is never followed', (t) => {
  const directory = freshDirectory(t);
  const folder = writeFiles(join(directory, 'levels'));
  renameSync(join(folder, 'trusted.yaml'), join(directory, 'elsewhere.yaml'));
  symlinkSync(join(directory, 'elsewhere.yaml'), join(folder, 'trusted.yaml'));
  t.throws(() => readPolicyFolder(folder, { checkModes }), { message: /trusted\.yaml is a symbolic link/ });
});

for (const name of ['Trusted.yaml', 'office.yml', 'my level.yaml']) {
  test(`a file named ${name} is refused rather than overlooked`, (t) => {
    const folder = writeFiles(join(freshDirectory(t), 'levels'));
    writeFileSync(join(folder, name), 'level: office');
    t.throws(() => readPolicyFolder(folder, { checkModes }), { message: /is not named as policy files are/ });
  });
}

test('what an editor leaves in the folder is no policy file', (t) => {
  const folder = writeFiles(join(freshDirectory(t), 'levels'));
  for (const name of ['.trusted.yaml.swp', '.#trusted.yaml', 'trusted.yaml~', '#trusted.yaml#', 'notes.txt']) {
    writeFileSync(join(folder, name), 'x');
  }
  t.is(readPolicyFolder(folder, { checkModes }).length, shippedFiles().length);
});

test('what is no text, or no file, is refused', (t) => {
  const folder = writeFiles(join(freshDirectory(t), 'levels'));
  writeFileSync(join(folder, 'office.yaml'), Buffer.from([0xff, 0xfe]));
  t.throws(() => readPolicyFolder(folder, { checkModes }), { message: /office\.yaml is not UTF-8 text\.$/ });
  const other = writeFiles(join(freshDirectory(t), 'levels'));
  mkdirSync(join(other, 'office.yaml'));
  t.throws(() => readPolicyFolder(other, { checkModes }), { message: /office\.yaml is not a regular file/ });
});

test('a policy has 64 files at most', (t) => {
  const folder = writeFiles(join(freshDirectory(t), 'levels'));
  for (let index = readdirSync(folder).length; index <= 64; index++) writeFileSync(join(folder, `l${index}.yaml`), '');
  t.throws(() => readPolicyFolder(folder, { checkModes }), {
    message: /holds 65 policy files; a policy has at most 64/,
  });
});

test('a link in the place of a file that is written is replaced, not followed', (t) => {
  const directory = freshDirectory(t);
  const folder = writeFiles(join(directory, 'levels'));
  writeFileSync(join(directory, 'victim'), 'untouched');
  symlinkSync(join(directory, 'victim'), join(folder, 'office.yaml'));
  symlinkSync(join(directory, 'victim'), join(directory, '.levels.pyrepl3-next'));
  replacePolicyFolder(folder, [...shippedFiles(), { name: 'office.yaml', text: 'new' }]);
  t.is(readFileSync(join(directory, 'victim'), 'utf8'), 'untouched');
  t.is(readFileSync(join(folder, 'office.yaml'), 'utf8'), 'new');
});

test('a replacement that a crash has cut off between its two steps is undone, and one that was all but done is finished', (t) => {
  const directory = freshDirectory(t);
  const folder = join(directory, 'levels');
  writeFiles(join(directory, '.levels.pyrepl3-previous'));
  writeFiles(join(directory, '.levels.pyrepl3-next'), withSleep(70_000));
  finishReplacement(folder);
  t.is(readPolicyFolder(folder, { checkModes }).length, shippedFiles().length);
  t.regex(readFileSync(join(folder, 'restricted.yaml'), 'utf8'), /msMax: 60000/);

  renameSync(folder, join(directory, '.levels.pyrepl3-previous'));
  writeFileSync(join(directory, '.levels.pyrepl3-previous', 'README'), 'about');
  renameSync(join(directory, '.levels.pyrepl3-next'), folder);
  finishReplacement(folder);
  t.regex(readFileSync(join(folder, 'restricted.yaml'), 'utf8'), /msMax: 70000/);
  t.true(existsSync(join(folder, 'README')));
  t.deepEqual(readdirSync(directory), ['levels']);
});

test('a named folder is the source; otherwise what was applied; otherwise the package, which is never written to', (t) => {
  const stateDir = freshDirectory(t);
  const explicit = writeFiles(join(freshDirectory(t), 'levels'));
  const applied = join(stateDir, 'policy');
  const packaged = writeFiles(join(freshDirectory(t), 'shipped'));
  const before = readdirSync(packaged).map((name) => readFileSync(join(packaged, name), 'utf8'));
  t.deepEqual(resolvePolicySource({ explicit, stateDir, shipped: packaged }), {
    folder: explicit,
    applyTo: explicit,
    checkModes,
  });

  const source = resolvePolicySource({ explicit: null, stateDir, shipped: packaged });
  t.deepEqual(source, { folder: packaged, applyTo: applied, checkModes: false });
  const { store } = openStore(t, { source });
  store.apply(withSleep(70_000), { by: 'admin-1' });
  t.is(store.folder, applied);
  t.deepEqual(
    readdirSync(packaged).map((name) => readFileSync(join(packaged, name), 'utf8')),
    before,
  );

  // After a restart, too.
  const restarted = resolvePolicySource({ explicit: null, stateDir, shipped: packaged });
  t.deepEqual(restarted, { folder: applied, applyTo: applied, checkModes });
  const again = PolicyStore.open({ source: restarted, audit: new AuditList(), log: () => undefined });
  t.teardown(() => again.close());
  t.is(again.hash, store.hash);
  t.is(sleepOf(again), 70_000);
});

test('F12: an applied folder whose replacement a crash has cut off is found again, not passed over for the package', (t) => {
  const stateDir = freshDirectory(t);
  writeFiles(join(stateDir, '.policy.pyrepl3-previous'), withSleep(100));
  const source = resolvePolicySource({ explicit: null, stateDir, shipped });
  t.is(source.folder, join(stateDir, 'policy'));
  t.is(sleepOf(openStore(t, { source }).store), 100);
});

test('F12: a named folder that is not there is refused, and so is a file in the place of the applied one', (t) => {
  const stateDir = freshDirectory(t);
  const explicit = join(stateDir, 'nowhere');
  t.throws(() => resolvePolicySource({ explicit, stateDir, shipped }), {
    instanceOf: Fault,
    message: /nowhere cannot be used/,
  });
  writeFileSync(join(stateDir, 'policy'), '');
  t.throws(() => resolvePolicySource({ explicit: null, stateDir, shipped }), {
    instanceOf: Fault,
    message: /is not a directory/,
  });
});

test('a named folder that is a link is the folder that it names', (t) => {
  const directory = freshDirectory(t);
  const folder = writeFiles(join(directory, 'levels'));
  symlinkSync(folder, join(directory, 'current'));
  t.is(resolvePolicySource({ explicit: join(directory, 'current'), stateDir: directory, shipped }).folder, folder);
});
