/**
 * Which folders of the machine the roots of the policy are. A root is refused where it overlaps what is the daemon's own, under
 * whatever name: folders are compared by identity, all the way up.
 */
import { realpathSync, type StatsFs, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RootSpec } from '../../policies/resources.ts';
import { Fault } from '../fault.ts';
import { identityOf } from './held-entry.ts';

/** A root of the policy, found on the machine. */
export type Volume =
  | { readonly kind: 'private' }
  /** `path` has no links in it, and led to the folder of this identity when the policy was read. */
  | { readonly kind: 'path'; readonly path: string; readonly identity: string };

/** Superblock numbers of proc and sysfs: what looks like a file there is a switch or a view of the kernel. */
const KERNEL_FILE_SYSTEMS: ReadonlySet<StatsFs['type']> = new Set([0x9fa0, 0x62656572]);

/** @param forbidden folders of the daemon. Fails with UNAVAILABLE naming the root, for the administrator. */
export function volumesOf(
  roots: ReadonlyMap<string, RootSpec>,
  forbidden: readonly string[],
): ReadonlyMap<string, Volume> {
  const own = forbidden.map((path) => identitiesUpFrom(existingPart(path)));
  const ownIdentities = forbiddenIdentities(forbidden);
  return new Map(
    [...roots].map(([name, spec]) => [
      name,
      spec.kind === 'private' ? spec : volumeAt(name, spec.path, own, ownIdentities),
    ]),
  );
}

/** The identities of those of the folders that exist. */
export function forbiddenIdentities(forbidden: readonly string[]): ReadonlySet<string> {
  const stats = forbidden.map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return new Set(stats.filter((found) => found !== undefined).map(identityOf));
}

function volumeAt(
  name: string,
  path: string,
  own: readonly (readonly string[])[],
  ownIdentities: ReadonlySet<string>,
): Volume {
  const real = realFolder(name, path);
  const upwards = identitiesUpFrom(real);
  const [identity = ''] = upwards;
  if (upwards.some((above) => ownIdentities.has(above)) || own.some((ancestors) => ancestors.includes(identity))) {
    throw refused(
      name,
      `${path} is, holds or lies in a folder of the daemon's own (its state, its policies or its wheels)`,
    );
  }
  if (KERNEL_FILE_SYSTEMS.has(statfsSync(real).type))
    throw refused(name, `${path} is a view of the kernel, not a folder of files`);
  return { kind: 'path', path: real, identity };
}

function realFolder(name: string, path: string): string {
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    throw refused(name, `${path} cannot be opened (${(error as NodeJS.ErrnoException).code})`);
  }
  throw refused(name, `${path} is not a folder`);
}

function refused(name: string, why: string): Fault {
  return new Fault(
    'UNAVAILABLE',
    `The root "${name}" of policy.yaml cannot be used: ${why}. Name another folder, or leave it out.`,
  );
}

/** The folder itself first, then those it lies in. */
function identitiesUpFrom(path: string): readonly string[] {
  const identities: string[] = [];
  for (let at = path; ; at = dirname(at)) {
    identities.push(identityOf(statSync(at, { bigint: true })));
    if (dirname(at) === at) return identities;
  }
}

function existingPart(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    try {
      return realpathSync(at);
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}
