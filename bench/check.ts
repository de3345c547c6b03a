/**
 * `npm run bench:check`: is CPU-bound JavaScript as a cell within its budget of plain V8? Exit status 1 where it is not.
 *
 * Like with like: the same text, CPU time of the one thread that runs it, heaps of about the same size, both sides warm. Noise only
 * ever adds CPU time (cold caches, a starved compiler thread), so each side counts with the least it needed over all rounds. Plain
 * V8 is sampled twice a round, as if it were two competitors; how far these two differ is what this machine cannot tell apart at
 * present, and it is taken off. All programs together must be within our bound, and each within the specification's, so that none
 * hides behind another. The rounds end as soon as that holds, and the verdict is negative only where it held after none. Programs whose time is the collector's are shown and not judged: isolated-vm gives an isolate a smaller
 * young generation than a Node process has, and no setting of ours changes that. Does not measure: small heap limits and short
 * programs (see cpu-bound), helper threads.
 */
import { PlainV8 } from './baseline.ts';
import { startDaemon } from './bench-daemon.ts';
import { KERNELS } from './kernels.ts';

/** The specification allows 5 %; ours is 2 %. */
const SPECIFIED = 1.05;
const OURS = 1.02;
const ROUNDS_MIN = 3;
const BUDGET_MS = 40_000;
/** The highest level has the largest heap limit, and with it a young generation of about this size. */
const LEVEL = 'unrestricted';
const PLAIN_ARGUMENTS = ['--max-semi-space-size=4'];

interface Lane {
  readonly name: string;
  readonly source: string;
  readonly value: number;
  readonly collects?: true;
  ours: number;
  plain: number;
  plainAgain: number;
}

const geometricMean = (ratios: readonly number[]): number =>
  Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);

const overhead = (lanes: readonly Lane[]): number =>
  geometricMean(lanes.map(({ ours, plain, plainAgain }) => ours / Math.min(plain, plainAgain)));

/** How far apart two measurements of the same thing are. */
const noise = (lanes: readonly Lane[]): number =>
  geometricMean(lanes.map(({ plain, plainAgain }) => Math.max(plain, plainAgain) / Math.min(plain, plainAgain))) - 1;

const within = (lanes: readonly Lane[], bound: number): boolean => overhead(lanes) - noise(lanes) <= bound;

function assertValue(lane: Lane, who: string, value: unknown): void {
  if (value !== lane.value)
    throw new Error(`${who} computed ${String(value)} for ${lane.name} instead of ${lane.value}`);
}

await using daemon = await startDaemon();
await using plainV8 = new PlainV8(PLAIN_ARGUMENTS);
const { client } = daemon;
const sessionId = await client.open({ level: LEVEL });
const lanes: Lane[] = KERNELS.map((kernel) => ({
  ...kernel,
  ours: Number.POSITIVE_INFINITY,
  plain: Number.POSITIVE_INFINITY,
  plainAgain: Number.POSITIVE_INFINITY,
}));

const judged = lanes.filter(({ collects }) => !collects);

async function round(): Promise<void> {
  for (const lane of lanes) {
    const first = await plainV8.run(lane.source);
    const cell = await client.run(sessionId, lane.source);
    const second = await plainV8.run(lane.source);
    assertValue(lane, 'plain V8', first.value);
    assertValue(lane, 'the cell', cell.value?.kind === 'json' ? cell.value.json : cell.status);
    lane.plain = Math.min(lane.plain, first.cpuMs);
    lane.ours = Math.min(lane.ours, cell.cpuMs);
    lane.plainAgain = Math.min(lane.plainAgain, second.cpuMs);
  }
}

const startedMs = performance.now();
let rounds = 0;
let met = false;
while (!met && (rounds < ROUNDS_MIN || performance.now() - startedMs < BUDGET_MS)) {
  await round();
  rounds++;
  met = rounds >= ROUNDS_MIN && within(judged, OURS) && judged.every((lane) => within([lane], SPECIFIED));
}

const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`;
for (const lane of lanes) {
  const { name, collects, ours, plain, plainAgain } = lane;
  const least = Math.min(plain, plainAgain);
  const figures = `${ours.toFixed(2)} ms as a cell, ${least.toFixed(2)} ms in plain V8`;
  process.stdout.write(`${name.padEnd(26)} ${figures}: ${percent(ours / least)}${collects ? ', not judged' : ''}\n`);
}
const measured = overhead(judged);
process.stdout.write(
  `CPU-bound overhead ${percent(measured)}, known to within ${percent(1 + noise(judged))}, after ${rounds} rounds; ` +
    `the budget is ${percent(OURS)}, the specification's ${percent(SPECIFIED)}\n`,
);
if (!met) process.stdout.write('The overhead has left its budget.\n');
process.exitCode = met ? 0 : 1;
