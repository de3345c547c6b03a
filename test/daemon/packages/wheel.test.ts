import test from 'ava';
import { zipSync } from 'fflate';
import { readWheel, WheelProblem } from '../../../daemon/packages/wheel.ts';
import { WHEEL_LIMITS } from '../../../daemon/packages/wheel-limits.ts';
import { readWheelName } from '../../../daemon/packages/wheel-name.ts';
import { sha256Of, type WheelSpec, wheelBytes, wheelFile } from '../../harness/wheels.ts';

const read = (spec: WheelSpec, file = wheelFile(spec)) => readWheel(file, wheelBytes(spec));

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof WheelProblem) return error.message;
    throw error;
  }
  return 'none';
}

test('reads what a wheel is, what it needs and where its files go', (t) => {
  const spec: WheelSpec = {
    name: 'Some-Name',
    version: '1.2',
    metadata: ['Requires-Python: >=3.8', 'Requires-Dist: one', 'Requires-Dist: two>=2;', '  extra == "x"'],
    files: {
      'some/__init__.py': '',
      'some/a,b.txt': 'a',
      'Some_Name-1.2.data/purelib/beside.py': 'b',
      'Some_Name-1.2.data/scripts/run': 'c',
    },
    unrecorded: { 'some/folder/': '' },
  };
  const bytes = wheelBytes(spec);
  const wheel = readWheel(wheelFile(spec), bytes);
  t.like(wheel, { name: 'some-name', version: '1.2', sha256: sha256Of(bytes) });
  t.deepEqual(wheel.requires, ['one', 'two>=2; extra == "x"']);
  t.deepEqual([...wheel.files.keys()].toSorted(), [
    'Some_Name-1.2.dist-info/METADATA',
    'Some_Name-1.2.dist-info/RECORD',
    'Some_Name-1.2.dist-info/WHEEL',
    'beside.py',
    'some/__init__.py',
    'some/a,b.txt',
  ]);
});

test('tells by the name of a file what it was built for', (t) => {
  for (const tag of [
    'py3-none-any',
    'py2.py3-none-any',
    'py38-none-any',
    'py314-none-any',
    'cp314-none-any',
    '1-py3-none-any',
  ])
    t.like(readWheelName(`a_b-1.0-${tag}.whl`), { name: 'a-b', version: '1.0', unfit: null }, tag);
  for (const tag of ['py2-none-any', 'py315-none-any', 'cp313-none-any'])
    t.regex(readWheelName(`a_b-1.0-${tag}.whl`)?.unfit ?? '', /for another Python/, tag);
  for (const tag of ['cp314-cp314-pyodide_2026_0_wasm32', 'cp39-abi3-manylinux2014_x86_64', 'py3-none-win_amd64'])
    t.regex(readWheelName(`a_b-1.0-${tag}.whl`)?.unfit ?? '', /only use wheels of pure Python/, tag);
  for (const file of [
    'a.whl',
    'a-1.0.whl',
    'a-1.0-py3-none-any.zip',
    '../a-1.0-py3-none-any.whl',
    '-1.0-py3-none-any.whl',
  ])
    t.is(readWheelName(file), null, file);
});

for (const [what, spec, expected] of [
  ['whose code is native', { tag: 'cp314-cp314-pyodide_2026_0_wasm32' }, /native code, built for cp314-cp314-pyodide/],
  ['that hides native code', { files: { 'a/b.cpython-314.so': '' } }, /native code \(a\/b\.cpython-314\.so\)/],
  ['with a path upwards', { unrecorded: { 'a/../../b.py': '' } }, /"a\/\.\.\/\.\.\/b\.py", which leads out of it/],
  ['with an absolute path', { unrecorded: { '/b.py': '' } }, /"\/b\.py", which leads out of it/],
  ['with a path of Windows', { unrecorded: { 'a\\b.py': '' } }, /which is not a path of a wheel/],
  ['with an empty part in a path', { unrecorded: { 'a//b.py': '' } }, /which is not a path of a wheel/],
  ['with a path that is too long', { unrecorded: { ['a'.repeat(501)]: '' } }, /of more than 500 characters/],
  ['with a file that its record does not have', { unrecorded: { 'b.py': '' } }, /its RECORD has no hash of b\.py/],
  ['with a file that was changed', { unrecorded: { 'made.py': 'other' } }, /its made\.py is not what its RECORD says/],
  ['without metadata', { unrecorded: { 'made-1.0.dist-info/RECORD': '' } }, /its RECORD has no hash/],
  ['with a second .dist-info', { files: { 'other-1.0.dist-info/METADATA': '' } }, /more than one \.dist-info/],
  ['for a later Python', { metadata: ['Requires-Python: >=3.15'] }, /requires Python >=3\.15; sessions have 3\.14/],
] as const) {
  test(`refuses a wheel ${what}`, (t) => {
    t.regex(
      problemOf(() => read({ name: 'made', ...spec })),
      expected,
    );
  });
}

test('refuses a wheel whose name is not that of what is in it', (t) => {
  const bytes = wheelBytes({ name: 'made' });
  const as = (file: string): string => problemOf(() => readWheel(file, bytes));
  t.is(as('made-1.0-py3-none-any.whl'), 'none');
  t.is(as('other-1.0-py3-none-any.whl'), 'its file name does not belong to its made-1.0.dist-info');
  t.is(as('made-1.1-py3-none-any.whl'), 'its file name does not belong to its made-1.0.dist-info');
  t.regex(as('made.whl'), /^it is not named as wheels are/);
  // Of a field that stands there twice the first one counts.
  const lies = (...metadata: string[]): string => problemOf(() => read({ name: 'made', metadata }));
  t.is(lies('Name: other'), 'its metadata are those of "other"');
  t.is(lies('Version: 2'), 'its metadata are those of version "2"');
  t.is(lies('Name: MADE', 'Version: 1.0.0'), 'none');
});

test('refuses what is no zip archive, or half of one', (t) => {
  const bytes = wheelBytes({ name: 'made' });
  for (const broken of [Buffer.from('no'), Buffer.alloc(100), bytes.subarray(0, bytes.length / 2)])
    t.regex(
      problemOf(() => readWheel('made-1.0-py3-none-any.whl', broken)),
      /it is not a zip archive that can be read/,
    );
  t.is(
    problemOf(() => readWheel('made-1.0-py3-none-any.whl', zipSync({}))),
    'it has no .dist-info, so it is no wheel',
  );
});

test('refuses what is too large, or too much, before it is unpacked', (t) => {
  const largest = WHEEL_LIMITS.unpackedBytesMax;
  const bomb = zipSync({ 'a.txt': new Uint8Array(largest), 'b.txt': new Uint8Array(1) });
  t.true(bomb.length < largest / 100);
  t.is(
    problemOf(() => readWheel('made-1.0-py3-none-any.whl', bomb)),
    `it holds more than ${largest} bytes when unpacked`,
  );
  const many = Object.fromEntries(
    Array.from({ length: WHEEL_LIMITS.filesMax + 1 }, (_, index) => [`f${index}`, new Uint8Array(0)]),
  );
  t.is(
    problemOf(() => readWheel('made-1.0-py3-none-any.whl', zipSync(many))),
    `it holds more than ${WHEEL_LIMITS.filesMax} files`,
  );
});

test('refuses an archive that says less of a file than there is in it', (t) => {
  const bytes = Buffer.from(wheelBytes({ name: 'made', files: { 'made.py': 'x = 1\n'.repeat(1000) } }));
  const entry = bytes.lastIndexOf('made.py');
  // The size when unpacked, in the directory at the end.
  bytes.writeUInt32LE(10, entry - 46 + 24);
  t.regex(
    problemOf(() => readWheel('made-1.0-py3-none-any.whl', bytes)),
    /its made\.py is not what its RECORD says|not a zip archive/,
  );
});
