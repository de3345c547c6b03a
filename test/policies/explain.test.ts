import test from 'ava';
import { explain, type PastCall, type Refuse, redecide } from '../../policies/explain.ts';
import { policyOf, withGrants } from './policy-of.ts';
import { editedFiles, shippedFiles } from './shipped-files.ts';

const shipped = policyOf(shippedFiles());

/** As the capability itself would say it. */
const refuse: Refuse = (capability, [time], { msMax }) =>
  capability === 'sleep' && (time as number) > (msMax as number) ? `at most ${msMax} ms` : null;

test('an allowed capability is explained by its rule, file and line, and the lowest level that has it', (t) => {
  const explanation = explain(shipped, 'trusted', 'hash', null, refuse);
  t.like(explanation, {
    verdict: 'allow',
    ruleId: 'standard/grants/hash',
    lowestLevel: 'standard',
    reason: 'standard/grants/hash (standard.yaml, line 21) grants hash',
  });
  t.like(explanation.origin, { file: 'standard.yaml', line: 21 });
  t.regex(explain(shipped, 'standard', 'fetch', null, refuse).reason, /grants fetch: at most 600\/minute$/);
});

test('a grant that waits for a person is explained as asking', (t) => {
  for (const [approval, words] of [
    ['once', 'a person agrees to the first call of each session'],
    ['always', 'a person agrees to each call'],
  ]) {
    const policy = policyOf(withGrants('restricted', `hash: { approval: ${approval} }`));
    const { verdict, reason } = explain(policy, 'restricted', 'hash', null, refuse);
    t.is(verdict, 'ask');
    t.true(reason.endsWith(`grants hash: ${words}`), reason);
  }
});

test('a capability that nobody grants is denied by default, naming the lowest level that grants it', (t) => {
  t.deepEqual(explain(shipped, 'sandbox', 'exec', null, refuse), {
    verdict: 'deny',
    reason: '"exec" is not granted at level sandbox; the lowest level that grants it is unrestricted',
    ruleId: 'default-deny',
    origin: null,
    lowestLevel: 'unrestricted',
    grant: null,
  });
});

test('a capability that a file takes away is denied by that line', (t) => {
  const policy = policyOf(editedFiles('standard', (text) => text.replace(/sleep: .*/, 'sleep: false')));
  const { verdict, reason, origin, ruleId } = explain(policy, 'standard', 'sleep', [1], refuse);
  t.deepEqual([verdict, ruleId], ['deny', 'standard/grants/sleep']);
  t.regex(reason, /^standard\/grants\/sleep \(standard\.yaml, line 11\) takes it away: /);
  t.is(origin?.line, 11);
});

test('with arguments the constraint that refuses is named, and the lowest level that lets this very call through', (t) => {
  t.like(explain(shipped, 'restricted', 'sleep', [60_000], refuse), { verdict: 'allow', lowestLevel: 'restricted' });
  const { verdict, reason, lowestLevel, ruleId } = explain(shipped, 'restricted', 'sleep', [60_001], refuse);
  t.deepEqual([verdict, ruleId, lowestLevel], ['deny', 'restricted/grants/sleep', 'standard']);
  t.is(
    reason,
    'restricted/grants/sleep (restricted.yaml, line 11) grants sleep, and its constraints refuse this call: at most 60000 ms; ' +
      'the lowest level that lets it through is standard',
  );
  const never = explain(shipped, 'restricted', 'sleep', [1e15], refuse);
  t.is(never.lowestLevel, null);
  t.regex(never.reason, /no level lets it through$/);
});

test('a level that the policy does not have is denied everything', (t) => {
  t.like(explain(shipped, 'office', 'print', null, refuse), { verdict: 'deny', lowestLevel: 'sandbox' });
});

const call = (verdict: PastCall['verdict'], args: PastCall['args'] = [70_000], level = 'restricted'): PastCall => {
  return { level, capability: 'sleep', args, verdict };
};
const shorter = policyOf(editedFiles('restricted', (text) => text.replace('msMax: 60000', 'msMax: 100')));
const longer = policyOf(editedFiles('restricted', (text) => text.replace('msMax: 60000', 'msMax: 70000')));

test('a past call that another policy decides otherwise is found', (t) => {
  t.is(redecide(call('deny'), shipped, longer, refuse)?.verdict, 'allow');
  t.is(redecide(call('allow', [101]), shipped, shorter, refuse)?.verdict, 'deny');
  const asking = policyOf(
    editedFiles('restricted', (text) => text.replace('msMax: 60000', 'msMax: 60000, approval: always')),
  );
  t.is(redecide(call('allow', [1]), shipped, asking, refuse)?.verdict, 'ask');
});

test('a past call that both policies decide alike is not held against the edit', (t) => {
  // Denied although the level grants it: the session's client had asked for less.
  t.is(redecide(call('deny', [1]), shipped, longer, refuse), null);
  t.is(redecide(call('allow', [1]), shipped, shorter, refuse), null);
  // What the log cut short is judged by its capability alone.
  t.is(redecide(call('allow', null), shipped, shorter, refuse), null);
});
