import test from 'ava';
import { diffPolicies } from '../../policies/diff.ts';
import type { PolicyFile } from '../../policies/parse.ts';
import { ownLevel, policyOf, problemsOf } from './policy-of.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

const named = (): PolicyFile[] =>
  editedFiles('policy', (text) => text.replace('roots:', 'packages: { path: /srv/wheels }\nroots:'));
const withLists = (own: string, above?: string): PolicyFile[] => [
  ...named(),
  ownLevel('own', 35, 'extends: standard', `packages: ${own}`),
  ownLevel('above', 36, 'extends: own', ...(above === undefined ? [] : [`packages: ${above}`])),
];
const listed = (files: readonly PolicyFile[], level: string) =>
  [...(policyOf(files).levels.get(level)?.packages.values() ?? [])].map(({ name, version, origin }) => [
    name,
    version,
    `${origin.file}:${origin.line}`,
  ]);

test('a level names packages, with or without a version, under the names by which they are compared', (t) => {
  const files = withLists('[six, Typing_Extensions == 4.15.0, "attrs==25.1.0"]');
  const expected = [
    ['six', null, 'own.yaml:5'],
    ['typing-extensions', '4.15.0', 'own.yaml:5'],
    ['attrs', '25.1.0', 'own.yaml:5'],
  ];
  t.deepEqual(listed(files, 'own'), expected);
  t.deepEqual(listed(files, 'above'), expected, 'inherited');
  t.deepEqual(listed(files, 'standard'), []);
});

test('a level has all that it inherits, or none of it', (t) => {
  t.deepEqual(listed(withLists('[six]', '[six==1.17.0, attrs]'), 'above'), [
    ['six', '1.17.0', 'above.yaml:5'],
    ['attrs', null, 'above.yaml:5'],
  ]);
  t.deepEqual(listed(withLists('[six]', 'false'), 'above'), []);
  t.deepEqual(problemsOf(withLists('[six==1.17.0]', '[attrs]')), [
    'above.yaml:5:1: packages: six==1.17.0 is inherited (own.yaml, line 5) and not in this list; a level may have fewer packages only by "packages: false"',
  ]);
});

for (const [what, list, expected] of [
  ['no list', 'six', 'own.yaml:5:11: packages: expected a list of packages, or false; found the text "six"'],
  ['true', 'true', 'own.yaml:5:11: packages: expected a list of packages, or false; found true'],
  [
    'a range of versions',
    '["six>=1"]',
    'own.yaml:5:12: packages.0: expected the name of a package, or name==version, found the text "six>=1"',
  ],
  [
    'an extra',
    '["six[more]"]',
    'own.yaml:5:12: packages.0: expected the name of a package, or name==version, found the text "six[more]"',
  ],
  ['a number', '[1]', 'own.yaml:5:12: packages.0: expected the name of a package, or name==version, found 1'],
  ['a name twice', '[a-b, A_b==1]', 'own.yaml:5:17: packages.1: "A_b" is named twice'],
  [
    'too many',
    `[${Array.from({ length: 65 }, (_, index) => `p${index}`)}]`,
    'own.yaml:5:11: packages: at most 64 packages; there are 65',
  ],
] as const)
  test(`refuses ${what} for packages`, (t) => {
    t.deepEqual(problemsOf([...named(), ownLevel('own', 35, 'extends: standard', `packages: ${list}`)]), [expected]);
  });

test('packages come from a folder that policy.yaml names', (t) => {
  const own = ownLevel('own', 35, 'extends: standard', 'packages: [six]');
  t.deepEqual(problemsOf([...shippedFiles(), own]), [
    'own.yaml:5:1: packages: no folder of wheels is named in policy.yaml; name one there: packages: { path: /srv/wheels }',
  ]);
  for (const [folder, expected] of [
    ['{ path: wheels }', 'expected an absolute path, found the text "wheels"'],
    ['{ pth: /srv }', '"pth" is not a key here; did you mean "path"?'],
    ['/srv/wheels', 'expected a mapping with path; found the text "/srv/wheels"'],
  ] as const) {
    const files = editedFiles('policy', (text) => text.replace('roots:', `packages: ${folder}\nroots:`));
    t.true(
      problemsOf(files).some((problem) => problem.endsWith(expected)),
      problemsOf(files).join(),
    );
  }
});

test('a diff says which packages come, go and change, and where wheels are read from', (t) => {
  const words = (from: readonly PolicyFile[], to: readonly PolicyFile[]): string[] =>
    diffPolicies(policyOf(from), policyOf(to)).map(({ level, allows, words: what }) => `${level} ${allows}: ${what}`);
  const before = withLists('[six, attrs==1, same==1]');
  const after = withLists('[six==1.17.0, new, same==1.0]', 'false').map((file) =>
    file.name === 'policy.yaml' ? { ...file, text: file.text.replace('/srv/wheels', '/srv/other') } : file,
  );
  t.deepEqual(words(before, after), [
    '* other: packages: wheels are read from "/srv/other", before from "/srv/wheels"',
    'own other: the package six==1.17.0, before six',
    'own less: the package attrs can no longer be imported',
    'own other: the package same==1.0, before same==1',
    'own more: the package new can be imported',
    'above less: the package six can no longer be imported',
    'above less: the package attrs can no longer be imported',
    'above less: the package same can no longer be imported',
  ]);
});
