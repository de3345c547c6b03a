/**
 * Takes the capability calls of one session to the gate, has those that it lets through carried out, waits for a person where one
 * has to agree, and sends the answers back.
 *
 * I1: every call gets one answer, unless the isolate that made it is gone.
 * I2: an effect starts only after its allow is in the audit log; its outcome is noted whatever it is.
 * I3: an effect that cannot simply be done again begins only once it is recorded that it does.
 * I4: no effect begins in a session that may be another daemon's.
 */
import type { Audit } from '../audit/audit-log.ts';
import type { CallContext, Capability } from '../capabilities/capability.ts';
import type { AllowedCall, CallerSession, Gate } from '../capabilities/gate.ts';
import type { RecordedCall } from '../durability/journal-records.ts';
import type { RebuiltCall } from '../durability/rebuilt.ts';
import { Fault } from '../fault.ts';
import type { Settlement } from '../hitl/inbox.ts';
import { withRetries } from './effect-retries.ts';
import { faultError } from './execution-error.ts';
import type { SessionRequests } from './session-requests.ts';

export interface CapabilityDeskPowers {
  readonly gate: Gate;
  readonly audit: Pick<Audit, 'note'>;
  readonly monotonicMs: () => number;
  /** A call that waits for a person or a timer begins; the answer ends the wait. */
  readonly waitPatiently: () => () => void;
  /** Puts calls before a person. */
  readonly requests: Pick<SessionRequests, 'forCall' | 'inDoubt'>;
  /** An effect begins that cannot simply be done again. Fails with UNAVAILABLE where that cannot be recorded. */
  readonly begun: (call: RecordedCall) => Promise<void> | undefined;
  /** The call is in the journal, under the key that it keeps. Fails with UNAVAILABLE where that cannot be. */
  readonly committed: () => Promise<void> | undefined;
  /** Fails with UNAVAILABLE where the session may be another daemon's by now. */
  readonly assertOwned: () => void;
  readonly settle: (call: RecordedCall, ok: boolean, json: string) => void;
  /** For what is nobody's message: a capability that failed in a way it did not foresee. */
  readonly log: (line: string) => void;
}

interface Answer {
  readonly ok: boolean;
  readonly json: string;
  readonly code?: string;
}

export class CapabilityDesk {
  readonly #powers: CapabilityDeskPowers;

  constructor(powers: CapabilityDeskPowers) {
    this.#powers = powers;
  }

  async handle(made: RebuiltCall, caller: CallerSession, context: CallContext): Promise<void> {
    const { audit, settle, monotonicMs } = this.#powers;
    const { key, name } = made.record;
    const startedMs = monotonicMs();
    const answer = await this.#answer(made, caller, context);
    const resultBytes = Buffer.byteLength(answer.json);
    if (answer.ok) caller.usage.charge(caller.effectNamed(name)?.grantedAs ?? name, resultBytes);
    audit.note('capability.outcome', {
      sessionId: caller.sessionId,
      callId: key,
      capability: name,
      outcome: answer.ok ? 'done' : 'failed',
      ...(answer.code === undefined ? {} : { code: answer.code }),
      resultBytes,
      durationMs: Math.round(monotonicMs() - startedMs),
    });
    settle(made.record, answer.ok, answer.json);
  }

  async #answer(made: RebuiltCall, caller: CallerSession, context: CallContext): Promise<Answer> {
    const { name } = made.record;
    try {
      assertWanted(made);
      const value = await this.#absent(made, caller, context);
      if (value !== null) return { ok: true, json: JSON.stringify(value.value ?? null) };
      const { capability, call } = await this.#allowed(made, caller, context);
      if (!capability.repeatable(call.args)) {
        const known =
          made.begun > 0 && !made.doubtSettled
            ? await this.#inDoubt(made, capability.audited(call.args), context)
            : null;
        if (known !== null) return { ok: true, json: JSON.stringify(known.value ?? null) };
        await this.#powers.begun(made.record);
      } else if (!capability.readOnly) {
        // Where it is there already, the effect begins in this very turn.
        const far = this.#powers.committed();
        if (far !== undefined) await far;
      }
      this.#powers.assertOwned();
      const done = await this.#carryOut(made.record, capability, call, context);
      return { ok: true, json: JSON.stringify(done ?? null) };
    } catch (error) {
      if (!(error instanceof Fault))
        this.#powers.log(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
      const { code, name: errorName, message, details } = faultError(error);
      return { ok: false, code, json: JSON.stringify({ code, name: errorName, message, details }) };
    }
  }

  /** What had begun stays in doubt where nobody is there to do it again: its client has not provided the function again. */
  async #absent(
    made: RebuiltCall,
    caller: CallerSession,
    context: CallContext,
  ): Promise<{ readonly value: unknown } | null> {
    const { name, argsJson } = made.record;
    if (made.begun === 0 || caller.effectNamed(name) !== undefined) return null;
    const known = await this.#inDoubt(made, caller.redactor.redactJson(JSON.parse(argsJson)), context);
    made.doubtSettled = true;
    return known;
  }

  /** Fails with the fault of whatever denied the call. */
  async #allowed(
    made: RebuiltCall,
    caller: CallerSession,
    { signal }: CallContext,
  ): Promise<{ readonly capability: Capability; readonly call: AllowedCall }> {
    const { key, name, argsJson } = made.record;
    let verdict = this.#powers.gate.judge(caller, { callId: key, name, argsJson });
    if (verdict.verdict === 'ask') {
      const { pending } = verdict;
      const settlement = await this.#waiting(() => this.#powers.requests.forCall(pending, made, signal));
      if (settlement.outcome !== 'approved') throw refused(name, settlement);
      verdict = this.#powers.gate.judgeApproved(caller, pending, settlement.approvalId);
    }
    if (verdict.verdict === 'deny') throw verdict.fault;
    return verdict;
  }

  /** What a person says instead of an outcome that nobody knows; null where it is to be done again. Fails with IN_DOUBT. */
  async #inDoubt(
    made: RebuiltCall,
    shown: unknown,
    { signal }: CallContext,
  ): Promise<{ readonly value: unknown } | null> {
    const { name } = made.record;
    const settlement = await this.#waiting(() => this.#powers.requests.inDoubt(made, shown, signal));
    if (settlement.outcome === 'approved') return 'value' in settlement ? { value: settlement.value } : null;
    const { outcome, comment, approvalId } = settlement;
    const said = comment === null ? '' : ` They said: ${comment}`;
    throw new Fault(
      'IN_DOUBT',
      `${name}: the daemon was interrupted while this was being done, and whether it was done is not known.${said}`,
      { capability: name, outcome, approvalId },
    );
  }

  /** A cell's wall clock stands still while a person is asked. */
  async #waiting<T>(wait: () => Promise<T>): Promise<T> {
    const waited = this.#powers.waitPatiently();
    try {
      return await wait();
    } finally {
      waited();
    }
  }

  async #carryOut(
    { key, name }: RecordedCall,
    capability: Capability,
    call: AllowedCall,
    context: CallContext,
  ): Promise<unknown> {
    const { args } = call;
    const invoke = (): Promise<unknown> =>
      withRetries(() => capability.invoke(call, context), {
        worthwhile: (fault) =>
          capability.repeatable(args) && !capability.continues(args) && capability.isTransient(fault),
        again: (attempt, { code }) => {
          this.#powers.assertOwned();
          const { sessionId } = context;
          this.#powers.audit.note('capability.retried', { sessionId, callId: key, capability: name, attempt, code });
        },
        signal: context.signal,
      });
    return capability.patient ? await this.#waiting(invoke) : await invoke();
  }
}

/** What was under way when its cell was stopped is not taken up by another daemon: it was ended, or is not known to have been done. */
function assertWanted({ record: { name }, stopped, begun }: RebuiltCall): void {
  if (!stopped) return;
  if (begun > 0)
    throw new Fault(
      'IN_DOUBT',
      `${name}: its cell was stopped, and the daemon interrupted, while this was being done; whether it was done is not known.`,
      { capability: name },
    );
  throw new Fault('INTERRUPTED', `${name}: its cell was stopped.`, { capability: name });
}

function refused(name: string, { outcome, comment, approvalId }: Settlement): Fault {
  const said = comment === null ? '' : ` They said: ${comment}`;
  const message =
    outcome === 'denied'
      ? `${name}: the person who was asked refused.${said}`
      : outcome === 'timed-out'
        ? `${name}: nobody approved the call in time.`
        : `${name}: the call was taken back before anybody approved it.`;
  return new Fault('APPROVAL_DENIED', message, { capability: name, outcome, approvalId });
}
