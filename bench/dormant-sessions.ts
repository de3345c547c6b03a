/**
 * What does a session cost that sleeps, and how long does it take to answer again?
 *
 * Each has run two short cells, was let go by its client and hibernated: it is in the journal, and all that the daemon holds is
 * that it is there. Memory is all that the daemon has resident, its code included; first in the daemon that has made all of them and
 * put them to sleep, then in one that was started on what that one left. The answer is a `1+1`-sized cell that needs a variable and
 * a function of before: the session is read from the journal, and its isolate made again. Those that are asked are spread over all of
 * them, half of them in either daemon. Does not measure: long histories, sessions that wait for something, their hosts, the disk.
 */
import { type BenchClient, type BenchDaemon, startDaemon } from './bench-daemon.ts';
import { type Question, type Row, time, timingRow } from './measure.ts';
import { residentMiB } from './resident-memory.ts';

const MIB = 1024 * 1024;
/** So many are made at once: enough to keep the hosts busy, and few enough for them to be hibernated at once. */
const LANES = 16;
const RESIDENT_MIB_TO_REACH = 300e6 / MIB;

async function makeOne(client: BenchClient, number: number): Promise<string> {
  const sessionId = await client.open();
  await client.run(sessionId, `const n = ${number};`);
  await client.run(sessionId, 'const double = () => n * 2;');
  // Whoever follows a session keeps it in memory.
  await client.call('session.detach', { sessionId });
  const { hibernated } = await client.call('session.hibernate', { sessionId });
  if (!hibernated) throw new Error('the session does not sleep');
  return sessionId;
}

/** A client may have no more than 2,000, so there are several. */
const CLIENTS = 8;

const connectAll = (daemon: BenchDaemon): Promise<BenchClient[]> =>
  Promise.all(Array.from({ length: CLIENTS }, (_, index) => daemon.connect(`client-${index}`)));

const ofSession = (clients: readonly BenchClient[], number: number): BenchClient =>
  clients[number % CLIENTS] as BenchClient;

async function make(daemon: BenchDaemon, count: number): Promise<string[]> {
  const clients = await connectAll(daemon);
  const sessions: string[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++)
      sessions[number] = await makeOne(ofSession(clients, number), number);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return sessions;
}

/** Asks `count` of them that are as far apart as can be. */
async function ask(daemon: BenchDaemon, sessions: readonly string[], first: number, count: number): Promise<number[]> {
  const clients = await connectAll(daemon);
  const stride = Math.floor(sessions.length / count);
  let number = first;
  return time(count, async () => {
    const { value } = await ofSession(clients, number).run(sessions[number] as string, 'double()');
    if (value?.kind !== 'json' || value.json !== number * 2) throw new Error(`session ${number} is not as it was`);
    number += stride;
  });
}

const residentRow = (question: string, median: number): Row => ({
  ...{ question, unit: 'MiB', median, p99: null, bare: null, target: RESIDENT_MIB_TO_REACH },
});

export const dormantSessions: Question = {
  name: 'dormant-sessions',
  async run(size) {
    const [count, asked] = size === 'full' ? [10_000, 100] : [4, 2];
    let daemon = await startDaemon();
    try {
      const sessions = await make(daemon, count);
      const madeMiB = residentMiB(daemon.pid);
      const answers = await ask(daemon, sessions, 0, asked);
      daemon = await daemon.again();
      const foundMiB = residentMiB(daemon.pid);
      answers.push(...(await ask(daemon, sessions, 1, asked)));
      return [
        residentRow(`daemon that has put ${count} sessions to sleep`, madeMiB),
        residentRow(`daemon started on ${count} sessions that sleep`, foundMiB),
        timingRow('first answer of one of them', answers, null, 100),
      ];
    } finally {
      await daemon[Symbol.asyncDispose]();
    }
  },
};
