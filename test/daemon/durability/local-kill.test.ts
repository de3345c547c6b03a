import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../daemon/clock.ts';
import { local } from '../../../daemon/durability/resonate.ts';
import { until } from '../../harness/processes.ts';
import { openStore, storeFile } from './store-file.ts';

const PROGRAM = fileURLToPath(import.meta.resolve('./local-worker.ts'));

type Said = Record<'created' | 'opened' | 'settled' | 'closed', Set<string>>;

async function runAndKill(t: ExecutionContext, file: string, name: string, after: number, said: Said): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, file, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let lines = 0;
  const output = createInterface({ input: child.stdout }).on('line', (line) => {
    const [act, key] = line.split(' ') as [keyof Said, string];
    said[act].add(key);
    if (++lines === after) child.kill('SIGKILL');
  });
  await Promise.all([once(child, 'close'), once(output, 'close')]);
}

test('of a daemon that is killed again and again everything that was answered is there, and nothing that ended comes back', async (t) => {
  const file = storeFile(t);
  const said: Said = { created: new Set(), opened: new Set(), settled: new Set(), closed: new Set() };
  for (const [round, after] of [7, 100, 333, 500].entries()) await runAndKill(t, file, `r${round}`, after, said);
  const runtime = await local({ store: openStore(t, file), clock: systemClock, log: () => undefined });
  t.teardown(() => runtime.stop());
  const recovered = new Set<string>();
  runtime.sessions.onRecover(async ({ sessionId }) => {
    t.false(recovered.has(sessionId));
    recovered.add(sessionId);
    return 'open';
  });
  for (const key of said.created) {
    const { state, request } = await runtime.promises.create(key, null, null);
    t.is(request, key);
    if (said.settled.has(key)) t.is(state, 'settled');
  }
  const open = [...said.opened].filter((key) => !said.closed.has(key));
  // One whose end was asked for and not answered may have ended.
  const certain = open.filter((key) => !said.settled.has(key));
  await until(() => certain.every((key) => recovered.has(key)));
  for (const key of said.closed) {
    t.false(recovered.has(key));
    t.is(await runtime.sessions.open(key), null);
  }
  t.true(certain.length > 100 && said.closed.size > 50, 'and that was not little');
});
