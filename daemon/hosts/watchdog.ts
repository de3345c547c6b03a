/** Ends hosts that use more memory than their isolates may, and hosts that no longer answer. */
import pidusage from 'pidusage';
import { HOST_LIMITS } from './host-limits.ts';
import type { WatchedHost } from './host-pool.ts';

/** pidusage keeps a descriptor open for every process that it was asked about in so long, ended ones included. */
const RSS_KEPT_MS = 10 * HOST_LIMITS.watchdogMs;

export class Watchdog {
  readonly #hosts: () => readonly WatchedHost[];
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #rss = new Map<number, number>();
  #looking = false;

  constructor(hosts: () => readonly WatchedHost[], monotonicMs: () => number) {
    this.#hosts = hosts;
    this.#now = monotonicMs;
    this.#timer = setInterval(() => void this.look(), HOST_LIMITS.watchdogMs);
    this.#timer.unref();
  }

  /** Resident memory as last seen, in bytes; 0 where it has not been seen yet. */
  rssBytes(pid: number): number {
    return this.#rss.get(pid) ?? 0;
  }

  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const hosts = this.#hosts();
      for (const host of hosts) {
        if (host.cordon !== null && this.#now() - host.lastPongMs > HOST_LIMITS.pingMsMax)
          host.kill('it did not answer');
        else host.ping();
      }
      const seen = new Map<number, number>();
      for (const host of hosts) {
        const allowedBefore = host.rssBytesMax;
        const rss = await residentBytes(host.pid);
        seen.set(host.pid, rss);
        // Sessions may have come and gone while it was being read, and their memory with them.
        const allowed = Math.max(allowedBefore, host.rssBytesMax);
        if (rss > allowed)
          host.kill(
            `it used ${Math.round(rss / 1048576)} MiB of memory; its sessions may use ${Math.round(allowed / 1048576)}`,
          );
      }
      this.#rss = seen;
    } finally {
      this.#looking = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    pidusage.clear();
  }
}

async function residentBytes(pid: number): Promise<number> {
  try {
    return (await pidusage(pid, { maxage: RSS_KEPT_MS })).memory;
  } catch {
    // It has just ended, which its exit reports.
    return 0;
  }
}
