import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Capability } from '../../daemon/capabilities/capability.ts';
import { makeEffects } from '../../daemon/capabilities/effects.ts';
import type { Engines } from '../../daemon/capabilities/engines.ts';
import { systemClock } from '../../daemon/clock.ts';
import { CAPABILITY_FIELDS } from '../../policies/capabilities.ts';
import { levelOf } from '../../policies/evaluate.ts';
import { shippedPolicy } from '../policies/shipped-files.ts';
import { root } from './repo-files.ts';

const page = readFileSync(join(root, 'docs/CAPABILITIES.md'), 'utf8');
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [/^`(\w+)`/.exec(section)?.[1] ?? '', section]),
);
// No effect is carried out here, so that no engine is needed.
const effects = makeEffects({} as Engines, systemClock) as unknown as Record<string, Capability>;

test('CAPABILITIES describes every capability that has an effect, and no others', (t) => {
  t.deepEqual([...sections.keys()].sort(), [...Object.keys(effects), 'provided'].sort());
});

for (const [name, { summary, signature, idempotent, patient }] of Object.entries(effects)) {
  test(`CAPABILITIES says of ${name} what its class says`, (t) => {
    const section = sections.get(name) ?? '';
    t.true(section.includes(summary));
    t.true(section.includes(`\`\`\`ts\n${signature.trim()}\n\`\`\``));
    t.is(section.includes('Not idempotent.'), !idempotent);
    t.is(section.includes('Patient.'), patient);
  });
}

test('CAPABILITIES prints the constraints that each level states', (t) => {
  const policy = shippedPolicy();
  const shown = (value: unknown): string => {
    if (typeof value === 'number') return value.toLocaleString('en-US');
    return (value as string[]).length === 0 ? 'none' : (value as string[]).map((entry) => `\`${entry}\``).join(', ');
  };
  for (const name of sections.keys()) {
    const levels = [...policy.levels.keys()].filter((level) => levelOf(policy, level).grants.has(name));
    for (const field of Object.keys(CAPABILITY_FIELDS[name as keyof typeof CAPABILITY_FIELDS])) {
      const values = levels.map((level) => shown(levelOf(policy, level).grants.get(name)?.constraints[field]));
      t.true(sections.get(name)?.includes(`| \`${field}\` | ${values.join(' | ')} |`), `${name} ${field}`);
    }
  }
});
