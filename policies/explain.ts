/** Which rule decides a question, where it is written, and why: for people, and for tables of expected decisions. Pure. */
import type { Constraints } from './capabilities.ts';
import { decide } from './evaluate.ts';
import type { Grant, LevelName, Origin, Policy } from './policy.ts';
import { describeTerms } from './terms.ts';

/**
 * Why constraints refuse a call with these arguments, or null. What arguments mean is known to the capability alone, so this is
 * given from outside.
 */
export type Refuse = (capability: string, args: readonly unknown[], constraints: Constraints) => string | null;

export type Verdict = 'allow' | 'ask' | 'deny';

export interface Explanation {
  readonly verdict: Verdict;
  /** A sentence. */
  readonly reason: string;
  readonly ruleId: string;
  /** Where the rule is written; null for the rule that what nobody grants is denied. */
  readonly origin: Origin | null;
  /** The lowest level that would let it through, on whatever terms; null when none does. */
  readonly lowestLevel: LevelName | null;
  readonly grant: Grant | null;
}

/**
 * The answer to "may this level use this capability?", or, with arguments, to "may it make this call?".
 *
 * @param args null where the question is about the capability in general
 */
export function explain(
  policy: Policy,
  level: LevelName,
  capability: string,
  args: readonly unknown[] | null,
  refuse: Refuse,
): Explanation {
  const grant = policy.levels.get(level)?.grants.get(capability) ?? null;
  if (grant === null) return explainAbsence(policy, level, capability);
  const { ruleId, origin, terms } = grant;
  const place = `${ruleId} (${describeOrigin(origin)})`;
  const refusal = args === null ? null : refuse(capability, args, grant.constraints);
  if (refusal !== null) {
    const lowestLevel = args === null ? null : lowestLevelLetting(policy, capability, args, refuse);
    const where =
      lowestLevel === null ? 'no level lets it through' : `the lowest level that lets it through is ${lowestLevel}`;
    const reason = `${place} grants ${capability}, and its constraints refuse this call: ${refusal}; ${where}`;
    return { verdict: 'deny', reason, ruleId, origin, lowestLevel, grant };
  }
  const conditions = describeTerms(terms);
  const reason = `${place} grants ${capability}${conditions === '' ? '' : `: ${conditions}`}`;
  const lowestLevel = lowestLevelLetting(policy, capability, args, refuse);
  return { verdict: terms.approval === 'never' ? 'allow' : 'ask', reason, ruleId, origin, lowestLevel, grant };
}

function describeOrigin({ file, line }: Origin): string {
  return `${file}, line ${line}`;
}

function explainAbsence(policy: Policy, level: LevelName, capability: string): Explanation {
  const decision = decide(policy, level, capability);
  const withdrawal = policy.levels.get(level)?.withdrawals.get(capability) ?? null;
  const lowestLevel = decision.verdict === 'deny' ? decision.lowestLevel : null;
  const denied = decision.verdict === 'deny' ? decision.reason : '';
  const reason =
    withdrawal === null
      ? denied
      : `${withdrawal.ruleId} (${describeOrigin(withdrawal.origin)}) takes it away: ${denied}`;
  const origin = withdrawal?.origin ?? null;
  return { verdict: 'deny', reason, ruleId: decision.ruleId, origin, lowestLevel, grant: null };
}

function lowestLevelLetting(
  policy: Policy,
  capability: string,
  args: readonly unknown[] | null,
  refuse: Refuse,
): LevelName | null {
  for (const [name, { grants }] of policy.levels) {
    const grant = grants.get(capability);
    if (grant === undefined) continue;
    if (args === null || refuse(capability, args, grant.constraints) === null) return name;
  }
  return null;
}

/** One call of the past, as the audit log has it. */
export interface PastCall {
  readonly level: LevelName;
  readonly capability: string;
  /** null where they are not known as a whole. */
  readonly args: readonly unknown[] | null;
  readonly verdict: Verdict;
}

/**
 * What the other policy makes of a call; null where it is decided as it was.
 *
 * Both policies are asked in the same way, so that what the log cannot tell, such as what the session's client asked for, makes no
 * difference of its own.
 */
export function redecide(call: PastCall, from: Policy, to: Policy, refuse: Refuse): Explanation | null {
  const ask = (policy: Policy): Explanation => explain(policy, call.level, call.capability, call.args, refuse);
  const after = ask(to);
  return after.verdict === call.verdict || after.verdict === ask(from).verdict ? null : after;
}
