/**
 * What does an idle Python session cost in memory?
 *
 * Memory is resident memory of a host, as the kernel counts it. Each session has run one `1+1`. The host's own, with what its sessions
 * share and the spare isolate that it keeps, is what it has with the first session; what each further one adds is the figure. Does
 * not measure: the daemon's own share, sessions that have imported or computed something.
 */
import { startDaemon } from './bench-daemon.ts';
import { untilQuiet } from './cpu-time.ts';
import type { Question, Row } from './measure.ts';
import { residentMiB } from './resident-memory.ts';
import { withSnapshot } from './snapshot-cache.ts';

const SESSIONS_PER_HOST = 4;
const TARGET_MIB = 70;

export const pythonMemory: Question = {
  name: 'python-memory',
  async run(size) {
    const cached = await withSnapshot();
    await using daemon = await startDaemon(cached);
    const { client } = daemon;
    const openOne = async (): Promise<number> => {
      await client.run(await client.open({ language: 'python' }), '1+1');
      const [hostPid = 0, ...others] = await daemon.hostPids(true);
      if (others.length > 0) throw new Error('several hosts have the sessions, and not one');
      // It makes the spare that was just taken anew.
      await untilQuiet(hostPid);
      return residentMiB(hostPid);
    };
    const first = await openOne();
    const further = size === 'full' ? SESSIONS_PER_HOST - 1 : 1;
    let all = first;
    for (let session = 0; session < further; session++) all = await openOne();
    const row = (question: string, median: number, target: number | null): Row => ({
      ...{ question, unit: 'MiB', median, p99: null, bare: null, target },
    });
    return [
      row('idle Python session', (all - first) / further, TARGET_MIB),
      row('a host of Python with one session and a spare isolate', first, null),
    ];
  },
};
