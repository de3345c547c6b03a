/**
 * The daemon as one object: everything it is made of is made here, and ends here.
 *
 * I1: the sockets are the last to open and the first to close.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, realpathSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { DaemonStats } from '../client/protocol.ts';
import { levelFromName } from '../policies/evaluate.ts';
import { type Ceilings, LEVELS, type Policy } from '../policies/policy.ts';
import { auditHandlers } from './audit/audit-handlers.ts';
import { AuditLog } from './audit/audit-log.ts';
import { AuditReader } from './audit/audit-reader.ts';
import { makeEffects } from './capabilities/effects.ts';
import { Engines } from './capabilities/engines.ts';
import { Gate } from './capabilities/gate.ts';
import { CapabilityRegistry, type CustomEffect } from './capabilities/registry.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { Drain } from './drain.ts';
import { type Durability, handOver, openDurability } from './durability/durability.ts';
import type { DurableStore } from './durability/durable-store.ts';
import { SessionStore } from './durability/session-store.ts';
import { Fault } from './fault.ts';
import { makeHandlers } from './handlers.ts';
import { approvalHandlers } from './hitl/approval-handlers.ts';
import { Inbox } from './hitl/inbox.ts';
import { HostPool } from './hosts/host-pool.ts';
import type { HostLaunch } from './hosts/host-process.ts';
import { Watchdog } from './hosts/watchdog.ts';
import { Packages } from './packages/packages.ts';
import { policyHandlers } from './policy/policy-handlers.ts';
import { type PolicySource, resolvePolicySource } from './policy/policy-source.ts';
import { PolicyStore } from './policy/policy-store.ts';
import { Executions } from './session/executions.ts';
import { SessionOwners } from './session/session-owners.ts';
import { SessionRegistry } from './session/session-registry.ts';
import { type Listener, listen } from './transport/listener.ts';
import { Rpc } from './transport/rpc.ts';
import { openStateDirectory, type StateDirectory } from './transport/state-directory.ts';
import { TRANSPORT_LIMITS } from './transport/transport-limits.ts';
import { upkeepHandlers } from './upkeep-handlers.ts';

export interface DaemonParts {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly launch: HostLaunch;
  /** Hosts that were started before the rest of the daemon was loaded. */
  readonly startedHosts: readonly ChildProcess[];
  /** The policy that comes with the package. */
  readonly shippedPolicy: string;
  /** Capabilities that the administrator brought. */
  readonly customEffects: readonly CustomEffect[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
}

const AUDIT_FOLDER = 'audit';
const DURABLE_FILE = 'durable.sqlite';
/** What a daemon of a group has read of what they share. */
const CACHE_FILE = 'shared-cache.sqlite';

export class Daemon {
  readonly #parts: DaemonParts;
  readonly #directory: StateDirectory;
  readonly #audit: AuditLog;
  readonly #store: DurableStore;
  readonly #durability: Durability;
  readonly #engines: Engines;
  readonly #packages = new Packages();
  readonly #policy: PolicyStore;
  readonly #pool: HostPool;
  readonly #watchdog: Watchdog;
  readonly #sessions: SessionRegistry;
  readonly #rpc: Rpc;
  readonly #drain: Drain;
  readonly #ended = Promise.withResolvers<void>();
  readonly #startedMs: number;
  #listeners: Listener[] = [];
  readonly #executions: Executions;

  /** Fails with a Fault that says what to mend; nothing is left behind then. */
  static async start(parts: DaemonParts): Promise<Daemon> {
    const undo: (() => unknown)[] = [];
    let daemon: Daemon | undefined;
    try {
      const directory = await openStateDirectory(parts.config.stateDir);
      undo.push(() => directory.release());
      const durability = await openDurability({
        file: parts.config.ephemeral ? null : join(directory.path, DURABLE_FILE),
        cacheFile: join(directory.path, CACHE_FILE),
        resonate: parts.config.resonate,
        clock: parts.clock,
        log: parts.log,
      });
      undo.push(async () => {
        durability.store.close();
        await durability.runtime.stop();
      });
      daemon = new Daemon(parts, directory, durability, undo);
      daemon.#sessions.restore();
      await daemon.#forgetOthers();
      await daemon.#listen();
      return daemon;
    } catch (error) {
      if (daemon !== undefined) await daemon.stop('it could not start');
      else for (const act of undo.reverse()) await act();
      throw startFault(error, parts.config.stateDir);
    }
  }

  /** @param undo takes back what was made so far, should a later part fail */
  private constructor(parts: DaemonParts, directory: StateDirectory, durability: Durability, undo: (() => unknown)[]) {
    const { clock, launch, version, log, config, environment, customEffects } = parts;
    this.#parts = parts;
    this.#directory = directory;
    this.#durability = durability;
    this.#store = durability.store;
    this.#startedMs = clock.monotonicMs();
    this.#audit = AuditLog.open(join(directory.path, AUDIT_FOLDER), clock.nowMs, { log });
    undo.push(() => this.#audit.close());
    this.#audit.append('daemon.started', { version, pid: process.pid });
    const source = resolvePolicySource({
      explicit: config.policiesDir,
      stateDir: directory.path,
      shipped: parts.shippedPolicy,
    });
    const ownFolders = [directory.path, realpathSync(source.folder)];
    const commonLog = durability.logs?.common ?? null;
    this.#engines = new Engines({ stateDir: directory.path, ownFolders, environment, clock, commonLog });
    undo.push(() => this.#engines.close());
    const registry = new CapabilityRegistry(makeEffects(this.#engines, clock), customEffects);
    this.#policy = this.#openPolicy(source, registry);
    undo.push(() => this.#policy.close());
    this.#engines.use(this.#policy.current.resources);
    this.#packages.use(this.#policy.packages);
    const policy = (): Policy => this.#policy.current;
    this.#pool = this.#makePool(launch, parts.startedHosts);
    this.#watchdog = new Watchdog(() => this.#pool.hosts, clock.monotonicMs);
    const sessionStore = new SessionStore(this.#store);
    const inbox = new Inbox({ nowMs: clock.nowMs, monotonicMs: clock.monotonicMs, audit: this.#audit });
    this.#executions = new Executions(clock.monotonicMs);
    this.#sessions = new SessionRegistry({
      pool: this.#pool,
      packages: this.#packages,
      gate: new Gate(policy, () => this.#policy.hash, this.#audit),
      audit: this.#audit,
      registry,
      inbox,
      policy,
      store: sessionStore,
      owners: this.#makeOwners(sessionStore),
      ceilings: () => this.#ceilings(),
      nowMs: clock.nowMs,
      monotonicMs: clock.monotonicMs,
      log,
      executions: this.#executions,
      closed: (sessionId) => this.#engines.sessionClosed(sessionId),
    });
    this.#policy.subscribe(({ policy: next, packages, widenRunning }) => {
      this.#engines.use(next.resources);
      this.#packages.use(packages);
      this.#sessions.policyChanged(widenRunning);
    });
    this.#drain = new Drain({
      audit: this.#audit,
      monotonicMs: clock.monotonicMs,
      busy: () => this.#sessions.busy,
      refuseNew: (message) => {
        this.#store.refuseNew(message);
        durability.runtime.deafen();
      },
      stop: (reason) => this.stop(reason),
    });
    this.#rpc = this.#makeRpc(inbox, registry);
  }

  #makeOwners(store: SessionStore): SessionOwners {
    const { clock, config } = this.#parts;
    const { runtime, logs } = this.#durability;
    const { name = '', leaseMs = 0 } = config.resonate ?? {};
    const address = { daemon: name, host: hostname(), clientSocket: this.#directory.clientSocket };
    const group = logs === null ? null : { journals: logs.journals, leaseMs, address };
    return new SessionOwners({ runtime, store, group, monotonicMs: clock.monotonicMs });
  }

  /** Resolves once all that has happened so far is in the journal. */
  #committed(): Promise<void> {
    return new Promise((resolve) => this.#store.whenCommitted(resolve));
  }

  /**
   * What is left of sessions that are no more goes; an ephemeral daemon does not know which of those in the file are, and one of a
   * group which are in other daemons and may come back.
   */
  async #forgetOthers(): Promise<void> {
    if (this.#durability.logs !== null) return;
    if (this.#parts.config.ephemeral && existsSync(join(this.#directory.path, DURABLE_FILE))) return;
    await this.#engines.forgetOthers(this.#sessions.ids);
  }

  #openPolicy(source: PolicySource, registry: CapabilityRegistry): PolicyStore {
    const { config, log } = this.#parts;
    return PolicyStore.open({
      source,
      catalogue: registry.catalogue,
      audit: this.#audit,
      log,
      packages: this.#packages,
      accept: (policy) => {
        this.#engines.check(policy.resources);
        const { clientCeiling } = config;
        if (clientCeiling !== null && levelFromName(policy, clientCeiling) === null) {
          const names = [...policy.levels.keys()].join(', ');
          throw new Fault(
            'UNAVAILABLE',
            `--client-ceiling: there is no level ${JSON.stringify(clientCeiling)}; it is one of ${names}.`,
          );
        }
      },
    });
  }

  #makePool(launch: HostLaunch, started: readonly ChildProcess[]): HostPool {
    const { log, clock } = this.#parts;
    return new HostPool(
      launch,
      {
        hostStarted: () => undefined,
        hostEnded: (pid, cordon, exit) => {
          const reason = exit.killedFor ?? `it died (${exit.signal ?? `status ${exit.code}`})`;
          if (exit.killedFor !== null) this.#audit.note('host.killed', { pid, cordon, reason });
          this.#audit.note('host.ended', { pid, cordon, reason });
          if (exit.killedFor === null) log(`sandbox host ${pid} died: ${reason}\n${exit.stderr.trim()}`);
        },
      },
      clock.monotonicMs,
      started,
      ({ sha256 }) => this.#packages.wheel(sha256),
    );
  }

  #makeRpc(inbox: Inbox, registry: CapabilityRegistry): Rpc {
    const { version, clock, log } = this.#parts;
    const reader = new AuditReader(this.#audit);
    return new Rpc({
      handlers: makeHandlers(
        {
          version,
          sessions: this.#sessions,
          audit: this.#audit,
          policy: () => this.#policy.current,
          ceilings: () => this.#ceilings(),
          stats: () => this.stats(),
        },
        {
          ...upkeepHandlers({
            store: this.#store,
            audit: this.#audit,
            drain: this.#drain,
            drainMs: this.#parts.config.drainMs,
            busy: () => this.#sessions.busy,
          }),
          ...approvalHandlers(inbox, {
            restored: () => this.#sessions.restored,
            committed: () => this.#committed(),
          }),
          ...auditHandlers(reader, this.#audit),
          ...policyHandlers({
            store: this.#policy,
            audit: reader,
            refuse: (capability, args, constraints) => registry.refusal(capability, args, constraints),
            nowMs: clock.nowMs,
          }),
        },
      ),
      limits: TRANSPORT_LIMITS,
      roleDenied: (caller, method) =>
        this.#audit.note('client.refused', { reason: `${caller.principal} called ${method} on client.sock` }),
      log: ({ incident, method, error }) =>
        log(`incident ${incident} in ${method}: ${error instanceof Error ? error.stack : String(error)}`),
    });
  }

  /** The policy's, but for a ceiling that whoever started the daemon has set; should its level be gone, nothing is above the lowest. */
  #ceilings(): Ceilings {
    const { current } = this.#policy;
    const { clientCeiling } = this.#parts.config;
    if (clientCeiling === null) return current.ceilings;
    return { ...current.ceilings, client: levelFromName(current, clientCeiling) ?? LEVELS[0] };
  }

  async #listen(): Promise<void> {
    const { clientSocket, adminSocket } = this.#directory;
    for (const [socketPath, role] of [
      [clientSocket, 'client'],
      [adminSocket, 'admin'],
    ] as const) {
      this.#listeners.push(
        await listen({
          socketPath,
          role,
          limits: TRANSPORT_LIMITS,
          onConnection: (connection) => {
            const caller = this.#rpc.serve(connection);
            this.#audit.note('client.connected', { principal: caller.principal, role });
          },
        }),
      );
    }
  }

  get clientSocket(): string {
    return this.#directory.clientSocket;
  }

  get adminSocket(): string {
    return this.#directory.adminSocket;
  }

  stats(): DaemonStats {
    return {
      version: this.#parts.version,
      pid: process.pid,
      uptimeMs: Math.round(this.#parts.clock.monotonicMs() - this.#startedMs),
      nodeVersion: process.versions.node,
      v8Version: process.versions.v8,
      connections: this.#listeners.reduce((sum, listener) => sum + listener.size, 0),
      sessions: this.#sessions.size,
      running: this.#sessions.running,
      executions: this.#executions.count,
      draining: this.#drain.draining,
      rssBytes: process.memoryUsage.rss(),
      hosts: this.#pool.hosts.map(({ pid, cordon, isolates }) => ({
        pid,
        cordon,
        isolates,
        rssBytes: this.#watchdog.rssBytes(pid),
      })),
    };
  }

  /** Resolves when the daemon has ended, whoever wanted it to. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Takes nothing new, lets what runs finish for as long as the configuration says, and stops. */
  drain(by: string): void {
    this.#drain.begin(by, this.#parts.config.drainMs);
  }

  /** Stops at once. What is in the middle of something goes on in the next daemon. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  #stopping: Promise<void> | undefined;

  async #stop(reason: string): Promise<void> {
    this.#drain.cancel();
    // Before anything that is under way fails because of the end: such a failure is no outcome. What was committed is still told.
    this.#store.close();
    const closing = Promise.all(this.#listeners.map((listener) => listener.close()));
    this.#sessions.suspendAll();
    await handOver(this.#durability);
    await closing;
    this.#watchdog.close();
    this.#pool.close();
    this.#policy.close();
    await this.#engines.close();
    this.#audit.note('daemon.stopped', { reason });
    await this.#audit.close();
    this.#directory.release();
    if (this.#parts.config.removeStateDir) rmSync(this.#directory.path, { recursive: true, force: true });
    this.#ended.resolve();
  }
}

/** What the system refuses at the start, because of a full disk above all, is for the administrator to mend. */
function startFault(error: unknown, stateDir: string): unknown {
  const { syscall, message } = error as NodeJS.ErrnoException;
  if (error instanceof Fault || syscall === undefined) return error;
  return new Fault(
    'UNAVAILABLE',
    `The daemon cannot start on ${stateDir}: ${message}. An administrator has to look at that directory and its disk.`,
    undefined,
    { cause: error },
  );
}
