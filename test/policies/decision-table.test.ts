import test from 'ava';
import fc from 'fast-check';
import { BUILT_IN } from '../../policies/capabilities.ts';
import { readDecisionTable, testDecisions } from '../../policies/decision-table.ts';
import type { Refuse } from '../../policies/explain.ts';
import { describeProblem } from '../../policies/parse.ts';
import { shippedPolicy } from './shipped-files.ts';

const refuse: Refuse = (_, args) => (args[0] === 'no' ? 'it says no' : null);

function run(...lines: string[]): string[] {
  const reading = readDecisionTable('table.yaml', lines.join('\n'));
  if (!reading.ok) return reading.problems.map(describeProblem);
  const results = testDecisions(shippedPolicy(), reading.rows, BUILT_IN, refuse);
  return results.map(({ line, ok, words }) => `${line} ${ok ? 'ok' : 'not ok'} ${words}`);
}

test('each row is asked, and its line, question and answer are told', (t) => {
  t.deepEqual(
    run(
      '# What must hold.',
      '- { level: standard, capability: hash, expect: allow }',
      '- level: SANDBOX',
      '  capability: exec',
      '  expect: deny',
      '  why: Lowest level',
      '- { level: standard, capability: kv, args: ["no"], expect: deny, why: it says no }',
      '- { level: standard, capability: kv, args: ["get", "a"], expect: allow }',
    ),
    [
      '2 ok standard hash: allow',
      '3 ok sandbox exec: deny',
      '7 ok standard kv("no"): deny',
      '8 ok standard kv("get","a"): allow',
    ],
  );
});

test('a row that does not hold says what was found and which rule decided', (t) => {
  const [verdict, why] = run(
    '- { level: sandbox, capability: print, expect: deny }',
    '- { level: sandbox, capability: exec, expect: deny, why: takes it away }',
  );
  t.is(
    verdict,
    '1 not ok sandbox print: expected deny, found allow: sandbox/grants/print (sandbox.yaml, line 8) grants print',
  );
  t.regex(
    why ?? '',
    /^2 not ok sandbox exec: deny as expected, but for another reason than "takes it away": "exec" is not granted/,
  );
});

test('a mistyped name fails its row, although it would be denied as expected', (t) => {
  t.deepEqual(
    run('- { level: sandbox, capability: exce, expect: deny }', '- { level: sandbx, capability: exec, expect: deny }'),
    [
      '1 not ok "exce" is not a known capability; did you mean "exec"?',
      '2 not ok there is no level "sandbx"; did you mean "sandbox"?',
    ],
  );
});

for (const [what, text, problem] of [
  [
    'a mistyped key',
    '- { levl: sandbox, capability: exec, expect: deny }',
    /^table\.yaml:1:5: 0\.levl: "levl" is not a key here; did you mean "level"\?/,
  ],
  [
    'a verdict that is none',
    '- { level: sandbox, capability: exec, expect: dny }',
    /expected "allow" or "ask" or "deny", found the text "dny"; did you mean "deny"\?/,
  ],
  [
    'arguments that are no list',
    '- { level: sandbox, capability: exec, args: ls, expect: deny }',
    /1:\d+: 0\.args: expected a list, the arguments of the call, found the text "ls"/,
  ],
  ['no list', 'level: sandbox', /^table\.yaml:1:1: expected a list of rows/],
  ['an empty list', '[]', /found an empty list$/],
  ['nothing', '', /found nothing$/],
  ['broken YAML', '- [', /^table\.yaml:\d+:\d+: this is not valid YAML/],
] as const) {
  test(`${what} is a problem with its line and column`, (t) => t.regex(run(text).join('\n'), problem));
}

test('a table of 5,000 rows is read, and one of 5,001 is refused', (t) => {
  const row = '- {level: sandbox, capability: log, expect: deny}\n';
  t.is(run(row.repeat(5000)).length, 5000);
  t.regex(run(row.repeat(5001)).join('\n'), /at most 5000 rows; there are 5001/);
});

test('no text makes the reader throw', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'-[]{}:, \n"', 'level', 'expect') }),
  );
  t.notThrows(() => fc.assert(fc.property(text, (table) => run(table).length > 0)));
});
