/**
 * The roots under which guest code sees files: folders of each session's own, and folders that the administrator names.
 *
 * I1: no root is, holds, or lies in a folder of the daemon's own; private ones are the exception, and hold nothing else.
 * I2: new roots replace the old ones all at once, or not at all. A call that is under way keeps the root it began with.
 * I3: one session never sees the private folder of another; it goes with its session.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RootSpec } from '../../policies/resources.ts';
import { CheckedEntry } from './checked-entry.ts';
import { canHoldDescriptors, DescriptorEntry } from './descriptor-entry.ts';
import { fileDenied, interrupted } from './file-faults.ts';
import { FileSlots } from './file-slots.ts';
import { Root } from './root.ts';
import { forbiddenIdentities, type Volume, volumesOf } from './root-volumes.ts';
import { SessionRoot } from './session-root.ts';

export interface FileRootsOptions {
  readonly roots: ReadonlyMap<string, RootSpec>;
  /** Holds a folder for each session; made where it is missing. It is the daemon's alone. */
  readonly privateFolder: string;
  /** What no root may overlap: the state directory, the policy folder. */
  readonly forbidden: readonly string[];
  /** Whether entries are held by descriptor; false only where the system cannot. */
  readonly holdsDescriptors?: boolean;
  readonly slots?: FileSlots;
}

/** For whom a root is opened. */
export interface RootAccess {
  readonly capability: string;
  readonly blocked: readonly string[];
  readonly signal: AbortSignal;
}

export class FileRoots {
  readonly #privateFolder: string;
  readonly #forbidden: readonly string[];
  readonly #slots: FileSlots;
  readonly #hold: typeof DescriptorEntry.hold | typeof CheckedEntry.hold;
  readonly #sessions = new Map<string, Map<string, SessionRoot>>();
  #volumes: ReadonlyMap<string, Volume>;
  #forbiddenIdentities: ReadonlySet<string>;

  /** Fails with UNAVAILABLE, naming the root that cannot be used and why. */
  constructor({ roots, privateFolder, forbidden, holdsDescriptors, slots }: FileRootsOptions) {
    this.#forbidden = forbidden;
    this.#slots = slots ?? new FileSlots();
    this.#hold = (holdsDescriptors ?? canHoldDescriptors) ? DescriptorEntry.hold : CheckedEntry.hold;
    this.#volumes = volumesOf(roots, forbidden);
    this.#forbiddenIdentities = forbiddenIdentities(forbidden);
    mkdirSync(privateFolder, { recursive: true, mode: 0o700 });
    this.#privateFolder = realpathSync(privateFolder);
  }

  /** Fails with UNAVAILABLE where one of these could not be used. */
  check(roots: ReadonlyMap<string, RootSpec>): void {
    volumesOf(roots, this.#forbidden);
  }

  /** Fails with UNAVAILABLE as the constructor does; then everything stays as it was. */
  replace(roots: ReadonlyMap<string, RootSpec>): void {
    const volumes = volumesOf(roots, this.#forbidden);
    this.#forbiddenIdentities = forbiddenIdentities(this.#forbidden);
    this.#volumes = volumes;
  }

  /** Fails with CAPABILITY_DENIED where there is no such root. */
  open(rootName: string, sessionId: string, { capability, blocked, signal }: RootAccess): Root {
    // An ended session must not get its folder again.
    if (signal.aborted) throw interrupted();
    const volume = this.#volumes.get(rootName);
    if (volume === undefined) throw fileDenied(capability);
    return new Root(this.#sessionRoot(rootName, volume, sessionId), this.#slots, {
      capability,
      blocked,
      forbidden: this.#forbiddenIdentities,
      hold: this.#hold,
      signal,
    });
  }

  /** Removes the private folders of a session that has ended. What cannot be removed goes at the daemon's next start. */
  async removeSession(sessionId: string): Promise<void> {
    const roots = [...(this.#sessions.get(sessionId)?.values() ?? [])];
    this.#sessions.delete(sessionId);
    // An administrator's folder may lie on a disk that never answers, and nothing is removed there.
    await Promise.all(roots.map((root) => (root.isPrivate ? root.close() : void root.close())));
    await removeQuietly(this.#folderOf(sessionId));
  }

  /** Removes the private folders of all other sessions: when the daemon starts, they are of sessions that are gone. */
  async keep(sessionIds: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#privateFolder)) {
      if (!sessionIds.has(name)) await removeQuietly(join(this.#privateFolder, name));
    }
  }

  /** A root that stands for another folder since the policy changed is another root. */
  #sessionRoot(name: string, volume: Volume, sessionId: string): SessionRoot {
    const roots = this.#sessions.get(sessionId) ?? new Map<string, SessionRoot>();
    this.#sessions.set(sessionId, roots);
    const key = volume.kind === 'private' ? name : `${name} ${volume.identity}`;
    const root = roots.get(key) ?? new SessionRoot(name, volume, join(this.#folderOf(sessionId), name));
    roots.set(key, root);
    return root;
  }

  #folderOf(sessionId: string): string {
    if (!/^[\w-]{1,128}$/.test(sessionId)) throw new Error('a session id is letters, digits, _ and -');
    return join(this.#privateFolder, sessionId);
  }
}

async function removeQuietly(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // It is tried again when the daemon next starts, and no session can reach it until then.
  }
}
