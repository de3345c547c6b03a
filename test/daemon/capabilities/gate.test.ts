import test from 'ava';
import type { Audit, AuditRecords } from '../../../daemon/audit/audit-log.ts';
import { type CallerSession, denied, Gate } from '../../../daemon/capabilities/gate.ts';
import { CAPABILITIES, capabilityNamed } from '../../../daemon/capabilities/registry.ts';
import { Fault } from '../../../daemon/fault.ts';
import { shippedPolicy } from '../../policies/shipped-files.ts';

const policy = shippedPolicy();
const session = (changes: Partial<CallerSession> = {}): CallerSession => ({
  sessionId: 'ses_1',
  level: 'restricted',
  capabilities: new Set(['input', 'print']),
  executionId: 'exe_1',
  ...changes,
});

function makeGate(fails = false) {
  const records: { kind: string; fields: Partial<AuditRecords['capability.decision']> }[] = [];
  const audit: Audit = {
    append: (kind, fields) => {
      if (fails) throw new Fault('UNAVAILABLE', 'full');
      records.push({ kind, fields: fields as never });
    },
    note: () => undefined,
  };
  return { gate: new Gate(() => policy, audit), records };
}

const codeOf = (verdict: ReturnType<Gate['judge']>) => (verdict.verdict === 'deny' ? verdict.fault.code : 'allowed');

test('lets a granted call through, with its arguments parsed and the constraints of the level', (t) => {
  const { gate, records } = makeGate();
  const verdict = gate.judge(session(), 'input', '["name?"]');
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
    fields: { verdict: 'allow', capability: 'input', args: '["name?"]', executionId: 'exe_1' },
  });
});

for (const [what, changes, name] of [
  ['the level does not grant', { level: 'sandbox' }, 'input'],
  ['the session was not given', { capabilities: new Set<string>() }, 'input'],
  ['is no effect', {}, 'print'],
  ['nobody knows', {}, 'fetch'],
  ['has the name of something every object has', {}, 'constructor'],
  ['has the name of a prototype', {}, '__proto__'],
] as const) {
  test(`denies and records a call that ${what}`, (t) => {
    const { gate, records } = makeGate();
    t.is(codeOf(gate.judge(session(changes), name, '[]')), 'CAPABILITY_DENIED');
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
    const { gate, records } = makeGate();
    t.is(codeOf(gate.judge(session(), 'input', args)), 'INVALID_PARAMS');
    t.like(records[0]?.fields, { verdict: 'deny', code: 'INVALID_PARAMS' });
    t.true((records[0]?.fields.args?.length ?? 0) <= 2048);
  });
}

test('decides nothing that it cannot record', (t) => {
  const { gate } = makeGate(true);
  t.is(t.throws(() => gate.judge(session(), 'input', '[]'), { instanceOf: Fault })?.code, 'UNAVAILABLE');
});

test('a denial names the lowest level that grants the capability, or says that none does', (t) => {
  t.like(denied(policy, 'sandbox', 'input'), {
    code: 'CAPABILITY_DENIED',
    details: { capability: 'input', level: 'sandbox', lowestLevel: 'restricted' },
  });
  t.regex(denied(policy, 'sandbox', 'fetch').message, /No level grants it/);
});

test('every capability has words for people and a signature', (t) => {
  for (const { name, summary, signature } of CAPABILITIES) {
    t.true(summary.endsWith('.'), name);
    t.true(signature.length > 0, name);
    t.is(capabilityNamed(name)?.name, name);
  }
  t.is(capabilityNamed('toString'), undefined);
});
