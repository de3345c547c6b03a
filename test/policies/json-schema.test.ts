import { readFileSync } from 'node:fs';
import { type Schema, Validator } from '@cfworker/json-schema';
import test from 'ava';
import { parse } from 'yaml';
import { CAPABILITY_FIELDS, CAPABILITY_NAMES } from '../../policies/capabilities.ts';
import { levelFileSchema, policyFileSchema } from '../../policies/json-schema.ts';
import { problemsOf, withGrants } from './policy-of.ts';
import { PUBLISHED } from './published-schemas.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

const levelSchema = new Validator(levelFileSchema() as Schema, '7');
const policySchema = new Validator(policyFileSchema() as Schema, '7');
const accepts = (name: string, text: string): boolean =>
  (name === 'policy.yaml' ? policySchema : levelSchema).validate(parse(text)).valid;

test('the published JSON Schemas are what the code generates', (t) => {
  for (const [url, text] of PUBLISHED) {
    // Compact, because the repository's formatter breaks lines in its own way.
    const published = JSON.stringify(JSON.parse(readFileSync(url, 'utf8')));
    t.is(published, text, 'write them anew: node test/policies/published-schemas.ts && npm run format');
  }
});

test('the shipped files satisfy the schemas', (t) => {
  for (const { name, text } of shippedFiles()) t.true(accepts(name, text), name);
});

test('the schema knows every capability with exactly its constraints and terms', (t) => {
  const { properties } = levelFileSchema() as { properties: Record<string, { properties: Record<string, unknown> }> };
  const grants = properties['grants']?.properties as Record<string, { anyOf: { properties: object }[] }>;
  t.deepEqual(Object.keys(grants), [...CAPABILITY_NAMES]);
  for (const name of CAPABILITY_NAMES) {
    const expected = [...Object.keys(CAPABILITY_FIELDS[name]), 'approval', 'rate', 'budget'];
    t.deepEqual(Object.keys(grants[name]?.anyOf[1]?.properties ?? {}), expected, name);
  }
});

for (const [what, files] of [
  ['an unknown capability', withGrants('sandbox', 'ftech: true')],
  ['an unknown constraint', withGrants('sandbox', 'sleep: { msMx: 5 }')],
  ['a number beyond its bounds', withGrants('sandbox', 'sleep: { msMax: 0 }')],
  ['a text in place of a number', withGrants('sandbox', 'sleep: { msMax: "5" }')],
  ['a word that is none', withGrants('sandbox', 'sleep: { approval: sometimes }')],
  ['a rate that is none', withGrants('sandbox', 'sleep: { rate: 5/fortnight }')],
  ['a limit beyond its bounds', editedFiles('sandbox', (text) => text.replace('heapMiBMax: 64', 'heapMiBMax: 5000'))],
  ['an unknown key', editedFiles('sandbox', (text) => text.replace('rank:', 'rnk:'))],
  ['a relative path', editedFiles('policy', (text) => text.replace('{ private: true }', '{ path: srv }'))],
  ['an unknown section', editedFiles('policy', (text) => text.replace('roots:', 'rots:'))],
] as const) {
  test(`${what} is refused by the schema, as it is by the parser`, (t) => {
    t.true(problemsOf(files).length > 0);
    t.false(files.every(({ name, text }) => accepts(name, text)));
  });
}
