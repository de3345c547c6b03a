/**
 * What one session asks of people: whether a call may be made, what its code wants decided, what to do about a call whose outcome
 * nobody knows, whether it may go up a level.
 *
 * I1: asked again because of the same call, it is the same request, and an answer that was given counts.
 */
import type { EventBody } from '../../client/protocol.ts';
import type { Decision, DecisionRequest } from '../capabilities/capability.ts';
import type { PendingCall } from '../capabilities/gate.ts';
import type { Redactor } from '../capabilities/redactor.ts';
import type { StoredRaise } from '../durability/journal-records.ts';
import type { RebuiltCall } from '../durability/rebuilt.ts';
import { Fault } from '../fault.ts';
import type { InboxRequest } from '../hitl/approval-request.ts';
import type { Inbox, Settlement } from '../hitl/inbox.ts';
import type { SessionLife } from './session-life.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export interface RequestsPowers {
  readonly inbox: Pick<Inbox, 'request'>;
  readonly redactor: Redactor;
  readonly life: Pick<SessionLife, 'asked' | 'decided' | 'approvedOnce'>;
  /** What is shown of the session. */
  session(): Pick<InboxRequest, 'sessionId' | 'sessionName' | 'principal' | 'language' | 'level'>;
  emit(event: EventBody): void;
}

type Asked = Pick<InboxRequest, 'kind' | 'capability' | 'args' | 'argsJson' | 'raisesTo' | 'standing' | 'guest'> &
  Partial<Pick<InboxRequest, 'valueBytesMax'>>;

export class SessionRequests {
  readonly #powers: RequestsPowers;

  constructor(powers: RequestsPowers) {
    this.#powers = powers;
  }

  /** Whether a call may be made that the policy lets through once a person agrees. */
  forCall({ request, shown, grant }: PendingCall, made: RebuiltCall, signal: AbortSignal): Promise<Settlement> {
    const { name, argsJson } = request;
    const standing = grant.terms.approval === 'once';
    const asked: Asked = {
      kind: 'call',
      capability: name,
      args: shown,
      argsJson,
      raisesTo: null,
      standing,
      guest: null,
    };
    return this.#because(made, asked, SESSION_LIMITS.approvalWaitMs, signal, {
      onApproved: () => {
        if (standing) this.#powers.life.approvedOnce(grant.capability);
      },
    });
  }

  /** What guest code itself wants decided. */
  forGuest(
    { kind, title, details, waitMs, valueBytesMax }: DecisionRequest,
    made: RebuiltCall,
    signal: AbortSignal,
  ): Promise<Decision> {
    const { redactor } = this.#powers;
    const argsJson = JSON.stringify([title, details ?? null]);
    const guest = { title: redactor.redact(title), details: redactor.redactJson(details) };
    const asked: Asked = { kind, capability: kind, args: null, argsJson, raisesTo: null, standing: false, guest };
    const sized = valueBytesMax === undefined ? asked : { ...asked, valueBytesMax };
    return this.#because(made, sized, waitMs, signal, { about: 'guest' });
  }

  /** The effect of the call had begun when the daemon died: to approve is to do it again, or to give the value in its place. */
  inDoubt(made: RebuiltCall, shown: unknown, signal: AbortSignal): Promise<Settlement> {
    const { name, argsJson } = made.record;
    const asked: Asked = {
      kind: 'doubt',
      capability: name,
      args: shown,
      argsJson,
      raisesTo: null,
      standing: false,
      guest: null,
    };
    return this.#because(made, asked, SESSION_LIMITS.doubtWaitMs, signal, { about: `doubt-${made.begun}` });
  }

  /**
   * Resolves when an administrator has agreed to a higher level; fails with APPROVAL_DENIED.
   *
   * @param again whether clients were told of it before
   */
  async forLevel({ id, level, askedMs }: StoredRaise, signal: AbortSignal, again: boolean): Promise<void> {
    const { outcome, comment } = await this.#ask(
      {
        ...{ kind: 'level', capability: null, args: { level }, argsJson: JSON.stringify([level]), raisesTo: level },
        ...{ standing: false, guest: null, executionId: null, position: null, callKey: `raise/${id}` },
      },
      { waitMs: SESSION_LIMITS.approvalWaitMs, sinceMs: askedMs, signal },
      again,
    );
    if (outcome === 'approved') return;
    const said = comment === null ? '' : ` They said: ${comment}`;
    throw new Fault('APPROVAL_DENIED', `The session was not raised to level ${level} (${outcome}).${said}`, {
      outcome,
    });
  }

  /** @param about tells the requests because of one call apart; what was said to one is nothing said to another */
  async #because(
    made: RebuiltCall,
    asked: Asked,
    waitMs: number,
    signal: AbortSignal,
    { about = 'call', onApproved }: { readonly about?: string; readonly onApproved?: () => void } = {},
  ): Promise<Settlement> {
    const { record } = made;
    const known = made.settlements.get(about) as Settlement | undefined;
    if (known !== undefined) return known;
    const { executionId, position, key } = record;
    const again = made.asked.has(about);
    return this.#ask(
      { ...asked, executionId, position, callKey: `${key}/${about}` },
      {
        waitMs,
        signal,
        sinceMs: this.#powers.life.asked(made, about),
        onDecided: (settlement) => {
          this.#powers.life.decided(record, about, settlement);
          if (settlement.outcome === 'approved') onApproved?.();
        },
      },
      again,
    );
  }

  /** @param again whether clients were told of it before */
  async #ask(
    request: Omit<InboxRequest, 'sessionId' | 'sessionName' | 'principal' | 'language' | 'level'>,
    options: Omit<Parameters<Inbox['request']>[1], 'onRequested'>,
    again: boolean,
  ): Promise<Settlement> {
    const { executionId, capability } = request;
    const settlement = await this.#powers.inbox.request(
      { ...request, ...this.#powers.session() },
      {
        ...options,
        onRequested: (approvalId) => {
          if (!again) this.#powers.emit({ kind: 'approval.requested', executionId, approvalId, capability });
        },
      },
    );
    const { approvalId, outcome } = settlement;
    this.#powers.emit({ kind: 'approval.settled', approvalId, outcome });
    return settlement;
  }
}
