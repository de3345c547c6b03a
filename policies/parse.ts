/** The files of a policy as one resolved policy, or as the list of everything that is wrong with them. */
import { BUILT_IN, type Catalogue } from './capabilities.ts';
import { type PolicyProblem, problemAt, type Stated } from './check.ts';
import { resolveGrant } from './grant.ts';
import { type LevelFile, readLevelFile } from './level-file.ts';
import { LIMIT_NAMES, LIMIT_RELATIONS, type LimitName, type Limits } from './limits.ts';
import { quoted, suggestion } from './nearest-name.ts';
import { describePackage, leftOut } from './packages.ts';
import {
  type AuditSync,
  type Ceilings,
  type Grant,
  LEVELS,
  type Level,
  type LevelName,
  type Origin,
  type PackageRule,
  type Policy,
  type Withdrawal,
} from './policy.ts';
import { NO_RESOURCES, POLICY_FILE, type ResourceFile, type Resources, readResources } from './resources.ts';
import type { Path } from './yaml-source.ts';

export type { PolicyProblem } from './check.ts';

export interface PolicyFile {
  /** Names the file in problems and origins; it is never opened. */
  readonly name: string;
  readonly text: string;
}

export type PolicyParse =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Bounds the time that one policy takes to read. */
const FILES_MAX = 64;

/**
 * Reads the files of a policy, one level each and `policy.yaml`, in any order. Every problem of every file is reported, ordered by
 * file and line; a policy with a problem is no policy. Never throws, whatever the texts.
 *
 * @param catalogue the capabilities that may be granted
 */
export function parsePolicy(files: readonly PolicyFile[], catalogue: Catalogue = BUILT_IN): PolicyParse {
  if (files.length > FILES_MAX) {
    const message = `a policy has at most ${FILES_MAX} files; there are ${files.length}`;
    return { ok: false, problems: [problemAt(files[0]?.name ?? '', { line: 1, column: 1 }, [], message)] };
  }
  const common = files.find(({ name }) => name === POLICY_FILE);
  const { file: resourceFile, problems: resourceProblems } =
    common === undefined ? { file: NO_RESOURCES, problems: [] } : readResources(common.name, common.text);
  const resolution = new Resolution(catalogue, resourceFile.resources);
  resolution.problems.push(...resourceProblems);
  for (const { name, text } of files) {
    if (name === POLICY_FILE) continue;
    const { level, problems } = readLevelFile(name, text, catalogue);
    resolution.problems.push(...problems);
    resolution.add(level);
  }
  resolution.checkPresence();
  resolution.checkRanks();
  resolution.checkCycles();
  const levels = resolution.resolve();
  const ceilings = resolution.ceilings(resourceFile);
  if (resolution.problems.length === 0) {
    return { ok: true, policy: Object.freeze({ levels, resources: resourceFile.resources, ceilings }) };
  }
  const order = new Map(files.map(({ name }, index) => [name, index]));
  const problems = resolution.problems.toSorted(
    (a, b) => (order.get(a.file) ?? -1) - (order.get(b.file) ?? -1) || a.line - b.line || a.column - b.column,
  );
  return { ok: false, problems };
}

/** `file:line:column: path: message`, the form that editors and terminals make a link of. */
export function describeProblem({ file, line, column, path, message }: PolicyProblem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** A level with its inheritance, as far as it could be understood. */
interface Resolved {
  readonly grants: Map<string, Grant>;
  readonly withdrawals: Map<string, Withdrawal>;
  packages: ReadonlyMap<string, PackageRule>;
  readonly limits: Map<LimitName, { readonly value: number; readonly origin: Origin }>;
  /** Whether everything that the level inherits and states was understood, so that what is absent is missing. */
  limitsClear: boolean;
  readonly auditSync: AuditSync;
}

/**
 * Owns the level files of one parse and the problems found in them.
 * I1: a level is resolved after the one that it extends, which is always a lower one.
 * I2: a problem is reported where it is stated, never again where it is inherited.
 */
class Resolution {
  readonly problems: PolicyProblem[] = [];
  readonly #files = new Map<LevelName, LevelFile>();
  readonly #resolved = new Map<LevelName, Resolved>();
  readonly #circular = new Set<LevelName>();
  readonly #catalogue: Catalogue;
  readonly #resources: Resources;
  #unnamed = false;

  constructor(catalogue: Catalogue, resources: Resources) {
    this.#catalogue = catalogue;
    this.#resources = resources;
  }

  /** The names of all levels, from the lowest rank to the highest. */
  get #ascending(): readonly LevelName[] {
    // A level whose rank could not be read stands where its name stands among those that every policy has.
    const rankOf = (file: LevelFile): number => file.rank?.value ?? LEVELS.indexOf(file.name.value as never);
    return [...this.#files.values()].toSorted((a, b) => rankOf(a) - rankOf(b)).map(({ name }) => name.value);
  }

  add(level: LevelFile | null): void {
    if (level === null) {
      this.#unnamed = true;
      return;
    }
    const first = this.#files.get(level.name.value);
    if (first === undefined) {
      this.#files.set(level.name.value, level);
      return;
    }
    const message = `level ${level.name.value} is already defined in ${first.file}, line ${first.name.at.line}`;
    this.#report(level, level.name, ['level'], message);
  }

  checkPresence(): void {
    // A file whose level could not be read may hold the one that seems to be missing.
    if (this.#unnamed) return;
    for (const name of LEVELS) {
      if (this.#files.has(name)) continue;
      const message = `no file defines the level "${name}"; a policy defines ${LEVELS.join(', ')}`;
      this.problems.push(problemAt(`${name}.yaml`, { line: 1, column: 1 }, [], message));
    }
  }

  checkRanks(): void {
    let lower = '';
    let highest = -1;
    for (const name of LEVELS) {
      const file = this.#files.get(name);
      if (!file?.rank) continue;
      const rank = file.rank.value;
      if (rank > highest) {
        lower = name;
        highest = rank;
        continue;
      }
      const message = `rank ${rank} must be above ${highest}, the rank of the lower level ${lower}`;
      this.#report(file, file.rank, ['rank'], message);
    }
    this.#checkOwnRanks();
  }

  /** A level of the policy's own stands between two of the others, or above or below them all, never on one. */
  #checkOwnRanks(): void {
    const taken = new Map<number, LevelName>();
    for (const name of LEVELS) {
      const rank = this.#files.get(name)?.rank?.value;
      if (rank !== undefined) taken.set(rank, name);
    }
    for (const file of this.#files.values()) {
      if (file.rank === null || LEVELS.includes(file.name.value as never)) continue;
      const other = taken.get(file.rank.value);
      if (other === undefined) {
        taken.set(file.rank.value, file.name.value);
        continue;
      }
      this.#report(
        file,
        file.rank,
        ['rank'],
        `rank ${file.rank.value} is taken by level ${other}; choose one of its own`,
      );
    }
  }

  checkCycles(): void {
    for (const [start, file] of this.#files) {
      if (this.#circular.has(start)) continue;
      const way = [start];
      let next = this.#parentOf(start);
      while (next !== null && !way.includes(next)) {
        way.push(next);
        next = this.#parentOf(next);
      }
      if (next !== start || file.extends === null || file.extends === 'unclear') continue;
      for (const name of way) this.#circular.add(name);
      const message = `levels extend each other in a circle: ${[...way, start].join(' → ')}`;
      this.#report(file, file.extends, ['extends'], message);
    }
  }

  /** All levels in ascending order; complete only if no problem has been reported. */
  resolve(): Map<LevelName, Level> {
    const levels = new Map<LevelName, Level>();
    for (const name of this.#ascending) {
      const file = this.#files.get(name);
      if (file === undefined) continue;
      const parent = this.#inherited(file);
      const resolved: Resolved = {
        grants: new Map(parent.grants),
        withdrawals: new Map(parent.withdrawals),
        packages: parent.packages,
        limits: new Map(parent.limits),
        limitsClear: parent.limitsClear && file.limitsClear,
        auditSync: file.auditSync ?? parent.auditSync,
      };
      this.#applyGrants(file, resolved);
      this.#applyPackages(file, resolved);
      this.#applyLimits(file, resolved);
      this.#resolved.set(name, resolved);
      const limits = completeLimits(resolved);
      if (limits !== null) levels.set(name, toLevel(file, resolved, limits));
    }
    return levels;
  }

  /** The highest level of each socket; clients reach up to trusted where the policy does not say. */
  ceilings({ ceilings }: ResourceFile): Ceilings {
    const names = [...this.#files.keys()];
    for (const [role, stated] of Object.entries(ceilings)) {
      if (this.#unnamed || this.#files.has(stated.value)) continue;
      const message = `there is no level ${quoted(stated.value)}; ${suggestion(stated.value, names)}`;
      this.problems.push(problemAt(POLICY_FILE, stated.at, ['ceilings', role], message));
    }
    const highest = this.#ascending.at(-1) ?? LEVELS[0];
    return { client: ceilings.client?.value ?? 'trusted', admin: ceilings.admin?.value ?? highest };
  }

  #parentOf(name: LevelName): LevelName | null {
    const parent = this.#files.get(name)?.extends;
    return parent === undefined || parent === null || parent === 'unclear' ? null : parent.value;
  }

  #inherited(file: LevelFile): Resolved {
    const nothing = (limitsClear: boolean): Resolved => ({
      grants: new Map(),
      withdrawals: new Map(),
      packages: new Map(),
      limits: new Map(),
      limitsClear,
      auditSync: 'interval',
    });
    if (file.extends === null) return nothing(true);
    if (file.extends === 'unclear') return nothing(false);
    const name = file.name.value;
    const parent = file.extends.value;
    const order = this.#ascending;
    const lower = order.slice(0, order.indexOf(name));
    if (!this.#files.has(parent)) {
      // A file whose level could not be read may be the one that is meant.
      if (!this.#unnamed) {
        const message = `there is no level ${quoted(parent)}; ${suggestion(parent, lower)}`;
        this.#report(file, file.extends, ['extends'], message);
      }
    } else if (!this.#circular.has(name) && !lower.includes(parent)) {
      const message = `a level extends a lower one; ${parent} is not below ${name} (lower levels: ${lower.join(', ') || 'none'})`;
      this.#report(file, file.extends, ['extends'], message);
    }
    return this.#resolved.get(parent) ?? nothing(false);
  }

  #applyGrants(file: LevelFile, resolved: Resolved): void {
    for (const [capability, { value, at }] of file.grants) {
      const ruleId = `${file.name.value}/grants/${capability}`;
      const origin = originOf(file, { value, at });
      if (value === false) {
        resolved.grants.delete(capability);
        resolved.withdrawals.set(capability, { capability, ruleId, origin });
        continue;
      }
      const fields = this.#catalogue.get(capability) ?? {};
      const inherited = resolved.grants.get(capability);
      const { constraints, terms, problems } = resolveGrant(fields, value, inherited, this.#resources);
      for (const { field, message } of problems) {
        const stated = field === null ? undefined : value.constraints.get(field);
        this.#report(file, stated ?? { at }, ['grants', capability, ...(field === null ? [] : [field])], message);
      }
      resolved.withdrawals.delete(capability);
      resolved.grants.set(capability, { capability, constraints, terms, ruleId, origin });
    }
  }

  #applyPackages(file: LevelFile, resolved: Resolved): void {
    if (file.packages === null) return;
    const { value: stated } = file.packages;
    for (const rule of leftOut(stated, resolved.packages)) {
      const message = `${describePackage(rule)} is inherited (${rule.origin.file}, line ${rule.origin.line}) and not in this list; a level may have fewer packages only by "packages: false"`;
      this.#report(file, file.packages, ['packages'], message);
    }
    if (stated !== false && stated.size > 0 && this.#resources.packages === null) {
      const message = `no folder of wheels is named in ${POLICY_FILE}; name one there: packages: { path: /srv/wheels }`;
      this.#report(file, file.packages, ['packages'], message);
    }
    const rules = [...(stated === false ? [] : stated)].map(
      ([name, own]) => [name, { name, version: own.value.version, origin: originOf(file, own) }] as const,
    );
    resolved.packages = new Map(rules);
  }

  #applyLimits(file: LevelFile, resolved: Resolved): void {
    for (const [name, stated] of file.limits) {
      resolved.limits.set(name, { value: stated.value, origin: originOf(file, stated) });
    }
    if (resolved.limitsClear) {
      const missing = LIMIT_NAMES.filter((name) => !resolved.limits.has(name));
      if (missing.length > 0) {
        resolved.limitsClear = false;
        const why =
          file.extends === null ? 'a level that extends none states every limit' : 'no level below states them';
        this.#report(file, file.name, ['limits'], `limits are missing: ${missing.join(', ')}; ${why}`);
      }
    }
    for (const { limit, of, most, why } of LIMIT_RELATIONS) {
      const upper = resolved.limits.get(of);
      const value = resolved.limits.get(limit)?.value;
      const own = file.limits.has(limit) ? limit : of;
      const stated = file.limits.get(own);
      if (upper === undefined || value === undefined || stated === undefined || value <= most(upper.value)) continue;
      const message = `${limit} ${value} must be at most ${most(upper.value)} while ${of} is ${upper.value}: ${why}`;
      this.#report(file, stated, ['limits', own], message);
    }
  }

  #report(level: LevelFile, stated: Pick<Stated<unknown>, 'at'>, path: Path, message: string): void {
    this.problems.push(problemAt(level.file, stated.at, path, message));
  }
}

function originOf(file: LevelFile, { at }: Stated<unknown>): Origin {
  return Object.freeze({ file: file.file, line: at.line, column: at.column, level: file.name.value });
}

function completeLimits(resolved: Resolved): Limits | null {
  const entries = LIMIT_NAMES.map((name) => [name, resolved.limits.get(name)?.value] as const);
  if (entries.some(([, value]) => value === undefined)) return null;
  // Safe: every name of the table is there, with a number.
  return Object.freeze(Object.fromEntries(entries)) as unknown as Limits;
}

function toLevel(file: LevelFile, resolved: Resolved, limits: Limits): Level {
  return Object.freeze({
    name: file.name.value,
    rank: file.rank?.value ?? 0,
    description: file.description,
    extends: file.extends === null || file.extends === 'unclear' ? null : file.extends.value,
    origin: originOf(file, file.name),
    grants: resolved.grants,
    withdrawals: resolved.withdrawals,
    packages: resolved.packages,
    limits,
    limitOrigins: new Map([...resolved.limits].map(([name, { origin }]) => [name, origin])),
    auditSync: resolved.auditSync,
  });
}
