import { mock } from 'node:test';
import test from 'ava';
import { HeldTasks } from '../../../daemon/durability/held-tasks.ts';
import type { Holding } from '../../../daemon/durability/holding.ts';
import type { Network, PromiseRecord, Request } from '../../../daemon/durability/sdk.ts';

const LEASE_MS = 3000;

test.before(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
test.after.always(() => mock.timers.reset());

/** A server that grants everything, as late as it is told to, and a clock that runs with the timers of Node. */
function scripted() {
  let nowMs = 0;
  const asked: Request[] = [];
  const waiting: {
    readonly request: Request;
    readonly answer: (status?: number, version?: number) => void;
    readonly fail: () => void;
  }[] = [];
  const promise = { id: 'a', state: 'pending', param: {}, value: {}, tags: {}, timeoutAt: 1e15, createdAt: 0 } as const;
  const network = {
    unicast: 'u',
    anycast: 'a',
    match: (target: string) => target,
    init: async () => undefined,
    stop: async () => undefined,
    recv: () => undefined,
    send: (request: Request) => {
      asked.push(request);
      const { promise: settled, resolve, reject } = Promise.withResolvers();
      const task = { id: 'a', version: 1, state: 'acquired' };
      const answer = (status = 200, version = 1): void =>
        resolve({ kind: request.kind, head: { status }, data: { task: { ...task, version }, promise } });
      waiting.push({ request, answer, fail: () => reject(new Error('cut off')) });
      return settled;
    },
  } as unknown as Network;
  const dropped: Holding[] = [];
  const tasks = new HeldTasks({
    network,
    pid: 'p',
    leaseMs: LEASE_MS,
    monotonicMs: () => nowMs,
    log: () => undefined,
    canRun: (record: PromiseRecord) => record.id === 'a',
    dropped: (holding) => dropped.push(holding),
    settled: () => undefined,
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    mock.timers.tick(ms);
    await turn();
  };
  const ask = (kind: Request['kind'], data: unknown): Promise<{ head: { status: number } }> =>
    tasks.send({ kind, head: { corrId: 'c', version: 'v' }, data } as never) as never;
  const acquire = async (): Promise<Holding> => {
    const acquired = ask('task.acquire', { id: 'a', version: 0, pid: 'p', ttl: 1 });
    waiting.pop()?.answer();
    await acquired;
    return tasks.holding('a') as Holding;
  };
  const kinds = (): string[] => asked.map(({ kind }) => kind);
  return { tasks, waiting, asked, kinds, dropped, turn, pass, ask, acquire };
}

test.serial('a lease is asked for in full, kept by heartbeats, and lost when they are not answered', async (t) => {
  const { tasks, waiting, asked, dropped, pass, turn, acquire } = scripted();
  const holding = await acquire();
  t.like(asked[0]?.data, { ttl: LEASE_MS });
  for (let times = 0; times < 5; times++) {
    await pass(LEASE_MS / 3);
    t.like(asked.at(-1), { kind: 'task.heartbeat', data: { pid: 'p', tasks: [{ id: 'a', version: 1 }] } });
    waiting.pop()?.answer();
    await turn();
    t.is(asked.at(-1)?.kind, 'task.get');
    waiting.pop()?.answer();
    await turn();
  }
  t.true(holding.isHeld());
  const { signal } = holding;
  await pass(LEASE_MS / 3);
  waiting.pop()?.fail();
  await pass(LEASE_MS / 3);
  t.true(holding.isHeld(), 'one of them may get lost');
  t.false(signal.aborted);
  await pass(LEASE_MS / 3);
  t.false(holding.isHeld());
  t.true(signal.aborted);
  t.deepEqual(dropped, [holding]);
  t.is(tasks.holding('a'), undefined);
  await tasks.stop();
});

test.serial('an answer that comes after the lease has run out brings nothing back', async (t) => {
  const { tasks, waiting, pass, turn, acquire, asked } = scripted();
  const holding = await acquire();
  await pass(LEASE_MS - 1);
  const late = waiting.splice(0);
  await pass(1);
  t.false(holding.isHeld());
  for (const { answer } of late) answer();
  await turn();
  t.false(holding.isHeld());
  t.true(holding.signal.aborted, 'also for who asks for the signal only now');
  const before = asked.length;
  await pass(10 * LEASE_MS);
  t.is(asked.length, before, 'and it is not kept alive');
  await tasks.stop();
});

for (const [what, status, version] of [
  ['another holds', 200, 2],
  ['the server has forgotten', 404, 1],
] as const)
  test.serial(`a task that ${what} is lost, although the heartbeats are answered`, async (t) => {
    const { tasks, waiting, pass, turn, acquire } = scripted();
    const { signal } = await acquire();
    await pass(LEASE_MS / 3);
    waiting.pop()?.answer();
    await turn();
    waiting.pop()?.answer(500);
    await turn();
    t.false(signal.aborted, 'what is not known is not concluded');
    await pass(LEASE_MS / 3);
    waiting.pop()?.answer();
    await turn();
    waiting.pop()?.answer(status, version);
    await turn();
    t.true(signal.aborted);
    t.is(tasks.holding('a'), undefined);
    await tasks.stop();
  });

test.serial('a lease counts from before it was asked for', async (t) => {
  const { tasks, waiting, pass, ask } = scripted();
  const acquired = ask('task.acquire', { id: 'a', version: 0, pid: 'p', ttl: 1 });
  await pass(LEASE_MS);
  waiting.pop()?.answer();
  await acquired;
  t.not(tasks.holding('a')?.isHeld(), true);
  await tasks.stop();
});

test.serial('a task that is done is said to be for as long as it is held, and is held no longer', async (t) => {
  const { tasks, waiting, kinds, acquire, turn } = scripted();
  const holding = await acquire();
  const ended = tasks.end('a', 'done');
  t.false(holding.isHeld());
  t.false(await tasks.end('a', 'released'), 'it ends once');
  let told: boolean | undefined;
  void ended.then((isTold) => {
    told = isTold;
  });
  // Its pauses are of timers that are not ours, or are.
  for (let failed = 0; told === undefined; await turn()) {
    mock.timers.tick(1);
    const next = waiting.pop();
    if (next?.request.kind === 'task.fulfill' && failed++ < 2) next.fail();
    else next?.answer();
  }
  t.true(told);
  t.is(tasks.holding('a'), undefined);
  t.is(kinds().filter((kind) => kind === 'task.fulfill').length, 3);
  await tasks.stop();
});

test.serial('what is not held is neither ended nor given away', async (t) => {
  const { tasks, kinds, ask } = scripted();
  t.false(await tasks.end('a', 'done'));
  t.is((await ask('task.fulfill', { id: 'a', version: 1 })).head.status, 200);
  t.is((await ask('task.release', { id: 'a', version: 1 })).head.status, 200);
  t.is((await ask('task.heartbeat', { pid: 'p', tasks: [{ id: 'a', version: 1 }] })).head.status, 200);
  t.deepEqual(kinds(), []);
  await tasks.stop();
  await t.throwsAsync(ask('task.acquire', { id: 'a', version: 0 }));
});
