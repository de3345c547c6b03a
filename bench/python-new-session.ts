/**
 * How long from asking for a Python session to its first result, over the client socket?
 *
 * `pre-warmed`: a host of the cordon has a spare isolate. `from the snapshot`: no spare fits, so an isolate is made of the snapshot
 * while the client waits. `first of a daemon`: its host has not joined the cordon yet, so it reads the snapshot as well. Does not
 * measure: the start of a daemon or of a host process, a machine that has no snapshot yet, many clients at once.
 */
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { untilQuiet } from './cpu-time.ts';
import { type Question, time, timingRow } from './measure.ts';
import { withSnapshot } from './snapshot-cache.ts';

/** No level has this heap, so no spare fits. */
const UNUSUAL_HEAP_MIB = 48;

export const pythonNewSession: Question = {
  name: 'python-new-session',
  async run(size) {
    const cached = await withSnapshot();
    const [daemons, each] = size === 'full' ? [4, 6] : [1, 1];
    const first: number[] = [];
    const cold: number[] = [];
    const warm: number[] = [];
    for (let started = 0; started < daemons; started++) {
      await using daemon = await startDaemon(cached);
      const [spare = 0] = await daemon.hostPids(false);
      await untilQuiet(spare);
      // It stays open, and keeps its host.
      first.push((await open(daemon.client)).tookMs);
      const [hostPid = 0] = await daemon.hostPids(true);
      const sample = async (limits: { heapMiBMax?: number } = {}): Promise<number> => {
        await untilQuiet(hostPid);
        const { sessionId, tookMs } = await open(daemon.client, limits);
        await daemon.client.call('session.close', { sessionId });
        return tookMs;
      };
      for (let sampled = 0; sampled < each; sampled++) {
        warm.push(await sample());
        cold.push(await sample({ heapMiBMax: UNUSUAL_HEAP_MIB }));
      }
    }
    return [
      timingRow('new Python session to first result, pre-warmed', warm, null, 10),
      timingRow('new Python session to first result, from the snapshot', cold, null, 250),
      timingRow('first Python session of a daemon', first, null, null),
    ];
  },
};

async function open(
  client: BenchClient,
  limits: { heapMiBMax?: number } = {},
): Promise<{ readonly sessionId: string; readonly tookMs: number }> {
  let sessionId = '';
  const [tookMs = Number.NaN] = await time(1, async () => {
    sessionId = await client.open({ language: 'python', limits });
    await client.run(sessionId, '1+1');
  });
  return { sessionId, tookMs };
}
