/** On what terms a capability is granted, whatever it is: who has to agree, how often, how much in all. */
import * as v from 'valibot';
import type { FieldChange } from './constraint-fields.ts';

/** Whether a person must agree: to no call, to the first one in a session, to each. */
export const APPROVALS = ['never', 'once', 'always'] as const;
export type Approval = (typeof APPROVALS)[number];

const APPROVAL_WORDS = {
  once: 'a person agrees to the first call of each session',
  always: 'a person agrees to each call',
} as const satisfies Record<Exclude<Approval, 'never'>, string>;

/** At most so many calls in any stretch of time. */
export interface Rate {
  readonly calls: number;
  readonly perMs: number;
}

/** What one session may use up in its life. Bytes are those of arguments and results as JSON. */
export interface Budget {
  readonly calls: number | null;
  readonly bytes: number | null;
}

export interface Terms {
  readonly approval: Approval;
  readonly rate: Rate | null;
  readonly budget: Budget | null;
}

export const NO_TERMS: Terms = Object.freeze({ approval: 'never', rate: null, budget: null });

const UNITS_MS = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
const RATE_EXPECTED = 'a rate such as 60/minute: 1 to 1000000 per second, minute, hour or day';
const RATE_PATTERN = /^([1-9]\d{0,5}|1000000)\/(second|minute|hour|day)$/;
const AMOUNT_EXPECTED = `a whole number from 1 to ${2 ** 50}`;
const amount = v.pipe(
  v.number(AMOUNT_EXPECTED),
  v.safeInteger(AMOUNT_EXPECTED),
  v.minValue(1, AMOUNT_EXPECTED),
  v.maxValue(2 ** 50, AMOUNT_EXPECTED),
);

/** The keys of a grant that are no constraints. */
export const TERM_SCHEMAS = {
  approval: v.picklist(APPROVALS, APPROVALS.map((word) => `"${word}"`).join(', ')),
  rate: v.pipe(v.string(RATE_EXPECTED), v.regex(RATE_PATTERN, RATE_EXPECTED)),
  budget: v.strictObject(
    { calls: v.exactOptional(amount), bytes: v.exactOptional(amount) },
    'a mapping with calls, bytes',
  ),
};

/** What a grant states of its terms, as its file has it. */
export interface StatedTerms {
  readonly approval?: Approval;
  readonly rate?: string;
  readonly budget?: { readonly calls?: number; readonly bytes?: number };
}

/** The terms of a grant: what it states, and for the rest what it inherits. */
export function termsOf(stated: StatedTerms, inherited: Terms): Terms {
  const { approval, rate, budget } = stated;
  return Object.freeze({
    approval: approval ?? inherited.approval,
    rate: rate === undefined ? inherited.rate : parseRate(rate),
    budget: budget === undefined ? inherited.budget : { calls: budget.calls ?? null, bytes: budget.bytes ?? null },
  });
}

function parseRate(text: string): Rate {
  const [, calls, unit] = RATE_PATTERN.exec(text) ?? [];
  return { calls: Number(calls), perMs: UNITS_MS[unit as keyof typeof UNITS_MS] };
}

/** The stricter of both in every respect. */
export function meetTerms(one: Terms, other: Terms): Terms {
  return {
    approval: APPROVALS.indexOf(one.approval) >= APPROVALS.indexOf(other.approval) ? one.approval : other.approval,
    rate: meetRates(one.rate, other.rate),
    budget: meetBudgets(one.budget, other.budget),
  };
}

function meetRates(one: Rate | null, other: Rate | null): Rate | null {
  if (one === null || other === null) return one ?? other;
  return one.calls / one.perMs <= other.calls / other.perMs ? one : other;
}

function meetBudgets(one: Budget | null, other: Budget | null): Budget | null {
  if (one === null || other === null) return one ?? other;
  return { calls: least(one.calls, other.calls), bytes: least(one.bytes, other.bytes) };
}

function least(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/** What an edit of the terms allows more or less, in words. */
export function termChanges(from: Terms, to: Terms): readonly FieldChange[] {
  const changes: FieldChange[] = [];
  if (from.approval !== to.approval) {
    const more = APPROVALS.indexOf(to.approval) < APPROVALS.indexOf(from.approval);
    changes.push({ allows: more ? 'more' : 'less', words: `approval "${from.approval}" becomes "${to.approval}"` });
  }
  const numbers: readonly [string, number | null, number | null, string][] = [
    ['rate', perMs(from.rate), perMs(to.rate), `rate ${describeRate(from.rate)} becomes ${describeRate(to.rate)}`],
    amountChange('calls', from.budget, to.budget),
    amountChange('bytes', from.budget, to.budget),
  ];
  for (const [, before, after, words] of numbers) {
    if (before === after) continue;
    const more = after === null || (before !== null && after > before);
    changes.push({ allows: more ? 'more' : 'less', words });
  }
  return changes;
}

function amountChange(
  what: 'calls' | 'bytes',
  from: Budget | null,
  to: Budget | null,
): [string, number | null, number | null, string] {
  const before = from?.[what] ?? null;
  const after = to?.[what] ?? null;
  return [what, before, after, `budget of ${what} ${before ?? 'without end'} becomes ${after ?? 'without end'}`];
}

const perMs = (rate: Rate | null): number | null => (rate === null ? null : rate.calls / rate.perMs);

/** `60/minute`, as a level file states it. */
export function describeRate(rate: Rate | null): string {
  if (rate === null) return 'without end';
  const unit = Object.entries(UNITS_MS).find(([, ms]) => ms === rate.perMs)?.[0] ?? `${rate.perMs} ms`;
  return `${rate.calls}/${unit}`;
}

/** `at most 60/minute; a person agrees to each call`; empty where there are none. */
export function describeTerms({ approval, rate, budget }: Terms): string {
  const parts: string[] = [];
  if (approval !== 'never') parts.push(APPROVAL_WORDS[approval]);
  if (rate !== null) parts.push(`at most ${describeRate(rate)}`);
  if (budget !== null && budget.calls !== null) parts.push(`at most ${budget.calls} calls a session`);
  if (budget !== null && budget.bytes !== null) parts.push(`at most ${budget.bytes} bytes a session`);
  return parts.join('; ');
}
