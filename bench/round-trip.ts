/**
 * How long does `1+1` take in a live session over the client socket, and how many can one connection run a second?
 *
 * The rate is over 64 sessions with one cell in flight in each, as cells of one session run one after another. Does not measure:
 * a journal (there is none yet), output, a fresh source for every cell (preparation is cached by content), several connections.
 */
import { BareIsolates } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { median, type Question, rate, time, timingRow } from './measure.ts';

const IN_FLIGHT = 64;

export const roundTrip: Question = {
  name: 'round-trip',
  async run(size) {
    await using daemon = await startDaemon();
    await using bareIsolates = new BareIsolates();
    const { client } = daemon;
    const [rounds, each, perRate] = size === 'full' ? [10, 500, 6000] : [1, 20, 128];
    const sessions = await Promise.all(Array.from({ length: IN_FLIGHT }, () => client.open()));
    const [first] = sessions as [string];
    const ours: number[] = [];
    const bare: number[] = [];
    const oursPerSecond: number[] = [];
    const barePerSecond: number[] = [];
    // Round -1 warms both sides up.
    for (let round = -1; round < rounds; round++) {
      const samples = await time(each, () => client.run(first, '1+1'));
      const bareSamples = await bareIsolates.ask({ ask: 'round-trip', count: each });
      const perSecond = await rate(perRate, IN_FLIGHT, (lane) => client.run(sessions[lane] as string, '1+1'));
      const barePerSeconds = await bareIsolates.ask({ ask: 'rate', count: perRate });
      if (round < 0) continue;
      ours.push(...samples);
      bare.push(...bareSamples);
      oursPerSecond.push(perSecond);
      barePerSecond.push(...barePerSeconds);
    }
    return [
      timingRow('1+1 in a live session', ours, bare, 0.25),
      {
        question: `1+1, ${IN_FLIGHT} in flight`,
        unit: '/s',
        median: median(oursPerSecond),
        p99: null,
        bare: median(barePerSecond),
        target: 20_000,
      },
    ];
  },
};
