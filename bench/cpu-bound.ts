/**
 * How much slower is CPU-bound JavaScript as a cell than the same text in plain V8, a Node process with its own defaults?
 *
 * All sides are the CPU time of the whole process around the run, read with one clock: see cpu-time.ts. Every sample is a fresh
 * session and a fresh context, taken in turn. The median and p99 are of the ratios of the pairs; `bare` is the ratio of bare
 * isolated-vm to plain V8, with the same heap limit. Does not measure: code that has run for minutes, the way to the cell and back
 * (see round-trip).
 */
import { BareIsolates, PlainV8 } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { cpuMsOf } from './cpu-time.ts';
import { KERNELS } from './kernels.ts';
import { median, percentile, type Question, type Row } from './measure.ts';

/** A level for each end of the range of heap limits: the young generation grows with the limit, and collections get rarer. */
const LEVELS = [
  { level: 'sandbox', heapMiB: 64 },
  { level: 'unrestricted', heapMiB: 512 },
] as const;
const TARGET = 1.02;

export const cpuBound: Question = {
  name: 'cpu-bound',
  async run(size) {
    await using bareIsolates = new BareIsolates();
    await using plainV8 = new PlainV8();
    const rows: Row[] = [];
    for (const { level, heapMiB } of size === 'full' ? LEVELS : LEVELS.slice(0, 1)) {
      // A daemon for each level, so that the one host that holds a session is the one to look at.
      await using daemon = await startDaemon();
      const { client } = daemon;
      for (const { name, source } of size === 'full' ? KERNELS : KERNELS.slice(0, 1)) {
        const ours: number[] = [];
        const bare: number[] = [];
        for (let pair = 0; pair < (size === 'full' ? 7 : 1); pair++) {
          const plain = await cpuMsOf(plainV8.pid, () => plainV8.run(source));
          const sessionId = await client.open({ level });
          // The first cell of an isolate waits until that is open, which is not what is asked here.
          await client.run(sessionId, '0');
          const [hostPid = 0] = await daemon.hostPids(true);
          const cell = await cpuMsOf(hostPid, () => client.run(sessionId, source));
          await client.call('session.close', { sessionId });
          const evaluated = await cpuMsOf(bareIsolates.pid, () =>
            bareIsolates.ask({ ask: 'evaluate', source, heapMiB }),
          );
          ours.push(cell.cpuMs / plain.cpuMs);
          bare.push(evaluated.cpuMs / plain.cpuMs);
        }
        rows.push({
          question: `${name}, ${heapMiB} MiB heap, to plain V8`,
          unit: 'times',
          median: median(ours),
          p99: percentile(ours, 0.99),
          bare: median(bare),
          target: TARGET,
        });
      }
    }
    return rows;
  },
};
