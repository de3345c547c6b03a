/** One daemon for all the tests of a file, and sessions of it that a test can use in a line. */
import type { TestFn } from 'ava';
import type { ExecutionResult, Params } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient } from './daemon-process.ts';

export interface SharedDaemon {
  readonly daemon: DaemonProcess;
  readonly client: RawClient;
  readonly admin: RawClient;
}

/** Starts the daemon before the first test of the file and ends it after the last one. */
export function sharedDaemon(test: TestFn): () => SharedDaemon {
  const cleanups: (() => unknown)[] = [];
  let shared: SharedDaemon | undefined;
  test.serial.before(async () => {
    const daemon = await DaemonProcess.start({
      teardown: (cleanup: () => unknown) => {
        cleanups.push(cleanup);
      },
    } as Parameters<typeof DaemonProcess.start>[0]);
    shared = { daemon, client: await daemon.connect(), admin: await daemon.connect('admin') };
  });
  test.after.always(async () => {
    for (const cleanup of cleanups) await cleanup();
  });
  return () => {
    if (shared === undefined) throw new Error('The daemon of this file has not started.');
    return shared;
  };
}

export class Guest {
  readonly client: RawClient;
  readonly sessionId: string;

  private constructor(client: RawClient, sessionId: string) {
    this.client = client;
    this.sessionId = sessionId;
  }

  static async open(client: RawClient, params: Params<'session.create'> = {}): Promise<Guest> {
    const { sessionId } = await client.call('session.create', params);
    return new Guest(client, sessionId);
  }

  run(source: string, timeoutMs?: number): Promise<ExecutionResult> {
    const { sessionId } = this;
    return this.client.call('session.execute', {
      sessionId,
      source,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** The JSON value of a cell that ends well; anything else is an error that says how it ended. */
  async json(source: string): Promise<unknown> {
    const result = await this.run(source);
    if (result.value?.kind !== 'json') throw new Error(`${source.slice(0, 200)} ended as ${JSON.stringify(result)}`);
    return result.value.json;
  }

  async close(): Promise<void> {
    await this.client.call('session.close', { sessionId: this.sessionId });
  }
}
