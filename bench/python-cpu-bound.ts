/**
 * How much slower is CPU-bound Python as a cell than the same text in Pyodide, the same package run plainly in Node?
 *
 * Both sides are the CPU time of the whole process around the run, read with one clock: see cpu-time.ts. The samples are pairs, taken
 * in turn, in fresh processes several times over, because how V8 lays out its code differs from one process to the next; the figures
 * are of the ratios of the pairs, and `bare` is how far two samples of Pyodide itself differ. Does not measure: the first second of an
 * interpreter, in which V8 compiles it, and the way to the cell and back (see python-round-trip).
 */
import { PlainPyodide } from './baseline.ts';
import { type BenchClient, startDaemon } from './bench-daemon.ts';
import { cpuMsOf, untilQuiet } from './cpu-time.ts';
import { median, percentile, type Question, type Row } from './measure.ts';
import { withSnapshot } from './snapshot-cache.ts';

const TARGET = 1.02;
const WARM_UPS = 3;
const LEVEL = 'unrestricted';

const PROGRAMS = [
  {
    name: 'calls (fib 25)',
    // As often as makes some 200 ms.
    source: `def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
for _ in range(20): total = fib(25)
total`,
    value: 75_025,
  },
  {
    name: 'loop and arithmetic',
    source: `def loop(n):
    total = 0
    for i in range(n):
        total = (total + i * 3) % 1000003
    return total
loop(3_000_000)`,
    value: 135,
  },
  {
    name: 'objects (dict, list, text)',
    source: `def words(n):
    seen = {}
    for i in range(n):
        word = f"word {i % 1000}"
        seen.setdefault(word, []).append(i)
    return sum(len(places) for places in seen.values())
words(300_000)`,
    value: 300_000,
  },
] as const;

type Program = (typeof PROGRAMS)[number];

export const pythonCpuBound: Question = {
  name: 'python-cpu-bound',
  async run(size) {
    const cached = await withSnapshot();
    const programs = size === 'full' ? PROGRAMS : PROGRAMS.slice(0, 1);
    const [processes, pairs] = size === 'full' ? [5, 6] : [1, 1];
    const ours = programs.map((): number[] => []);
    const same = programs.map((): number[] => []);
    for (let started = 0; started < processes; started++) {
      await using daemon = await startDaemon(cached);
      await using plain = new PlainPyodide();
      const { client } = daemon;
      const sessionId = await client.open({ level: LEVEL, language: 'python' });
      await client.run(sessionId, '0');
      const [hostPid = 0] = await daemon.hostPids(true);
      for (const [index, program] of programs.entries()) {
        const ask = { cell: () => runCell(client, sessionId, program), plain: () => runPlain(plain, program) };
        // V8 compiles what is new in it, and again what turns out to be used much.
        for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) {
          await ask.cell();
          await ask.plain();
        }
        await untilQuiet(hostPid);
        for (let pair = 0; pair < pairs; pair++) {
          const before = await cpuMsOf(plain.pid, ask.plain);
          const cell = await cpuMsOf(hostPid, ask.cell);
          const after = await cpuMsOf(plain.pid, ask.plain);
          ours[index]?.push((2 * cell.cpuMs) / (before.cpuMs + after.cpuMs));
          same[index]?.push(after.cpuMs / before.cpuMs);
        }
      }
    }
    return programs.map(({ name }, index): Row => {
      const ratios = ours[index] ?? [];
      return {
        question: `${name}, to Pyodide in Node`,
        unit: 'times',
        median: median(ratios),
        p99: percentile(ratios, 0.99),
        bare: median(same[index] ?? []),
        target: TARGET,
      };
    });
  },
};

async function runCell(client: BenchClient, sessionId: string, program: Program): Promise<void> {
  const { value } = await client.run(sessionId, program.source);
  assertValue(program, value?.kind === 'json' ? value.json : value);
}

async function runPlain(plain: PlainPyodide, program: Program): Promise<void> {
  assertValue(program, await plain.run(program.source));
}

function assertValue({ name, value }: Program, computed: unknown): void {
  if (computed !== value) throw new Error(`${name} came to ${String(computed)} instead of ${value}`);
}
