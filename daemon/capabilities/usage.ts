/**
 * What one session has used of the rates and budgets of its grants.
 *
 * I1: a call is counted before anything is done for it, in the same turn in which it is let through, so that calls made at once
 *     cannot all pass the same counter.
 */
import type { Budget, Rate, Terms } from '../../policies/terms.ts';
import { describeRate } from '../../policies/terms.ts';
import { Fault } from '../fault.ts';

/** What of a session's counters one call uses. */
export type CallUsage = Pick<SessionUsage, 'reserve' | 'charge'>;

interface Used {
  calls: number;
  bytes: number;
  readonly recent: RecentCalls;
}

export class SessionUsage {
  readonly #monotonicMs: () => number;
  readonly #used = new Map<string, Used>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Counts a call with arguments of so many bytes, or says why it may not be made; then nothing is counted. */
  reserve(capability: string, { rate, budget }: Terms, bytes: number): Fault | null {
    if (rate === null && budget === null) return null;
    const used = this.#of(capability);
    const nowMs = this.#monotonicMs();
    if (budget !== null) {
      const exceeded = overBudget(capability, budget, used, bytes);
      if (exceeded !== null) return exceeded;
    }
    if (rate !== null && used.recent.countSince(nowMs - rate.perMs) >= rate.calls) return tooOften(capability, rate);
    if (rate !== null) used.recent.add(nowMs, rate);
    used.calls += 1;
    used.bytes += bytes;
    return null;
  }

  /**
   * Counts what a call brought back; false where nothing is counted of the capability. It has happened already; the next call is the
   * one that may be refused for it.
   */
  charge(capability: string, bytes: number): boolean {
    const used = this.#used.get(capability);
    if (used !== undefined) used.bytes += bytes;
    return used !== undefined;
  }

  /** What was used so far, to be counted on after a restart. */
  get totals(): readonly (readonly [capability: string, calls: number, bytes: number])[] {
    return [...this.#used].map(([capability, { calls, bytes }]) => [capability, calls, bytes]);
  }

  restore(totals: readonly (readonly [capability: string, calls: number, bytes: number])[]): void {
    for (const [capability, calls, bytes] of totals)
      this.#used.set(capability, { calls, bytes, recent: new RecentCalls() });
  }

  /**
   * The same counters for one call, whose every count is told.
   *
   * @param letThrough it was counted when it was made first, and is not held against anything again
   */
  ofCall(
    letThrough: boolean,
    counted: (used: readonly [capability: string, calls: number, bytes: number]) => void,
  ): CallUsage {
    return {
      reserve: (capability, terms, bytes) => {
        if (letThrough || (terms.rate === null && terms.budget === null)) return null;
        const exceeded = this.reserve(capability, terms, bytes);
        if (exceeded === null) counted([capability, 1, bytes]);
        return exceeded;
      },
      charge: (capability, bytes) => {
        const isCounted = this.charge(capability, bytes);
        if (isCounted) counted([capability, 0, bytes]);
        return isCounted;
      },
    };
  }

  #of(capability: string): Used {
    const known = this.#used.get(capability);
    if (known !== undefined) return known;
    const fresh: Used = { calls: 0, bytes: 0, recent: new RecentCalls() };
    this.#used.set(capability, fresh);
    return fresh;
  }
}

function overBudget(capability: string, budget: Budget, used: Used, bytes: number): Fault | null {
  if (budget.calls !== null && used.calls >= budget.calls) {
    const message = `${capability}: this session has made the ${budget.calls} calls that its level allows.`;
    return new Fault('BUDGET_EXCEEDED', message, { capability, calls: budget.calls });
  }
  if (budget.bytes !== null && used.bytes + bytes > budget.bytes) {
    const message = `${capability}: this session has moved ${used.bytes} of the ${budget.bytes} bytes that its level allows.`;
    return new Fault('BUDGET_EXCEEDED', message, { capability, bytes: budget.bytes });
  }
  return null;
}

function tooOften(capability: string, rate: Rate): Fault {
  const message = `${capability}: at most ${describeRate(rate)} at this level; wait before calling it again.`;
  return new Fault('RATE_LIMITED', message, { capability, calls: rate.calls, perMs: rate.perMs });
}

/** The times of the latest calls, oldest first; never more than the rate counts. */
class RecentCalls {
  #times: number[] = [];
  #first = 0;

  countSince(sinceMs: number): number {
    while (this.#first < this.#times.length && (this.#times[this.#first] as number) <= sinceMs) this.#first++;
    // What has passed out of sight is let go in one piece, so that each call costs the same on average.
    if (this.#first > 1024 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#first = 0;
    }
    return this.#times.length - this.#first;
  }

  add(nowMs: number, rate: Rate): void {
    this.#times.push(nowMs);
    if (this.#times.length - this.#first > rate.calls) this.#first++;
  }
}
