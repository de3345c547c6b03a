/**
 * Takes the capability calls of one session to the gate, has those that it lets through carried out, and sends the answers back.
 *
 * I1: every call gets one answer, unless the isolate that made it is gone.
 */

import type { Audit } from '../audit/audit-log.ts';
import type { CallContext } from '../capabilities/capability.ts';
import type { CallerSession, Gate } from '../capabilities/gate.ts';
import { faultError } from './execution-error.ts';

export interface CapabilityDeskPowers {
  readonly gate: Gate;
  readonly audit: Audit;
  readonly settle: (call: number, ok: boolean, json: string) => void;
  /** A call that waits for a person begins; the answer ends the wait. */
  readonly waitForPerson: () => () => void;
}

export interface CapabilityCall {
  readonly call: number;
  readonly name: string;
  readonly argsJson: string;
}

export class CapabilityDesk {
  readonly #powers: CapabilityDeskPowers;

  constructor(powers: CapabilityDeskPowers) {
    this.#powers = powers;
  }

  async handle({ call, name, argsJson }: CapabilityCall, caller: CallerSession, context: CallContext): Promise<void> {
    const { audit, settle } = this.#powers;
    const answer = await this.#answer(name, argsJson, caller, context);
    if (context.signal.aborted) return;
    const outcome = answer.ok ? 'done' : 'failed';
    audit.note('capability.outcome', { sessionId: caller.sessionId, capability: name.slice(0, 256), outcome });
    settle(call, answer.ok, answer.json);
  }

  async #answer(
    name: string,
    argsJson: string,
    caller: CallerSession,
    context: CallContext,
  ): Promise<{ readonly ok: boolean; readonly json: string }> {
    let waited: (() => void) | undefined;
    try {
      const verdict = this.#powers.gate.judge(caller, name, argsJson);
      if (verdict.verdict === 'deny') throw verdict.fault;
      if (verdict.capability.patient) waited = this.#powers.waitForPerson();
      const value = await verdict.capability.invoke(verdict.call, context);
      return { ok: true, json: JSON.stringify(value ?? null) };
    } catch (error) {
      const { code, name: errorName, message } = faultError(error);
      return { ok: false, json: JSON.stringify({ code, name: errorName, message }) };
    } finally {
      waited?.();
    }
  }
}
