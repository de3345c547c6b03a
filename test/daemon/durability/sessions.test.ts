import test from 'ava';
import { systemClock } from '../../../daemon/clock.ts';
import { local } from '../../../daemon/durability/resonate.ts';
import type { SessionOwnership } from '../../../daemon/durability/sessions.ts';
import { until } from '../../harness/processes.ts';
import { KINDS, remoteFor, SHORT_LEASE_MS, serverFor } from './runtimes.ts';
import { openStore, storeFile } from './store-file.ts';

/** Takes part in recovery and remembers what it was given. */
function recoverer(how: (ownership: SessionOwnership) => 'open' | 'closed' = () => 'open') {
  const given: SessionOwnership[] = [];
  const handler = async (ownership: SessionOwnership): Promise<'open' | 'closed'> => {
    given.push(ownership);
    return how(ownership);
  };
  return { given, handler };
}

for (const [where, start] of Object.entries(KINDS)) {
  test(`whoever opens a session owns it, until it is closed, ${where}`, async (t) => {
    const { sessions } = await start(t);
    const { given, handler } = recoverer();
    sessions.onRecover(handler);
    const ownership = await sessions.open('ses_1');
    t.like(ownership, { sessionId: 'ses_1', fence: 1 });
    t.true(ownership?.isHeld());
    t.is(await sessions.open('ses_1'), ownership);
    t.true(await sessions.close('ses_1'));
    t.false(ownership?.isHeld());
    t.false(await sessions.close('ses_1'));
    t.is(await sessions.open('ses_1'), null, 'and is never opened again');
    t.deepEqual(given, []);
  });
}

test('what was open when the daemon died is recovered by the next one, what was closed is not', async (t) => {
  const file = storeFile(t);
  const parts = { clock: systemClock, log: () => undefined };
  const store = openStore(t, file);
  const first = await local({ store, ...parts });
  const { fence } = (await first.sessions.open('open')) as SessionOwnership;
  await first.sessions.open('closed');
  await first.sessions.close('closed');
  await first.stop();
  store.close();
  const second = await local({ store: openStore(t, file), ...parts });
  t.teardown(() => second.stop());
  const { given, handler } = recoverer();
  second.sessions.onRecover(handler);
  await until(() => given.length > 0);
  t.is(given[0]?.sessionId, 'open');
  t.true((given[0]?.fence ?? 0) > fence);
  t.is(await second.sessions.open('open'), given[0] as SessionOwnership);
  t.true(await second.sessions.close('open'));
  t.is(given.length, 1);
});

test('a session whose journal says that it was closed is closed when it is recovered', async (t) => {
  const server = await serverFor(t);
  const first = await remoteFor(t, server.url);
  const second = await remoteFor(t, server.url, { pid: 'second' });
  await until(() => server.hears('test', 'second'));
  await first.sessions.open('ses');
  await first.stop();
  const { given, handler } = recoverer(() => 'closed');
  second.sessions.onRecover(handler);
  await until(() => given.length > 0 && given[0]?.isHeld() === false);
  t.is(await second.sessions.open('ses'), null);
});

test('a daemon that ends hands its sessions over at once', async (t) => {
  const server = await serverFor(t);
  const first = await remoteFor(t, server.url, { leaseMs: 3_600_000 });
  const second = await remoteFor(t, server.url, { pid: 'second' });
  await until(() => server.hears('test', 'second'));
  const { given, handler } = recoverer();
  second.sessions.onRecover(handler);
  const ownerships = await Promise.all(['a', 'b', 'c'].map((id) => first.sessions.open(id)));
  t.is(await second.sessions.open('a'), null, 'nobody takes what another holds');
  await first.stop();
  t.true(ownerships.every((ownership) => ownership?.isHeld() === false));
  await until(() => given.length === 3);
  t.deepEqual(given.map(({ sessionId }) => sessionId).sort(), ['a', 'b', 'c']);
});

test('an owner that is cut off is told before anybody else owns the session', async (t) => {
  const server = await serverFor(t);
  const first = await remoteFor(t, server.url, { leaseMs: SHORT_LEASE_MS });
  const ownership = (await first.sessions.open('ses')) as SessionOwnership;
  // What arrives of it is dropped from here on, while the server goes on by itself.
  server.isCutOff = true;
  const [task] = [...server.machine.tasks.values()];
  const heldElsewhere = () => server.machine.tasks.get(task?.id ?? '')?.state !== 'acquired';
  let wasFree = false;
  await new Promise<void>((resolve) =>
    ownership.signal.addEventListener('abort', () => {
      wasFree = heldElsewhere();
      resolve();
    }),
  );
  t.false(wasFree);
  t.false(ownership.isHeld());
  await until(heldElsewhere);
  server.isCutOff = false;
  const second = await remoteFor(t, server.url);
  const taken = await second.sessions.open('ses');
  t.true((taken?.fence ?? 0) > ownership.fence);
  t.false(ownership.isHeld());
});

test('a session is held for longer than its lease', async (t) => {
  const { url } = await serverFor(t);
  const first = await remoteFor(t, url, { leaseMs: SHORT_LEASE_MS });
  const { given, handler } = recoverer();
  (await remoteFor(t, url)).sessions.onRecover(handler);
  const ownership = await first.sessions.open('ses');
  await new Promise((resolve) => setTimeout(resolve, 2.5 * SHORT_LEASE_MS));
  t.true(ownership?.isHeld());
  t.deepEqual(given, []);
});

test('a session that cannot be recovered is tried again, then put aside until it is opened anew', async (t) => {
  const server = await serverFor(t);
  const first = await remoteFor(t, server.url);
  const said: string[] = [];
  const second = await remoteFor(t, server.url, { pid: 'second', log: (line) => said.push(line) });
  await until(() => server.hears('test', 'second'));
  await first.sessions.open('ses');
  await first.stop();
  const { given, handler } = recoverer(() => {
    throw new Error('the replay diverged');
  });
  second.sessions.onRecover(handler);
  await until(() => said.some((line) => /put aside: the replay diverged/.test(line)));
  t.is(given.length, 3);
  await until(() => [...server.machine.tasks.values()].some(({ state }) => state === 'halted'));
  t.false(given[0]?.isHeld());
  const ownership = await second.sessions.open('ses');
  t.true(ownership?.isHeld());
  t.is(given.length, 3);
});

test('a task that is none of ours is put aside, and ends nothing', async (t) => {
  const server = await serverFor(t);
  const said: string[] = [];
  const { sessions } = await remoteFor(t, server.url, { pid: 'p', log: (line) => said.push(line) });
  await until(() => server.hears('test', 'p'));
  const tags = { 'resonate:target': 'poll://any@test/p' };
  const head = { corrId: '1', version: '2026-04-01' };
  const params = [{ func: 'session', args: [1], version: -1 }, { func: 'other', args: [], version: 1 }, null, 7];
  for (const [index, param] of params.entries()) {
    const data = Buffer.from(JSON.stringify(param)).toString('base64');
    const create = { id: `t${index}`, timeoutAt: 8e15, param: { headers: {}, data }, tags };
    await fetch(server.url, { method: 'POST', body: JSON.stringify({ kind: 'promise.create', head, data: create }) });
  }
  await until(() => [...params.keys()].every((index) => server.machine.tasks.get(`t${index}`)?.state === 'halted'));
  t.is(said.filter((line) => line.includes('put aside')).length, params.length);
  t.true((await sessions.open('ses'))?.isHeld());
});

test('after a crash sessions start a few at a time, and all of them do', async (t) => {
  const file = storeFile(t);
  const parts = { clock: systemClock, log: () => undefined };
  const store = openStore(t, file);
  const first = await local({ store, ...parts });
  const ids = Array.from({ length: 200 }, (_, number) => `s${number}`);
  await Promise.all(ids.map((id) => first.sessions.open(id)));
  await first.stop();
  store.close();
  const second = await local({ store: openStore(t, file), ...parts });
  t.teardown(() => second.stop());
  let starting = 0;
  let most = 0;
  const started: string[] = [];
  second.sessions.onRecover(async ({ sessionId }) => {
    most = Math.max(most, ++starting);
    await new Promise((resolve) => setTimeout(resolve, 5));
    starting--;
    started.push(sessionId);
    return 'open';
  });
  await until(() => started.length === ids.length);
  t.deepEqual(started.sort(), ids.sort());
  t.is(most, 64);
});
