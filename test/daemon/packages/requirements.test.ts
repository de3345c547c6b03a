import test from 'ava';
import { isSatisfied, type Requirement, readRequirement } from '../../../daemon/packages/requirements.ts';

test('reads the names and versions of requirements', (t) => {
  for (const [text, name, versions] of [
    ['six', 'six', ''],
    ['Typing_Extensions>=4.0', 'typing-extensions', '>=4.0'],
    ['attrs (>=19.2.0,<26)', 'attrs', '>=19.2.0,<26'],
    ['requests[socks] ~= 2.0', 'requests', '~= 2.0'],
    ['thing @ https://example.com/thing.whl', 'thing', ''],
    ['a.b ==1.*', 'a-b', '==1.*'],
  ] as const)
    t.deepEqual(readRequirement(text), { name, versions }, text);
  for (const text of ['', '>=1', '-a', `a; python_version > "${'3'.repeat(1000)}"`])
    t.is(readRequirement(text), 'unclear', text);
});

test('knows which markers are met in a session, and takes one that it cannot read as met', (t) => {
  const isNeeded = (marker: string): boolean => readRequirement(`six; ${marker}`) !== null;
  for (const marker of [
    'python_version >= "3.8"',
    'python_version == "3.14"',
    "sys_platform == 'emscripten' and python_full_version < '4'",
    '(os_name == "nt" or os_name == "posix")',
    'extra == "x" or implementation_name == "cpython"',
    'sys_platform not in "win32 darwin"',
    "'linux' not in sys_platform",
    '"3.8" <= python_version',
    'platform_version == "1"',
    'python_version >=',
    'os_name == "nt" )',
    'and and',
  ])
    t.true(isNeeded(marker), marker);
  for (const marker of [
    'python_version < "3.8"',
    'python_version < "3.9"',
    'extra == "test"',
    'python_version >= "3.8" and extra == "test"',
    'extra == "test" and platform_version == "1"',
    'sys_platform == "win32" or (platform_system == "Darwin" and platform_machine == "arm64")',
    'platform_python_implementation != "CPython"',
    'os_name in "nt java"',
  ])
    t.false(isNeeded(marker), marker);
});

test('holds versions against what is required', (t) => {
  const holds = (versions: string, version: string): boolean =>
    isSatisfied(readRequirement(`six${versions}`) as Requirement, version);
  t.true(holds('', '1.0'));
  t.true(holds('>=1.0,<2', '1.10'));
  t.true(holds('>=1.0', '1.1b1'));
  t.true(holds('==1.*', '1.5'));
  t.false(holds('>=1.10', '1.9'));
  t.false(holds('!=1.9', '1.9.0'));
  t.false(holds('<2', '2.0'));
});
