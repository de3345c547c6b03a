/**
 * Spreads sessions over sandbox hosts.
 *
 * I1: sessions of different cordons (level and language) never share a process.
 * I2: a quarantined session is alone in its host.
 * I3: an isolate's owner is told exactly once when it is lost; a dead host takes nothing else with it.
 * I4: a spare host, running and in no cordon yet, is there a moment after the last one was taken.
 * I5: a machine on which hosts cannot start at all is not kept busy starting them.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { FromHost, HostLanguage, IsolateSpec, PackageLock, PlatformSpec, ToHost } from '../../sandbox/protocol.ts';
import { HOST_LIMITS } from './host-limits.ts';
import { type HostExit, type HostLaunch, HostProcess, startHost, startSnapshot } from './host-process.ts';
import { PythonSnapshots } from './python-snapshots.ts';
import { isSameLock, type PackageSource, SentPackages } from './sent-packages.ts';

export interface Cordon {
  readonly level: string;
  readonly language: HostLanguage;
  /** What spare isolates of this cordon are made with. */
  readonly heapMiB: number;
  readonly platform: PlatformSpec;
  readonly capabilities: readonly string[];
  readonly packages?: readonly PackageLock[];
}

/** Why an isolate is gone. `culprit` where it was this isolate's own doing. */
export interface IsolateLoss {
  /** `breach`: the host sent what no host sends, so guest code may have taken it over. */
  readonly by: 'memory' | 'stuck' | 'host' | 'breach';
  readonly culprit: boolean;
  readonly message: string;
}

export type IsolateMessage = Extract<FromHost, { readonly isolate: string }>;

export interface IsolateOwner {
  onMessage(message: Exclude<IsolateMessage, { kind: 'isolate.lost' | 'host.doomed' }>): void;
  onLost(loss: IsolateLoss): void;
  /** Whether it is running code now: when a host dies, those are the suspects. */
  readonly executing: boolean;
}

type IsolateCommand<M = ToHost> = M extends { readonly isolate: string } ? Omit<M, 'isolate'> : never;

/** A session's hold on its isolate. After `onLost` or `dispose` it does nothing. */
/** When a lost isolate was opened that another is to become, and what that goes on from. */
export type Reopening = Pick<Extract<ToHost, { kind: 'isolate.open' }>, 'image'> & { readonly openedMs: number };

export interface IsolateLink {
  send(command: IsolateCommand): void;
  dispose(): void;
  /** Ends the whole host, because this isolate cannot be ended alone. */
  killHost(reason: string): void;
  /** Whether the host has started. */
  readonly ready: boolean;
}

export interface HostLog {
  hostStarted(pid: number): void;
  hostEnded(pid: number, cordon: string | null, exit: HostExit): void;
}

/** What the watchdog sees of a host. */
export interface WatchedHost {
  readonly pid: number;
  readonly cordon: string | null;
  readonly isolates: number;
  readonly rssBytesMax: number;
  /** The last time, on the monotonic clock, at which it answered. */
  readonly lastPongMs: number;
  ping(): void;
  kill(reason: string): void;
}

type HostRoom = (typeof HOST_LIMITS)['scripts' | 'python'];

class PooledHost implements WatchedHost {
  readonly process: HostProcess;
  readonly owners = new Map<string, { owner: IsolateOwner; heapMiB: number }>();
  cordon: string | null = null;
  /** What its spare isolates are made with. */
  packages: readonly PackageLock[] = [];
  readonly sentPackages = new SentPackages((message) => this.process.send(message));
  exclusive = false;
  room: HostRoom = HOST_LIMITS.scripts;
  /** Takes no more sessions, and ends with its last one. */
  worn = false;
  opened = 0;
  heapMiB = 0;
  lastPongMs: number;
  emptyTimer: NodeJS.Timeout | undefined;
  ready = false;
  culprit: { readonly isolate: string; readonly by: 'memory' | 'stuck'; readonly message: string } | undefined;
  #pings = 0;
  #pongs = 0;
  readonly #now: () => number;

  constructor(
    child: ChildProcess,
    now: () => number,
    onMessage: (host: PooledHost, message: FromHost) => void,
    onExit: (host: PooledHost, exit: HostExit) => void,
  ) {
    this.#now = now;
    this.lastPongMs = now();
    this.process = new HostProcess(child, {
      onMessage: (message) => onMessage(this, message),
      onExit: (exit) => onExit(this, exit),
    });
  }

  get pid(): number {
    return this.process.pid;
  }
  get isolates(): number {
    return this.owners.size;
  }
  get rssBytesMax(): number {
    return Math.min(HOST_LIMITS.hostRssMiBMax, this.room.baseMiB + this.heapMiB * HOST_LIMITS.heapFactor) * 1024 * 1024;
  }
  ping(): void {
    // A ping that is still unanswered is the one whose age counts.
    if (this.#pongs < this.#pings) return;
    this.lastPongMs = this.#now();
    this.process.send({ kind: 'host.ping', id: ++this.#pings });
  }
  pong(id: number): void {
    this.#pongs = id;
    this.lastPongMs = this.#now();
  }
  kill(reason: string): void {
    this.process.kill(reason);
  }
}

export class HostPool {
  readonly #launch: HostLaunch;
  readonly #snapshots: PythonSnapshots;
  readonly #log: HostLog;
  readonly #now: () => number;
  readonly #packages: PackageSource;
  readonly #hosts = new Set<PooledHost>();
  readonly #spares: PooledHost[];
  #closed = false;
  /** Hosts in a row that died before they were ready. */
  #failedStarts = 0;
  #nextSpare: NodeJS.Timeout | undefined;

  /**
   * @param monotonicMs milliseconds of a clock that never goes back
   * @param packages asked only for those that a cordon or an isolate names
   * @param started hosts that were started already, by `startHost` with the same launch
   */
  constructor(
    launch: HostLaunch,
    log: HostLog,
    monotonicMs: () => number,
    started: readonly ChildProcess[] = [startHost(launch)],
    packages: PackageSource = () => ({ files: new Map() }),
  ) {
    this.#launch = launch;
    this.#snapshots = new PythonSnapshots(launch.snapshots.folder, () => startSnapshot(launch));
    this.#log = log;
    this.#now = monotonicMs;
    this.#packages = packages;
    this.#spares = started.map((child) => this.#adopt(child));
    for (const surplus of this.#spares.slice(1)) this.#endUnlessUsed(surplus);
  }

  get hosts(): readonly WatchedHost[] {
    return [...this.#hosts];
  }

  /**
   * Opens an isolate in a host of the cordon; with `quarantined`, in a host of its own. Messages may be sent at once.
   *
   * @param again the lost isolate that this one is to become
   */
  open(cordon: Cordon, spec: IsolateSpec, quarantined: boolean, owner: IsolateOwner, again?: Reopening): IsolateLink {
    const host = this.#place(cordon, quarantined);
    const isolate = randomBytes(16).toString('hex');
    const heapMiB = spec.heapMiB + host.sentPackages.give(spec.packages ?? [], this.#packages).mib;
    clearTimeout(host.emptyTimer);
    host.owners.set(isolate, { owner, heapMiB });
    host.worn ||= ++host.opened >= HOST_LIMITS.isolatesPerHostLifetime;
    host.heapMiB += heapMiB;
    host.process.send({ kind: 'isolate.open', isolate, spec, ...again });
    return {
      send: (command) => {
        if (host.owners.has(isolate)) host.process.send({ ...command, isolate } as ToHost);
      },
      dispose: () => {
        if (!this.#release(host, isolate)) return;
        host.process.send({ kind: 'isolate.dispose', isolate });
        this.#settleEmpty(host);
      },
      killHost: (reason) => {
        if (!host.owners.has(isolate)) return;
        host.culprit ??= { isolate, by: 'stuck', message: reason };
        host.kill(reason);
      },
      get ready() {
        return host.ready;
      },
    };
  }

  #place(cordon: Cordon, quarantined: boolean): PooledHost {
    const name = `${cordon.level}/${cordon.language}`;
    const { packages = [] } = cordon;
    const suits = (host: PooledHost): boolean => host.cordon === name && isSameLock(host.packages, packages);
    if (!quarantined) {
      const open = [...this.#hosts].filter((host) => suits(host) && !host.exclusive && this.#hasRoom(host));
      const emptiest = open.sort((a, b) => a.isolates - b.isolates)[0];
      const spread =
        open.length < HOST_LIMITS.hostsPerCordonMin && (emptiest?.isolates ?? 0) >= HOST_LIMITS.isolatesBeforeSpread;
      if (emptiest !== undefined && !spread) return emptiest;
    }
    const host = this.#takeSpare();
    host.cordon = name;
    host.packages = packages;
    host.exclusive = quarantined;
    host.sentPackages.give(packages, this.#packages);
    host.room = cordon.language === 'python' ? HOST_LIMITS.python : HOST_LIMITS.scripts;
    host.process.send({
      kind: 'host.join',
      language: cordon.language,
      heapMiB: cordon.heapMiB,
      platform: cordon.platform,
      capabilities: cordon.capabilities,
      ...(packages.length === 0 ? {} : { packages }),
      spares: quarantined ? 0 : host.room.spares,
    });
    return host;
  }

  #hasRoom(host: PooledHost): boolean {
    return host.process.alive && host.culprit === undefined && host.isolates < host.room.isolates && !host.worn;
  }

  #takeSpare(): PooledHost {
    const host = this.#spares.shift() ?? this.#adopt(startHost(this.#launch));
    if (this.#spares.length === 0) this.#spareIn(HOST_LIMITS.spareDelayMs);
    return host;
  }

  #spareIn(delayMs: number): void {
    clearTimeout(this.#nextSpare);
    if (this.#closed) return;
    this.#nextSpare = setTimeout(() => {
      if (this.#spares.length === 0) this.#spares.push(this.#adopt(startHost(this.#launch)));
    }, delayMs);
  }

  #adopt(child: ChildProcess): PooledHost {
    const host = new PooledHost(
      child,
      this.#now,
      (from, message) => this.#receive(from, message),
      (from, exit) => this.#ended(from, exit),
    );
    this.#hosts.add(host);
    this.#log.hostStarted(host.pid);
    return host;
  }

  #receive(host: PooledHost, message: FromHost): void {
    if (message.kind === 'host.pong') host.pong(message.id);
    else if (message.kind === 'host.snapshot')
      void (message.found ? this.#snapshots.used(message.name) : this.#snapshots.missing());
    else if (message.kind === 'host.doomed') {
      // Also where its session is gone already: then it is nobody's fault among those that are left.
      if (message.isolate !== null)
        host.culprit ??= { isolate: message.isolate, by: message.by, message: message.message };
      host.kill(`its engine gave up: ${message.message}`);
    } else if (message.kind === 'isolate.lost') this.#isolateLost(host, message);
    else if (message.kind === 'host.ready') {
      host.ready = true;
      this.#failedStarts = 0;
    } else host.owners.get(message.isolate)?.owner.onMessage(message);
  }

  #isolateLost(host: PooledHost, { isolate, by, message }: Extract<FromHost, { kind: 'isolate.lost' }>): void {
    const owner = host.owners.get(isolate)?.owner;
    if (by === 'stuck') {
      // Its thread goes on spinning, whether or not its session is still there; only the end of the process frees the core.
      host.culprit ??= { isolate, by, message };
      host.kill(message);
      return;
    }
    if (owner === undefined) return;
    const heapMiB = host.owners.get(isolate)?.heapMiB ?? 0;
    this.#release(host, isolate);
    // isolated-vm never frees an isolate that met its memory limit: it goes on counting, and the host takes no more sessions.
    host.heapMiB += heapMiB;
    host.worn = true;
    owner.onLost({ by, culprit: true, message });
    this.#settleEmpty(host);
  }

  #release(host: PooledHost, isolate: string): boolean {
    const entry = host.owners.get(isolate);
    if (entry === undefined) return false;
    host.owners.delete(isolate);
    host.heapMiB -= entry.heapMiB;
    return true;
  }

  #ended(host: PooledHost, exit: HostExit): void {
    this.#hosts.delete(host);
    clearTimeout(host.emptyTimer);
    this.#failedStarts = host.ready || exit.killedFor !== null ? 0 : this.#failedStarts + 1;
    const delayMs =
      this.#failedStarts === 0 ? 0 : Math.min(HOST_LIMITS.restartDelayMsMax, 100 * 2 ** this.#failedStarts);
    if (this.#spares.includes(host)) {
      this.#spares.splice(this.#spares.indexOf(host), 1);
      this.#spareIn(delayMs);
    }
    // Who is told asks for another host at once.
    if (delayMs === 0 || this.#closed) this.#tellOwners(host, exit);
    else setTimeout(() => this.#tellOwners(host, exit), delayMs);
  }

  #tellOwners(host: PooledHost, exit: HostExit): void {
    const owners = [...host.owners];
    host.owners.clear();
    this.#log.hostEnded(host.pid, host.cordon, exit);
    // All judged before anyone is told: one who is told goes on with its next cell at once.
    const losses = owners.map(([isolate, { owner }]) => ({ owner, loss: lossOf(host, exit, isolate, owner, owners) }));
    for (const { owner, loss } of losses) owner.onLost(loss);
  }

  #settleEmpty(host: PooledHost): void {
    if (host.isolates > 0 || this.#spares.includes(host)) return;
    if (host.exclusive || host.worn || this.#hasEmptyTwin(host)) {
      host.kill('it is not needed any more');
      return;
    }
    this.#endUnlessUsed(host);
  }

  #endUnlessUsed(host: PooledHost): void {
    clearTimeout(host.emptyTimer);
    host.emptyTimer = setTimeout(() => host.kill('it is not needed any more'), HOST_LIMITS.emptyHostMs);
  }

  #hasEmptyTwin(host: PooledHost): boolean {
    return [...this.#hosts].some(
      (other) =>
        other !== host &&
        other.cordon === host.cordon &&
        isSameLock(other.packages, host.packages) &&
        other.isolates === 0,
    );
  }

  /** Ends every host. Owners are told of their loss like of any other. */
  close(): void {
    this.#closed = true;
    this.#spares.length = 0;
    clearTimeout(this.#nextSpare);
    this.#snapshots.close();
    for (const host of this.#hosts) host.kill('the daemon stops');
  }
}

/**
 * Why an isolate went with its host. Where nobody is known to have done it, a single isolate that was executing is the only
 * suspect; after a breach every one that was executing is.
 */
function lossOf(
  host: PooledHost,
  { breached }: HostExit,
  isolate: string,
  { executing }: IsolateOwner,
  owners: readonly (readonly [string, { readonly owner: IsolateOwner }])[],
): IsolateLoss {
  if (breached && executing) {
    return { by: 'breach', culprit: true, message: 'The sandbox host broke its protocol while this cell was running.' };
  }
  if (host.culprit?.isolate === isolate) return { by: host.culprit.by, culprit: true, message: host.culprit.message };
  const alone = executing && owners.filter(([, { owner }]) => owner.executing).length === 1;
  if (alone && host.culprit === undefined) {
    const message = host.ready
      ? 'The sandbox host died while this cell was running.'
      : 'The sandbox host of this cell could not be started.';
    return { by: 'host', culprit: true, message };
  }
  return { by: 'host', culprit: false, message: 'The sandbox host that this session shared with others ended.' };
}
