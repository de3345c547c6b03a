import { chmodSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Packages, wheelChanges } from '../../../daemon/packages/packages.ts';
import type { Policy } from '../../../policies/policy.ts';
import { WheelFolderOfTest } from '../../harness/wheels.ts';
import { ownLevel, policyOf } from '../../policies/policy-of.ts';
import { editedFiles, shippedFiles } from '../../policies/shipped-files.ts';

/** A policy whose level `own`, and `above` which extends it, have these packages. */
function policyWith(folder: WheelFolderOfTest, list: string): Policy {
  const named = editedFiles('policy', (text) => text.replace('roots:', `packages: { path: ${folder.path} }\nroots:`));
  return policyOf([
    ...named,
    ownLevel('own', 35, 'extends: standard', `packages: ${list}`),
    ownLevel('above', 36, 'extends: own'),
  ]);
}

const problemsOf = (folder: WheelFolderOfTest, list: string, packages = new Packages()): string[] =>
  packages.read(policyWith(folder, list)).problems.map(({ file, line, message }) => `${file}:${line} ${message}`);

test('a policy without a folder of wheels has no packages', (t) => {
  const packages = new Packages();
  const reading = packages.read(policyOf(shippedFiles()));
  t.deepEqual(reading.problems, []);
  packages.use(reading);
  t.deepEqual(packages.lockOf('standard'), []);
});

test('a level has the wheels that it names, and those it inherits', (t) => {
  const folder = new WheelFolderOfTest(t);
  const [one, two] = [folder.add({ name: 'One_of' }), folder.add({ name: 'two', version: '2.1' })];
  folder.add({ name: 'two', version: '2.2' });
  const packages = new Packages();
  const reading = packages.read(policyWith(folder, '[one.of, two==2.1.0]'));
  t.deepEqual(reading.problems, []);
  packages.use(reading);
  const lock = [
    { name: 'one-of', version: '1.0', sha256: one },
    { name: 'two', version: '2.1', sha256: two },
  ];
  t.deepEqual(packages.lockOf('own'), lock);
  t.deepEqual(packages.lockOf('above'), lock);
  t.deepEqual(packages.lockOf('standard'), []);
  t.is(packages.problemOf(lock), undefined);
  t.true(packages.wheel(two).files.has('two.py'));
});

test('what cannot be found, or is there twice, is said where the level names it, once', (t) => {
  const folder = new WheelFolderOfTest(t);
  folder.add({ name: 'two', version: '2.1' });
  folder.add({ name: 'two', version: '2.2' });
  folder.add({ name: 'same' });
  folder.add({ name: 'same', tag: 'py2.py3-none-any' });
  folder.add({ name: 'native', tag: 'cp314-cp314-manylinux_2_28_x86_64' });
  folder.add({ name: 'both', tag: 'cp314-cp314-manylinux_2_28_x86_64' });
  folder.add({ name: 'both' });
  t.deepEqual(problemsOf(folder, '[both]'), []);
  t.deepEqual(problemsOf(folder, '[none]'), [`own.yaml:5 there is no wheel of none in ${folder.path}`]);
  t.deepEqual(problemsOf(folder, '[two==3]'), [
    `own.yaml:5 there is no wheel of two==3 in ${folder.path}; there is 2.1, 2.2`,
  ]);
  t.deepEqual(problemsOf(folder, '[two]'), [
    'own.yaml:5 there is more than one wheel of two: two-2.1-py3-none-any.whl, two-2.2-py3-none-any.whl; say which, such as two==2.1',
  ]);
  t.deepEqual(problemsOf(folder, '[same==1]'), [
    'own.yaml:5 there is more than one wheel of same==1: same-1.0-py2.py3-none-any.whl, same-1.0-py3-none-any.whl',
  ]);
  t.deepEqual(problemsOf(folder, '[native]'), [
    'own.yaml:5 native-1.0-cp314-cp314-manylinux_2_28_x86_64.whl cannot be used: it holds native code, built for cp314-cp314-manylinux_2_28_x86_64; sessions can only use wheels of pure Python, whose names end in -none-any.whl',
  ]);
});

test('what a package needs has to be in the list, in a version that will do', (t) => {
  const folder = new WheelFolderOfTest(t);
  const metadata = [
    'Requires-Dist: base>=2',
    'Requires-Dist: never; sys_platform == "win32"',
    'Requires-Dist: more; extra == "more"',
  ];
  folder.add({ name: 'needs', metadata });
  folder.add({ name: 'odd', metadata: ['Requires-Dist: ???'] });
  folder.add({ name: 'base', version: '1.9' });
  folder.add({ name: 'base', version: '2.0' });
  t.deepEqual(problemsOf(folder, '[needs, base==2.0]'), []);
  t.deepEqual(problemsOf(folder, '[needs]'), ['own.yaml:5 needs 1.0 needs base>=2, which is not in this list']);
  t.deepEqual(problemsOf(folder, '[needs, base==1.9]'), ['own.yaml:5 needs 1.0 needs base>=2, and the list has 1.9']);
  t.deepEqual(problemsOf(folder, '[odd]'), ['own.yaml:5 odd 1.0 needs something that cannot be read: ???']);
});

test('two packages may not have different files of one name', (t) => {
  const folder = new WheelFolderOfTest(t);
  folder.add({ name: 'one', files: { 'shared/__init__.py': '', 'shared/one.py': '' } });
  folder.add({ name: 'two', files: { 'shared/__init__.py': '', 'shared/two.py': '' } });
  folder.add({ name: 'other', files: { 'shared/__init__.py': 'x = 1' } });
  t.deepEqual(problemsOf(folder, '[one, two]'), []);
  t.deepEqual(problemsOf(folder, '[one, other]'), ['own.yaml:5 other and one both have the file shared/__init__.py']);
});

test('a link, a file or a folder that others can write to, and a file that is too large, are refused', (t) => {
  const folder = new WheelFolderOfTest(t);
  folder.add({ name: 'open' });
  folder.add({ name: 'target' });
  chmodSync(join(folder.path, 'open-1.0-py3-none-any.whl'), 0o646);
  symlinkSync(join(folder.path, 'target-1.0-py3-none-any.whl'), join(folder.path, 'linked-1.0-py3-none-any.whl'));
  folder.write('large-1.0-py3-none-any.whl', new Uint8Array(32 * 1024 * 1024 + 1));
  t.regex(problemsOf(folder, '[open]')[0] ?? '', /can be written by every user \(mode 0646\)/);
  t.regex(problemsOf(folder, '[linked]')[0] ?? '', /it is a symbolic link; put the file itself there/);
  t.regex(problemsOf(folder, '[large]')[0] ?? '', /it is larger than 33554432 bytes/);
  chmodSync(folder.path, 0o777);
  t.regex(
    problemsOf(folder, '[target]')[0] ?? '',
    /^policy\.yaml:\d+ the folder of wheels .* can be written by every user/,
  );
  chmodSync(folder.path, 0o700);
});

test('a folder that is missing, or is none, is said where policy.yaml names it', (t) => {
  const folder = new WheelFolderOfTest(t);
  const gone = { path: join(folder.path, 'gone') } as WheelFolderOfTest;
  t.regex(
    problemsOf(gone, '[one]').join(),
    /^policy\.yaml:\d+ the folder of wheels .*\/gone cannot be read \(ENOENT\)$/,
  );
  folder.write('gone', new Uint8Array(0));
  t.regex(problemsOf(gone, '[one]').join(), /is not a folder$/);
});

test('an isolate that began with older wheels can be made again while they lie in the folder', (t) => {
  const folder = new WheelFolderOfTest(t);
  const [older, newer] = [folder.add({ name: 'one' }), folder.add({ name: 'one', version: '2.0' })];
  const packages = new Packages();
  const began = packages.read(policyWith(folder, '[one==1.0]'));
  packages.use(began);
  const lock = packages.lockOf('own');
  const now = packages.read(policyWith(folder, '[one==2.0]'));
  packages.use(now);
  t.deepEqual(wheelChanges(began, now), [
    ...['own', 'above'].map((level) => ({
      ...{ level, capability: null, allows: 'other' as const },
      words: `the package one is another wheel: 2.0 sha256:${newer}, before 1.0 sha256:${older}`,
    })),
  ]);
  t.is(packages.problemOf(lock), undefined);
  t.is(packages.wheel(older).version, '1.0');

  const later = new Packages();
  later.use(later.read(policyWith(folder, '[one==2.0]')));
  renameSync(join(folder.path, 'one-1.0-py3-none-any.whl'), join(folder.path, 'away'));
  t.is(later.problemOf(lock), `it began with the package one 1.0, whose wheel is gone (sha256 ${older} then)`);
  const other = folder.add({ name: 'one', files: { 'one.py': 'changed' } });
  t.is(
    later.problemOf(lock),
    `it began with the package one 1.0, whose wheel is another one now (sha256 ${older} then, ${other} now)`,
  );
  folder.write('one-1.0-py3-none-any.whl', Buffer.from('no wheel'));
  t.is(
    later.problemOf(lock),
    `it began with the package one 1.0, whose wheel cannot be read any more (sha256 ${older} then)`,
  );
  renameSync(join(folder.path, 'away'), join(folder.path, 'one-1.0-py3-none-any.whl'));
  t.is(later.problemOf(lock), undefined);
  rmSync(folder.path, { recursive: true });
  t.is(later.problemOf(lock), undefined, 'it has been read');
  t.regex(new Packages().problemOf(lock) ?? '', /whose wheel is gone/);
});
