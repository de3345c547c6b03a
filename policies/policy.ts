/**
 * What a policy is, once its level files have been read: plain data, frozen where the language allows it,
 * held in Maps so that a name such as `__proto__` is a name like any other.
 */
import type { Constraints } from './capabilities.ts';
import type { LimitName, Limits } from './limits.ts';
import type { Resources } from './resources.ts';
import type { Terms } from './terms.ts';

/** The levels that every policy has, from the least to the most that code may do. The first is the default. */
export const LEVELS = ['sandbox', 'restricted', 'standard', 'trusted', 'unrestricted'] as const;

/** The name of a level: one of `LEVELS`, or of a policy's own. Only `levelFromName` and the parser turn outside text into one. */
export type LevelName = string;

/** Where a rule is written: lines and columns count from 1, columns in UTF-16 units. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The level whose file states the rule; a level that extends it inherits the rule with this origin. */
  readonly level: LevelName;
}

/** One capability, granted with its constraints, on its terms. */
export interface Grant {
  readonly capability: string;
  readonly constraints: Constraints;
  readonly terms: Terms;
  /** Names the rule in the audit log, e.g. `restricted/grants/input`. */
  readonly ruleId: string;
  readonly origin: Origin;
}

/** One capability that a level's file takes away with `false`. */
export interface Withdrawal {
  readonly capability: string;
  readonly ruleId: string;
  readonly origin: Origin;
}

/** A package that a level's Python sessions can import. */
export interface PackageRule {
  /** Normalized. */
  readonly name: string;
  /** null where whichever version there is will do. */
  readonly version: string | null;
  readonly origin: Origin;
}

/** A level with everything that it inherits already in it. */
export interface Level {
  readonly name: LevelName;
  /** Orders the levels; gaps leave room for levels in between. */
  readonly rank: number;
  readonly description: string;
  readonly extends: LevelName | null;
  /** Where its file names it. */
  readonly origin: Origin;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly withdrawals: ReadonlyMap<string, Withdrawal>;
  /** By name. */
  readonly packages: ReadonlyMap<string, PackageRule>;
  readonly limits: Limits;
  readonly limitOrigins: ReadonlyMap<LimitName, Origin>;
  /** Whether each decision at this level is on the disk before the effect starts, or within a second. */
  readonly auditSync: AuditSync;
}

export const AUDIT_SYNCS = ['interval', 'always'] as const;
export type AuditSync = (typeof AUDIT_SYNCS)[number];

/** All levels, in ascending order. A policy that `parsePolicy` returned holds every name of `LEVELS`. */
export interface Policy {
  readonly levels: ReadonlyMap<LevelName, Level>;
  readonly resources: Resources;
  /** The highest level that each socket may ask for. */
  readonly ceilings: Ceilings;
}

export interface Ceilings {
  readonly client: LevelName;
  readonly admin: LevelName;
}

/** The answer to "may this level use this capability?". */
export type Decision<C extends Constraints = Constraints> =
  | { readonly verdict: 'allow'; readonly ruleId: string; readonly constraints: C; readonly terms: Terms }
  | {
      readonly verdict: 'deny';
      readonly reason: string;
      readonly ruleId: string;
      /** The lowest level that grants the capability; null when none does. */
      readonly lowestLevel: LevelName | null;
    };
