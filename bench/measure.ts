/** What every bench is made of: samples, their percentiles, and the rows that come of them. */

/** `smoke` proves that the bench runs and measures nothing worth reading. */
export type Size = 'full' | 'smoke';

/** One line of the report. Figures of one row share the unit; `ratio` is ours over `bare`, measured in the same run. */
export interface Row {
  readonly question: string;
  readonly unit: 'ms' | '/s' | 'times' | 'MiB' | 'cells';
  readonly median: number;
  /** The 99th percentile; null where there is one figure and no distribution. */
  readonly p99: number | null;
  /** The same work in bare isolated-vm, of Python in Pyodide as it comes; null where it has no counterpart there. */
  readonly bare: number | null;
  /** The figure to reach, in the unit of the row; null where none is set. */
  readonly target: number | null;
}

export interface Question {
  readonly name: string;
  run(size: Size): Promise<readonly Row[]>;
}

/** @param fraction 0.5 for the median, 0.99 for p99; nearest rank, so every answer is a sample that was taken */
export function percentile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const sample = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  if (sample === undefined) throw new RangeError('a percentile of no samples');
  return sample;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Milliseconds of each of `count` runs, one after another. */
export async function time(count: number, run: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const startedMs = performance.now();
    await run();
    samples.push(performance.now() - startedMs);
  }
  return samples;
}

/** Runs a second, with `inFlight` of them under way at any moment. */
export async function rate(count: number, inFlight: number, run: (lane: number) => Promise<unknown>): Promise<number> {
  let started = 0;
  const startedMs = performance.now();
  const lane = async (_: unknown, index: number): Promise<void> => {
    while (started < count) {
      started++;
      await run(index);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (count / (performance.now() - startedMs)) * 1000;
}

export function timingRow(
  question: string,
  samples: readonly number[],
  bare: readonly number[] | null,
  target: number | null,
): Row {
  const p99 = percentile(samples, 0.99);
  return { question, unit: 'ms', median: median(samples), p99, bare: bare && median(bare), target };
}
