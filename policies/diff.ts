/** What one policy grants and takes away against another, in words. Pure. */
import { BUILT_IN, type Catalogue, type Constraints } from './capabilities.ts';
import type { ResourceKind } from './constraint-fields.ts';
import { grantChanges } from './grant.ts';
import { LIMIT_BOUNDS, LIMIT_NAMES } from './limits.ts';
import { quoted } from './nearest-name.ts';
import { packageChanges } from './packages.ts';
import type { Grant, Level, LevelName, Policy } from './policy.ts';
import { RESOURCE_KINDS } from './resources.ts';
import { describeTerms } from './terms.ts';

/** One difference. `allows` is 'other' where neither policy is simply the wider one. */
export interface PolicyChange {
  /** `*` where it concerns the policy as a whole. */
  readonly level: LevelName;
  /** null where it concerns the level, or the policy, as a whole. */
  readonly capability: string | null;
  readonly allows: 'more' | 'less' | 'other';
  /** One line, for people. */
  readonly words: string;
}

export const WHOLE_POLICY = '*';

/** How `to` differs from `from`: the policy as a whole first, then level by level in ascending order. */
export function diffPolicies(from: Policy, to: Policy, catalogue: Catalogue = BUILT_IN): readonly PolicyChange[] {
  const gone = [...from.levels.values()].filter(({ name }) => !to.levels.has(name));
  return [
    ...ceilingChanges(from, to),
    ...resourceChanges(from, to),
    ...gone.map(({ name }) =>
      change(name, null, 'less', `the level ${name} is gone; its sessions may do nothing more`),
    ),
    ...[...to.levels.values()].flatMap((level) => {
      const before = from.levels.get(level.name);
      return before === undefined ? newLevel(level) : levelChanges(before, level, catalogue);
    }),
  ];
}

/** A grant as a level file would state it: `hosts [a.example], methods [GET]; at most 60/minute`. */
function describeGrant({ constraints, terms }: Grant): string {
  const parts = [describeConstraints(constraints), describeTerms(terms)].filter((part) => part !== '');
  return parts.join('; ');
}

function change(
  level: LevelName,
  capability: string | null,
  allows: PolicyChange['allows'],
  words: string,
): PolicyChange {
  return { level, capability, allows, words };
}

function newLevel({ name, rank, extends: parent, grants }: Level): PolicyChange[] {
  const base = parent === null ? '' : `, extending ${parent}`;
  const words = `the level ${name} is new (rank ${rank}${base}); it grants ${[...grants.keys()].join(', ') || 'nothing'}`;
  return [change(name, null, 'more', words)];
}

function levelChanges(from: Level, to: Level, catalogue: Catalogue): PolicyChange[] {
  const level = to.name;
  const changes: PolicyChange[] = [];
  if (from.rank !== to.rank) changes.push(change(level, null, 'other', `rank ${from.rank} becomes ${to.rank}`));
  if (from.auditSync !== to.auditSync) {
    const when = to.auditSync === 'always' ? 'before each effect starts' : 'within a second';
    changes.push(change(level, null, 'other', `audit records of its decisions are on the disk ${when}`));
  }
  for (const name of LIMIT_NAMES) {
    const [before, after] = [from.limits[name], to.limits[name]];
    const { unit } = LIMIT_BOUNDS[name];
    if (before === after) continue;
    const words = `${name} ${before} ${unit} becomes ${after} ${unit}`;
    changes.push(change(level, null, after > before ? 'more' : 'less', words));
  }
  changes.push(...packageChanges(from, to));
  for (const capability of new Set([...from.grants.keys(), ...to.grants.keys()])) {
    changes.push(
      ...capabilityChanges(level, capability, from.grants.get(capability), to.grants.get(capability), catalogue),
    );
  }
  return changes;
}

function capabilityChanges(
  level: LevelName,
  capability: string,
  before: Grant | undefined,
  after: Grant | undefined,
  catalogue: Catalogue,
): PolicyChange[] {
  if (after === undefined) return [change(level, capability, 'less', `${capability} is no longer granted`)];
  if (before === undefined) {
    const details = describeGrant(after);
    return [change(level, capability, 'more', `${capability} is granted${details === '' ? '' : `: ${details}`}`)];
  }
  return grantChanges(catalogue.get(capability) ?? {}, before, after).map(({ allows, words }) =>
    change(level, capability, allows, `${capability}: ${words}`),
  );
}

function ceilingChanges(from: Policy, to: Policy): PolicyChange[] {
  return (['client', 'admin'] as const).flatMap((role) => {
    const [before, after] = [from.ceilings[role], to.ceilings[role]];
    if (before === after) return [];
    const [lower, higher] = [to.levels.get(before)?.rank, to.levels.get(after)?.rank];
    const allows = lower === undefined || higher === undefined ? 'other' : higher > lower ? 'more' : 'less';
    const words = `${role}.sock may ask for levels up to ${after}, before up to ${before}`;
    return [change(WHOLE_POLICY, null, allows, words)];
  });
}

/** A name alone gives nothing to anyone; what it stands for matters to every level that grants it. */
function resourceChanges(from: Policy, to: Policy): PolicyChange[] {
  const changes: PolicyChange[] = [];
  const [folder, nextFolder] = [from.resources.packages, to.resources.packages].map((wheels) => wheels?.path ?? null);
  if (folder !== nextFolder) {
    const words = `packages: wheels are read from ${shownFolder(nextFolder)}, before from ${shownFolder(folder)}`;
    changes.push(change(WHOLE_POLICY, null, 'other', words));
  }
  for (const kind of RESOURCE_KINDS) {
    const [before, after]: [ReadonlyMap<string, unknown>, ReadonlyMap<string, unknown>] = [
      from.resources[kind],
      to.resources[kind],
    ];
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const words = resourceChange(kind, name, before.get(name), after.get(name));
      if (words !== null) changes.push(change(WHOLE_POLICY, null, 'other', words));
    }
  }
  return changes;
}

const shownFolder = (path: string | null | undefined): string => (path ? quoted(path) : 'nowhere');

function resourceChange(kind: ResourceKind, name: string, before: unknown, after: unknown): string | null {
  const what = `${kind}: ${quoted(name)}`;
  if (after === undefined) return `${what} is gone`;
  if (before === undefined) return `${what} is new and stands for ${describeSpec(after)}`;
  const [one, other] = [describeSpec(before), describeSpec(after)];
  return one === other ? null : `${what} stands for ${other}, before for ${one}`;
}

/** What policy.yaml says of a name. A variable's value may be long; a secret is named by where it is kept, never by its text. */
function describeSpec(spec: unknown): string {
  const entries = Object.entries(spec as object).filter(([key, value]) => key !== 'kind' && value !== null);
  if (entries.length === 0) return "a place of each session's own";
  return entries
    .map(([key, value]) => `${key} ${typeof value === 'object' ? describeSpec(value) : quoted(String(value))}`)
    .join(', ');
}

function describeConstraints(constraints: Constraints): string {
  return Object.entries(constraints)
    .map(([name, value]) => `${name} ${describeValue(value)}`)
    .join(', ');
}

function describeValue(value: unknown): string {
  if (!Array.isArray(value)) return typeof value === 'string' ? quoted(value) : (JSON.stringify(value) ?? 'nothing');
  return value.length === 0 ? 'none' : `[${value.map((entry) => quoted(String(entry)).slice(1, -1)).join(', ')}]`;
}
