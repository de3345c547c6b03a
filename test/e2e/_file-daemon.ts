/** One daemon for all tests of a file, a connection to it, and sessions that each test opens for itself. */
import type { TestFn } from 'ava';
import type { ExecutionResult, Params, SessionEvent, Value } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';

export interface TestSession {
  readonly sessionId: string;
  readonly client: RawClient;
  run(source: string, timeoutMs?: number): Promise<ExecutionResult>;
  /** The value of a cell that must end well. */
  value(source: string): Promise<Value>;
  /** Starts a cell without waiting for its end; settles when it has begun to run. */
  start(source: string, executionId: string): Promise<{ readonly result: Promise<ExecutionResult> }>;
  events(): readonly SessionEvent[];
  /** The first event of that kind that `matches`, past or to come. */
  event<K extends SessionEvent['kind']>(
    kind: K,
    matches?: (event: Extract<SessionEvent, { kind: K }>) => boolean,
  ): Promise<Extract<SessionEvent, { kind: K }>>;
}

export class FileDaemon {
  #daemon: DaemonProcess | undefined;
  #client: RawClient | undefined;
  readonly #ends: (() => unknown)[] = [];

  constructor(test: TestFn, options: Parameters<typeof DaemonProcess.start>[1] = {}) {
    test.before(async () => {
      this.#daemon = await DaemonProcess.start(
        { teardown: (end) => this.#ends.unshift(end as () => unknown) },
        options,
      );
      this.#client = await this.#daemon.connect();
    });
    test.after.always(async () => {
      this.#client?.close();
      for (const end of this.#ends) await end();
    });
  }

  get daemon(): DaemonProcess {
    if (this.#daemon === undefined) throw new Error('the daemon has not started');
    return this.#daemon;
  }

  get client(): RawClient {
    if (this.#client === undefined) throw new Error('the daemon has not started');
    return this.#client;
  }

  async session(params: Params<'session.create'> = {}, client = this.client): Promise<TestSession> {
    const { sessionId } = await client.call('session.create', params);
    return sessionOf(client, sessionId);
  }

  /** Whether another client is served as if nothing had happened. */
  async answersAnother(): Promise<unknown> {
    const other = await this.daemon.connect();
    const { sessionId } = await other.call('session.create', {});
    const { value } = await other.call('session.execute', { sessionId, source: '1 + 1' });
    await other.call('session.close', { sessionId });
    other.close();
    return value?.kind === 'json' ? value.json : value;
  }
}

export function sessionOf(client: RawClient, sessionId: string): TestSession {
  const run = (source: string, timeoutMs?: number, executionId?: string): Promise<ExecutionResult> =>
    client.call('session.execute', {
      sessionId,
      source,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(executionId === undefined ? {} : { executionId }),
    });
  return {
    sessionId,
    client,
    run: (source, timeoutMs) => run(source, timeoutMs),
    async value(source) {
      const { value, error } = await run(source);
      if (value === undefined) throw new Error(`${source} failed: ${error?.name}: ${error?.message}`);
      return value;
    },
    async start(source, executionId) {
      const result = run(source, undefined, executionId);
      await client.event(
        (event) =>
          event.kind === 'execution.started' && event.sessionId === sessionId && event.executionId === executionId,
      );
      return { result };
    },
    events: () => client.events.filter((event) => event.sessionId === sessionId),
    event: (kind, matches = () => true) =>
      client.event(
        (event) => event.sessionId === sessionId && event.kind === kind && matches(event as never),
      ) as Promise<never>,
  };
}
