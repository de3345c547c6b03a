/**
 * The packages that sessions are given: the wheels of the levels in force, and those that older isolates began with.
 *
 * I1: what an isolate is given is what was read and checked with the policy in force, whatever has become of the file since.
 * I2: an isolate that is made again is given the very bytes that it began with, or is not made again.
 */
import { type PolicyProblem, problemAt } from '../../policies/check.ts';
import type { PolicyChange } from '../../policies/diff.ts';
import { describePackage } from '../../policies/packages.ts';
import type { LevelName, PackageRule, Policy } from '../../policies/policy.ts';
import { POLICY_FILE } from '../../policies/resources.ts';
import type { PackageLock } from '../../sandbox/protocol.ts';
import { isSatisfied, readRequirement } from './requirements.ts';
import { isSameVersion, type Wheel, WheelProblem } from './wheel.ts';
import { type FoundWheel, WheelFolder } from './wheel-folder.ts';
import { WHEEL_LIMITS } from './wheel-limits.ts';

/** What the levels of a policy come to. */
export interface PackageReading {
  readonly folder: WheelFolder | null;
  readonly wheels: ReadonlyMap<LevelName, readonly Wheel[]>;
  readonly problems: readonly PolicyProblem[];
}

export const NO_PACKAGES: PackageReading = { folder: null, wheels: new Map(), problems: [] };

const lockOf = ({ name, version, sha256 }: Wheel): PackageLock => ({ name, version, sha256 });

/** Levels whose packages are of other wheels than before, though the policy may say the same. */
export function wheelChanges(from: PackageReading, to: PackageReading): readonly PolicyChange[] {
  return [...to.wheels].flatMap(([level, wheels]) =>
    wheels.flatMap(({ name, version, sha256 }) => {
      const before = from.wheels.get(level)?.find((wheel) => wheel.name === name);
      if (before === undefined || before.sha256 === sha256) return [];
      const words = `the package ${name} is another wheel: ${version} sha256:${sha256}, before ${before.version} sha256:${before.sha256}`;
      return [{ level, capability: null, allows: 'other' as const, words }];
    }),
  );
}

export class Packages {
  #inForce: PackageReading = NO_PACKAGES;
  #held = new Map<string, Wheel>();
  /** Of isolates that were made under an earlier policy. */
  readonly #older = new Map<string, Wheel>();

  /** Looks at the wheels that a policy names. */
  read(policy: Policy): PackageReading {
    const { packages } = policy.resources;
    if (packages === null) return NO_PACKAGES;
    const folder = packages.path === this.#inForce.folder?.path ? this.#inForce.folder : new WheelFolder(packages.path);
    let found: readonly FoundWheel[];
    try {
      found = folder.list();
    } catch (error) {
      const message = `the folder of wheels ${packages.path} ${(error as Error).message}`;
      return { ...NO_PACKAGES, problems: [problemAt(POLICY_FILE, packages.at, ['packages', 'path'], message)] };
    }
    const problems: PolicyProblem[] = [];
    const wheels = new Map<LevelName, readonly Wheel[]>();
    // A level that states none has those of the level that it extends: they are looked at once.
    const resolved = new Map<ReadonlyMap<string, PackageRule>, readonly Wheel[]>();
    for (const [name, level] of policy.levels) {
      const known = resolved.get(level.packages) ?? new LevelWheels(folder, found, problems).of(level.packages);
      resolved.set(level.packages, known);
      wheels.set(name, known);
    }
    return { folder, wheels, problems };
  }

  /** From now on new isolates have these. */
  use(reading: PackageReading): void {
    this.#inForce = reading;
    const wheels = [...reading.wheels.values()].flat();
    this.#held = new Map(wheels.map((wheel) => [wheel.sha256, wheel]));
    reading.folder?.keep(new Set(wheels));
  }

  /** What an isolate of the level has, exactly. */
  lockOf(level: LevelName): readonly PackageLock[] {
    return (this.#inForce.wheels.get(level) ?? []).map(lockOf);
  }

  /** Why an isolate that began with these cannot be made again, for its user; undefined where it can. */
  problemOf(locks: readonly PackageLock[]): string | undefined {
    const older: Wheel[] = [];
    for (const lock of locks) {
      if (this.#held.has(lock.sha256) || this.#older.has(lock.sha256)) continue;
      const found = this.#search(lock);
      if (typeof found === 'string') return `it began with the package ${lock.name} ${lock.version}, ${found}`;
      older.push(found);
    }
    const size = (wheels: Iterable<Wheel>): number => [...wheels].reduce((sum, each) => sum + each.unpackedBytes, 0);
    if (size(this.#older.values()) + size(older) > WHEEL_LIMITS.unpackedBytesMax) this.#older.clear();
    for (const wheel of older) this.#older.set(wheel.sha256, wheel);
    return undefined;
  }

  #search({ name, version, sha256 }: PackageLock): Wheel | string {
    const began = `sha256 ${sha256} then`;
    try {
      const candidates = this.#inForce.folder?.list().filter(({ named }) => isWanted(named, { name, version })) ?? [];
      const wheels = candidates.map(({ file }) => this.#inForce.folder?.read(file));
      const same = wheels.find((wheel) => wheel?.sha256 === sha256);
      if (same !== undefined) return same;
      const [other] = wheels;
      return other === undefined
        ? `whose wheel is gone (${began})`
        : `whose wheel is another one now (${began}, ${other.sha256} now)`;
    } catch (error) {
      if (!(error instanceof WheelProblem)) throw error;
      return `whose wheel cannot be read any more (${began})`;
    }
  }

  /** The wheel with these bytes. `problemOf` has said that it is there. */
  wheel(sha256: string): Wheel {
    const wheel = this.#held.get(sha256) ?? this.#older.get(sha256);
    if (wheel === undefined) throw new TypeError(`There is no wheel ${sha256}.`);
    return wheel;
  }
}

function isWanted(named: FoundWheel['named'], { name, version }: Pick<PackageRule, 'name' | 'version'>): boolean {
  return named.name === name && (version === null || isSameVersion(named.version, version));
}

/** Finds the wheels of one level, and what is wrong with them: each alone, and all of them together. */
class LevelWheels {
  readonly #folder: WheelFolder;
  readonly #found: readonly FoundWheel[];
  readonly #problems: PolicyProblem[];

  constructor(folder: WheelFolder, found: readonly FoundWheel[], problems: PolicyProblem[]) {
    this.#folder = folder;
    this.#found = found;
    this.#problems = problems;
  }

  of(rules: ReadonlyMap<string, PackageRule>): readonly Wheel[] {
    const wheels: Wheel[] = [];
    const problemsBefore = this.#problems.length;
    for (const rule of rules.values()) {
      const wheel = this.#find(rule);
      if (wheel !== undefined) wheels.push(wheel);
    }
    // What is missing, or cannot be read, would be reported once more of each package that needs it.
    if (this.#problems.length === problemsBefore) {
      for (const wheel of wheels) this.#checkRequirements(wheel, wheels, rules);
      this.#checkTogether(wheels, rules);
    }
    return wheels;
  }

  #find(rule: PackageRule): Wheel | undefined {
    const wanted = this.#found.filter(({ named }) => isWanted(named, rule));
    const fit = wanted.filter(({ named }) => named.unfit === null);
    const [only, another] = fit.length > 0 ? fit : wanted;
    if (only === undefined) return this.#report(rule, this.#absence(rule));
    if (another !== undefined) {
      const files = (fit.length > 0 ? fit : wanted).map(({ file }) => file).join(', ');
      const advice = rule.version === null ? `; say which, such as ${rule.name}==${only.named.version}` : '';
      return this.#report(rule, `there is more than one wheel of ${describePackage(rule)}: ${files}${advice}`);
    }
    try {
      return this.#folder.read(only.file);
    } catch (error) {
      if (!(error instanceof WheelProblem)) throw error;
      return this.#report(rule, `${only.file} cannot be used: ${error.message}`);
    }
  }

  #absence(rule: PackageRule): string {
    const others = this.#found.filter(({ named }) => named.name === rule.name).map(({ named }) => named.version);
    const instead = others.length === 0 ? '' : `; there is ${[...new Set(others)].join(', ')}`;
    return `there is no wheel of ${describePackage(rule)} in ${this.#folder.path}${instead}`;
  }

  #checkRequirements(wheel: Wheel, wheels: readonly Wheel[], rules: ReadonlyMap<string, PackageRule>): void {
    const what = `${wheel.name} ${wheel.version}`;
    for (const text of wheel.requires) {
      const needed = readRequirement(text);
      if (needed === null) continue;
      if (needed === 'unclear') {
        this.#report(rules.get(wheel.name), `${what} needs something that cannot be read: ${text.slice(0, 200)}`);
        continue;
      }
      const there = wheels.find(({ name }) => name === needed.name);
      if (there !== undefined && isSatisfied(needed, there.version)) continue;
      const instead = there === undefined ? 'which is not in this list' : `and the list has ${there.version}`;
      this.#report(rules.get(wheel.name), `${what} needs ${needed.name}${needed.versions}, ${instead}`);
    }
  }

  #checkTogether(wheels: readonly Wheel[], rules: ReadonlyMap<string, PackageRule>): void {
    const owners = new Map<string, Wheel>();
    let unpackedBytes = 0;
    for (const wheel of wheels) {
      unpackedBytes += wheel.unpackedBytes;
      for (const [path, bytes] of wheel.files) {
        const owner = owners.get(path) ?? wheel;
        owners.set(path, owner);
        if (Buffer.compare(owner.files.get(path) ?? bytes, bytes) === 0) continue;
        this.#report(rules.get(wheel.name), `${wheel.name} and ${owner.name} both have the file ${path}`);
      }
    }
    if (unpackedBytes <= WHEEL_LIMITS.unpackedBytesMax) return;
    const message = `the packages have ${unpackedBytes} bytes when unpacked; a level's may have ${WHEEL_LIMITS.unpackedBytesMax} together`;
    this.#report([...rules.values()].at(-1), message);
  }

  #report(rule: PackageRule | undefined, message: string): undefined {
    if (rule !== undefined) this.#problems.push(problemAt(rule.origin.file, rule.origin, ['packages'], message));
  }
}
