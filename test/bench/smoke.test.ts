import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const RUN = fileURLToPath(import.meta.resolve('../../bench/run.ts'));
const QUESTIONS = [
  'new-session',
  'round-trip',
  'cpu-bound',
  'capability-call',
  'policy-decision',
  'injection',
  'durable-promises',
  'group',
  'sessions-memory',
  'recovery',
  'dormant-sessions',
  'python-new-session',
  'python-round-trip',
  'python-cpu-bound',
  'python-memory',
  'wake',
];

test('every bench runs at smoke size and answers with finite figures', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, '--smoke', '--json']);
  const { machine, questions } = JSON.parse(stdout);
  t.regex(machine, /cores/);
  t.deepEqual(
    questions.map(({ name }: { name: string }) => name),
    QUESTIONS,
  );
  for (const { name, rows } of questions) {
    t.true(rows.length > 0, name);
    for (const row of rows) {
      t.deepEqual(Object.keys(row), ['question', 'unit', 'median', 'p99', 'bare', 'target']);
      t.true(Number.isFinite(row.median), row.question);
      // A figure that could not be taken would be NaN, which JSON turns into null; only these two may be null on purpose.
      t.true(row.p99 === null || Number.isFinite(row.p99), row.question);
      t.true(row.bare === null || Number.isFinite(row.bare), row.question);
    }
  }
});

test('a bench that does not exist is refused with the names of those that do', async (t) => {
  const refused = await t.throwsAsync(promisify(execFile)(process.execPath, [RUN, 'nothing']));
  t.is((refused as Error & { code?: unknown }).code, 2);
  t.true((refused as Error & { stderr?: string }).stderr?.includes(QUESTIONS.join(', ')));
});
