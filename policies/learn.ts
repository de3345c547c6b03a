/**
 * The smallest grants that would have let a session's denied calls through, as YAML for its level's file. Pure.
 *
 * Arguments come from guest code. What goes into the YAML is a name or a number that the constraint's own schema takes, or stands
 * in a comment, escaped, on one line.
 */
import * as v from 'valibot';
import { stringify } from 'yaml';
import { BUILT_IN, type Catalogue, type ConstraintFields } from './capabilities.ts';
import type { Field } from './constraint-fields.ts';
import { quoted } from './nearest-name.ts';
import { needsOfCall } from './needs-of-call.ts';
import type { Grant, LevelName, Policy } from './policy.ts';

/** One call that was denied. */
export interface DeniedCall {
  readonly capability: string;
  /** As the call passes them; null where they are not known, as for a name that does not exist in the isolate. */
  readonly args: readonly unknown[] | null;
}

export interface Lesson {
  readonly yaml: string;
  /** How many calls it is made of. */
  readonly denied: number;
}

const EXAMPLES_MAX = 5;
const HEAD_LINES = 4;
const CAPABILITIES_MAX = 256;

/** @param level of the session; the grants go into its file */
export function learn(
  denials: readonly DeniedCall[],
  policy: Policy,
  level: LevelName,
  catalogue: Catalogue = BUILT_IN,
): Lesson {
  if (denials.length === 0) return { yaml: '# Nothing was denied.\n', denied: 0 };
  const byCapability = Map.groupBy(denials, ({ capability }) => capability);
  const lines = [
    `# The smallest grants that would have let through the ${plural(denials.length, 'call')} that level ${level} denied.`,
    `# Put them under "grants" in the file of ${level}, or of a level of its own that extends it, and run again: what was`,
    '# denied may have been in the way of more.',
    'grants:',
  ];
  for (const [capability, calls] of [...byCapability].slice(0, CAPABILITIES_MAX)) {
    const fields = catalogue.get(capability);
    if (fields === undefined) {
      lines.push(`  # ${quoted(capability)} is not a capability of the policy; a client may provide it ("provided").`);
    } else {
      const grant = policy.levels.get(level)?.grants.get(capability);
      lines.push(...lessonOf(capability, fields, calls, grant, policy));
    }
  }
  // Only comments stand under it.
  if (lines.slice(HEAD_LINES).every((line) => line.trimStart().startsWith('#'))) lines[HEAD_LINES - 1] = 'grants: {}';
  return { yaml: `${lines.join('\n')}\n`, denied: denials.length };
}

function lessonOf(
  capability: string,
  fields: ConstraintFields,
  calls: readonly DeniedCall[],
  grant: Grant | undefined,
  policy: Policy,
): string[] {
  const comments = examplesOf(capability, calls);
  const stated: Record<string, unknown> = {};
  const needs = mergedNeeds(calls);
  for (const [name, field] of Object.entries(fields) as unknown as [string, Field<unknown>][]) {
    const need = needs.get(name);
    if (need === undefined) continue;
    const has = grant?.constraints[name];
    const { value, comments: refused } = fulfil(name, field, need, has, policy);
    comments.push(...refused);
    if (value !== undefined) stated[name] = value;
  }
  const untold = Object.keys(fields).filter((name) => !needs.has(name));
  if (grant === undefined && untold.length > 0) {
    comments.push(`Not told by the calls, and as they are by themselves: ${untold.join(', ')}.`);
  }
  const isTold = Object.keys(stated).length > 0;
  if (grant !== undefined && !isTold) {
    comments.push('The level grants it; which constraint refused the calls cannot be told from their arguments.');
    return comments.map((comment) => `  # ${comment}`);
  }
  const text = stringify({ [capability]: isTold ? stated : true }, { flowCollectionPadding: false, lineWidth: 0 });
  const yaml = text.trimEnd().split('\n');
  return [...comments.map((comment) => `  # ${comment}`), ...yaml.map((line) => `  ${line}`)];
}

/** Which calls it was, so that a person can judge what they are about to grant. */
function examplesOf(capability: string, calls: readonly DeniedCall[]): string[] {
  const counts = new Map<string, number>();
  for (const { args } of calls) {
    const call = args === null ? capability : `${capability}(${shownArgs(args)})`;
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  const shown = [...counts]
    .slice(0, EXAMPLES_MAX)
    .map(([call, times]) => `${call}${times > 1 ? `, ${times} times` : ''}`);
  const more = counts.size - shown.length;
  return [...shown.map((call) => `Needed by ${call}`), ...(more > 0 ? [`and by ${plural(more, 'other call')}`] : [])];
}

/** Escaped and cut: text of guest code, which is not to be believed. */
function shownArgs(args: readonly unknown[]): string {
  return args
    .map((arg) =>
      quoted(JSON.stringify(arg) ?? '')
        .slice(1, -1)
        .replaceAll('\\"', '"'),
    )
    .join(', ')
    .slice(0, 200);
}

/** What all calls together need of each constraint: every name, the largest number. */
function mergedNeeds(calls: readonly DeniedCall[]): ReadonlyMap<string, readonly string[] | number> {
  const needs = new Map<string, string[] | number>();
  for (const { capability, args } of calls) {
    if (args === null) continue;
    for (const [name, need] of Object.entries(needsOfCall(capability, args))) {
      const before = needs.get(name);
      if (typeof need === 'number') needs.set(name, Math.max(need, typeof before === 'number' ? before : 0));
      else needs.set(name, [...new Set([...(Array.isArray(before) ? before : []), need])]);
    }
  }
  return needs;
}

interface Fulfilment {
  /** What the grant has to state; undefined where what it has is enough, or nothing may be stated. */
  readonly value: unknown;
  readonly comments: readonly string[];
}

function fulfil(
  name: string,
  field: Field<unknown>,
  need: readonly string[] | number,
  has: unknown,
  policy: Policy,
): Fulfilment {
  if (typeof need === 'number') {
    if (!isTaken(field, need))
      return { value: undefined, comments: [`${name}: ${need} is more than any policy may grant.`] };
    return { value: typeof has === 'number' && has >= need ? undefined : need, comments: [] };
  }
  const comments: string[] = [];
  const entries: string[] = [];
  for (const entry of need) {
    if (!isTaken(field, [entry])) {
      comments.push(`${name}: ${quoted(entry)} is nothing that can be granted.`);
      continue;
    }
    entries.push(entry);
    if (field.refersTo !== undefined && !policy.resources[field.refersTo].has(entry)) {
      comments.push(`${name}: policy.yaml has to say first what ${quoted(entry)} is, under "${field.refersTo}".`);
    }
  }
  const missing = entries.filter((entry) => has === undefined || !field.isWithin([entry], has));
  if (missing.length === 0) return { value: undefined, comments };
  return { value: [...(Array.isArray(has) ? has : []), ...missing], comments };
}

function isTaken(field: Field<unknown>, value: unknown): boolean {
  return v.is(field.schema, value);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
