/**
 * What effects are carried out with: files, databases, the network, secrets. One of each for the whole daemon.
 *
 * I1: what the policy's resources stand for changes for all of them at once, after each has looked at them.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NO_RESOURCES, type Resources } from '../../policies/resources.ts';
import type { Clock } from '../clock.ts';
import type { CommonLog } from '../durability/common-log.ts';
import { FileRoots } from '../files/file-roots.ts';
import { volumesOf } from '../files/root-volumes.ts';
import { KvStore } from '../kv/kv-store.ts';
import type { KvStores } from '../kv/kv-stores.ts';
import { SharedKv } from '../kv/shared-kv.ts';
import { Network } from '../network/network.ts';
import { SecretStore } from '../secrets/secret-store.ts';
import { SqlSources } from '../sql/sql-sources.ts';

export interface EngineParts {
  readonly stateDir: string;
  /** Folders of the daemon's own, which no root and no database may reach into. */
  readonly ownFolders: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** The log of that name, which the daemons of a group share; null where this one is in none. */
  readonly commonLog: ((name: string) => CommonLog) | null;
}

export class Engines {
  readonly files: FileRoots;
  readonly kv: KvStores;
  readonly network: Network;
  readonly secrets: SecretStore;
  readonly sql: SqlSources;
  /** Where programs are run. */
  readonly scratchFolder: string;
  #resources: Resources = NO_RESOURCES.resources;

  /** Fails with UNAVAILABLE where what is kept in the state directory cannot be used. */
  constructor({ stateDir, ownFolders, environment, clock, commonLog }: EngineParts) {
    const { roots, sources } = this.#resources;
    this.scratchFolder = join(stateDir, 'scratch');
    freshFolder(this.scratchFolder);
    this.secrets = new SecretStore({ resources: this.#resources, environment, clock });
    this.files = new FileRoots({ roots, privateFolder: join(stateDir, 'workspaces'), forbidden: ownFolders });
    this.sql = new SqlSources({
      sources,
      privateFolder: join(stateDir, 'databases'),
      forbidden: ownFolders,
      secret: (name) => this.secrets.secret(name),
    });
    this.kv = kvStores(stateDir, commonLog);
    this.network = new Network({ credentials: this.secrets });
  }

  get programs(): Resources['programs'] {
    return this.#resources.programs;
  }

  /** Fails with UNAVAILABLE where a root or a database could not be used. */
  check({ roots, sources, packages }: Resources): void {
    this.files.check(roots);
    // Whoever could write there could run code in every session.
    if (packages !== null) volumesOf(roots, [packages.path]);
    this.sql.check(sources);
  }

  /** Another policy is in force, whose resources have been checked. */
  use(resources: Resources): void {
    this.files.replace(resources.roots);
    this.sql.replace(resources.sources);
    this.secrets.replace(resources);
    this.#resources = resources;
  }

  /** Nothing of the session is needed any more. */
  sessionClosed(sessionId: string): void {
    this.kv.removeSession(sessionId);
    void this.files.removeSession(sessionId);
    // What cannot be removed now goes when the daemon next starts.
    this.sql.removeSession(sessionId).catch(() => undefined);
  }

  /** What an earlier daemon has left behind of sessions that are no more goes. */
  async forgetOthers(sessionIds: ReadonlySet<string>): Promise<void> {
    this.kv.keep(sessionIds);
    await Promise.all([this.files.keep(sessionIds), this.sql.keep(sessionIds)]);
  }

  async close(): Promise<void> {
    await this.sql.close();
    this.kv.close();
  }
}

function kvStores(stateDir: string, logOf: EngineParts['commonLog']): KvStores {
  if (logOf === null) return new KvStore(join(stateDir, 'kv.sqlite'));
  return new SharedKv({ file: join(stateDir, 'kv-cache.sqlite'), logOf });
}

/** Without what an earlier daemon has left in it, as far as that can be removed. */
function freshFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // A program can leave what nobody may remove; it keeps nobody from starting.
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
}
