/** Runtimes of both kinds, for tests of what must be the same on either. */
import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { type Clock, systemClock } from '../../../daemon/clock.ts';
import { type DurableRuntime, local, remote } from '../../../daemon/durability/resonate.ts';
import { ResonateServer } from '../../harness/resonate-server.ts';
import { openStore } from './store-file.ts';

/** Short enough for a test that loses one, long enough for a machine that is busy. */
export const SHORT_LEASE_MS = 3000;
const LEASE_MS = 60_000;

export async function serverFor(t: ExecutionContext): Promise<ResonateServer> {
  const server = await ResonateServer.start();
  t.teardown(() => server[Symbol.asyncDispose]());
  return server;
}

export interface RemoteOptions {
  readonly pid?: string;
  readonly leaseMs?: number;
  readonly clock?: Clock;
  readonly log?: (line: string) => void;
}

export async function remoteFor(
  t: ExecutionContext,
  url: string,
  options: RemoteOptions = {},
): Promise<DurableRuntime> {
  const runtime = await remote({
    url,
    group: 'test',
    pid: options.pid ?? randomBytes(8).toString('hex'),
    leaseMs: options.leaseMs ?? LEASE_MS,
    clock: options.clock ?? systemClock,
    log: options.log ?? (() => undefined),
  });
  t.teardown(() => runtime.stop());
  return runtime;
}

export async function localFor(t: ExecutionContext, clock: Clock = systemClock): Promise<DurableRuntime> {
  const runtime = await local({ store: openStore(t, null), clock, log: () => undefined });
  t.teardown(() => runtime.stop());
  return runtime;
}

/** Each is a runtime on a network of its own. */
export const KINDS: Readonly<Record<string, (t: ExecutionContext) => Promise<DurableRuntime>>> = {
  'on the embedded network': (t) => localFor(t),
  'on a server': async (t) => remoteFor(t, (await serverFor(t)).url),
};
