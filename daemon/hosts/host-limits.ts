/** Every bound of the host pool, with its reason. */
export const HOST_LIMITS = {
  /** A cordon spreads its sessions over this many hosts before it packs them; more only fight for the cores. */
  hostsPerCordonMin: 2,
  /** A host joins the spread only once the others hold this many: an idle process costs 50 MB. */
  isolatesBeforeSpread: 4,
  /** An empty host has torn memory to shreds after so many isolates; it is not used again. */
  isolatesPerHostLifetime: 2000,
  /** How long an empty host waits for a session of its cordon. */
  emptyHostMs: 60_000,
  /**
   * Hosts of JavaScript and TypeScript. A killed host costs all its sessions their isolate, so there are not more of them together
   * than memory asks for. `spares`: isolates that it keeps ready; making one takes about 2 ms of its one thread. `baseMiB`: what it
   * may hold beside its isolates' heaps: 100 MB to start with, as much again for the TypeScript compiler, its spare isolates, and
   * what the allocator does not give back.
   */
  scripts: { isolates: 64, spares: 4, baseMiB: 512 },
  /**
   * Hosts of Python: an isolate is 80 MB before it has done anything, and takes 150 ms to make. `baseMiB` is for all of them, a
   * spare, the compiled code and the start of CPython where there is no snapshot.
   */
  python: { isolates: 4, spares: 1, baseMiB: 1280 },
  /** A heap in the middle of a collection, and buffers not freed yet, hold more than the limit of the isolate. */
  heapFactor: 2,
  /** No host may be larger than this, whatever its sessions' limits add up to. */
  hostRssMiBMax: 4096,
  /**
   * After a spare host was taken, until the next one is started: to start a process takes a core for a while, which whoever took
   * the host, or a daemon that takes up what it did before, has a better use for.
   */
  spareDelayMs: 500,
  /** Between attempts to start a host where hosts cannot start. */
  restartDelayMsMax: 5000,
  /**
   * Of one batch of messages from a host, as it is read: its largest text (`host-messages.ts`), of characters of three bytes,
   * and room for what leaves with it.
   */
  lineBytesMax: 256 * 1024 * 1024,
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
