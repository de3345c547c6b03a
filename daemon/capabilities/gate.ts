/**
 * Stands between guest code and every effect: the only place that can make an `AllowedCall`, and `Capability.invoke` takes
 * nothing else.
 *
 * I1: nothing is done for a call before its decision is in the audit log.
 * I2: arguments are copied and parsed once, before the decision; what was audited and approved is what is used.
 * I3: a call that waited for a person is judged again, by the policy of that moment, before it is let through.
 */
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { lowestLevelGranting } from '../../policies/evaluate.ts';
import type { Grant, LevelName, Policy } from '../../policies/policy.ts';
import type { Audit } from '../audit/audit-log.ts';
import { Fault } from '../fault.ts';
import type { Capability } from './capability.ts';
import type { Entitlements } from './entitlements.ts';
import type { Redactor } from './redactor.ts';
import type { CallUsage } from './usage.ts';

declare const minted: unique symbol;

/** A call that the policy lets through. */
export interface AllowedCall<K extends string = string, A = unknown> {
  readonly [minted]: true;
  readonly capability: K;
  readonly args: A;
  readonly constraints: ConstraintsOf<K>;
  readonly ruleId: string;
}

/** Who calls. */
export interface CallerSession {
  readonly sessionId: string;
  readonly entitlements: Entitlements;
  readonly usage: CallUsage;
  readonly redactor: Pick<Redactor, 'redact' | 'redactJson'>;
  readonly executionId: string | null;
  /** What a name means in this session: the daemon's capabilities, and those that its client provides. */
  effectNamed(
    name: string,
  ): { readonly capability: Capability /** The policy's name for it. */; readonly grantedAs: string } | undefined;
  /** Capabilities that a person has agreed to once, for the rest of the session. */
  readonly approvedOnce: Set<string>;
}

/** One call as it came from the host: untrusted. */
export interface CallRequest {
  readonly callId: string;
  readonly name: string;
  readonly argsJson: string;
}

/** A call that the policy lets through once a person agrees. */
export interface PendingCall {
  readonly request: CallRequest;
  readonly capability: Capability;
  readonly grant: Grant;
  /** What the capability shows of its arguments. */
  readonly shown: unknown;
}

type Denied = { readonly verdict: 'deny'; readonly fault: Fault };
type Allowed = { readonly verdict: 'allow'; readonly capability: Capability; readonly call: AllowedCall };
export type GateVerdict = Allowed | Denied | { readonly verdict: 'ask'; readonly pending: PendingCall };

/** A call whose arguments have been looked at, and whose decision is still to be recorded. */
interface Examined {
  readonly capability: Capability;
  readonly grant: Grant;
  readonly args: unknown;
}

/** `examined` where the arguments fitted the capability, and its constraints refused them. */
interface Refused {
  readonly fault: Fault;
  readonly examined?: Examined;
}

export class Gate {
  readonly #policy: () => Policy;
  readonly #policyHash: () => string;
  readonly #audit: Pick<Audit, 'append' | 'note'>;

  constructor(policy: () => Policy, policyHash: () => string, audit: Pick<Audit, 'append' | 'note'>) {
    this.#policy = policy;
    this.#policyHash = policyHash;
    this.#audit = audit;
  }

  judge(session: CallerSession, request: CallRequest): GateVerdict {
    const examined = this.#examine(session, request);
    if ('fault' in examined) return this.#deny(session, request, examined.fault, examined.examined);
    const { capability, grant, args } = examined;
    const { terms } = grant;
    const continues = capability.continues(args);
    const exceeded = continues
      ? null
      : session.usage.reserve(grant.capability, terms, Buffer.byteLength(request.argsJson));
    if (exceeded !== null) return this.#deny(session, request, exceeded, examined);
    const approved =
      terms.approval === 'never' || (terms.approval === 'once' && session.approvedOnce.has(grant.capability));
    if (approved || continues) return this.#allow(session, request, examined);
    const shown = this.#shown(session, examined);
    this.#record(session, request, { verdict: 'ask', ruleId: grant.ruleId, args: shown });
    return { verdict: 'ask', pending: { request, capability, grant, shown } };
  }

  /** A person has agreed to the call. */
  judgeApproved(session: CallerSession, { request, grant }: PendingCall, approvalId: string): Allowed | Denied {
    const examined = this.#examine(session, request);
    if ('fault' in examined) return this.#deny(session, request, examined.fault, examined.examined);
    if (grant.terms.approval === 'once') session.approvedOnce.add(grant.capability);
    return this.#allow(session, request, examined, approvalId);
  }

  /** Code named a capability that it was not given, and which therefore does not exist in its isolate. */
  noteMissing({ sessionId, executionId, entitlements }: CallerSession, name: string, { code, message }: Fault): void {
    this.#audit.note('capability.decision', {
      sessionId,
      executionId,
      callId: null,
      level: entitlements.level,
      capability: name,
      args: null,
      argsBytes: 0,
      policyHash: this.#policyHash(),
      verdict: 'deny',
      code,
      reason: message,
    });
  }

  #examine(session: CallerSession, { name, argsJson }: CallRequest): Examined | Refused {
    const effect = session.effectNamed(name);
    const grant = effect === undefined ? undefined : session.entitlements.grantOf(effect.grantedAs);
    if (effect === undefined || grant === undefined)
      return { fault: denied(this.#policy(), session.entitlements.level, name) };
    const { capability } = effect;
    const parsed = v.safeParse(capability.args, parseJson(argsJson));
    if (!parsed.success) {
      const [issue] = parsed.issues;
      const where = v.getDotPath(issue);
      const place = where === null ? '' : ` (at ${where})`;
      return {
        fault: new Fault(
          'INVALID_PARAMS',
          `${name}(): ${issue.message}${place}. It is called as ${capability.signature}`,
        ),
      };
    }
    const refusal = capability.refuse(parsed.output, grant.constraints);
    const examined = { capability, grant, args: parsed.output };
    return refusal === null
      ? examined
      : { fault: new Fault('CAPABILITY_DENIED', refusal, { capability: name }), examined };
  }

  #allow(session: CallerSession, request: CallRequest, examined: Examined, approvalId?: string): Allowed {
    const { capability, grant, args } = examined;
    const { ruleId, constraints } = grant;
    this.#record(session, request, {
      verdict: 'allow',
      ruleId,
      args: this.#shown(session, examined),
      ...(approvalId === undefined ? {} : { approvalId }),
    });
    const call = { capability: request.name, args, constraints, ruleId };
    return { verdict: 'allow', capability, call: call as unknown as AllowedCall };
  }

  #deny(session: CallerSession, request: CallRequest, fault: Fault, examined?: Examined): Denied {
    const args = examined === undefined ? shapeOf(request.argsJson) : this.#shown(session, examined);
    // The words of a refusal hold what was asked for, which may be anything.
    const reason = session.redactor.redact(fault.message);
    this.#record(session, request, { verdict: 'deny', code: fault.code, reason, args });
    return { verdict: 'deny', fault };
  }

  #shown({ redactor }: CallerSession, { capability, args }: Examined): unknown {
    return redactor.redactJson(capability.audited(args));
  }

  #record(session: CallerSession, { callId, name, argsJson }: CallRequest, decision: Decision): void {
    const { sessionId, executionId, entitlements } = session;
    this.#audit.append(
      'capability.decision',
      {
        sessionId,
        executionId,
        callId,
        level: entitlements.level,
        capability: name,
        argsBytes: Buffer.byteLength(argsJson),
        policyHash: this.#policyHash(),
        ...decision,
      },
      entitlements.auditSync,
    );
  }
}

interface Decision {
  readonly verdict: 'allow' | 'deny' | 'ask';
  readonly args: unknown;
  readonly ruleId?: string;
  readonly approvalId?: string;
  readonly code?: string;
  readonly reason?: string;
}

const SHAPE_MAX = 16;

/** Of arguments that fitted no capability only the kinds: what stands in them may be contents or a secret. */
function shapeOf(argsJson: string): unknown {
  const args = parseJson(argsJson);
  if (!Array.isArray(args)) return args === undefined ? 'no JSON' : typeof args;
  return args.slice(0, SHAPE_MAX).map((arg) => (arg === null ? 'null' : Array.isArray(arg) ? 'list' : typeof arg));
}

/** The one way a denial is worded. */
export function denied(policy: Policy, level: LevelName, name: string): Fault {
  const lowestLevel = lowestLevelGranting(policy, name);
  const granted = policy.levels.get(level)?.grants.has(name) ?? false;
  const remedy = granted
    ? 'The level grants it, but this session was not given it.'
    : lowestLevel === null
      ? 'No level grants it.'
      : `The lowest level that grants it is ${lowestLevel}.`;
  const shown = name.slice(0, 128);
  return new Fault('CAPABILITY_DENIED', `${shown} is not granted to this session (level ${level}). ${remedy}`, {
    capability: shown,
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
