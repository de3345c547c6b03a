/**
 * `npm run bench [-- NAME…] [--smoke] [--json]`: asks the questions one after another and prints what was measured: the daemon as it
 * is published, and at smoke size, where nothing is worth reading, its source.
 */
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureBuilt } from './bench-daemon.ts';
import { capabilityCall } from './capability-call.ts';
import { cpuBound } from './cpu-bound.ts';
import { dormantSessions } from './dormant-sessions.ts';
import { durablePromises } from './durable-promises.ts';
import { group } from './group.ts';
import { injection } from './injection.ts';
import type { Row } from './measure.ts';
import { newSession } from './new-session.ts';
import { policyDecision } from './policy-decision.ts';
import { pythonCpuBound } from './python-cpu-bound.ts';
import { pythonMemory } from './python-memory.ts';
import { pythonNewSession } from './python-new-session.ts';
import { pythonRoundTrip } from './python-round-trip.ts';
import { recovery } from './recovery.ts';
import { roundTrip } from './round-trip.ts';
import { sessionsMemory } from './sessions-memory.ts';
import { wake } from './wake.ts';

const QUESTIONS = [
  newSession,
  roundTrip,
  cpuBound,
  capabilityCall,
  policyDecision,
  injection,
  durablePromises,
  group,
  sessionsMemory,
  recovery,
  dormantSessions,
  pythonNewSession,
  pythonRoundTrip,
  pythonCpuBound,
  pythonMemory,
  wake,
];

function machineLine(): string {
  const { length } = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const load = loadavg()[0]?.toFixed(1);
  return `${cpus()[0]?.model.trim()}, ${length} cores, ${gib} GiB; Node ${process.versions.node}, V8 ${process.versions.v8}; load ${load} at the start`;
}

function figure(value: number | null): string {
  if (value === null) return '–';
  return value >= 1000 ? Math.round(value).toString() : value.toPrecision(3);
}

function print(row: Row): void {
  const { question, unit, median, p99, bare, target } = row;
  const cells = [
    question.padEnd(58),
    `${figure(median)} ${unit}`.padStart(13),
    figure(p99).padStart(8),
    figure(bare).padStart(9),
    (bare === null ? '–' : `${(median / bare).toFixed(2)}`).padStart(8),
    figure(target).padStart(9),
  ];
  process.stdout.write(`${cells.join(' ')}\n`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { smoke: { type: 'boolean' }, json: { type: 'boolean' } },
});
const unknown = positionals.filter((name) => !QUESTIONS.some((question) => question.name === name));
if (unknown.length > 0) {
  const names = QUESTIONS.map(({ name }) => name).join(', ');
  process.stderr.write(`There is no bench ${unknown.join(', ')}; there are ${names}.\n`);
  process.exit(2);
}
const asked = QUESTIONS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
if (!values.smoke) measureBuilt();
const machine = machineLine();
const report: { readonly name: string; readonly rows: readonly Row[] }[] = [];
if (!values.json) {
  const head = ['', 'median', 'p99', 'bare', 'ratio', 'to reach'];
  const widths = [58, 13, 8, 9, 8, 9];
  process.stdout.write(`${machine}\n${head.map((text, i) => text.padStart(widths[i] as number)).join(' ')}\n`);
}
for (const question of asked) {
  const rows = await question.run(values.smoke ? 'smoke' : 'full');
  report.push({ name: question.name, rows });
  if (!values.json) for (const row of rows) print(row);
}
if (values.json) process.stdout.write(`${JSON.stringify({ machine, questions: report })}\n`);
