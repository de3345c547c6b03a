/** What daemons of one group owe each other, as a test that runs against any server. */
import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { until } from '../../harness/processes.ts';
import { type Said, WorkerProcess } from './worker-process.ts';

const LEASE_MS = 3000;

/** Two processes share sessions; the owner is killed, its successor stopped for longer than its lease, and a third goes on. */
export async function aGroupOutlivesItsMembers(t: ExecutionContext, url: string): Promise<void> {
  const group = `g${randomBytes(4).toString('hex')}`;
  const start = (pid: string) => WorkerProcess.start(t, url, group, pid, LEASE_MS);
  const [one, two] = await Promise.all([start('one'), start('two')]);
  t.is(await one.ask('open', 'ses'), 1);
  t.is(await two.ask('open', 'ses'), null, 'one owner at a time');
  t.is(await one.ask('open', 'closed'), 1);
  t.true(await one.ask('close', 'closed'));
  t.like(await one.ask('create', 'approval', { ask: 'may I?' }), { state: 'pending' });
  await two.ask('watch', 'approval');
  await one.ask('watch', 'approval');

  one.signal('SIGKILL');
  const killedMs = Date.now();
  const taken = await two.heard({ event: 'recovered', sessionId: 'ses' });
  t.is(taken['fence'], 2);
  t.log(
    `killed with a lease of ${LEASE_MS} ms; the other had its session after ${Number(taken['atMs']) - killedMs} ms`,
  );

  const three = await start('three');
  t.like(await three.ask('create', 'approval'), { state: 'pending', request: { ask: 'may I?' } });
  t.true(await three.ask('settle', 'approval', 'yes'));
  t.deepEqual((await two.heard({ event: 'outcome', key: 'approval' }))['outcome'], { state: 'settled', value: 'yes' });
  t.false(await two.ask('settle', 'approval', 'no'));

  two.signal('SIGSTOP');
  // Whoever asks for it gets it as soon as the lease has run out. Waiting for its turn could take longer: a server does not know that
  // the one who still has a connection stands still.
  let fence: unknown = null;
  await until(async () => {
    fence = await three.ask('open', 'ses');
    return fence !== null;
  });
  t.is(fence, 3);
  two.signal('SIGCONT');
  t.is((await two.heard({ event: 'lost', sessionId: 'ses' }))['fence'], 2);
  t.false(await two.ask('close', 'ses'), 'who lost it cannot close it');
  t.true(await three.ask('close', 'ses'));
  t.is(await two.ask('open', 'closed'), null);
  const recovered = [...two.said, ...three.said].filter(({ event }: Said) => event === 'recovered');
  t.true(
    recovered.every(({ sessionId }) => sessionId === 'ses'),
    'nothing that was closed',
  );
  t.is(new Set(recovered.map(({ fence: each }) => each)).size, recovered.length, 'each time by one');
}
