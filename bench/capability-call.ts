/**
 * How long does a capability call take, from the call in guest code until its promise has settled there?
 *
 * No capability without a person in it exists yet, so this is `input()`, answered by this client the moment it is asked: isolate →
 * host → daemon (gate, audit) → client → daemon → host → isolate. The way to the client and back, which a call with an in-memory
 * effect does not make, is measured in the same run as a `session.show` round trip and taken off in the second row. A
 * cell makes many calls one after another, so that the cost of the cell itself is spread over them. Does not measure: calls side by
 * side, a journal, an effect.
 */
import { BareIsolates } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { median, type Question, time, timingRow } from './measure.ts';

const CALLS_PER_CELL = 50;
const CELL = `for (let i = 0; i < ${CALLS_PER_CELL}; i++) await input('?')`;

export const capabilityCall: Question = {
  name: 'capability-call',
  async run(size) {
    await using daemon = await startDaemon();
    await using bareIsolates = new BareIsolates();
    const { client } = daemon;
    const sessionId = await client.open({ level: 'restricted' });
    client.onEvent = (event) => {
      if (event.kind !== 'input.requested') return;
      void client.call('input.answer', { sessionId, requestId: event.requestId, text: 'x' });
    };
    const rounds = size === 'full' ? 30 : 1;
    const calls: number[] = [];
    const trips: number[] = [];
    const bare: number[] = [];
    for (let round = -3; round < rounds; round++) {
      const [cellMs = Number.NaN] = await time(1, () => client.run(sessionId, CELL));
      // Through the same socket, the same parser and an event queue, and no farther than the daemon.
      const tripsMs = await time(CALLS_PER_CELL, () => client.call('session.show', { sessionId }));
      const bareMs = await bareIsolates.ask({ ask: 'call', count: CALLS_PER_CELL });
      if (round < 0) continue;
      calls.push(cellMs / CALLS_PER_CELL);
      trips.push(...tripsMs);
      bare.push(...bareMs);
    }
    const tripMs = median(trips);
    const withoutClient = calls.map((callMs) => Math.max(0, callMs - tripMs));
    return [
      timingRow('input() answered at once by the client', calls, bare, null),
      timingRow('the same without the way to the client', withoutClient, bare, 0.3),
    ];
  },
};
