/**
 * How long after the start of a new daemon do 100 sessions go on whose daemon was killed, 10 of them in the middle of a cell?
 *
 * Each session has run some cells before. The 10 print a number every few milliseconds; one has gone on when it prints the next
 * one. The daemon dies by SIGKILL, and with it its hosts. `listens` is when a client is connected again; `running go on` when every
 * session that was running has printed its next number, `all go on` when besides every idle one has answered a cell with what it knew,
 * all of them asked at once. All from the start of the process, loading of its code included. Does not measure: long histories, calls
 * in doubt, how long it takes somebody to start the daemon.
 */
import type { SessionEvent } from '../client/protocol.ts';
import { type BenchClient, type BenchDaemon, startDaemon } from './bench-daemon.ts';
import { type Question, type Row, timingRow } from './measure.ts';

const LOOP = 'for (let i = 1; ; i++) { print(i); await sleep(5); }';

interface Before {
  readonly idle: readonly string[];
  readonly running: readonly string[];
  /** The number of the last event of each, and the last number that it printed. */
  readonly seen: ReadonlyMap<string, { readonly seq: number; readonly printed: number }>;
}

const printedIn = (event: SessionEvent): number =>
  event.kind === 'output' ? Number(event.text.trim().split('\n').at(-1)) : 0;

async function prepare({ client }: BenchDaemon, idleCount: number, runningCount: number): Promise<Before> {
  const seen = new Map<string, { seq: number; printed: number }>();
  const opened = (count: number) =>
    Promise.all(Array.from({ length: count }, () => client.open({ level: 'restricted' })));
  const idle = await opened(idleCount);
  await Promise.all(
    idle.map(async (sessionId, index) => {
      await client.run(
        sessionId,
        `let n = ${index}; const list = [1, 2, 3]; class Box { #v = ${index}; get v() { return this.#v } }`,
      );
      await client.run(sessionId, 'const box = new Box(); for (const x of list) n += x;');
    }),
  );
  const running = await opened(runningCount);
  const { promise: allPrint, resolve } = Promise.withResolvers<void>();
  client.onEvent = (event) => {
    const before = seen.get(event.sessionId)?.printed ?? 0;
    seen.set(event.sessionId, { seq: event.seq, printed: Math.max(before, printedIn(event)) });
    if (running.every((sessionId) => (seen.get(sessionId)?.printed ?? 0) >= 20)) resolve();
  };
  for (const sessionId of running) client.call('session.execute', { sessionId, source: LOOP }).catch(() => undefined);
  await allPrint;
  client.onEvent = () => undefined;
  return { idle, running, seen };
}

/** Resolves when all of them go on, to when those that were running did. */
async function goneOn(client: BenchClient, { idle, running, seen }: Before): Promise<number> {
  const { promise: runningGoOn, resolve } = Promise.withResolvers<number>();
  const still = new Set(running);
  client.onEvent = (event) => {
    if (printedIn(event) > (seen.get(event.sessionId)?.printed ?? 0)) still.delete(event.sessionId);
    if (still.size === 0) resolve(performance.now());
  };
  await Promise.all(
    running.map((sessionId) => client.call('session.attach', { sessionId, afterSeq: seen.get(sessionId)?.seq ?? 0 })),
  );
  const answers = await Promise.all(idle.map((sessionId) => client.run(sessionId, '[n, box.v]')));
  for (const [index, { value }] of answers.entries()) {
    const expected = JSON.stringify([index + 6, index]);
    const found = JSON.stringify(value?.kind === 'json' ? value.json : null);
    if (found !== expected) throw new Error(`session ${index} came back with ${found} instead of ${expected}`);
  }
  return runningGoOn;
}

export const recovery: Question = {
  name: 'recovery',
  async run(size) {
    const [rounds, idleCount, runningCount] = size === 'full' ? [5, 90, 10] : [1, 3, 1];
    const listens: number[] = [];
    const wereRunning: number[] = [];
    const all: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await using killed = await startDaemon();
      const before = await prepare(killed, idleCount, runningCount);
      await using next = await killed.again('SIGKILL');
      listens.push(performance.now() - next.startedMs);
      wereRunning.push((await goneOn(next.client, before)) - next.startedMs);
      all.push(performance.now() - next.startedMs);
    }
    const count = idleCount + runningCount;
    const rows: readonly Row[] = [
      timingRow(`${count} sessions, ${runningCount} running: listens after`, listens, null, null),
      timingRow(`${count} sessions, ${runningCount} running: running go on after`, wereRunning, null, 1000),
      timingRow(`${count} sessions, ${runningCount} running: all go on after`, all, null, 1000),
    ];
    return rows;
  },
};
