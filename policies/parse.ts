/** The level files of a policy as one resolved policy, or as the list of everything that is wrong with them. */
import { type CapabilityName, type Constraints, type ConstraintsOf, NARROWINGS } from './capabilities.ts';
import { type LevelFile, type PolicyProblem, problemAt, readLevelFile, type Stated } from './level-file.ts';
import { LIMIT_NAMES, LIMIT_RELATIONS, type LimitName, type Limits } from './limits.ts';
import { type Grant, LEVELS, type Level, type LevelName, type Origin, type Policy, type Withdrawal } from './policy.ts';
import type { Path } from './yaml-source.ts';

export type { PolicyProblem } from './level-file.ts';

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
 * Reads a set of level files, one level each, in any order. Every problem of every file is reported, ordered by
 * file and line; a policy with a problem is no policy. Never throws, whatever the texts.
 */
export function parsePolicy(files: readonly PolicyFile[]): PolicyParse {
  if (files.length > FILES_MAX) {
    const message = `a policy has at most ${FILES_MAX} files; there are ${files.length}`;
    return { ok: false, problems: [problemAt(files[0]?.name ?? '', { line: 1, column: 1 }, [], message)] };
  }
  const resolution = new Resolution();
  for (const { name, text } of files) {
    const { level, problems } = readLevelFile(name, text);
    resolution.problems.push(...problems);
    resolution.add(level);
  }
  resolution.checkPresence();
  resolution.checkRanks();
  resolution.checkCycles();
  const levels = resolution.resolve();
  if (resolution.problems.length === 0) return { ok: true, policy: { levels } };
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
  readonly grants: Map<CapabilityName, Grant>;
  readonly withdrawals: Map<CapabilityName, Withdrawal>;
  readonly limits: Map<LimitName, { readonly value: number; readonly origin: Origin }>;
  /** Whether everything that the level inherits and states was understood, so that what is absent is missing. */
  limitsClear: boolean;
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
  #unnamed = false;

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
    for (const name of LEVELS) {
      const file = this.#files.get(name);
      if (file === undefined) continue;
      const parent = this.#inherited(file);
      const resolved: Resolved = {
        grants: new Map(parent.grants),
        withdrawals: new Map(parent.withdrawals),
        limits: new Map(parent.limits),
        limitsClear: parent.limitsClear && file.limitsClear,
      };
      this.#applyGrants(file, resolved);
      this.#applyLimits(file, resolved);
      this.#resolved.set(name, resolved);
      const limits = completeLimits(resolved);
      if (limits !== null) levels.set(name, toLevel(file, resolved, limits));
    }
    return levels;
  }

  #parentOf(name: LevelName): LevelName | null {
    const parent = this.#files.get(name)?.extends;
    return parent === undefined || parent === null || parent === 'unclear' ? null : parent.value;
  }

  #inherited(file: LevelFile): Resolved {
    const nothing = (limitsClear: boolean): Resolved => ({
      grants: new Map(),
      withdrawals: new Map(),
      limits: new Map(),
      limitsClear,
    });
    if (file.extends === null) return nothing(true);
    if (file.extends === 'unclear') return nothing(false);
    const name = file.name.value;
    const parent = file.extends.value;
    if (!this.#circular.has(name) && LEVELS.indexOf(parent) >= LEVELS.indexOf(name)) {
      const lower = LEVELS.slice(0, LEVELS.indexOf(name)).join(', ') || 'none';
      const message = `a level extends a lower one; ${parent} is not below ${name} (lower levels: ${lower})`;
      this.#report(file, file.extends, ['extends'], message);
    }
    return this.#resolved.get(parent) ?? nothing(false);
  }

  #applyGrants(file: LevelFile, resolved: Resolved): void {
    for (const [capability, { value, at }] of file.grants) {
      const rule = {
        capability,
        ruleId: `${file.name.value}/grants/${capability}`,
        origin: originOf(file, { value, at }),
      };
      if (value === false) {
        resolved.grants.delete(capability);
        resolved.withdrawals.set(capability, rule);
        continue;
      }
      const inherited = resolved.grants.get(capability);
      const less = inherited === undefined ? null : narrowing(capability, inherited.constraints, value);
      if (inherited !== undefined && less !== null) {
        const { origin } = inherited;
        const message = `${less} (${origin.file}, line ${origin.line}); a level may grant less only by "${capability}: false"`;
        this.#report(file, { at }, ['grants', capability], message);
      }
      resolved.withdrawals.delete(capability);
      resolved.grants.set(capability, { ...rule, constraints: value });
    }
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

function narrowing<K extends CapabilityName>(capability: K, inherited: Constraints, own: Constraints): string | null {
  // Safe: both have passed the schema of this very capability.
  return NARROWINGS[capability](inherited as ConstraintsOf<K>, own as ConstraintsOf<K>);
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
    grants: resolved.grants,
    withdrawals: resolved.withdrawals,
    limits,
    limitOrigins: new Map([...resolved.limits].map(([name, { origin }]) => [name, origin])),
  });
}
