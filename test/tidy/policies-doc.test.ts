import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { BUILT_IN, CAPABILITY_FIELDS } from '../../policies/capabilities.ts';
import type { Field } from '../../policies/constraint-fields.ts';
import { readDecisionTable, testDecisions } from '../../policies/decision-table.ts';
import { LEVEL_FILE_SCHEMA } from '../../policies/level-file.ts';
import { CEILINGS_SCHEMA, POLICY_FILE_SCHEMA } from '../../policies/resources.ts';
import { policyOf } from '../policies/policy-of.ts';
import { shippedFiles } from '../policies/shipped-files.ts';
import { root } from './repo-files.ts';

const page = readFileSync(join(root, 'docs/POLICIES.md'), 'utf8');
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');

/** The example that begins with the name of its file. */
function example(name: string): { readonly name: string; readonly text: string } {
  const text = examples.find((each) => each.startsWith(`# ${name}\n`));
  if (text === undefined) throw new Error(`docs/POLICIES.md has no example ${name}`);
  return { name, text };
}

/** The rows of the table under a heading, cell by cell. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(1).map((row) => row.slice(2, -2).split(' | '));
}

const withoutTicks = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');

test('docs/POLICIES.md names exactly the capabilities and constraints of the code, with what they are by themselves', (t) => {
  const expected = Object.entries(CAPABILITY_FIELDS).map(([name, fields]) => {
    const constraints = Object.entries(fields as unknown as Record<string, Field<unknown>>).map(
      ([field, { fallback }]) => {
        const value = Array.isArray(fallback) ? `[${fallback.join(', ')}]` : fallback;
        return `\`${field}: ${value}\``;
      },
    );
    return [`\`${name}\``, constraints.join(', ') || '–'];
  });
  t.deepEqual(rowsUnder('Capabilities and their constraints'), expected);
});

test('docs/POLICIES.md names exactly the keys of a level file and of policy.yaml', (t) => {
  const keys = rowsUnder('A level file').map(([key]) => withoutTicks(key));
  t.deepEqual(keys.toSorted(), Object.keys(LEVEL_FILE_SCHEMA.entries).toSorted());
  const sections = rowsUnder('policy.yaml').map(([section]) => withoutTicks(section));
  t.deepEqual(sections.toSorted(), Object.keys(POLICY_FILE_SCHEMA.entries).toSorted());
  t.deepEqual(Object.keys(CEILINGS_SCHEMA.entries), ['client', 'admin']);
});

test('the examples in docs/POLICIES.md are a policy, of which the table of decisions holds', (t) => {
  const files = [
    ...shippedFiles().filter(({ name }) => name !== 'policy.yaml'),
    example('policy.yaml'),
    example('office.yaml'),
  ];
  const policy = policyOf(files);
  t.is(policy.resources.sources.size, 3);
  const table = readDecisionTable('expected.yaml', example('expected.yaml').text);
  t.true(table.ok);
  if (!table.ok) return;
  const failed = testDecisions(policy, table.rows, BUILT_IN, () => null).filter(({ ok }) => !ok);
  t.deepEqual(failed, []);
});

test('every example in docs/POLICIES.md is one that a test knows', (t) => {
  const known = ['# office.yaml\n', '# policy.yaml\n', '# expected.yaml\n', '# yaml-language-server: $schema='];
  t.deepEqual(
    examples.filter((text) => !known.some((start) => text.startsWith(start))),
    [],
  );
});
