/**
 * Durability, as the rest of the daemon sees it: promises that outlive it, and sessions that have one owner. The same object on
 * the store of this machine and on a Resonate server that several daemons share.
 *
 * I1: `run()` of the SDK is never used: it keeps no lease alive.
 * I2: which server is used is said by whoever calls, never by the environment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Resonate } from '@resonatehq/sdk/async';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { CommonLog } from './common-log.ts';
import { DurablePromises } from './durable-promises.ts';
import type { DurableStore } from './durable-store.ts';
import { EmbeddedNetwork } from './embedded-network.ts';
import { HeldTasks } from './held-tasks.ts';
import { LEASE_MS_MAX, LEASE_MS_MIN } from './lease.ts';
import { checkedGroup } from './safe-id.ts';
import type { Network } from './sdk.ts';
import { sdkLogger } from './sdk-logger.ts';
import { Sessions } from './sessions.ts';
import { SharedJournals } from './shared-journals.ts';

const ANSWER_MS_MAX = 10_000;
/** How often everything that is watched is asked for again: a server keeps no message for a connection that broke. */
const LOOK_AGAIN_MS = 15_000;
/** How long a server gets to notice that we do not listen any more: what it sent us after that would be lost for half a minute. */
const DEAF_MS = 100;
/** How long the end waits for sessions to be handed over. */
const HAND_OVER_MS_MAX = 5000;

export interface DurableRuntime {
  readonly promises: Pick<DurablePromises, 'create' | 'requestOf' | 'settle' | 'watch'>;
  readonly sessions: Pick<Sessions, 'open' | 'close' | 'standing' | 'onRecover'>;
  /** No session is given to this daemon any more, and no answer told: it is about to stop. */
  deafen(): void;
  /** Hands every session over where there is somebody to, and ends; nothing is closed. */
  stop(): Promise<void>;
}

export interface LocalParts {
  readonly store: DurableStore;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

export interface RemoteParts {
  /** `http:`, `https:`, `postgres:` or `postgresql:`. */
  readonly url: string;
  readonly token?: string | null;
  /** Daemons of one group share sessions. */
  readonly group: string;
  /** Of this daemon alone, in its group. */
  readonly pid: string;
  /** For how long a daemon that is not heard of keeps its sessions. */
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

/** Everything on this machine, in the store. */
export async function local({ store, clock, log }: LocalParts): Promise<DurableRuntime> {
  const network = new EmbeddedNetwork({ store, clock });
  return assemble({ network, group: 'embedded', pid: 'embedded', leaseMs: null, clock, log, deafen: null });
}

/** What daemons of a group can all read and write. */
export interface SharedLogs {
  readonly journals: SharedJournals;
  /** The log of that name, whoever of the group writes to it. */
  readonly common: (name: string) => CommonLog;
}

/** On a server. Fails with UNAVAILABLE where it cannot be reached or does not fit, saying what to do. */
export async function remote(parts: RemoteParts): Promise<DurableRuntime & { readonly logs: SharedLogs }> {
  const { leaseMs, clock, log, token = null } = parts;
  const url = parsedUrl(parts.url);
  const group = checkedGroup('group', parts.group);
  const pid = checkedGroup('process id', parts.pid);
  if (!(leaseMs >= LEASE_MS_MIN && leaseMs <= LEASE_MS_MAX))
    throw new Fault('UNAVAILABLE', `The lease of Resonate must be ${LEASE_MS_MIN} to ${LEASE_MS_MAX} ms.`);
  // Loaded only here: a daemon that has no server to reach starts sooner without.
  const [{ checkServer }, { remoteNetwork }] = await Promise.all([
    import('./server-check.ts'),
    import('./remote-network.ts'),
  ]);
  await checkServer(url, group, token);
  // A heartbeat that is not answered has to leave time for another one.
  const answerMsMax = Math.min(ANSWER_MS_MAX, Math.floor(leaseMs / 3));
  const logger = sdkLogger(log, clock.monotonicMs);
  const network = remoteNetwork({ url, group, pid, token, answerMsMax, logger });
  const runtime = assemble({ network, group, pid, leaseMs, clock, log, deafen: () => network.deafen() });
  const journals = new SharedJournals({ network, group, log });
  return { ...runtime, logs: { journals, common: (name) => new CommonLog({ network, group }, name) } };
}

function parsedUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:', 'postgres:', 'postgresql:'].includes(url.protocol))
    throw new Fault('UNAVAILABLE', 'The address of a Resonate server begins with http://, https:// or postgres://.');
  return url;
}

interface Assembly {
  readonly network: Network;
  readonly group: string;
  readonly pid: string;
  readonly leaseMs: number | null;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** null: there is nobody else who could listen. */
  readonly deafen: (() => void) | null;
}

function assemble({ network, group, pid, leaseMs, clock, log, deafen }: Assembly): DurableRuntime {
  const lookAgainMs = leaseMs === null ? null : LOOK_AGAIN_MS;
  const promises = new DurablePromises({ network, group, clock, log, lookAgainMs });
  const tasks = new HeldTasks({
    network,
    pid,
    leaseMs,
    monotonicMs: clock.monotonicMs,
    log,
    canRun: (promise) => Sessions.canRun(group, promise),
    dropped: (holding) => sessions.dropped(holding),
    settled: (promise) => promises.received(promise),
  });
  const resonate = new Resonate({ network: tasks, pid, logger: sdkLogger(log, clock.monotonicMs) });
  // Anybody of the group: a server would prefer a process that is named, such as one that is ending.
  const anybody = network.match(group);
  const sessions: Sessions = new Sessions({ resonate, tasks, anybody, group, nowMs: clock.nowMs, log });
  return {
    promises,
    sessions,
    deafen: () => deafen?.(),
    stop: async () => {
      if (deafen !== null) {
        deafen();
        await sleep(DEAF_MS);
        await atMost(HAND_OVER_MS_MAX, sessions.releaseAll());
      }
      promises.stop();
      await resonate.stop();
    },
  };
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}
