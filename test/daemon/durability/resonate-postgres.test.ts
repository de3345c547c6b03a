/**
 * The same on Resonate on PostgreSQL. Besides a server it needs the schema, `resonate.sql` of resonatehq/resonate-pg, whose path
 * PYREPL3_TEST_RESONATE_SQL names; it is not ours to ship.
 */
import test from 'ava';
import { systemClock } from '../../../daemon/clock.ts';
import type { Outcome } from '../../../daemon/durability/durable-promises.ts';
import { type DurableRuntime, remote } from '../../../daemon/durability/resonate.ts';
import { postgresTest, resonateDatabase, resonateTest } from '../../harness/postgres.ts';
import { aGroupOutlivesItsMembers } from './group.ts';

const database = resonateDatabase(test);

/** As a superuser, or as a role that was made for workers. */
function urlOf(user?: string): string {
  const { host, port, user: superuser, database: name } = database().superuser;
  return `postgres://${user ?? superuser}@${encodeURIComponent(host)}:${port}/${name}`;
}

const start = (url: string, pid: string): Promise<DurableRuntime> =>
  remote({ url, group: 'g', pid, leaseMs: 5000, clock: systemClock, log: () => undefined });

resonateTest('a group on PostgreSQL outlives its members', (t) => aGroupOutlivesItsMembers(t, urlOf()));

resonateTest(
  'a connection to PostgreSQL that breaks ends nothing, and what is watched is still heard of',
  async (t) => {
    const { user } = await database().roleIn('pg_monitor');
    await database().query(`ALTER ROLE ${user} SUPERUSER`);
    const [one, other] = [await start(urlOf(user), 'one'), await start(urlOf(user), 'other')];
    t.teardown(() => Promise.all([one.stop(), other.stop()]));
    await one.promises.create('k', null, null);
    const heard = new Promise<Outcome>((resolve) => one.promises.watch('k', resolve));
    await database().query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`);
    t.true(await other.promises.settle('k', 'yes'));
    t.deepEqual(await heard, { state: 'settled', value: 'yes' });
  },
);

resonateTest('a role that could hear no message is refused at the start, with the grants that it lacks', async (t) => {
  const role = await database().roleIn('resonate_worker');
  await t.throwsAsync(start(urlOf(role.user), 'worker'), {
    message: /permission denied.*GRANT EXECUTE ON FUNCTION resonate\.process_timeouts/,
  });
  await database().query('ALTER FUNCTION resonate.process_timeouts() SECURITY DEFINER');
  await database().query('GRANT EXECUTE ON FUNCTION resonate.process_timeouts() TO resonate_worker');
  const runtime = await start(urlOf(role.user), 'worker');
  t.teardown(() => runtime.stop());
  await runtime.promises.create('worker', null, Date.now() + 50);
  t.deepEqual(await new Promise<Outcome>((resolve) => runtime.promises.watch('worker', resolve)), {
    state: 'timed-out',
  });
});

postgresTest('a database without Resonate is refused at the start, with what to apply to it', async (t) => {
  const { host, port, user } = database().superuser;
  const url = `postgres://${user}@${encodeURIComponent(host)}:${port}/template1`;
  await t.throwsAsync(start(url, 'p'), { message: /does not fit @resonatehq\/sdk 0\.11\.5.*apply resonate\.sql/ });
});
