import test from 'ava';
import fc from 'fast-check';
import {
  DEFAULT_DENY,
  decide,
  effectiveLimits,
  isAtMost,
  levelFromName,
  levelOf,
  lowestLevelGranting,
  narrowCapabilities,
} from '../../policies/evaluate.ts';
import { LIMIT_NAMES, LIMIT_RELATIONS, type Limits } from '../../policies/limits.ts';
import { parsePolicy } from '../../policies/parse.ts';
import { LEVELS, type LevelName } from '../../policies/policy.ts';
import { NO_TERMS } from '../../policies/terms.ts';
import { editedFiles, shippedPolicy } from './shipped-files.ts';

const policy = shippedPolicy();
const sandbox = levelOf(policy, 'sandbox');

test('a granted capability is allowed by a named rule with its constraints', (t) => {
  t.deepEqual(decide(policy, 'standard', 'input'), {
    verdict: 'allow',
    ruleId: 'standard/grants/input',
    constraints: { waitMsMax: 3_600_000 },
    terms: NO_TERMS,
  });
});

test('a capability that only higher levels grant is denied, naming the lowest of them', (t) => {
  t.deepEqual(decide(policy, 'sandbox', 'web_assembly'), {
    verdict: 'deny',
    ruleId: DEFAULT_DENY,
    reason: '"web_assembly" is not granted at level sandbox; the lowest level that grants it is trusted',
    lowestLevel: 'trusted',
  });
});

test('every name that nobody granted is denied at every level', (t) => {
  for (const level of LEVELS) {
    for (const name of ['subprocess', 'eval', '', '__proto__', 'constructor', 'toString', 'Print', 'print ', 'PRINT']) {
      t.like(decide(policy, level, name), { verdict: 'deny', ruleId: DEFAULT_DENY, lowestLevel: null }, name);
    }
  }
  const known = new Set(levelOf(policy, 'unrestricted').grants.keys());
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...LEVELS), (name, level) => {
      return known.has(name) || decide(policy, level, name).verdict === 'deny';
    }),
  );
});

test('a level that the policy does not have is denied everything', (t) => {
  for (const level of ['root', '__proto__', 'SANDBOX', ''] as unknown as LevelName[]) {
    t.is(decide(policy, level, 'print').verdict, 'deny');
    t.throws(() => levelOf(policy, level), { instanceOf: TypeError });
  }
});

test('a denial by an explicit false names the rule that took the capability away', (t) => {
  const parse = parsePolicy(editedFiles('sandbox', (text) => text.replace('log: true', 'log: false')));
  t.true(parse.ok);
  if (!parse.ok) return;
  t.like(decide(parse.policy, 'standard', 'log'), { verdict: 'deny', ruleId: 'sandbox/grants/log', lowestLevel: null });
});

test('the reason of a denial escapes and shortens the name that guest code chose', (t) => {
  const decision = decide(policy, 'sandbox', `\u001b[31m\u202e${'x'.repeat(1e6)}`);
  t.is(decision.verdict, 'deny');
  if (decision.verdict === 'allow') return;
  t.true(decision.reason.length < 300);
  t.notRegex(decision.reason, /[\p{Cc}\p{Cf}]/u);
});

test('the lowest level that grants a capability is found, and null when there is none', (t) => {
  t.is(lowestLevelGranting(policy, 'print'), 'sandbox');
  t.is(lowestLevelGranting(policy, 'input'), 'restricted');
  t.is(lowestLevelGranting(policy, 'shared_memory'), 'trusted');
  t.is(lowestLevelGranting(policy, 'constructor'), null);
});

test('F02: only the official spellings of a level are its name', (t) => {
  for (const level of LEVELS) {
    t.is(levelFromName(policy, level), level);
    t.is(levelFromName(policy, level.toUpperCase()), level);
  }
  const wrong = ['Sandbox', 'sANDBOX', ' sandbox', 'sandbox\n', 'sandbox\0', '', 'root', '__proto__', 0, 4, -1, null];
  for (const input of [
    ...wrong,
    undefined,
    true,
    ['sandbox'],
    { level: 'sandbox' },
    new String('sandbox'),
    Symbol('x'),
  ]) {
    t.is(levelFromName(policy, input), null, String(input));
  }
});

test('levels compare in their order', (t) => {
  for (const [rank, level] of LEVELS.entries())
    for (const [rankMax, ceiling] of LEVELS.entries()) t.is(isAtMost(policy, level, ceiling), rank <= rankMax);
  t.true(isAtMost(policy, 'sandbox', 'sandbox'));
  t.true(isAtMost(policy, 'sandbox', 'trusted'));
  t.false(isAtMost(policy, 'unrestricted', 'trusted'));
  t.false(isAtMost(policy, 'gone', 'unrestricted'), 'a level that was removed is below nothing');
  t.false(isAtMost(policy, 'sandbox', 'gone'));
});

test("a session that asks for no limits has its level's", (t) => {
  t.deepEqual(effectiveLimits(sandbox), { ok: true, limits: sandbox.limits });
});

test('a session may ask for any limit up to the level, and not for one more', (t) => {
  for (const name of LIMIT_NAMES) {
    const maximum = sandbox.limits[name];
    t.true(effectiveLimits(sandbox, { [name]: maximum }).ok, name);
    const refused = effectiveLimits(sandbox, { [name]: maximum + 1 });
    t.false(refused.ok);
    if (refused.ok) continue;
    t.like(refused.problems[0], { limit: name, asked: maximum + 1, maximum });
    t.regex(refused.problems[0]?.message ?? '', new RegExp(`${name} .*${maximum}.*asked for ${maximum + 1}`));
  }
});

test('a request that is no limit is refused, and all of them are named', (t) => {
  const values = [
    0,
    -1,
    Number.NaN,
    1.5,
    Number.POSITIVE_INFINITY,
    '5',
    null,
    undefined,
    [5],
    {},
  ] as unknown as number[];
  for (const value of values) t.false(effectiveLimits(sandbox, { cellCpuMsMax: value }).ok, String(value));
  const refused = effectiveLimits(sandbox, JSON.parse('{"heapMiBMax": 7, "__proto__": 1, "heapMibMax": 64}'));
  t.false(refused.ok);
  if (refused.ok) return;
  t.deepEqual(
    refused.problems.map((problem) => problem.message.replace(/; expected one of.*/, '')),
    [
      'heapMiBMax at level sandbox is a whole number from 8 to 64 (MiB); asked for 7',
      '"__proto__" is not a limit',
      '"heapMibMax" is not a limit; did you mean "heapMiBMax"?',
    ],
  );
});

test('limits that were asked for never exceed the level and never contradict each other', (t) => {
  const request = fc.record(
    Object.fromEntries(
      LIMIT_NAMES.map((name) => [name, fc.integer({ min: name === 'heapMiBMax' ? 8 : 1, max: sandbox.limits[name] })]),
    ),
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(request, (requested: Partial<Limits>) => {
      const effective = effectiveLimits(sandbox, requested);
      if (!effective.ok) return false;
      const { limits } = effective;
      return (
        LIMIT_NAMES.every((name) => limits[name] <= (requested[name] ?? sandbox.limits[name]) && limits[name] >= 1) &&
        LIMIT_RELATIONS.every(({ limit, of, most }) => limits[limit] <= most(limits[of]))
      );
    }),
  );
  t.pass();
});

test('a session keeps of its level only the capabilities that it asked for', (t) => {
  const narrowed = narrowCapabilities(sandbox, ['log', 'print', 'log']);
  t.true(narrowed.ok);
  if (narrowed.ok) t.deepEqual([...narrowed.grants.keys()], ['print', 'log']);
  const none = narrowCapabilities(sandbox, []);
  t.true(none.ok && none.grants.size === 0);
  const all = narrowCapabilities(sandbox);
  t.true(all.ok && all.grants.size === sandbox.grants.size);
});

test('a session cannot ask for a capability that its level does not grant', (t) => {
  const refused = narrowCapabilities(sandbox, ['print', 'input', 'constructor', 'lgo']);
  t.false(refused.ok);
  if (refused.ok) return;
  t.deepEqual(
    refused.problems.map(({ capability }) => capability),
    ['input', 'constructor', 'lgo'],
  );
  t.is(refused.problems[2]?.message, '"lgo" is not granted at level sandbox; did you mean "log"?');
});
