/**
 * How long does the policy take to decide a call?
 *
 * In this process, without a session around it: the decision alone, and the whole of the gate (arguments parsed, constraints held
 * against them, rate and budget counted) with an audit log that writes nothing. Each sample is the mean of a thousand, as a clock
 * does not tell microseconds apart. Does not measure: the audit log, which `capability-call` has in it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Entitlements } from '../daemon/capabilities/entitlements.ts';
import { type CallerSession, Gate } from '../daemon/capabilities/gate.ts';
import { HashCapability } from '../daemon/capabilities/hash.ts';
import { Redactor } from '../daemon/capabilities/redactor.ts';
import { SessionUsage } from '../daemon/capabilities/usage.ts';
import { BUILT_IN } from '../policies/capabilities.ts';
import { decide, levelOf } from '../policies/evaluate.ts';
import { parsePolicy } from '../policies/parse.ts';
import type { Policy } from '../policies/policy.ts';
import { type Question, timingRow } from './measure.ts';

const LEVELS = new URL('../policies/levels/', import.meta.url);
const LEVEL = 'standard';
const REQUEST = { callId: 'ses/1/1', name: 'hash', argsJson: '["sha256",{"text":"x"}]' };
const TARGET_MS = 0.01;

export const policyDecision: Question = {
  name: 'policy-decision',
  async run(size) {
    const policy = shippedPolicy();
    const gate = new Gate(
      () => policy,
      () => 'hash',
      { append: () => undefined, note: () => undefined },
    );
    const session = sessionAt(policy);
    const [samples, each] = size === 'full' ? [200, 1000] : [2, 10];
    return [
      timingRow(
        'a decision',
        means(samples, each, () => decide(policy, LEVEL, 'hash').verdict),
        null,
        TARGET_MS,
      ),
      timingRow(
        'the gate, without its record',
        means(samples, each, () => gate.judge(session, REQUEST).verdict),
        null,
        TARGET_MS,
      ),
    ];
  },
};

function sessionAt(policy: Policy): CallerSession {
  const capability = new HashCapability();
  return {
    sessionId: 'ses',
    executionId: null,
    entitlements: new Entitlements(LEVEL, levelOf(policy, LEVEL).grants, () => policy, BUILT_IN),
    usage: new SessionUsage(() => 0),
    redactor: new Redactor(),
    approvedOnce: new Set(),
    effectNamed: () => ({ capability, grantedAs: 'hash' }),
  };
}

/** Milliseconds of one act, as the means of many; the first ones warm up. */
function means(samples: number, each: number, act: () => string): number[] {
  const taken: number[] = [];
  for (let sample = -samples / 2; sample < samples; sample++) {
    const startedMs = performance.now();
    for (let i = 0; i < each; i++) if (act() !== 'allow') throw new Error('the bench is of calls that are allowed');
    if (sample >= 0) taken.push((performance.now() - startedMs) / each);
  }
  return taken;
}

function shippedPolicy(): Policy {
  const files = readdirSync(LEVELS).map((name) => ({ name, text: readFileSync(new URL(name, LEVELS), 'utf8') }));
  const parsed = parsePolicy(files);
  if (!parsed.ok) throw new Error('the shipped policy has problems');
  return parsed.policy;
}
