/**
 * The kinds of fields that constraints are made of. Each kind knows what may be written, what is within what, what two of them
 * have in common, and how to say a difference in words; the policy's arithmetic (inheritance, reload, diff) is made of these.
 */
import * as v from 'valibot';
import { quoted } from './nearest-name.ts';

/** One difference between two values of a field: whether more is allowed afterwards, or less. */
export interface FieldChange {
  readonly allows: 'more' | 'less' | 'other';
  /** Completes "fetch: …". */
  readonly words: string;
}

/** What of `policy.yaml` a name in a list stands for. */
export type ResourceKind = 'roots' | 'sources' | 'secrets' | 'variables' | 'programs' | 'credentials';

export interface Field<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  /** What a grant that does not state the field, and inherits none, has. */
  readonly fallback: T;
  /** Whether everything that `own` allows, `other` allows too. */
  isWithin(own: T, other: T): boolean;
  /** What both allow. */
  meet(one: T, other: T): T;
  changes(field: string, from: T, to: T): readonly FieldChange[];
  /** The names in the list are ones of the policy's resources. */
  readonly refersTo?: ResourceKind;
}

export type FieldValue<F> = F extends Field<infer T> ? T : never;

interface Bounds {
  readonly min: number;
  readonly max: number;
  /** Read after a number: `60000 ms`. */
  readonly unit: string;
  readonly fallback: number;
}

/** A number that may be at most so much: the larger, the more it allows. */
export function most({ min, max, unit, fallback }: Bounds): Field<number> {
  const expected = `a whole number from ${min} to ${max} (${unit})`;
  return {
    schema: v.pipe(v.number(expected), v.safeInteger(expected), v.minValue(min, expected), v.maxValue(max, expected)),
    fallback,
    isWithin: (own, other) => own <= other,
    meet: Math.min,
    changes: (field, from, to) =>
      from === to
        ? []
        : [{ allows: to > from ? 'more' : 'less', words: `${field} ${from} ${unit} becomes ${to} ${unit}` }],
  };
}

/** One of several words, from the one that allows the least to the one that allows the most. */
export function ascending<const W extends readonly [string, ...string[]]>(...words: W): Field<W[number]> {
  const rank = (word: string): number => words.indexOf(word);
  return {
    schema: v.picklist(words, words.map((word) => `"${word}"`).join(' or ')),
    fallback: words[0],
    isWithin: (own, other) => rank(own) <= rank(other),
    meet: (one, other) => (rank(one) <= rank(other) ? one : other),
    changes: (field, from, to) =>
      from === to
        ? []
        : [{ allows: rank(to) > rank(from) ? 'more' : 'less', words: `${field} "${from}" becomes "${to}"` }],
  };
}

interface ListOptions {
  readonly fallback?: readonly string[];
  /** What is wrong with an entry; null where nothing is. */
  readonly problem?: (entry: string) => string | null;
  readonly refersTo?: ResourceKind;
}

interface AllowListOptions extends ListOptions {
  /** Whether everything that `narrower` stands for, `wider` stands for too; equality where it is not given. */
  readonly covers?: (wider: string, narrower: string) => boolean;
  /** The only entries there are. */
  readonly oneOf?: readonly string[];
}

const ENTRIES_MAX = 256;
const ENTRY_CHARS_MAX = 512;

/** A list of what is allowed: the more entries, the more it allows. */
export function allowed({
  fallback = [],
  problem,
  covers,
  oneOf,
  refersTo,
}: AllowListOptions = {}): Field<readonly string[]> {
  const isCovered = (entry: string, list: readonly string[]): boolean =>
    list.some((wider) => wider === entry || (covers?.(wider, entry) ?? false));
  return {
    schema: listSchema(problem, oneOf),
    fallback,
    isWithin: (own, other) => own.every((entry) => isCovered(entry, other)),
    meet: (one, other) => [
      ...new Set([
        ...one.filter((entry) => isCovered(entry, other)),
        ...other.filter((entry) => isCovered(entry, one)),
      ]),
    ],
    changes: (field, from, to) => [
      ...listChange(
        'more',
        `${field} adds`,
        to.filter((entry) => !isCovered(entry, from)),
      ),
      ...listChange(
        'less',
        `${field} takes away`,
        from.filter((entry) => !isCovered(entry, to)),
      ),
    ],
    ...(refersTo === undefined ? {} : { refersTo }),
  };
}

/** A list of what is blocked: the more entries, the less it allows. */
export function blocked({ fallback = [], problem }: ListOptions = {}): Field<readonly string[]> {
  return {
    schema: listSchema(problem),
    fallback,
    isWithin: (own, other) => other.every((entry) => own.includes(entry)),
    meet: (one, other) => [...new Set([...one, ...other])],
    changes: (field, from, to) => [
      ...listChange(
        'less',
        `${field} adds`,
        to.filter((entry) => !from.includes(entry)),
      ),
      ...listChange(
        'more',
        `${field} takes away`,
        from.filter((entry) => !to.includes(entry)),
      ),
    ],
  };
}

/** A field of a capability that an administrator brought: nothing is known of what it allows but that equal is equal. */
export function opaque<T>(schema: v.GenericSchema<unknown, T>): Field<T> {
  const same = (one: T, other: T): boolean => JSON.stringify(one) === JSON.stringify(other);
  return {
    schema,
    // A grant has to state such a field; the parser reports it where it does not.
    fallback: undefined as T,
    isWithin: same,
    meet: (_, current) => current,
    changes: (field, from, to) =>
      same(from, to)
        ? []
        : [
            {
              allows: 'other',
              words: `${field} ${quoted(JSON.stringify(from))} becomes ${quoted(JSON.stringify(to))}`,
            },
          ],
  };
}

function listChange(allows: 'more' | 'less', verb: string, entries: readonly string[]): readonly FieldChange[] {
  return entries.length === 0 ? [] : [{ allows, words: `${verb} ${entries.map(quoted).join(', ')}` }];
}

function listSchema(
  problem: ((entry: string) => string | null) | undefined,
  oneOf?: readonly string[],
): v.GenericSchema<unknown, readonly string[]> {
  const entry =
    oneOf === undefined ? textEntry(problem) : v.picklist(oneOf, oneOf.map((word) => `"${word}"`).join(' or '));
  return v.pipe(v.array(entry, 'a list'), v.maxLength(ENTRIES_MAX, `at most ${ENTRIES_MAX} entries`), v.readonly());
}

function textEntry(problem: ((entry: string) => string | null) | undefined): v.GenericSchema<unknown, string> {
  const expected = `a text of 1 to ${ENTRY_CHARS_MAX} characters`;
  return v.pipe(
    v.string(expected),
    v.minLength(1, expected),
    v.maxLength(ENTRY_CHARS_MAX, expected),
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? problem?.(dataset.value) : null;
      if (message) addIssue({ message });
    }),
  );
}
