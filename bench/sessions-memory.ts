/**
 * What does an idle session cost in memory, and do 1,000 sessions executing at once all finish?
 *
 * Memory is resident memory of the hosts, as the kernel counts it. Idle: each session has run one `1+1`; the memory of
 * its hosts above that of as many empty ones, divided by the sessions. Busy: every session counts to a million, all of
 * them sent at once; the last row is a `1+1` in new sessions meanwhile. Does not measure: the daemon's own share for an idle
 * session, heaps that have grown, sessions at different levels.
 */
import { type BenchDaemon, startDaemon } from './bench-daemon.ts';
import { type Question, type Row, time, timingRow } from './measure.ts';
import { residentMiB } from './resident-memory.ts';

const BUSY = '{ let sum = 0; for (let i = 0; i < 1_000_000; i++) sum = (sum + i * i) % 1009; sum }';

async function idle(daemon: BenchDaemon, count: number): Promise<{ row: Row; sessions: string[] }> {
  const { client } = daemon;
  const sessions: string[] = [];
  const openOne = async (): Promise<void> => {
    const sessionId = await client.open();
    await client.run(sessionId, '1+1');
    sessions.push(sessionId);
  };
  await openOne();
  const [empty = 0] = (await daemon.hostPids(false)).map(residentMiB);
  for (let i = 1; i < count; i++) await openOne();
  const taken = (await daemon.hostPids(true)).map(residentMiB);
  const above = taken.reduce((sum, mib) => sum + mib - empty, 0);
  const row: Row = {
    question: `idle session (${count})`,
    unit: 'MiB',
    median: above / count,
    p99: null,
    bare: null,
    target: 2,
  };
  return { row, sessions };
}

async function busy(daemon: BenchDaemon, sessions: readonly string[], probes: number): Promise<readonly Row[]> {
  const { client } = daemon;
  let running = sessions.length;
  let succeeded = 0;
  const startedMs = performance.now();
  const all = Promise.all(
    sessions.map(async (sessionId) => {
      // A cell that a limit ended is an answer to the question, not a reason to stop asking.
      const { status } = await client.call('session.execute', { sessionId, source: BUSY });
      if (status === 'ok') succeeded++;
      running--;
    }),
  );
  const meanwhile = await time(probes, async () => {
    const sessionId = await client.open();
    await client.run(sessionId, '1+1');
  });
  const stillRunning = running;
  const resident = [...(await daemon.hostPids(true)), daemon.pid].map(residentMiB).reduce((sum, mib) => sum + mib, 0);
  await all;
  const finishedMs = performance.now() - startedMs;
  const figure = (question: string, unit: Row['unit'], value: number, target: number | null): Row => ({
    question,
    unit,
    median: value,
    p99: null,
    bare: null,
    target,
  });
  return [
    figure(`of ${sessions.length} cells at once, ended well`, 'cells', succeeded, sessions.length),
    figure(`${sessions.length} sessions at once, all answered after`, 'ms', finishedMs, null),
    figure('resident memory of daemon and hosts meanwhile', 'MiB', resident, 3072),
    timingRow(`new session and 1+1 meanwhile (${stillRunning} still running at the end)`, meanwhile, null, 1000),
  ];
}

export const sessionsMemory: Question = {
  name: 'sessions-memory',
  async run(size) {
    await using daemon = await startDaemon();
    const [count, probes] = size === 'full' ? [1000, 50] : [4, 2];
    const { row, sessions } = await idle(daemon, count);
    return [row, ...(await busy(daemon, sessions, probes))];
  },
};
