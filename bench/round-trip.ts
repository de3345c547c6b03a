/**
 * How long does `1+1` take in a live session over the client socket, how many can one connection run a second, and what of that is
 * the journal's?
 *
 * Every cell is in the journal before it is answered. The same is asked of a daemon that is `--ephemeral`, turn by turn: its journal
 * is in memory, so that the difference is what the file costs. The rate is over 64 sessions with one cell in flight in each, as
 * cells of one session run one after another. Does not measure: output, a fresh source for every cell (preparation is cached by
 * content), several connections, a disk that is busy with something else.
 */
import { BareIsolates } from './baseline.ts';
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { median, type Question, type Row, rate, time, timingRow } from './measure.ts';

const IN_FLIGHT = 64;

class Side {
  readonly samples: number[] = [];
  readonly perSecond: number[] = [];
  readonly #client: BenchClient;
  readonly #sessions: readonly string[];

  private constructor(client: BenchClient, sessions: readonly string[]) {
    this.#client = client;
    this.#sessions = sessions;
  }

  static async of(client: BenchClient): Promise<Side> {
    return new Side(client, await Promise.all(Array.from({ length: IN_FLIGHT }, () => client.open())));
  }

  async round(each: number, perRate: number, counts: boolean): Promise<void> {
    const run = (lane: number) => this.#client.run(this.#sessions[lane] as string, '1+1');
    const samples = await time(each, () => run(0));
    const perSecond = await rate(perRate, IN_FLIGHT, run);
    if (!counts) return;
    this.samples.push(...samples);
    this.perSecond.push(perSecond);
  }

  rateRow(question: string, bare: number | null, target: number | null): Row {
    return { question, unit: '/s', median: median(this.perSecond), p99: null, bare, target };
  }
}

export const roundTrip: Question = {
  name: 'round-trip',
  async run(size) {
    await using durable = await startDaemon();
    await using ephemeral = await startDaemon(['--ephemeral']);
    await using bareIsolates = new BareIsolates();
    const [rounds, each, perRate] = size === 'full' ? [10, 500, 6000] : [1, 20, 128];
    const journalled = await Side.of(durable.client);
    const inMemory = await Side.of(ephemeral.client);
    const bare: number[] = [];
    const barePerSecond: number[] = [];
    // Round -1 warms all sides up.
    for (let round = -1; round < rounds; round++) {
      await journalled.round(each, perRate, round >= 0);
      await inMemory.round(each, perRate, round >= 0);
      const bareSamples = await bareIsolates.ask({ ask: 'round-trip', count: each });
      const barePerSeconds = await bareIsolates.ask({ ask: 'rate', count: perRate });
      if (round < 0) continue;
      bare.push(...bareSamples);
      barePerSecond.push(...barePerSeconds);
    }
    return [
      timingRow('1+1 in a live session, journalled', journalled.samples, bare, 0.25),
      timingRow('the same with the journal in memory (--ephemeral)', inMemory.samples, bare, null),
      journalled.rateRow(`1+1, ${IN_FLIGHT} in flight, journalled`, median(barePerSecond), 20_000),
      inMemory.rateRow('the same with the journal in memory (--ephemeral)', median(barePerSecond), null),
    ];
  },
};
