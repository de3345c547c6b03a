/**
 * How long from asking for a JavaScript session to its first result, over the client socket?
 *
 * `pre-warmed`: a host of the cordon stands ready with spare isolates. `cold`: no spare fits, so the isolate is made while the
 * client waits. Does not measure: the start of a daemon or of a host process, closing, TypeScript, many clients at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { BareIsolates } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { type Question, time, timingRow } from './measure.ts';

/** Long enough for a host to make the spare that was just taken. */
const REFILL_MS = 40;
/** No level has this heap, so no spare fits. */
const UNUSUAL_HEAP_MIB = 48;

export const newSession: Question = {
  name: 'new-session',
  async run(size) {
    await using daemon = await startDaemon();
    await using bareIsolates = new BareIsolates();
    const { client } = daemon;
    const [rounds, each] = size === 'full' ? [12, 10] : [1, 2];
    const cold: number[] = [];
    const warm: number[] = [];
    const bare: number[] = [];
    const opened = async (limits: { heapMiBMax?: number }): Promise<string> => {
      const sessionId = await client.open({ limits });
      await client.run(sessionId, '1+1');
      return sessionId;
    };
    // The first session of a cordon waits for a host to join it.
    await opened({});
    for (let round = -1; round < rounds; round++) {
      const ids: string[] = [];
      const measured = async (limits: { heapMiBMax?: number }): Promise<number[]> =>
        time(1, async () => void ids.push(await opened(limits)));
      for (let i = 0; i < each; i++) {
        const coldMs = await measured({ heapMiBMax: UNUSUAL_HEAP_MIB });
        await pause(REFILL_MS);
        const warmMs = await measured({});
        if (round >= 0) {
          cold.push(...coldMs);
          warm.push(...warmMs);
        }
      }
      const bareMs = await bareIsolates.ask({ ask: 'new-session', count: each });
      if (round >= 0) bare.push(...bareMs);
      await Promise.all(ids.map((sessionId) => client.call('session.close', { sessionId })));
    }
    return [
      timingRow('new session to first result, pre-warmed', warm, bare, 0.6),
      timingRow('new session to first result, cold', cold, bare, 2.5),
    ];
  },
};
