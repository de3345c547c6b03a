/** Every bound of the host pool, with its reason. */
export const HOST_LIMITS = {
  /** A killed host costs all its sessions their isolate, so there are not more of them together than memory asks for. */
  isolatesPerHostMax: 64,
  /** A cordon spreads its sessions over this many hosts before it packs them; more only fight for the cores. */
  hostsPerCordonMin: 2,
  /** A host joins the spread only once the others hold this many: an idle process costs 50 MB. */
  isolatesBeforeSpread: 4,
  /** Isolates that a host keeps ready; making one takes about 2 ms of its one thread. */
  sparesPerHost: 4,
  /** An empty host has torn memory to shreds after so many isolates; it is not used again. */
  isolatesPerHostLifetime: 2000,
  /** How long an empty host waits for a session of its cordon. */
  emptyHostMs: 60_000,
  /**
   * What a host may hold beside its isolates' heaps: 100 MB to start with, as much again for the TypeScript compiler, its spare
   * isolates, and what the allocator does not give back.
   */
  hostBaseMiB: 512,
  /** A heap in the middle of a collection, and buffers not freed yet, hold more than the limit of the isolate. */
  heapFactor: 2,
  /** No host may be larger than this, whatever its sessions' limits add up to. */
  hostRssMiBMax: 4096,
  /** Between attempts to start a host where hosts cannot start. */
  restartDelayMsMax: 5000,
  watchdogMs: 500,
  /** A host that does not answer for so long is busy with something that nobody can stop. */
  pingMsMax: 20_000,
  /**
   * After a cell's wall limit: how long the host has to stop it by itself, or to say that it is stuck, before the daemon kills
   * the host. Long, because a host on a busy machine that is killed for being slow takes its other sessions with it.
   */
  stopGraceMs: 15_000,
} as const;

if (HOST_LIMITS.pingMsMax <= HOST_LIMITS.watchdogMs) throw new RangeError('pingMsMax must be above watchdogMs');
