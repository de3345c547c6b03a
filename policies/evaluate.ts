/** What a policy answers. Pure: the same policy and the same question give the same answer, in microseconds. */
import type { ConstraintsOf } from './capabilities.ts';
import { isLimitValue, LIMIT_BOUNDS, LIMIT_NAMES, LIMIT_RELATIONS, type LimitName, type Limits } from './limits.ts';
import { quoted, suggestion } from './nearest-name.ts';
import type { Decision, Grant, Level, LevelName, Policy } from './policy.ts';

/** The rule that decides when no file says anything. */
export const DEFAULT_DENY = 'default-deny';

/** The policy's level of that name, spelled `sandbox` or `SANDBOX`; null for everything else, of whatever type. */
export function levelFromName(policy: Policy, input: unknown): LevelName | null {
  if (typeof input !== 'string') return null;
  const name = input === input.toUpperCase() ? input.toLowerCase() : input;
  return policy.levels.has(name) ? name : null;
}

/** False also where the policy has one of the two no more: nothing is known to be below what is not there. */
export function isAtMost(policy: Policy, level: LevelName, ceiling: LevelName): boolean {
  const [rank, rankMax] = [policy.levels.get(level)?.rank, policy.levels.get(ceiling)?.rank];
  return rank !== undefined && rankMax !== undefined && rank <= rankMax;
}

/** The resolved level. Throws when the policy lacks it, which no policy from `parsePolicy` does. */
export function levelOf(policy: Policy, name: LevelName): Level {
  const level = policy.levels.get(name);
  if (level === undefined) throw new TypeError(`The policy has no level ${quoted(String(name))}.`);
  return level;
}

/**
 * Whether a level may use a capability, and by which rule. What no rule grants is denied, and so is everything at a
 * level that the policy does not have.
 */
export function decide<K extends string>(policy: Policy, level: LevelName, capability: K): Decision<ConstraintsOf<K>> {
  const resolved = policy.levels.get(level);
  const grant = resolved?.grants.get(capability);
  if (grant !== undefined) {
    // Safe: the parser held the constraints of a known capability against its schema.
    const constraints = grant.constraints as ConstraintsOf<K>;
    return { verdict: 'allow', ruleId: grant.ruleId, constraints, terms: grant.terms };
  }
  const lowestLevel = lowestLevelGranting(policy, capability);
  const ruleId = resolved?.withdrawals.get(capability)?.ruleId ?? DEFAULT_DENY;
  const where = lowestLevel === null ? 'no level grants it' : `the lowest level that grants it is ${lowestLevel}`;
  const reason = `${quoted(capability)} is not granted at level ${resolved?.name ?? 'unknown'}; ${where}`;
  return { verdict: 'deny', reason, ruleId, lowestLevel };
}

/** The lowest level that grants the capability, or null when none does. */
export function lowestLevelGranting(policy: Policy, capability: string): LevelName | null {
  for (const [name, level] of policy.levels) {
    if (level.grants.has(capability)) return name;
  }
  return null;
}

/** Why a limit that a client asked for is refused. */
interface LimitProblem {
  /** As the client spelled it. */
  readonly limit: string;
  readonly asked: unknown;
  /** What may be asked for; null when there is no limit of that name. */
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly message: string;
}

export type EffectiveLimits =
  | { readonly ok: true; readonly limits: Limits }
  | { readonly ok: false; readonly problems: readonly LimitProblem[] };

/**
 * The limits of a session at this level that asked for some of its own. They can only narrow: a request above the
 * level's limit is refused, never cut down in silence. A limit that nobody asked for comes down where it would
 * otherwise contradict one that somebody did: with `cellWallMsMax: 100`, `cellCpuMsMax` becomes 100 as well.
 */
export function effectiveLimits(level: Level, requested: Partial<Limits> = {}): EffectiveLimits {
  const limits: Record<LimitName, number> = { ...level.limits };
  const problems: LimitProblem[] = [];
  for (const [limit, asked] of Object.entries(requested)) {
    if (!isLimitName(limit)) {
      const message = `${quoted(limit)} is not a limit; ${suggestion(limit, LIMIT_NAMES)}`;
      problems.push({ limit, asked, minimum: null, maximum: null, message });
      continue;
    }
    const maximum = level.limits[limit];
    if (isLimitValue(limit, asked) && asked <= maximum) {
      limits[limit] = asked;
      continue;
    }
    const { min: minimum, unit } = LIMIT_BOUNDS[limit];
    const found = typeof asked === 'string' ? quoted(asked) : typeof asked === 'number' ? asked : typeof asked;
    const range = `a whole number from ${minimum} to ${maximum} (${unit})`;
    const message = `${limit} at level ${level.name} is ${range}; asked for ${found}`;
    problems.push({ limit, asked, minimum, maximum, message });
  }
  if (problems.length > 0) return { ok: false, problems };
  for (const { limit, of, most } of LIMIT_RELATIONS) limits[limit] = Math.min(limits[limit], most(limits[of]));
  return { ok: true, limits: Object.freeze(limits) };
}

/** Why a capability that a client asked for is refused. */
interface CapabilityProblem {
  readonly capability: string;
  readonly message: string;
}

export type NarrowedCapabilities =
  | { readonly ok: true; readonly grants: ReadonlyMap<string, Grant> }
  | { readonly ok: false; readonly problems: readonly CapabilityProblem[] };

/**
 * The grants of a session at this level that asked for these capabilities only, in the level's order; all of the
 * level's when it asked for none in particular (`undefined`). A name that the level does not grant is refused.
 */
export function narrowCapabilities(level: Level, names?: readonly string[]): NarrowedCapabilities {
  if (names === undefined) return { ok: true, grants: level.grants };
  const asked = new Set(names);
  const problems = [...asked]
    .filter((name) => !level.grants.has(name))
    .map((capability) => ({
      capability,
      message: `${quoted(capability)} is not granted at level ${level.name}; ${suggestion(capability, [...level.grants.keys()])}`,
    }));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, grants: new Map([...level.grants].filter(([name]) => asked.has(name))) };
}

function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(LIMIT_BOUNDS, name);
}
