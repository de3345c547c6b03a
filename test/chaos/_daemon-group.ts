/** Several daemons of one group on one Resonate server, and a client that follows its session to whichever of them has it. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { ExecutionResult, Params } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient, RpcFault } from '../harness/daemon-process.ts';

const TOKEN = 'group-token-of-the-tests-0123456789';
/** Short enough for a test that loses one, long enough for a machine that is busy. */
const LEASE_MS = 3000;
const PAUSE_MS = 50;

export interface Member {
  readonly name: string;
  readonly daemon: DaemonProcess;
  readonly client: RawClient;
}

export class DaemonGroup {
  readonly #t: Pick<ExecutionContext, 'teardown'>;
  readonly #url: string;
  readonly #args: readonly string[];
  readonly #group = `g${randomBytes(4).toString('hex')}`;

  constructor(t: Pick<ExecutionContext, 'teardown'>, url: string, args: readonly string[] = []) {
    this.#t = t;
    this.#url = url;
    this.#args = args;
  }

  async start(name: string, args: readonly string[] = []): Promise<Member> {
    const daemon = await DaemonProcess.start(this.#t, {
      args: [
        ...['--client-ceiling', 'unrestricted', '--resonate', this.#url, '--group', this.#group],
        ...['--name', name, '--lease-ms', String(LEASE_MS), ...this.#args, ...args],
      ],
    });
    return { name, daemon, client: await connected(daemon) };
  }
}

/** A connection of the one client that all sessions here belong to. */
export async function connected(daemon: DaemonProcess, token = TOKEN): Promise<RawClient> {
  const client = await daemon.connect();
  await client.call('daemon.hello', { token });
  return client;
}

/** Attaches as soon as the session has come to that daemon. */
export async function arrives({ client }: Member, params: Params<'session.attach'>): Promise<void> {
  for (;;) {
    try {
      await client.call('session.attach', params);
      return;
    } catch (error) {
      if (!(error instanceof RpcFault) || (error.code !== 'SESSION_MOVED' && error.code !== 'UNAVAILABLE')) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** Settles what is asked of an administrator in that daemon, until the test ends. */
export async function administer(
  t: Pick<ExecutionContext, 'teardown'>,
  { daemon }: Member,
  settled: (args: readonly unknown[]) => { readonly value?: unknown },
): Promise<void> {
  const admin = await daemon.connect('admin');
  t.teardown(() => admin.close());
  const settleAll = async (): Promise<void> => {
    for (let afterChange = 0; ; ) {
      const { change, approvals } = await admin.call('approval.list', {
        status: 'pending',
        afterChange,
        waitMs: 60_000,
      });
      for (const { approvalId, hash, args } of approvals)
        await admin
          .call('approval.settle', { approvalId, hash, decision: 'approve', ...settled(args as unknown[]) })
          .catch(() => undefined);
      afterChange = change;
    }
  };
  // It ends with the connection.
  void settleAll().catch(() => undefined);
}

/** The fault of a call that is to fail. */
export async function faultOf(call: Promise<unknown>): Promise<RpcFault | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof RpcFault) return error;
    throw error;
  }
}

export const executed = (
  { client }: Member,
  sessionId: string,
  source: string,
  executionId?: string,
): Promise<ExecutionResult> =>
  client.call('session.execute', { sessionId, source, ...(executionId === undefined ? {} : { executionId }) });
