/**
 * How much slower is CPU-bound JavaScript as a cell than the same text in plain V8, a Node process with its own defaults?
 *
 * Ours is `cpuMs` of the result, plain V8 the CPU time of the main thread around the script: CPU time of one thread on both
 * sides, so neighbours on the machine count less. Every sample is a fresh session and a fresh context, taken in turn. The median
 * and p99 are of the ratios of the pairs; `bare` is the ratio of bare isolated-vm to plain V8, with the same heap limit. Does not
 * measure: the helper threads of the compiler and the collector, code that has run for minutes, the way to the cell and back (see
 * round-trip).
 */
import { BareIsolates, PlainV8 } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
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
    await using daemon = await startDaemon();
    await using bareIsolates = new BareIsolates();
    await using plainV8 = new PlainV8();
    const { client } = daemon;
    const rows: Row[] = [];
    for (const { level, heapMiB } of size === 'full' ? LEVELS : LEVELS.slice(0, 1)) {
      for (const { name, source } of size === 'full' ? KERNELS : KERNELS.slice(0, 1)) {
        const ours: number[] = [];
        const bare: number[] = [];
        for (let pair = 0; pair < (size === 'full' ? 7 : 1); pair++) {
          const plain = await plainV8.run(source);
          const sessionId = await client.open({ level });
          const { cpuMs } = await client.run(sessionId, source);
          await client.call('session.close', { sessionId });
          const [bareMs = Number.NaN] = await bareIsolates.ask({ ask: 'cpu', source, heapMiB });
          ours.push(cpuMs / plain.cpuMs);
          bare.push(bareMs / plain.cpuMs);
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
