import test from 'ava';
import fc from 'fast-check';
import * as v from 'valibot';
import { CAPABILITY_FIELDS, type ConstraintFields } from '../../policies/capabilities.ts';
import { allowed, ascending, blocked, type Field, most, opaque } from '../../policies/constraint-fields.ts';
import { grantChanges, meetGrants } from '../../policies/grant.ts';
import type { Grant } from '../../policies/policy.ts';
import { NO_TERMS, type Terms } from '../../policies/terms.ts';

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 });
const hosts = fc.uniqueArray(
  fc.constantFrom('*', '*:*', 'a.example', '*.example', 'a.example:443', 'b.a.example/x*', '*.a.example'),
  { maxLength: 4 },
);

const fields: readonly [string, Field<unknown>, fc.Arbitrary<unknown>][] = [
  ['a number', most({ min: 1, max: 9, unit: 'ms', fallback: 1 }), fc.integer({ min: 1, max: 9 })],
  ['a word', ascending('one', 'two', 'three'), fc.constantFrom('one', 'two', 'three')],
  ['a list of what is allowed', allowed(), names],
  ['a list of hosts', CAPABILITY_FIELDS.fetch.hosts, hosts],
  ['a list of what is blocked', blocked(), names],
].map(([what, field, values]) => [what, field, values] as unknown as [string, Field<unknown>, fc.Arbitrary<unknown>]);

for (const [what, field, values] of fields) {
  test(`${what}: what two have in common is within both`, (t) => {
    fc.assert(
      fc.property(values, values, (one, other) => {
        const common = field.meet(one, other);
        return field.isWithin(common, one) && field.isWithin(common, other);
      }),
    );
    t.pass();
  });

  test(`${what}: one that is within another allows nothing more than it`, (t) => {
    fc.assert(
      fc.property(values, values, (one, other) => {
        const more = field.changes('field', other, one).some(({ allows }) => allows === 'more');
        return field.isWithin(one, other) !== more;
      }),
    );
    t.pass();
  });

  test(`${what}: it is within itself, and its fallback is one that may be written`, (t) => {
    fc.assert(
      fc.property(values, (value) => field.isWithin(value, value) && field.changes('field', value, value).length === 0),
    );
    t.true(v.is(field.schema, field.fallback));
  });
}

test('the fallback of every field of every capability is one that may be written', (t) => {
  for (const [capability, table] of Object.entries(CAPABILITY_FIELDS as unknown as Record<string, ConstraintFields>)) {
    for (const [name, field] of Object.entries(table as unknown as Record<string, Field<unknown>>)) {
      t.true(v.is(field.schema, field.fallback), `${capability}.${name}`);
    }
  }
});

test('a list takes 256 entries of 512 characters, and not one more of either', (t) => {
  const { schema } = allowed();
  const entry = (length: number) => 'x'.repeat(length);
  t.true(
    v.is(
      schema,
      Array.from({ length: 256 }, () => entry(512)),
    ),
  );
  t.false(
    v.is(
      schema,
      Array.from({ length: 257 }, () => entry(1)),
    ),
  );
  t.false(v.is(schema, [entry(513)]));
  t.false(v.is(schema, ['']));
});

test('of a field that nothing is known of, only equal is within', (t) => {
  const field = opaque(v.strictObject({ depth: v.number() }));
  t.true(field.isWithin({ depth: 1 }, { depth: 1 }));
  t.false(field.isWithin({ depth: 1 }, { depth: 2 }));
  t.deepEqual(field.meet({ depth: 1 }, { depth: 2 }), { depth: 2 });
  t.like(field.changes('limits', { depth: 1 }, { depth: 2 })[0], { allows: 'other' });
});

const terms: fc.Arbitrary<Terms> = fc.record({
  approval: fc.constantFrom('never', 'once', 'always'),
  rate: fc.option(fc.record({ calls: fc.integer({ min: 1, max: 99 }), perMs: fc.constantFrom(1000, 60_000) })),
  budget: fc.option(fc.record({ calls: fc.option(fc.nat(9)), bytes: fc.option(fc.nat(9)) })),
});
const origin = { file: 'a.yaml', line: 1, column: 1, level: 'a' };
const grants: fc.Arbitrary<Grant> = fc.record({
  capability: fc.constant('dns'),
  ruleId: fc.constant('a/grants/dns'),
  origin: fc.constant(origin),
  constraints: fc.record({ hosts, addresses: names, timeMsMax: fc.integer({ min: 1, max: 9 }) }),
  terms,
});
const dns = CAPABILITY_FIELDS.dns as unknown as ConstraintFields;

test('F05: what a running session keeps of an edited grant allows nothing that either of the two does not', (t) => {
  fc.assert(
    fc.property(grants, grants, (pinned, current) => {
      const kept = meetGrants(dns, pinned, current);
      const gains = (from: Grant): boolean => grantChanges(dns, from, kept).some(({ allows }) => allows === 'more');
      return !gains(pinned) && !gains(current) && kept.ruleId === current.ruleId;
    }),
  );
  t.pass();
});

test('terms that are stricter are less, and looser ones more', (t) => {
  const grant = (of: Partial<Terms>): Grant => ({
    capability: 'log',
    ruleId: 'a/grants/log',
    origin,
    constraints: {},
    terms: { ...NO_TERMS, ...of },
  });
  const changes = (from: Partial<Terms>, to: Partial<Terms>) =>
    grantChanges({}, grant(from), grant(to)).map(({ allows, words }) => `${allows}: ${words}`);
  t.deepEqual(changes({}, { approval: 'once', rate: { calls: 1, perMs: 1000 }, budget: { calls: 5, bytes: null } }), [
    'less: approval "never" becomes "once"',
    'less: rate without end becomes 1/second',
    'less: budget of calls without end becomes 5',
  ]);
  t.deepEqual(changes({ rate: { calls: 59, perMs: 60_000 } }, { rate: { calls: 1, perMs: 1000 } }), [
    'more: rate 59/minute becomes 1/second',
  ]);
});
