/** What keeps sessions beyond the life of their isolates: on this machine alone, or on a Resonate server that a group of daemons shares. */
import type { Clock } from '../clock.ts';
import { removeDatabaseFile } from '../database-file.ts';
import { DurableStore } from './durable-store.ts';
import { type DurableRuntime, local, remote, type SharedLogs } from './resonate.ts';

/** How long the end waits for others to be able to go on with what was recorded last. */
const COPIED_MS_MAX = 5000;

/** Where several daemons keep what they share. */
export interface ResonateConfig {
  /** `http:`, `https:`, `postgres:` or `postgresql:`. */
  readonly url: string;
  readonly token: string | null;
  /** Daemons of one group take over each other's sessions. */
  readonly group: string;
  /** The daemon's own name in its group. */
  readonly name: string;
  /** How long a daemon that is not heard of keeps its sessions. */
  readonly leaseMs: number;
}

export interface Durability {
  readonly store: DurableStore;
  readonly runtime: DurableRuntime;
  /** null where nobody shares anything with this daemon. */
  readonly logs: SharedLogs | null;
}

export interface DurabilityParts {
  /** null: in memory. */
  readonly file: string | null;
  /** What a daemon of a group has read of the shared journals; it begins empty. */
  readonly cacheFile: string;
  /** null: everything is on this machine. */
  readonly resonate: ResonateConfig | null;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

/** Fails with UNAVAILABLE where the file or the server cannot be used. */
export async function openDurability({ file, cacheFile, resonate, clock, log }: DurabilityParts): Promise<Durability> {
  if (resonate === null) {
    const store = DurableStore.open({ file, log });
    return { store, runtime: await local({ store, clock, log }), logs: null };
  }
  const { url, token, group, name, leaseMs } = resonate;
  const { logs, ...runtime } = await remote({ url, token, group, pid: name, leaseMs, clock, log });
  try {
    removeDatabaseFile(cacheFile);
    return { store: DurableStore.open({ file: cacheFile, log, copy: logs.journals }), runtime, logs };
  } catch (error) {
    await runtime.stop();
    throw error;
  }
}

/** The store is closed: others of the group can go on with what was recorded last, and do. */
export async function handOver({ store, runtime }: Durability): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, COPIED_MS_MAX);
  await Promise.race([store.copied(), late.promise]);
  clearTimeout(timer);
  store.stopCopying();
  await runtime.stop();
}
