import test from 'ava';
import { CAPABILITY_NAMES } from '../../policies/capabilities.ts';
import { decide, levelOf } from '../../policies/evaluate.ts';
import { LIMIT_NAMES } from '../../policies/limits.ts';
import { LEVELS, type LevelName } from '../../policies/policy.ts';
import { shippedPolicy } from './shipped-files.ts';

const policy = shippedPolicy();

const output = { print: {}, console: {}, display: {}, log: {} };
const seeded = { time: { mode: 'seeded' }, random: { mode: 'seeded' } };
const live = { time: { mode: 'live' }, random: { mode: 'live' } };
const platform = { web_assembly: {}, shared_memory: {}, resizable_buffers: {} };

/** DESIGN §6, its rows of this version. */
const EXPECTED: Record<LevelName, Record<string, unknown>> = {
  sandbox: { ...output, ...seeded },
  restricted: { ...output, ...seeded, input: { waitMsMax: 600_000 } },
  standard: { ...output, ...seeded, input: { waitMsMax: 3_600_000 } },
  trusted: { ...output, ...live, input: { waitMsMax: 86_400_000 }, ...platform },
  unrestricted: { ...output, ...live, input: { waitMsMax: 86_400_000 }, ...platform },
};

for (const level of LEVELS) {
  test(`level ${level} grants exactly what the table of the design says`, (t) => {
    const granted = [...levelOf(policy, level).grants].map(([name, grant]) => [name, grant.constraints]);
    t.deepEqual(Object.fromEntries(granted), EXPECTED[level]);
  });
}

test('every known capability is granted or denied at every level as the table says', (t) => {
  for (const level of LEVELS) {
    for (const capability of CAPABILITY_NAMES) {
      const expected = capability in EXPECTED[level] ? 'allow' : 'deny';
      t.is(decide(policy, level, capability).verdict, expected, `${level} ${capability}`);
    }
  }
});

test('a capability granted at one level is granted at every level above it', (t) => {
  for (const [index, level] of LEVELS.entries()) {
    const above = LEVELS[index + 1];
    if (above === undefined) continue;
    for (const name of levelOf(policy, level).grants.keys()) t.true(levelOf(policy, above).grants.has(name), name);
  }
});

test('a higher level never has a smaller limit than a lower one', (t) => {
  for (const [index, level] of LEVELS.entries()) {
    const above = LEVELS[index + 1];
    if (above === undefined) continue;
    for (const name of LIMIT_NAMES) {
      t.true(levelOf(policy, level).limits[name] <= levelOf(policy, above).limits[name], `${name} at ${above}`);
    }
  }
});

test('every level lets one client keep a thousand sessions open', (t) => {
  for (const level of LEVELS) t.true(levelOf(policy, level).limits.sessionsMax >= 1000);
});

test('the policy lists its levels in ascending order of rank', (t) => {
  t.deepEqual([...policy.levels.keys()], [...LEVELS]);
  const ranks = [...policy.levels.values()].map((level) => level.rank);
  t.deepEqual(
    ranks,
    ranks.toSorted((a, b) => a - b),
  );
});

test('an inherited grant keeps the file and line of the level that states it', (t) => {
  const grant = levelOf(policy, 'unrestricted').grants.get('print');
  t.is(grant?.ruleId, 'sandbox/grants/print');
  t.like(grant?.origin, { file: 'sandbox.yaml', line: 8, column: 3, level: 'sandbox' });
  t.like(levelOf(policy, 'standard').limitOrigins.get('timersMax'), { file: 'sandbox.yaml', level: 'sandbox' });
});
