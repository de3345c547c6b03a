/** The packages of a level: what Python sessions can import besides the standard library. Pure: which wheels there are is looked at elsewhere. */
import * as v from 'valibot';
import { type Check, found, type Stated } from './check.ts';
import type { PolicyChange } from './diff.ts';
import { quoted } from './nearest-name.ts';
import type { Level, PackageRule } from './policy.ts';
import type { YamlSource } from './yaml-source.ts';

/** What a level file states: packages by their normalized names, or `false`, which takes away all that are inherited. */
export type StatedPackages = false | ReadonlyMap<string, Stated<Pick<PackageRule, 'version'>>>;

/** Each is a file to read and to hold in memory, in the daemon and in every session. */
const PACKAGES_MAX = 64;
const PACKAGE_EXPECTED = 'the name of a package, or name==version';
const PACKAGE = /^([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(?: *== *([A-Za-z0-9][A-Za-z0-9._+!-]{0,63}))?$/;

export const PACKAGES_SCHEMA = v.union([
  v.literal(false),
  v.pipe(v.array(v.pipe(v.string(), v.regex(PACKAGE))), v.maxLength(PACKAGES_MAX)),
]);

/** As names are compared: `Typing_Extensions` and `typing-extensions` are one. */
export const packageName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

export const describePackage = ({ name, version }: Pick<PackageRule, 'name' | 'version'>): string =>
  version === null ? name : `${name}==${version}`;

export function readPackages(check: Check, source: YamlSource, value: unknown): Stated<StatedPackages> | null {
  if (value === undefined) return null;
  const at = source.locate(['packages'], 'key');
  if (value === false) return { value, at };
  if (!Array.isArray(value)) {
    check.report(['packages'], 'value', `expected a list of packages, or false; found ${found(value)}`);
    return null;
  }
  if (value.length > PACKAGES_MAX)
    check.report(['packages'], 'value', `at most ${PACKAGES_MAX} packages; there are ${value.length}`);
  const packages = new Map<string, Stated<Pick<PackageRule, 'version'>>>();
  for (const [index, entry] of value.slice(0, PACKAGES_MAX).entries()) {
    const path = ['packages', index];
    const [, name, version = null] = (typeof entry === 'string' && PACKAGE.exec(entry)) || [];
    if (name === undefined) check.report(path, 'value', `expected ${PACKAGE_EXPECTED}, found ${found(entry)}`);
    else if (packages.has(packageName(name))) check.report(path, 'value', `${quoted(name)} is named twice`);
    else packages.set(packageName(name), { value: { version }, at: source.locate(path, 'value') });
  }
  return { value: packages, at };
}

/** Those that a level may not leave out, because it inherits them. */
export function leftOut(stated: StatedPackages, inherited: Level['packages']): readonly PackageRule[] {
  return stated === false ? [] : [...inherited.values()].filter(({ name }) => !stated.has(name));
}

export function packageChanges(from: Level, to: Level): PolicyChange[] {
  const change = (allows: PolicyChange['allows'], words: string): PolicyChange => ({
    level: to.name,
    capability: null,
    allows,
    words,
  });
  return [...new Set([...from.packages.keys(), ...to.packages.keys()])].flatMap((name) => {
    const [before, after] = [from.packages.get(name), to.packages.get(name)];
    if (after === undefined) return change('less', `the package ${name} can no longer be imported`);
    if (before === undefined) return change('more', `the package ${describePackage(after)} can be imported`);
    if (before.version === after.version) return [];
    return change('other', `the package ${describePackage(after)}, before ${describePackage(before)}`);
  });
}
