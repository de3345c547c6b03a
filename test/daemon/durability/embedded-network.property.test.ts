/** Random requests, waits and restarts against the SDK's own state machine, which has everything in memory and no end of it. */
import test from 'ava';
import fc from 'fast-check';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';
import { EmbeddedNetwork } from '../../../daemon/durability/embedded-network.ts';
import {
  ask,
  type MachineChange,
  type Message,
  newStateMachine,
  type Request,
} from '../../../daemon/durability/sdk.ts';

const HEAD = { corrId: 'c', version: 'v' };
const LEASE_MS = 1e12;

const id = fc.constantFrom('a', 'b', 'c');
/** Beyond the version that a task has; mostly the right one. */
const beyond = fc.constantFrom(0, 0, 0, 0, 0, 1, -1);
const kindOf = {
  plain: { 'resonate:external': 'true' },
  target: { 'resonate:target': 'local://any@g' },
  timer: { 'resonate:target': 'local://any@g', 'resonate:timer': 'true' },
} as const;
const tags = fc.constantFrom(kindOf.plain, kindOf.target, kindOf.target, kindOf.timer) as fc.Arbitrary<
  Record<string, string>
>;
const lifeMs = fc.constantFrom(300, 1e12, 1e12);

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'restart' }
  | { readonly kind: 'request'; readonly request: Make };

type Make = (nowMs: number, versionOf: (id: string) => number) => Pick<Request, 'kind' | 'data'>;

const request = (
  arbitrary: fc.Arbitrary<(nowMs: number, versionOf: (id: string) => number) => unknown>,
): fc.Arbitrary<Step> => arbitrary.map((make) => ({ kind: 'request', request: make as Make }));

const settleAction = (of: string) => ({
  kind: 'promise.settle',
  head: HEAD,
  data: { id: of, state: 'resolved', value: { data: 'by its task' } },
});
const create = (of: string, with_: Record<string, string>, timeoutAt: number) => ({
  id: of,
  timeoutAt,
  param: { data: of },
  tags: with_,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 400 }).map((ms): Step => ({ kind: 'wait', ms })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'restart' }) },
  {
    weight: 12,
    arbitrary: fc.oneof(
      request(
        fc.tuple(id, tags, lifeMs).map(([of, with_, ms]) => (nowMs) => ({
          kind: 'promise.create',
          data: create(of, with_, nowMs + ms),
        })),
      ),
      request(id.map((of) => () => ({ kind: 'promise.get', data: { id: of } }))),
      request(
        fc.tuple(id, fc.constantFrom('resolved', 'rejected', 'rejected_canceled')).map(([of, state]) => () => ({
          kind: 'promise.settle',
          data: { id: of, state, value: { data: state } },
        })),
      ),
      request(
        id.map((awaited) => () => ({
          kind: 'promise.register_listener',
          data: { awaited, address: 'local://uni@g/p' },
        })),
      ),
      request(
        fc.tuple(id, id).map(([awaited, awaiter]) => () => ({
          kind: 'promise.register_callback',
          data: { awaited, awaiter },
        })),
      ),
      request(id.map((of) => () => ({ kind: 'task.get', data: { id: of } }))),
      request(
        fc.tuple(id, lifeMs).map(([of, ms]) => (nowMs) => ({
          kind: 'task.create',
          data: {
            pid: 'p',
            ttl: LEASE_MS,
            action: { kind: 'promise.create', head: HEAD, data: create(of, kindOf.target, nowMs + ms) },
          },
        })),
      ),
      request(
        fc.tuple(id, beyond).map(([of, by]) => (_, versionOf) => ({
          kind: 'task.acquire',
          data: { id: of, version: versionOf(of) + by, pid: 'p', ttl: LEASE_MS },
        })),
      ),
      request(
        fc.tuple(id, beyond).map(([of, by]) => (_, versionOf) => ({
          kind: 'task.release',
          data: { id: of, version: versionOf(of) + by },
        })),
      ),
      request(
        fc.tuple(id, beyond).map(([of, by]) => (_, versionOf) => ({
          kind: 'task.fulfill',
          data: { id: of, version: versionOf(of) + by, action: settleAction(of) },
        })),
      ),
      request(
        fc.tuple(id, beyond, id).map(([of, by, awaited]) => (_, versionOf) => ({
          kind: 'task.suspend',
          data: {
            id: of,
            version: versionOf(of) + by,
            actions: [{ kind: 'promise.register_callback', head: HEAD, data: { awaiter: of, awaited } }],
          },
        })),
      ),
      request(id.map((of) => () => ({ kind: 'task.halt', data: { id: of } }))),
      request(id.map((of) => () => ({ kind: 'task.continue', data: { id: of } }))),
      request(
        fc.tuple(id, beyond, id).map(([of, by, settled]) => (_, versionOf) => ({
          kind: 'task.fence',
          data: { id: of, version: versionOf(of) + by, action: settleAction(settled) },
        })),
      ),
    ),
  },
);

const copy = <T>(value: T): T => (value === undefined ? value : JSON.parse(JSON.stringify(value)));

/** What only saves the SDK a round trip, and is left out by us. */
function withoutPreload(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return data;
  const { preload: _, ...rest } = copy(data) as Record<string, unknown>;
  return rest;
}

class Pair {
  nowMs = 1_000_000;
  readonly machine = newStateMachine();
  readonly store = DurableStore.open({ file: null, log: () => undefined });
  network = this.#open();
  sent: Message[] = [];
  expected: Message[] = [];

  #open(): EmbeddedNetwork {
    const network = new EmbeddedNetwork({ store: this.store, clock: { nowMs: () => this.nowMs } });
    network.recv((message) => this.sent.push(message));
    return network;
  }

  #collect(changes: readonly MachineChange[]): void {
    for (const change of changes) if (change.kind === 'message.send') this.expected.push(copy(change.message));
  }

  apply(kind: string, data: unknown): { status: number; data: unknown } {
    const applied = this.machine.apply(this.nowMs, copy({ kind, head: HEAD, data }) as Request);
    this.#collect(applied.changes);
    return { status: applied.response.head.status, data: withoutPreload(applied.response.data) };
  }

  async ask(kind: Request['kind'], data: Request['data']): Promise<{ status: number; data: unknown }> {
    const { head, data: answered } = await ask(this.network, kind, data as never);
    return { status: head.status, data: withoutPreload(answered) };
  }

  async restart(): Promise<void> {
    await this.network.stop();
    for (const { id: of, version: at, state } of [...this.machine.tasks.values()])
      if (state === 'acquired') this.apply('task.release', { id: of, version: at });
      else if (state === 'pending')
        this.expected.push({ kind: 'execute', head: {}, data: { task: { id: of, version: at } } });
    this.network = this.#open();
    await this.network.init();
    await this.tick();
  }

  /** Here and there at the same moment, so that it does not matter when the timer would have come. */
  async tick(): Promise<void> {
    this.network.tick();
    this.apply('debug.tick', { time: this.nowMs });
    await new Promise<void>((resolve) => this.store.whenCommitted(resolve));
  }

  async close(): Promise<void> {
    await this.network.stop();
    this.store.close();
  }
}

const sorted = (messages: readonly Message[]): string[] =>
  messages.map((message) => JSON.stringify(message, Object.keys(copyKeys(message)).sort())).sort();
const copyKeys = (value: unknown, keys: Record<string, true> = {}): Record<string, true> => {
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) copyKeys(inner, Object.assign(keys, { [key]: true }));
  return keys;
};

test('the embedded network answers and announces as the state machine of the SDK does, across restarts', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const pair = new Pair();
      try {
        await pair.restart();
        for (const each of steps) {
          if (each.kind === 'wait') {
            pair.nowMs += each.ms;
            await pair.tick();
          } else if (each.kind === 'restart') await pair.restart();
          else {
            const { kind, data } = each.request(pair.nowMs, (of) => pair.machine.tasks.get(of)?.version ?? 0);
            t.deepEqual(await pair.ask(kind, data as Request['data']), pair.apply(kind, data));
          }
        }
        await Promise.resolve();
        t.deepEqual(sorted(pair.sent), sorted(pair.expected));
      } finally {
        await pair.close();
      }
    }),
    { numRuns: 300 },
  );
});
