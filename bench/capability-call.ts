/**
 * How long does a capability call take, from the call in guest code until its promise has settled there?
 *
 * The whole path: isolate → host → daemon (gate, audit log, effect) → host → isolate. `hash` of one character is the effect in
 * memory; `kv.get` has the same path with a look into SQLite at its end; `input()` goes on to the client, which answers at once. A
 * cell makes many calls one after another, so that the cost of the cell itself is spread over them. Does not measure: the first
 * calls of a daemon, calls side by side, the journal alone, an audit log that is synced to the disk before each call.
 */
import { BareIsolates } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { type Question, time, timingRow } from './measure.ts';

const CALLS_PER_CELL = 50;
/** Until V8 has compiled what a call runs through, some 2,000 of them, each takes up to three times as long. */
const WARM_UP_ROUNDS = 40;
const repeated = (call: string): string => `for (let i = 0; i < ${CALLS_PER_CELL}; i++) await ${call}`;
const KINDS = [
  { question: 'an audited call with its effect in memory: hash()', cell: repeated('hash("sha256", "x")'), target: 0.3 },
  { question: 'the same with a look into SQLite: kv.get()', cell: repeated('kv.get("key")'), target: null },
  { question: 'input() answered at once by the client', cell: repeated('input("?")'), target: null },
] as const;

export const capabilityCall: Question = {
  name: 'capability-call',
  async run(size) {
    await using daemon = await startDaemon();
    await using bareIsolates = new BareIsolates();
    const { client } = daemon;
    const sessionId = await client.open({ level: 'standard' });
    client.onEvent = (event) => {
      if (event.kind !== 'input.requested') return;
      void client.call('input.answer', { sessionId, requestId: event.requestId, text: 'x' });
    };
    const [warmUp, rounds] = size === 'full' ? [WARM_UP_ROUNDS, 30] : [1, 1];
    const calls = KINDS.map((): number[] => []);
    const bare: number[] = [];
    for (let round = -warmUp; round < rounds; round++) {
      for (const [index, { cell }] of KINDS.entries()) {
        const [cellMs = Number.NaN] = await time(1, () => client.run(sessionId, cell));
        if (round >= 0) calls[index]?.push(cellMs / CALLS_PER_CELL);
      }
      const bareMs = await bareIsolates.ask({ ask: 'call', count: CALLS_PER_CELL });
      if (round >= 0) bare.push(...bareMs);
    }
    return KINDS.map(({ question, target }, index) => timingRow(question, calls[index] ?? [], bare, target));
  },
};
