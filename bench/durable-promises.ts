/**
 * What do durable promises cost, and does it stay so once many of them are finished?
 *
 * The embedded server on a file, in this process: one promise made, one settled until its watcher is called, and one whole durable
 * function from its request to its end, before and after so many were finished; and the growth of the heap meanwhile. On a server,
 * over HTTP on loopback: a promise made, and an outcome that travels from one runtime to another. Each waits for its commit, as
 * the daemon does. Does not measure: a power failure's worth of fsync, which the daemon does without (see database-file.ts), and a
 * server that writes to a disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../daemon/clock.ts';
import { DurableStore } from '../daemon/durability/durable-store.ts';
import { type DurableRuntime, local, remote } from '../daemon/durability/resonate.ts';
import { ResonateServer } from '../test/harness/resonate-server.ts';
import { type Question, type Row, rate, time, timingRow } from './measure.ts';

const LOCAL_MS = 1;
const REMOTE_CREATE_MS = 10;
const ROUTED_MS = 5;
const parts = { clock: systemClock, log: () => undefined };

export const durablePromises: Question = {
  name: 'durable-promises',
  async run(size) {
    return [...(await embedded(size === 'full')), ...(await overHttp(size === 'full' ? 500 : 3))];
  },
};

async function embedded(isFull: boolean): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-bench-'));
  const store = DurableStore.open({ file: join(folder, 'durable.db'), log: parts.log });
  const runtime = await local({ store, ...parts });
  const samples = isFull ? 500 : 3;
  const finished = isFull ? 100_000 : 20;
  await oneByOne(runtime, samples, 'warm');
  const before = await oneByOne(runtime, samples, 'before');
  const heapBefore = heapMiB();
  const perSecond = await finish(runtime, finished);
  const grown = heapMiB() - heapBefore;
  const after = await oneByOne(runtime, samples, 'after');
  await runtime.stop();
  store.close();
  rmSync(folder, { recursive: true });
  return [
    ...rows('', before),
    ...rows(`, after ${finished} others`, after),
    figure('functions finished, 64 at a time', '/s', perSecond),
    figure(`heap after ${finished} of them, above before`, 'MiB', grown),
  ];
}

async function oneByOne(runtime: DurableRuntime, samples: number, name: string) {
  let made = 0;
  let settled = 0;
  let run = 0;
  const { promises, sessions } = runtime;
  const creates = await time(samples, () => promises.create(`${name}-${made++}`, null, null));
  const settles = await time(samples, async () => {
    const key = `${name}-${settled++}`;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    promises.watch(key, resolve);
    await promises.settle(key, settled);
    await promise;
  });
  const functions = await time(samples, () => runOne(sessions, `${name}-${run++}`));
  return { creates, settles, functions };
}

const rows = (when: string, taken: Awaited<ReturnType<typeof oneByOne>>): Row[] => [
  timingRow(`promise made${when}`, taken.creates, null, LOCAL_MS),
  timingRow(`promise settled, and heard of${when}`, taken.settles, null, LOCAL_MS),
  timingRow(`function from start to end${when}`, taken.functions, null, LOCAL_MS),
];

async function runOne(sessions: DurableRuntime['sessions'], id: string): Promise<void> {
  if ((await sessions.open(id)) === null) throw new Error('the bench opens sessions that are nobody else’s');
  await sessions.close(id);
}

function finish({ sessions }: DurableRuntime, count: number): Promise<number> {
  let number = 0;
  return rate(count, 64, () => runOne(sessions, `finished-${number++}`));
}

async function overHttp(samples: number): Promise<Row[]> {
  await using server = await ResonateServer.start();
  const start = (pid: string) => remote({ url: server.url, group: 'bench', pid, leaseMs: 30_000, ...parts });
  const [one, other] = await Promise.all([start('one'), start('other')]);
  while (!server.hears('bench', 'one')) await new Promise((resolve) => setTimeout(resolve, 5));
  let made = 0;
  let settled = 0;
  const creates = await time(samples, () => one.promises.create(`p${made++}`, null, null));
  const heard: number[] = [];
  await time(samples, async () => {
    const key = `p${settled++}`;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    one.promises.watch(key, resolve);
    // So that the server knows of the watch when the outcome comes.
    await one.promises.create(key, null, null);
    const startedMs = performance.now();
    await Promise.all([promise, other.promises.settle(key, settled)]);
    heard.push(performance.now() - startedMs);
  });
  await Promise.all([one.stop(), other.stop()]);
  return [
    timingRow('promise made, over HTTP', creates, null, REMOTE_CREATE_MS),
    timingRow('outcome settled by one, heard by another, over HTTP', heard, null, ROUTED_MS),
  ];
}

const figure = (question: string, unit: Row['unit'], median: number): Row => ({
  question,
  unit,
  median,
  p99: null,
  bare: null,
  target: null,
});

/** After a collection, where the process was told to let us ask for one. */
function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
