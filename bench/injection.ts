/**
 * How long does it take to give a session the capabilities of its level?
 *
 * Sessions of one level, in pairs: one is given everything that the level grants, the other has asked for `print` alone. Both come from
 * the same spare isolates, so what the first takes longer to its first result is the injection. Does not measure: a session that is
 * made before spare isolates are ready.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { median, type Question, time } from './measure.ts';

const LEVEL = 'unrestricted';
const TARGET_MS = 1;
/** Long enough for the spare isolates to be there again. */
const REFILL_MS = 40;

export const injection: Question = {
  name: 'injection',
  async run(size) {
    await using daemon = await startDaemon();
    const { client } = daemon;
    const rounds = size === 'full' ? 150 : 2;
    const all: number[] = [];
    const none: number[] = [];
    for (let round = -5; round < rounds; round++) {
      const [withAll = Number.NaN] = await time(1, () => useOnce(client, undefined));
      await sleep(REFILL_MS);
      const [withNone = Number.NaN] = await time(1, () => useOnce(client, ['print']));
      await sleep(REFILL_MS);
      if (round < 0) continue;
      all.push(withAll);
      none.push(withNone);
    }
    const question = `the capabilities of ${LEVEL}, given to a new session`;
    const added = Math.max(0, median(all) - median(none));
    return [{ question, unit: 'ms', median: added, p99: null, bare: null, target: TARGET_MS }];
  },
};

async function useOnce(client: BenchClient, capabilities: string[] | undefined): Promise<void> {
  const sessionId = await client.open({ level: LEVEL, ...(capabilities && { capabilities }) });
  await client.run(sessionId, '1');
  await client.call('session.close', { sessionId });
}
