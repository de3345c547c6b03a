/**
 * The daemon as one object: everything it is made of is made here, and ends here.
 *
 * I1: the sockets are the last to open and the first to close.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonStats, Role } from '../client/protocol.ts';
import type { LevelName } from '../policies/policy.ts';
import { AuditLog } from './audit/audit-log.ts';
import { Gate } from './capabilities/gate.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { makeHandlers } from './handlers.ts';
import { HostPool } from './hosts/host-pool.ts';
import type { HostLaunch } from './hosts/host-process.ts';
import { Watchdog } from './hosts/watchdog.ts';
import { loadPolicy } from './policy-files.ts';
import { SessionRegistry } from './session/session-registry.ts';
import { type Listener, listen } from './transport/listener.ts';
import { Rpc } from './transport/rpc.ts';
import { openStateDirectory, type StateDirectory } from './transport/state-directory.ts';
import { TRANSPORT_LIMITS } from './transport/transport-limits.ts';

export interface DaemonParts {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly launch: HostLaunch;
  readonly policiesDir: string;
  readonly log: (line: string) => void;
}

const AUDIT_FILE = 'audit.jsonl';

export class Daemon {
  readonly #parts: DaemonParts;
  readonly #directory: StateDirectory;
  readonly #audit: AuditLog;
  readonly #pool: HostPool;
  readonly #watchdog: Watchdog;
  readonly #sessions: SessionRegistry;
  readonly #rpc: Rpc;
  readonly #startedMs: number;
  #listeners: Listener[] = [];
  #executions = 0;

  /** Fails with a Fault that says what to mend; nothing is left behind then. */
  static async start(parts: DaemonParts): Promise<Daemon> {
    const policy = loadPolicy(parts.policiesDir);
    const directory = await openStateDirectory(parts.config.stateDir);
    let daemon: Daemon | undefined;
    try {
      daemon = new Daemon(parts, directory, policy);
      await daemon.#listen();
      return daemon;
    } catch (error) {
      if (daemon === undefined) directory.release();
      else await daemon.stop('it could not start');
      throw error;
    }
  }

  private constructor(parts: DaemonParts, directory: StateDirectory, policy: ReturnType<typeof loadPolicy>) {
    const { clock, launch, version, log, config } = parts;
    this.#parts = parts;
    this.#directory = directory;
    this.#startedMs = clock.monotonicMs();
    this.#audit = new AuditLog(join(directory.path, AUDIT_FILE), clock.nowMs);
    this.#audit.append('daemon.started', { version, pid: process.pid });
    const currentPolicy = () => policy;
    this.#pool = new HostPool(
      launch,
      {
        hostStarted: () => undefined,
        hostEnded: (pid, cordon, exit) => {
          const reason = exit.killedFor ?? `it died (${exit.signal ?? `status ${exit.code}`})`;
          this.#audit.note('host.ended', { pid, cordon, reason });
          if (exit.killedFor === null) log(`sandbox host ${pid} died: ${reason}\n${exit.stderr.trim()}`);
        },
      },
      clock.monotonicMs,
    );
    this.#watchdog = new Watchdog(() => this.#pool.hosts, clock.monotonicMs);
    this.#sessions = new SessionRegistry({
      pool: this.#pool,
      gate: new Gate(currentPolicy, this.#audit),
      audit: this.#audit,
      policy: currentPolicy,
      nowMs: clock.nowMs,
      monotonicMs: clock.monotonicMs,
      executed: () => {
        this.#executions++;
      },
    });
    const ceilings: Readonly<Record<Role, LevelName>> = { client: config.clientCeiling, admin: 'unrestricted' };
    this.#rpc = new Rpc({
      handlers: makeHandlers({
        version,
        sessions: this.#sessions,
        audit: this.#audit,
        policy: currentPolicy,
        ceilings,
        stats: () => this.stats(),
      }),
      limits: TRANSPORT_LIMITS,
      log: ({ incident, method, error }) =>
        log(`incident ${incident} in ${method}: ${error instanceof Error ? error.stack : String(error)}`),
    });
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
          onConnection: (connection) => void this.#rpc.serve(connection),
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
      executions: this.#executions,
      rssBytes: process.memoryUsage.rss(),
      hosts: this.#pool.hosts.map(({ pid, cordon, isolates }) => ({
        pid,
        cordon,
        isolates,
        rssBytes: this.#watchdog.rssBytes(pid),
      })),
    };
  }

  async stop(reason: string): Promise<void> {
    const closing = Promise.all(this.#listeners.map((listener) => listener.close()));
    this.#sessions.closeAll(reason);
    await closing;
    this.#watchdog.close();
    this.#pool.close();
    this.#audit.note('daemon.stopped', { reason });
    this.#audit.close();
    this.#directory.release();
    if (this.#parts.config.removeStateDir) rmSync(this.#directory.path, { recursive: true, force: true });
  }
}
