/**
 * Stands between guest code and every effect: the only place that can make an `AllowedCall`, and `Capability.invoke` takes
 * nothing else.
 *
 * I1: nothing is done for a call before its decision is in the audit log.
 * I2: arguments are copied and parsed once, before the decision; what was audited is what is used.
 */
import * as v from 'valibot';
import type { CapabilityName, ConstraintsOf } from '../../policies/capabilities.ts';
import { decide, lowestLevelGranting } from '../../policies/evaluate.ts';
import type { LevelName, Policy } from '../../policies/policy.ts';
import type { Audit } from '../audit/audit-log.ts';
import { Fault } from '../fault.ts';
import type { Capability } from './capability.ts';
import { capabilityNamed } from './registry.ts';

declare const minted: unique symbol;

/** A call that the policy lets through. */
export interface AllowedCall<K extends CapabilityName = CapabilityName, A = unknown> {
  readonly [minted]: true;
  readonly capability: K;
  readonly args: A;
  readonly constraints: ConstraintsOf<K>;
  readonly ruleId: string;
}

/** Who calls. */
export interface CallerSession {
  readonly sessionId: string;
  readonly level: LevelName;
  /** What the session was given; a level's grant that it did not ask for counts as withdrawn. */
  readonly capabilities: ReadonlySet<string>;
  readonly executionId: string | null;
}

export type GateVerdict =
  | { readonly verdict: 'allow'; readonly capability: Capability; readonly call: AllowedCall }
  | { readonly verdict: 'deny'; readonly fault: Fault };

const AUDITED_ARGS_MAX = 2048;

export class Gate {
  readonly #policy: () => Policy;
  readonly #audit: Audit;

  constructor(policy: () => Policy, audit: Audit) {
    this.#policy = policy;
    this.#audit = audit;
  }

  /** @param argsJson what the host says guest code passed: untrusted text */
  judge(session: CallerSession, name: string, argsJson: string): GateVerdict {
    const verdict = this.#judge(session, name, argsJson);
    this.#audit.append('capability.decision', {
      sessionId: session.sessionId,
      executionId: session.executionId,
      level: session.level,
      capability: name.slice(0, 256),
      args: argsJson.slice(0, AUDITED_ARGS_MAX),
      ...(verdict.verdict === 'allow'
        ? { verdict: 'allow', ruleId: verdict.call.ruleId }
        : { verdict: 'deny', code: verdict.fault.code, reason: verdict.fault.message }),
    });
    return verdict;
  }

  #judge(session: CallerSession, name: string, argsJson: string): GateVerdict {
    const decision = decide(this.#policy(), session.level, name);
    const capability = capabilityNamed(name);
    if (decision.verdict === 'deny' || capability?.kind !== 'effect' || !session.capabilities.has(name)) {
      return { verdict: 'deny', fault: denied(this.#policy(), session.level, name) };
    }
    const parsed = v.safeParse(capability.args, parseJson(argsJson));
    if (!parsed.success) {
      const [issue] = parsed.issues;
      return {
        verdict: 'deny',
        fault: new Fault('INVALID_PARAMS', `${name}(): ${issue.message}. It is called as ${capability.signature}`),
      };
    }
    const refusal = capability.refuse(parsed.output, decision.constraints);
    if (refusal !== null)
      return { verdict: 'deny', fault: new Fault('CAPABILITY_DENIED', refusal, { capability: name }) };
    const call = { capability: name, args: parsed.output, constraints: decision.constraints, ruleId: decision.ruleId };
    return { verdict: 'allow', capability, call: call as unknown as AllowedCall };
  }
}

/** The one way a denial is worded. */
export function denied(policy: Policy, level: LevelName, name: string): Fault {
  const lowestLevel = lowestLevelGranting(policy, name);
  const remedy =
    decide(policy, level, name).verdict === 'allow'
      ? 'The level grants it, but the session was created with fewer capabilities.'
      : lowestLevel === null
        ? 'No level grants it.'
        : `The lowest level that grants it is ${lowestLevel}.`;
  return new Fault('CAPABILITY_DENIED', `${name} is not granted to this session (level ${level}). ${remedy}`, {
    capability: name,
    level,
    lowestLevel,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
