/** The arithmetic of grants: what one inherits, what two have in common, how one differs from another. Pure. */
import type { ConstraintFields, Constraints } from './capabilities.ts';
import type { Field, FieldChange, ResourceKind } from './constraint-fields.ts';
import type { StatedGrant } from './level-file.ts';
import { quoted, suggestion } from './nearest-name.ts';
import type { Grant } from './policy.ts';
import type { Resources } from './resources.ts';
import { meetTerms, NO_TERMS, type Terms, termChanges, termsOf } from './terms.ts';

interface ResolvedGrant {
  readonly constraints: Constraints;
  readonly terms: Terms;
  /** `field` is null for what concerns the grant as a whole. */
  readonly problems: readonly { readonly field: string | null; readonly message: string }[];
}

/** A stated grant with what it leaves out: as inherited, otherwise as the field's fallback. */
export function resolveGrant(
  fields: ConstraintFields,
  stated: Exclude<StatedGrant, false>,
  inherited: Grant | undefined,
  resources: Resources,
): ResolvedGrant {
  const problems: { field: string | null; message: string }[] = [];
  const constraints: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const own = stated.constraints.get(name)?.value;
    const before = inherited?.constraints[name];
    const value = own ?? before ?? field.fallback;
    if (value === undefined) {
      problems.push({ field: null, message: `"${name}" is missing here` });
      continue;
    }
    const unknown = unknownNames(field.refersTo, value, resources);
    // A name that is not there is reported once, and inherited by nobody.
    constraints[name] = unknown.length === 0 ? value : known(field.refersTo, value, resources);
    if (own === undefined) {
      const instead = `"${name}" is not stated here, and by itself it is ${shown(value)}`;
      problems.push(...unknown.map((message) => ({ field: null, message: `${instead}: ${message}` })));
      continue;
    }
    problems.push(...unknown.map((message) => ({ field: name, message })));
    const less = before === undefined || field.isWithin(before, own) ? [] : lessOf(field, name, before, own);
    if (less.length > 0 && inherited !== undefined) {
      const { file, line } = inherited.origin;
      const message = `${less.join('; ')}, which is less than inherited (${file}, line ${line}); a level may grant less only by "${inherited.capability}: false"`;
      problems.push({ field: name, message });
    }
  }
  const terms = termsOf(stated.terms, inherited?.terms ?? NO_TERMS);
  return { constraints: Object.freeze(constraints), terms, problems };
}

function lessOf(field: Field<unknown>, name: string, before: unknown, own: unknown): string[] {
  return field
    .changes(name, before, own)
    .filter(({ allows }) => allows === 'less')
    .map(({ words }) => words);
}

function unknownNames(kind: ResourceKind | undefined, value: unknown, resources: Resources): string[] {
  if (kind === undefined || !Array.isArray(value)) return [];
  const names = [...resources[kind].keys()];
  return value
    .filter((name) => !names.includes(name))
    .map((name) => {
      const advice = names.length === 0 ? `policy.yaml names none` : suggestion(name, names);
      return `${quoted(name)} is not under "${kind}" in policy.yaml; ${advice}`;
    });
}

function known(kind: ResourceKind | undefined, value: unknown, resources: Resources): unknown {
  return kind === undefined || !Array.isArray(value) ? value : value.filter((name) => resources[kind].has(name));
}

function shown(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

/** What both grants allow, on the stricter terms; the origin is that of the current one. */
export function meetGrants(fields: ConstraintFields, pinned: Grant, current: Grant): Grant {
  const constraints: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const [one, other] = [pinned.constraints[name], current.constraints[name]];
    constraints[name] = field.isWithin(other, one) ? other : field.meet(one, other);
  }
  return { ...current, constraints: Object.freeze(constraints), terms: meetTerms(pinned.terms, current.terms) };
}

/** How `to` differs from `from`, field by field, in words. */
export function grantChanges(fields: ConstraintFields, from: Grant, to: Grant): readonly FieldChange[] {
  return [
    ...Object.entries(fields).flatMap(([name, field]) =>
      field.changes(name, from.constraints[name], to.constraints[name]),
    ),
    ...termChanges(from.terms, to.terms),
  ];
}
