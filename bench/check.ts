/**
 * `npm run bench:check`: is CPU-bound JavaScript as a cell within its budget of plain V8? Exit status 1 where it is not.
 *
 * Like with like: the same text, CPU time of the whole process by one clock (see cpu-time.ts), heaps of about the same size.
 * Noise only ever adds CPU time (cold caches, a starved compiler thread), so each side counts with the least it needed over
 * all rounds. Plain V8 is sampled twice a round, as if it were two competitors; how far these two differ is what this
 * machine cannot tell apart at present, and it is taken off. What remains must be within the specification's 5 % of plain V8,
 * and within our 2 % of bare isolated-vm, which is the part that is ours to spend: isolated-vm alone costs about 3 %. The rounds
 * end as soon as both bounds hold, and the verdict is negative only where they held after none. The programs count with their
 * middle one. Programs whose time is the collector's are shown and not judged: isolated-vm chooses the
 * size of the young generation by the heap limit, and their figures move by tens of percent from one process to the next.
 * Does not measure: small heap limits and short programs (see cpu-bound).
 */
import { BareIsolates, PlainV8 } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { cpuMsOf } from './cpu-time.ts';
import { KERNELS } from './kernels.ts';

/** Of plain V8, as the specification says; and what we may add to isolated-vm. */
const SPECIFIED = 1.05;
const OURS = 1.02;
/** How fast a process runs a program depends on where its memory happens to lie, so several of each kind are tried. */
const ROUNDS_PER_PROCESS = 2;
const PROCESSES_MIN = 2;
const BUDGET_MS = 80_000;
/** The highest level has the largest heap limit, and with it a young generation of about this size. */
const LEVEL = 'unrestricted';
const HEAP_MIB = 512;
const PLAIN_ARGUMENTS = ['--max-semi-space-size=4'];

interface Lane {
  readonly name: string;
  readonly source: string;
  readonly value: number;
  readonly collects?: true;
  ours: number;
  plain: number;
  plainAgain: number;
  bare: number;
}

/** The middle of the programs: how V8 lays out the code of one of them can cost it a quarter in one process and nothing in the next. */
function median(ratios: readonly number[]): number {
  const sorted = [...ratios].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 1) + (sorted[Math.floor(middle)] ?? 1)) / 2;
}

const overhead = (lanes: readonly Lane[]): number =>
  median(lanes.map(({ ours, plain, plainAgain }) => ours / Math.min(plain, plainAgain)));

/** How far apart two measurements of the same thing are. */
const noise = (lanes: readonly Lane[]): number =>
  median(lanes.map(({ plain, plainAgain }) => Math.max(plain, plainAgain) / Math.min(plain, plainAgain))) - 1;

const added = (lanes: readonly Lane[]): number => median(lanes.map(({ ours, bare }) => ours / bare));

const within = (ratio: number, bound: number): boolean => ratio - noise(judged) <= bound;

function assertValue(lane: Lane, who: string, value: unknown): void {
  if (value !== lane.value)
    throw new Error(`${who} computed ${String(value)} for ${lane.name} instead of ${lane.value}`);
}

const lanes: Lane[] = KERNELS.map((kernel) => ({
  ...kernel,
  ours: Number.POSITIVE_INFINITY,
  plain: Number.POSITIVE_INFINITY,
  plainAgain: Number.POSITIVE_INFINITY,
  bare: Number.POSITIVE_INFINITY,
}));

const judged = lanes.filter(({ collects }) => !collects);

async function sampleFreshProcesses(): Promise<void> {
  await using daemon = await startDaemon();
  await using plainV8 = new PlainV8(PLAIN_ARGUMENTS);
  await using bareIsolates = new BareIsolates();
  const { client } = daemon;
  const sessionId = await client.open({ level: LEVEL });
  await client.run(sessionId, '0');
  const [hostPid = 0] = await daemon.hostPids(true);
  for (let round = 0; round < ROUNDS_PER_PROCESS; round++) {
    for (const lane of lanes) {
      const { source } = lane;
      const first = await cpuMsOf(plainV8.pid, () => plainV8.run(source));
      const cell = await cpuMsOf(hostPid, () => client.run(sessionId, source));
      const second = await cpuMsOf(plainV8.pid, () => plainV8.run(source));
      const evaluated = await cpuMsOf(bareIsolates.pid, () =>
        bareIsolates.ask({ ask: 'evaluate', source, heapMiB: HEAP_MIB }),
      );
      const { value } = cell.value;
      assertValue(lane, 'plain V8', first.value);
      assertValue(lane, 'the cell', value?.kind === 'json' ? value.json : value);
      lane.plain = Math.min(lane.plain, first.cpuMs);
      lane.ours = Math.min(lane.ours, cell.cpuMs);
      lane.plainAgain = Math.min(lane.plainAgain, second.cpuMs);
      lane.bare = Math.min(lane.bare, evaluated.cpuMs);
    }
  }
}

const startedMs = performance.now();
let processes = 0;
let met = false;
let longestMs = 0;
while (!met && (processes < PROCESSES_MIN || performance.now() - startedMs + longestMs < BUDGET_MS)) {
  const beganMs = performance.now();
  await sampleFreshProcesses();
  longestMs = Math.max(longestMs, performance.now() - beganMs);
  processes++;
  met = processes >= PROCESSES_MIN && within(overhead(judged), SPECIFIED) && within(added(judged), OURS);
}

const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`;
for (const lane of lanes) {
  const { name, collects, ours, plain, plainAgain, bare } = lane;
  const least = Math.min(plain, plainAgain);
  const figures = `${ours.toFixed(2)} ms as a cell, ${bare.toFixed(2)} in bare isolated-vm, ${least.toFixed(2)} in plain V8`;
  process.stdout.write(`${name.padEnd(26)} ${figures}: ${percent(ours / least)}${collects ? ', not judged' : ''}\n`);
}
const measured = overhead(judged);
process.stdout.write(
  `CPU-bound overhead ${percent(measured)}, known to within ${percent(1 + noise(judged))}, after ${processes} processes of each kind; ` +
    `the specification allows ${percent(SPECIFIED)}\n`,
);
const ofEngine = median(judged.map(({ bare, plain, plainAgain }) => bare / Math.min(plain, plainAgain)));
process.stdout.write(
  `of that, bare isolated-vm to plain V8 ${percent(ofEngine)}, a cell to bare isolated-vm ${percent(added(judged))}; we may add ${percent(OURS)}\n`,
);
if (!met) process.stdout.write('The overhead has left its budget.\n');
process.exitCode = met ? 0 : 1;
