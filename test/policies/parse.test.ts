import test from 'ava';
import fc from 'fast-check';
import { describeProblem, parsePolicy } from '../../policies/parse.ts';
import { LEVELS } from '../../policies/policy.ts';
import { problemsOf } from './policy-of.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

const appended = (lines: string) => (text: string) => `${text}${lines}\n`;

test('the shipped files have no problems, in any order', (t) => {
  t.deepEqual(problemsOf(shippedFiles()), []);
  t.deepEqual(problemsOf(shippedFiles().toReversed()), []);
});

test('three mistakes in one file are all reported, with their places and what to write instead', (t) => {
  const files = editedFiles('restricted', () =>
    [
      'level: restricted',
      'rank: 20',
      'extends: sandbox',
      'description: Three mistakes.',
      'grants:',
      '  inptu: { waitMsMax: 600000 }',
      'limits:',
      '  heapMiBMax: 12_8',
      '  cellCpuMax: 10000',
    ].join('\n'),
  );
  t.deepEqual(problemsOf(files), [
    'restricted.yaml:6:3: grants.inptu: "inptu" is not a known capability; did you mean "input"?',
    'restricted.yaml:8:15: limits.heapMiBMax: expected a whole number from 8 to 4096 (MiB), found the text "12_8"; ' +
      'write 128, without quotes or underscores, which make it a text in YAML',
    'restricted.yaml:9:3: limits.cellCpuMax: "cellCpuMax" is not a key here; did you mean "cellCpuMsMax"?',
  ]);
});

const mistakes: readonly [string, ReturnType<typeof editedFiles>, readonly (string | RegExp)[]][] = [
  [
    'a mistyped level in extends',
    editedFiles('standard', (text) => text.replace('extends: restricted', 'extends: restircted')),
    ['standard.yaml:4:10: extends: there is no level "restircted"; did you mean "restricted"?'],
  ],
  [
    'a mistyped key of the file',
    editedFiles('standard', (text) => text.replace('description:', 'descripton:')),
    [
      'standard.yaml:2:1: "description" is missing here',
      'standard.yaml:5:1: descripton: "descripton" is not a key here; did you mean "description"?',
    ],
  ],
  [
    'a circle of levels, reported once',
    editedFiles('sandbox', (text) => text.replace('rank: 10', 'rank: 10\nextends: standard')),
    ['sandbox.yaml:5:10: extends: levels extend each other in a circle: sandbox → standard → restricted → sandbox'],
  ],
  [
    'a level that extends a higher one',
    editedFiles('restricted', (text) => text.replace('extends: sandbox', 'extends: standard')).map((file) =>
      file.name === 'standard.yaml'
        ? { ...file, text: file.text.replace('extends: restricted', 'extends: sandbox') }
        : file,
    ),
    [
      'restricted.yaml:4:10: extends: a level extends a lower one; standard is not below restricted (lower levels: sandbox)',
    ],
  ],
  [
    'a level that extends itself',
    editedFiles('sandbox', (text) => text.replace('rank: 10', 'rank: 10\nextends: sandbox')),
    ['sandbox.yaml:5:10: extends: levels extend each other in a circle: sandbox → sandbox'],
  ],
  [
    'ranks that do not ascend',
    editedFiles('standard', (text) => text.replace('rank: 30', 'rank: 20')),
    ['standard.yaml:3:7: rank: rank 20 must be above 20, the rank of the lower level restricted'],
  ],
  [
    'constraints where a capability takes none',
    editedFiles('sandbox', (text) => text.replace('print: true', 'print: { hosts: [a] }')),
    [/^sandbox\.yaml:8:12: grants\.print\.hosts: "hosts" is not a key here/],
  ],
  [
    'a quoted true',
    editedFiles('sandbox', (text) => text.replace('print: true', 'print: "true"')),
    [
      'sandbox.yaml:8:10: grants.print: expected true, false, or a mapping with approval, rate, budget; found the text "true"',
    ],
  ],
  [
    'a mistyped mode',
    editedFiles('sandbox', (text) => text.replace('time: { mode: seeded }', 'time: { mode: seded }')),
    [
      /^sandbox\.yaml:14:17: grants\.time\.mode: expected "seeded" or "live", found the text "seded"; did you mean "seeded"\?$/,
    ],
  ],
  [
    'a grant that is less than the inherited one',
    editedFiles('standard', (text) => text.replace('waitMsMax: 3600000', 'waitMsMax: 1000')),
    [
      'standard.yaml:9:23: grants.input.waitMsMax: waitMsMax 600000 ms becomes 1000 ms, which is less than inherited ' +
        '(restricted.yaml, line 9); a level may grant less only by "input: false"',
    ],
  ],
  [
    'a still clock where a live one is inherited',
    editedFiles('unrestricted', (text) => text.replace('grants:', 'grants:\n  time: { mode: seeded }')),
    [
      /^unrestricted\.yaml:9:17: grants\.time\.mode: mode "live" becomes "seeded", which is less than inherited \(trusted\.yaml, line 10\)/,
    ],
  ],
  [
    'a list of grants',
    editedFiles('restricted', (text) => text.replace(/grants:[\s\S]*?\n\n/, 'grants: [print]\n\n')),
    [/^restricted\.yaml:7:9: grants: expected a mapping of capability names, found a list$/],
  ],
  [
    'a set of more than 64 files',
    Array.from({ length: 65 }, (_, index) => ({ name: `${index}.yaml`, text: '' })),
    ['0.yaml:1:1: a policy has at most 64 files; there are 65'],
  ],
  [
    'a CPU limit above the wall limit',
    editedFiles('restricted', (text) => text.replace('cellCpuMsMax: 10000', 'cellCpuMsMax: 60001')),
    [
      /^restricted\.yaml:20:17: limits\.cellCpuMsMax: cellCpuMsMax 60001 must be at most 60000 while cellWallMsMax is 60000/,
    ],
  ],
  [
    'a limit that the lowest level leaves out',
    editedFiles('sandbox', (text) => text.replace('  timersMax: 10000\n', '')),
    [/^sandbox\.yaml:3:8: limits: limits are missing: timersMax; a level that extends none states every limit$/],
  ],
  [
    'an empty section',
    editedFiles('unrestricted', (text) => text.replace(/limits:[\s\S]*/, 'limits:\n')),
    [/^unrestricted\.yaml:20:8: limits: expected a mapping with heapMiBMax, .*; found nothing$/],
  ],
  [
    'a duplicate key',
    editedFiles('trusted', appended('rank: 41')),
    [/^trusted\.yaml:\d+:1: this key is already given on line 4$/],
  ],
  [
    'a second level of the same name',
    [...shippedFiles(), { name: 'again.yaml', text: shippedFiles()[0]?.text ?? '' }],
    ['again.yaml:3:8: level: level sandbox is already defined in sandbox.yaml, line 3'],
  ],
  [
    'a missing level',
    shippedFiles().slice(0, 4),
    [/^unrestricted\.yaml:1:1: no file defines the level "unrestricted"/],
  ],
  [
    'an alias',
    editedFiles('trusted', appended('x: &a [1]\ny: *a')),
    [/^trusted\.yaml:\d+:4: aliases are refused in policy files/],
  ],
  [
    'a tag',
    editedFiles('trusted', (text) => text.replace('rank: 40', 'rank: !!js/function 40')),
    [/^trusted\.yaml:4:7: this is not valid YAML: Unresolved tag/],
  ],
  ['two documents', editedFiles('trusted', appended('---\nrank: 1')), [/^trusted\.yaml:\d+:1: this is not valid YAML/]],
  [
    'an empty file',
    editedFiles('trusted', () => ''),
    [/^trusted\.yaml:1:1: expected a mapping with level, rank, .*; found nothing$/],
  ],
  [
    'a list',
    editedFiles('trusted', () => '- level: trusted'),
    [/^trusted\.yaml:1:1: expected a mapping .*; found a list$/],
  ],
];

for (const [what, files, expected] of mistakes) {
  test(`${what} is a problem that says where it is and what was expected`, (t) => {
    const problems = problemsOf(files);
    t.is(problems.length, expected.length, problems.join('\n'));
    for (const [index, line] of expected.entries()) {
      const problem = problems[index] ?? '';
      if (typeof line === 'string') t.is(problem, line);
      else t.regex(problem, line);
    }
  });
}

test('of the problems of broken YAML the first is the cause', (t) => {
  const files = editedFiles('trusted', (text) => text.replace('  heapMiBMax', '\theapMiBMax'));
  t.is(problemsOf(files)[0], 'trusted.yaml:36:1: this is not valid YAML: Tabs are not allowed as indentation');
});

test('a text nested beyond reason is said to be so, in one problem at least', (t) => {
  t.regex(problemsOf(editedFiles('sandbox', () => '- '.repeat(100_000)))[0] ?? '', /nested too deeply$/);
  t.regex(
    problemsOf(editedFiles('sandbox', () => `a: ${'['.repeat(33)}${']'.repeat(33)}`))[0] ?? '',
    /more than 32 deep$/,
  );
});

test('a number that cannot be a limit is refused at every bound', (t) => {
  for (const value of [
    '7',
    '4097',
    '-1',
    '64.5',
    '.inf',
    '.nan',
    '1e308',
    'null',
    'true',
    '[64]',
    '"64"',
    '9007199254740993',
  ]) {
    const files = editedFiles('sandbox', (text) => text.replace('heapMiBMax: 64', `heapMiBMax: ${value}`));
    const problems = problemsOf(files);
    t.is(problems.length, 1, value);
    t.regex(problems[0] ?? '', /^sandbox\.yaml:19:15: limits\.heapMiBMax: expected a whole number from 8 to 4096/);
  }
});

test('a level takes a grant away with an explicit false, and a higher one may grant it again', (t) => {
  const files = editedFiles('standard', (text) => text.replace('input: { waitMsMax: 3600000 }', 'input: false'));
  const parse = parsePolicy(files);
  t.true(parse.ok);
  if (!parse.ok) return;
  t.false(parse.policy.levels.get('standard')?.grants.has('input'));
  t.like(parse.policy.levels.get('standard')?.withdrawals.get('input'), {
    ruleId: 'standard/grants/input',
    origin: { file: 'standard.yaml', line: 9 },
  });
  t.true(parse.policy.levels.get('trusted')?.grants.has('input'));
  t.false(parse.policy.levels.get('trusted')?.withdrawals.has('input'));
});

test('names of the language are unknown names like any other', (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const asGrant = editedFiles('sandbox', (text) => text.replace('grants:', `grants:\n  ${name}: true`));
    t.regex(
      problemsOf(asGrant).join('\n'),
      new RegExp(`^sandbox.yaml:8:3: grants.${name}: "${name}" is not a known capability`),
    );
    const asLimit = editedFiles('sandbox', (text) => text.replace('limits:', `limits:\n  ${name}: 1`));
    t.regex(problemsOf(asLimit).join('\n'), new RegExp(`limits.${name}: "${name}" is not a key here`));
    t.regex(problemsOf(editedFiles('sandbox', appended(`${name}: 1`))).join('\n'), /is not a key here/);
    const asLevel = editedFiles('standard', (text) => text.replace('extends: restricted', `extends: ${name}`));
    t.is(problemsOf(asLevel).length, 1);
  }
});

test('a file is read up to 256 KiB and refused one byte past it', (t) => {
  const fill = (bytes: number) => editedFiles('sandbox', (text) => text + '#'.repeat(bytes - Buffer.byteLength(text)));
  t.deepEqual(problemsOf(fill(256 * 1024)), []);
  t.regex(problemsOf(fill(256 * 1024 + 1)).join('\n'), /^sandbox\.yaml:1:1: the file is larger than 262144 bytes$/);
});

test('texts made to exhaust the reader are problems, not failures', (t) => {
  const bomb = ['a: &a [x, x]', ...Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*a, *a]`)].join('\n');
  const texts = [
    '['.repeat(200_000),
    '{a: '.repeat(50_000),
    '- '.repeat(100_000),
    `${' '.repeat(10)}? `.repeat(9_000),
    bomb,
  ];
  for (const text of texts) {
    t.true(problemsOf(editedFiles('sandbox', () => text)).length > 0, text.slice(0, 20));
  }
});

test('a message holds nothing that a terminal would act on', (t) => {
  const files = editedFiles('sandbox', (text) => text.replace('print:', '"\\e[2J\\u202e\\u009b":'));
  const problems = problemsOf(files).join('');
  t.regex(problems, /is not a known capability/);
  t.notRegex(problems, /[\p{Cc}\p{Cf}]/u);
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...'abl:-?[]{}&*!|>\'"%@`#,\n\t \\~<=0.9_', 'level', 'grants', '\n  ', '---') }),
  fc.json(),
);

test('no text makes the parser throw', (t) => {
  fc.assert(
    fc.property(anyText, fc.array(anyText, { maxLength: 2 }), (text, more) => {
      const files = [text, ...more].map((each, index) => ({ name: `${index}.yaml`, text: each }));
      const parse = parsePolicy(files);
      if (parse.ok) throw new Error('a random text was taken for a policy');
    }),
    { numRuns: 400 },
  );
  t.pass();
});

test('no change to a few characters of a shipped file makes the parser throw, and every problem has a place', (t) => {
  const shipped = shippedFiles();
  fc.assert(
    fc.property(fc.nat(LEVELS.length - 1), fc.nat(), fc.nat(6), fc.string({ maxLength: 6 }), (which, at, cut, put) => {
      const files = shipped.map((file, index) => {
        const start = at % file.text.length;
        return index === which
          ? { ...file, text: file.text.slice(0, start) + put + file.text.slice(start + cut) }
          : file;
      });
      const parse = parsePolicy(files);
      if (parse.ok) return;
      for (const problem of parse.problems) {
        if (problem.line < 1 || problem.column < 1 || problem.message === '') throw new Error(describeProblem(problem));
      }
    }),
    { numRuns: 300 },
  );
  t.pass();
});
