/**
 * The requests that wait for a person: grants that need approval, `approve` and `review`, and level raises.
 *
 * I1: a request has exactly one outcome, whatever arrives at the same moment; whoever comes late is told which one stands.
 * I2: a request is in the audit log before anyone sees it, and a person's decision before anything is done because of it;
 *     where either cannot be recorded it does not happen. Nobody's decision is a refusal, and needs no record to take effect.
 * I3: a decision names the hash of what was shown, and counts for that request alone; it is never the requester's own.
 * I4: at its deadline, by a clock that never goes back, a request is refused.
 */
import type { ApprovalInfo, Role } from '../../client/protocol.ts';
import type { Audit } from '../audit/audit-log.ts';
import type { Decision } from '../capabilities/capability.ts';
import { Fault } from '../fault.ts';
import { type Asked, abridged, askedOf, type InboxRequest } from './approval-request.ts';
import { atDeadline, type StartTimer, startNodeTimer } from './deadline.ts';
import { HITL_LIMITS, type HitlLimits } from './hitl-limits.ts';
import { jsonBytes } from './json-bytes.ts';

export interface InboxParts {
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly audit: Pick<Audit, 'append' | 'note'>;
  readonly limits?: Partial<HitlLimits>;
  readonly startTimer?: StartTimer;
}

export interface RequestOptions {
  readonly waitMs: number;
  /** When it was made, where that was before now: its time has been running since. Milliseconds since the epoch. */
  readonly sinceMs?: number;
  /** Aborted when the session ends, is reset, or the capability is withdrawn. */
  readonly signal: AbortSignal;
  /** Called once, before anyone is told of a person's decision. */
  readonly onDecided?: (settlement: Settlement) => void;
  /** Called once, as soon as the request is listed. */
  readonly onRequested?: (approvalId: string) => void;
}

/** How a request ended, for whoever made it. */
export type Settlement = Decision & { readonly approvalId: string };

/** What a person says to a request. */
export interface Verdict {
  readonly approvalId: string;
  /** Of the request as it was shown. */
  readonly hash: string;
  readonly decision: 'approve' | 'deny';
  /** What a reviewer puts in place of the value under review: JSON data. */
  readonly value?: unknown;
  readonly comment?: string | undefined;
}

export interface ApprovalList {
  /** Counts what happened in the inbox; `changes` takes it. */
  readonly change: number;
  /** With long details and arguments cut; `get` has them whole. */
  readonly approvals: readonly ApprovalInfo[];
}

interface Pending {
  readonly asked: Asked;
  readonly requester: string;
  readonly deadlineMs: number;
  readonly valueBytesMax: number;
  readonly change: number;
  /** Ends the wait for the deadline and the signal, and answers whoever made the request. */
  readonly finish: (decision: Decision) => void;
}

interface Settled {
  readonly info: ApprovalInfo;
  readonly change: number;
}

export class Inbox {
  readonly #parts: InboxParts & { readonly startTimer: StartTimer };
  readonly #limits: HitlLimits;
  readonly #pending = new Map<string, Pending>();
  /** Oldest first. */
  readonly #settled = new Map<string, Settled>();
  readonly #watchers = new Set<() => void>();
  /** Counts on from the time of the start, so that numbers of an earlier daemon are smaller. */
  #change: number;

  constructor(parts: InboxParts) {
    this.#parts = { startTimer: startNodeTimer, ...parts };
    this.#limits = { ...HITL_LIMITS, ...parts.limits };
    this.#change = parts.nowMs();
  }

  /**
   * Resolves to the outcome: a person's, `timed-out` after `waitMs`, or `cancelled` by the signal. Rejects BUSY where too many
   * wait already, and UNAVAILABLE where the request cannot be recorded.
   */
  async request(
    request: InboxRequest,
    { waitMs, sinceMs, signal, onRequested, onDecided }: RequestOptions,
  ): Promise<Settlement> {
    this.#assertRoom(request.sessionId);
    const { nowMs, monotonicMs, audit } = this.#parts;
    const now = nowMs();
    const since = Math.min(now, sinceMs ?? now);
    const times = { createdAt: new Date(since).toISOString(), deadline: new Date(since + waitMs).toISOString() };
    const asked = askedOf(request, times, this.#limits);
    const { approvalId, hash, kind, sessionId, executionId, level, capability, deadline } = asked;
    const { raisesTo } = asked;
    audit.append('approval.requested', {
      ...{ approvalId, hash, approvalKind: kind, sessionId, executionId, level, capability, raisesTo, deadline },
    });
    const { promise, resolve } = Promise.withResolvers<Settlement>();
    const deadlineMs = monotonicMs() + waitMs - (now - since);
    let stopTimer: () => void = () => undefined;
    const onAbort = (): void => this.#lapse(approvalId, 'cancelled');
    this.#pending.set(approvalId, {
      asked,
      requester: request.principal,
      deadlineMs,
      valueBytesMax: request.valueBytesMax ?? this.#limits.valueBytesMax,
      change: this.#changed(),
      finish: (decision) => {
        stopTimer();
        signal.removeEventListener('abort', onAbort);
        const settlement = { ...decision, approvalId };
        if (decision.outcome === 'approved' || decision.outcome === 'denied') onDecided?.(settlement);
        resolve(settlement);
      },
    });
    onRequested?.(approvalId);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else stopTimer = atDeadline(deadlineMs, this.#parts, () => this.#lapse(approvalId, 'timed-out'));
    return promise;
  }

  /**
   * A person's decision. Fails with ROLE_DENIED, UNKNOWN_APPROVAL, APPROVAL_SETTLED whose details hold the outcome that stands,
   * INVALID_PARAMS, TOO_LARGE, or UNAVAILABLE; after all of them what was pending is pending.
   */
  settle(verdict: Verdict, by: { readonly principal: string; readonly role: Role }): ApprovalInfo {
    const { approvalId, decision, value } = verdict;
    const comment = verdict.comment ?? null;
    if (by.role !== 'admin') throw new Fault('ROLE_DENIED', 'Only an administrator, on admin.sock, settles approvals.');
    const pending = this.#pendingOf(approvalId);
    if (by.principal === pending.requester) {
      throw new Fault(
        'ROLE_DENIED',
        'Whoever owns the session cannot settle what it asks for; somebody else has to decide.',
        { approvalId },
      );
    }
    this.#check(verdict, pending);
    const outcome = decision === 'approve' ? 'approved' : 'denied';
    const { sessionId } = pending.asked;
    const edited = value !== undefined;
    this.#parts.audit.append('approval.settled', {
      ...{ approvalId, sessionId, outcome, by: by.principal, comment, edited },
    });
    return this.#end(
      pending,
      outcome === 'approved' ? { outcome, comment, ...(edited && { value }) } : { outcome, comment },
      by.principal,
    );
  }

  list(status: 'pending' | 'settled' | 'all'): ApprovalList {
    const entries = [...(status === 'pending' ? [] : this.#settledEntries())];
    if (status !== 'settled') entries.push(...this.#pendingEntries());
    return this.#listOf(entries);
  }

  /** All of one request. Fails with UNKNOWN_APPROVAL. */
  get(approvalId: string): ApprovalInfo {
    const pending = this.#pending.get(approvalId);
    if (pending !== undefined) return pendingInfo(pending.asked);
    const settled = this.#settled.get(approvalId);
    if (settled !== undefined) return settled.info;
    throw new Fault(
      'UNKNOWN_APPROVAL',
      'There is no approval request of that id; settled ones are forgotten after a while, and all of them at a restart.',
      { approvalId },
    );
  }

  /**
   * What was requested or settled after the change of that number, in that order: at once where there is something, else as soon
   * as there is, and nothing where there is not within `waitMs` or before the signal. After a number of an earlier daemon
   * everything is new, also where the clock has been set back since. Rejects BUSY where too many wait already.
   */
  async changes(afterChange: number, waitMs: number, signal: AbortSignal): Promise<ApprovalList> {
    if (afterChange === this.#change && !signal.aborted) await this.#nextChange(waitMs, signal);
    const entries = [...this.#settledEntries(), ...this.#pendingEntries()];
    const from = afterChange > this.#change ? 0 : afterChange;
    return this.#listOf(entries.filter(({ change }) => change > from).sort((a, b) => a.change - b.change));
  }

  #pendingEntries(): Settled[] {
    return Array.from(this.#pending.values(), ({ asked, change }) => ({ info: pendingInfo(asked), change }));
  }

  #settledEntries(): Settled[] {
    return [...this.#settled.values()];
  }

  #listOf(entries: readonly Settled[]): ApprovalList {
    const approvals = entries.map(({ info }) => abridged(info, this.#limits.listedCharsMax));
    return { change: this.#change, approvals };
  }

  #assertRoom(sessionId: string): void {
    const { pendingOfSessionMax, pendingMax } = this.#limits;
    if (this.#pending.size >= pendingMax) {
      throw new Fault('BUSY', `${pendingMax} requests wait for an administrator already; ask again later.`, {
        pendingMax,
      });
    }
    let ofSession = 0;
    for (const { asked } of this.#pending.values()) if (asked.sessionId === sessionId) ofSession++;
    if (ofSession < pendingOfSessionMax) return;
    throw new Fault(
      'BUSY',
      `At most ${pendingOfSessionMax} requests of a session can wait for an administrator at once.`,
      {
        pendingOfSessionMax,
      },
    );
  }

  /** The pending request of that id; one that is overdue is refused first, however late its timer is. */
  #pendingOf(approvalId: string): Pending {
    const pending = this.#pending.get(approvalId);
    if (pending !== undefined && this.#parts.monotonicMs() < pending.deadlineMs) return pending;
    if (pending !== undefined) this.#lapse(approvalId, 'timed-out');
    const { status, settledAt, settledBy, comment } = this.get(approvalId);
    throw new Fault('APPROVAL_SETTLED', `This request is settled already: ${status} at ${settledAt}.`, {
      ...{ approvalId, outcome: status, settledAt, settledBy, comment },
    });
  }

  #check({ approvalId, hash, decision, value, comment }: Verdict, { asked, valueBytesMax }: Pending): void {
    if (hash !== asked.hash) {
      throw new Fault(
        'INVALID_PARAMS',
        'approval.settle: what was shown is not what is pending (the hash differs); show the request again and decide on that.',
        { approvalId },
      );
    }
    const { commentCharsMax } = this.#limits;
    if (comment !== undefined && comment.length > commentCharsMax) {
      throw new Fault('TOO_LARGE', `A comment may have at most ${commentCharsMax} characters.`, { commentCharsMax });
    }
    if (value === undefined) return;
    if ((asked.kind !== 'review' && asked.kind !== 'doubt') || decision !== 'approve') {
      throw new Fault('INVALID_PARAMS', 'approval.settle: only the approval of a review or of a doubt takes a value.', {
        approvalId,
      });
    }
    if (jsonBytes(value) > valueBytesMax) {
      throw new Fault('TOO_LARGE', `The value may have at most ${valueBytesMax} bytes as JSON.`, { valueBytesMax });
    }
  }

  /** Refuses a request that nobody decided about. */
  #lapse(approvalId: string, outcome: 'timed-out' | 'cancelled'): void {
    const pending = this.#pending.get(approvalId);
    if (pending === undefined) return;
    const { sessionId } = pending.asked;
    const record = { approvalId, sessionId, outcome, by: null, comment: null, edited: false };
    this.#parts.audit.note('approval.settled', record);
    this.#end(pending, { outcome, comment: null }, null);
  }

  /** The one way from pending to settled. */
  #end(pending: Pending, decision: Decision, settledBy: string | null): ApprovalInfo {
    const { approvalId } = pending.asked;
    const { outcome: status, comment } = decision;
    const settledAt = new Date(this.#parts.nowMs()).toISOString();
    const info: ApprovalInfo = { ...pending.asked, status, settledAt, settledBy, comment };
    this.#pending.delete(approvalId);
    this.#settled.set(approvalId, { info, change: this.#changed() });
    const [oldest] = this.#settled.keys();
    if (oldest !== undefined && this.#settled.size > this.#limits.settledKept) this.#settled.delete(oldest);
    pending.finish(decision);
    return info;
  }

  #changed(): number {
    this.#change += 1;
    for (const wake of [...this.#watchers]) wake();
    return this.#change;
  }

  #nextChange(waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#watchers.size >= this.#limits.watchersMax) {
      return Promise.reject(new Fault('BUSY', `At most ${this.#limits.watchersMax} requests can watch the approvals.`));
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const stopTimer = this.#parts.startTimer(() => wake(), waitMs);
    const wake = (): void => {
      this.#watchers.delete(wake);
      stopTimer();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    this.#watchers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    return promise;
  }
}

function pendingInfo(asked: Asked): ApprovalInfo {
  return { ...asked, status: 'pending', settledAt: null, comment: null, settledBy: null };
}
