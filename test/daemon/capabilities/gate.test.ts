import test from 'ava';
import { denied } from '../../../daemon/capabilities/gate.ts';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';
import { Fault } from '../../../daemon/fault.ts';
import { shippedPolicy } from '../../policies/shipped-files.ts';
import { codeOf, editedPolicy, makeGate } from './_gate-fixture.ts';

const policy = shippedPolicy();

test('lets a granted call through, with its arguments parsed and the constraints of the level', (t) => {
  const { session, judge, records } = makeGate(policy);
  const verdict = judge(session('restricted'), 'input', ['name?']);
  t.is(verdict.verdict, 'allow');
  if (verdict.verdict === 'allow')
    t.like(verdict.call, {
      capability: 'input',
      args: ['name?'],
      constraints: { waitMsMax: 600_000 },
      ruleId: 'restricted/grants/input',
    });
  t.like(records[0], {
    kind: 'capability.decision',
    fields: { verdict: 'allow', capability: 'input', args: ['name?'], executionId: 'exe_1', policyHash: 'hash' },
  });
});

for (const [what, level, only, name] of [
  ['the level does not grant', 'sandbox', undefined, 'input'],
  ['the session was not given', 'restricted', [], 'input'],
  ['is no effect', 'restricted', undefined, 'print'],
  ['nobody knows', 'unrestricted', undefined, 'teleport'],
  ['has the name of something every object has', 'unrestricted', undefined, 'constructor'],
  ['has the name of a prototype', 'unrestricted', undefined, '__proto__'],
] as const) {
  test(`F01: denies and records a call that ${what}`, (t) => {
    const { session, judge, records } = makeGate(policy);
    t.is(codeOf(judge(session(level, only && { only }), name, '[]')), 'CAPABILITY_DENIED');
    t.like(records[0]?.fields, { verdict: 'deny', code: 'CAPABILITY_DENIED', capability: name });
  });
}

for (const args of [
  '[1]',
  '[null]',
  '["a","b"]',
  '{}',
  '"text"',
  'not json',
  '',
  '[[]]',
  `["${'x'.repeat(8193)}"]`,
  '[{"toString":1}]',
]) {
  test(`F07: denies input() called with ${args.slice(0, 30)}`, (t) => {
    const { session, judge, records } = makeGate(policy);
    t.is(codeOf(judge(session('restricted'), 'input', args)), 'INVALID_PARAMS');
    t.like(records[0]?.fields, { verdict: 'deny', code: 'INVALID_PARAMS' });
    t.true(JSON.stringify(records[0]?.fields.args).length <= 1024);
  });
}

test('decides nothing that it cannot record', (t) => {
  const { session, judge } = makeGate(policy, { auditFails: true });
  t.is(t.throws(() => judge(session('restricted'), 'input', '[]'), { instanceOf: Fault })?.code, 'UNAVAILABLE');
});

test('a call that the constraints refuse is denied in the words of the capability', (t) => {
  const { session, judge, records } = makeGate(policy);
  const verdict = judge(session('standard'), 'kv', ['forbidden']);
  t.is(codeOf(verdict), 'CAPABILITY_DENIED');
  t.like(records[0]?.fields, { verdict: 'deny', reason: 'That key is forbidden.' });
});

test('the audit log shows of the arguments what the capability says, without the secrets that the session was given', (t) => {
  const { session, judge, records } = makeGate(policy);
  const caller = session('standard');
  const redactor = new Redactor();
  redactor.add('password', 'hunter2');
  const redacting = { ...caller, redactor };
  judge(redacting, 'kv', ['the hunter2 key']);
  t.deepEqual(records[0]?.fields.args, { key: 'the [redacted:password] key' });
});

test('a rate lets so many calls through in its time, refuses one more, and lets it through later', (t) => {
  const { session, judge } = makeGate(editedPolicy('standard', /kv: \{ /, 'kv: { rate: 3/minute, '));
  let nowMs = 0;
  const caller = session('standard', { nowMs: () => nowMs });
  const codes = () => codeOf(judge(caller, 'kv', ['a']));
  t.deepEqual([codes(), codes(), codes(), codes()], ['allow', 'allow', 'allow', 'RATE_LIMITED']);
  nowMs = 59_999;
  t.is(codes(), 'RATE_LIMITED');
  nowMs = 60_000;
  t.deepEqual([codes(), codes(), codes(), codes()], ['allow', 'allow', 'allow', 'RATE_LIMITED']);
});

test('F10: a budget of calls is used up by calls made at once, and a refused call costs nothing', (t) => {
  const { session, judge } = makeGate(editedPolicy('standard', /kv: \{ /, 'kv: { budget: { calls: 2 }, '));
  const caller = session('standard');
  t.is(codeOf(judge(caller, 'kv', ['forbidden'])), 'CAPABILITY_DENIED');
  t.deepEqual(
    Array.from({ length: 4 }, () => codeOf(judge(caller, 'kv', ['a']))),
    ['allow', 'allow', 'BUDGET_EXCEEDED', 'BUDGET_EXCEEDED'],
  );
});

test('F10: a budget of bytes counts arguments before the call and results after it', (t) => {
  const { session, judge } = makeGate(editedPolicy('standard', /kv: \{ /, 'kv: { budget: { bytes: 20 }, '));
  const caller = session('standard');
  t.is(codeOf(judge(caller, 'kv', ['a'.repeat(16)])), 'allow');
  t.is(codeOf(judge(caller, 'kv', [''])), 'BUDGET_EXCEEDED');
  const other = session('standard');
  t.is(codeOf(judge(other, 'kv', ['a'])), 'allow');
  other.usage.charge('kv', 16);
  t.is(codeOf(judge(other, 'kv', ['a'])), 'BUDGET_EXCEEDED');
});

test('a call that goes on with an earlier one is not counted again, nor put to a person again', (t) => {
  const edit = 'kv: { budget: { calls: 1 }, rate: 1/day, approval: always, ';
  const { session, judge } = makeGate(editedPolicy('standard', /kv: \{ /, edit));
  const caller = session('standard');
  t.is(codeOf(judge(caller, 'kv', ['a'])), 'ask');
  t.is(codeOf(judge(caller, 'kv', ['more'])), 'allow');
  t.is(codeOf(judge(caller, 'kv', ['b'])), 'BUDGET_EXCEEDED');
});

test('approval "once" asks until a person has agreed, "always" asks each time', (t) => {
  for (const [approval, after] of [
    ['once', 'allow'],
    ['always', 'ask'],
  ] as const) {
    const { gate, session, judge, records } = makeGate(
      editedPolicy('standard', /kv: \{ /, `kv: { approval: ${approval}, `),
    );
    const caller = session('standard');
    const verdict = judge(caller, 'kv', ['a']);
    t.is(codeOf(verdict), 'ask');
    t.is(codeOf(judge(caller, 'kv', ['b'])), 'ask');
    if (verdict.verdict !== 'ask') return;
    t.is(codeOf(gate.judgeApproved(caller, verdict.pending, 'apr_1')), 'allow');
    t.like(records.at(-1)?.fields, { verdict: 'allow', approvalId: 'apr_1' });
    t.is(codeOf(judge(caller, 'kv', ['c'])), after, approval);
  }
});

test('F05: a call that was approved is judged again by the policy of that moment', (t) => {
  const { gate, session, judge, use } = makeGate(editedPolicy('standard', /kv: \{ /, 'kv: { approval: always, '));
  const caller = session('standard');
  const verdict = judge(caller, 'kv', ['a']);
  t.is(codeOf(verdict), 'ask');
  use(editedPolicy('standard', / {2}kv: .*/, '  kv: false'));
  if (verdict.verdict === 'ask')
    t.is(codeOf(gate.judgeApproved(caller, verdict.pending, 'apr_1')), 'CAPABILITY_DENIED');
});

test('what an edit of the policy takes away is gone at the next call; what it gives comes only when it is widened', (t) => {
  const { session, judge, use } = makeGate(policy);
  const running = session('standard');
  const low = session('sandbox');
  use(editedPolicy('standard', / {2}kv: .*/, '  kv: false'));
  t.is(codeOf(judge(running, 'kv', ['a'])), 'CAPABILITY_DENIED');
  use(editedPolicy('sandbox', 'print: true', 'print: true\n  kv: { keysMax: 5 }'));
  t.is(codeOf(judge(running, 'kv', ['a'])), 'allow');
  t.is(codeOf(judge(low, 'kv', ['a'])), 'CAPABILITY_DENIED');
  low.entitlements.widen(undefined);
  t.is(codeOf(judge(low, 'kv', ['a'])), 'allow');
  t.is(codeOf(judge(session('sandbox'), 'kv', ['a'])), 'allow');
});

test('constraints of a running session become the narrower of what it was given and what the policy says now', (t) => {
  const { session, use } = makeGate(
    editedPolicy('standard', 'hosts: [], methods', 'hosts: ["*.example.com"], methods'),
  );
  const running = session('standard');
  const hosts = () => running.entitlements.grantOf('fetch')?.constraints['hosts'];
  use(editedPolicy('standard', 'hosts: [], methods', 'hosts: [api.example.com, other.org], methods'));
  t.deepEqual(hosts(), ['api.example.com']);
  use(editedPolicy('standard', 'hosts: [], methods', 'hosts: ["*"], methods'));
  t.deepEqual(hosts(), ['*.example.com']);
});

test('a denial names the lowest level that grants the capability, or says that none does', (t) => {
  t.like(denied(policy, 'sandbox', 'input'), {
    code: 'CAPABILITY_DENIED',
    details: { capability: 'input', level: 'sandbox', lowestLevel: 'restricted' },
  });
  t.regex(denied(policy, 'sandbox', 'teleport').message, /No level grants it/);
});
