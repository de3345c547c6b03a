import anyTest, { type TestFn } from 'ava';
import type { ExecutionResult } from '../../client/protocol.ts';
import { DaemonProcess, type RawClient } from '../harness/daemon-process.ts';
import { isAlive, until } from '../harness/processes.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const NEIGHBOURS = 19;
const small = { limits: { cellCpuMsMax: 2000, cellWallMsMax: 4000 } };

/** A session beside the attacked one. Every second one holds a variable, which it must keep or be told that it lost. */
class Neighbour {
  readonly guest: Guest;
  holds = false;
  constructor(guest: Guest) {
    this.guest = guest;
  }

  async hold(): Promise<void> {
    const { error } = await this.guest.run('var held = 1');
    if (error?.code === 'SESSION_LOST') await this.hold();
    this.holds = error === undefined;
  }

  /** The value of a cell, which may only be preceded by being told, once, that the session was lost with its host. */
  async answer(source: string): Promise<unknown> {
    const first = await this.guest.run(source);
    if (first.error?.code !== 'SESSION_LOST') return answerOf(first);
    this.holds = false;
    return answerOf(await this.guest.run(source));
  }
}

function answerOf({ value, error }: ExecutionResult): unknown {
  return value?.kind === 'json' ? value.json : (error ?? value);
}

const neighbours: Neighbour[] = [];

test.serial.before('nineteen sessions are open beside the one under attack', async () => {
  const guests = await Promise.all(Array.from({ length: NEIGHBOURS }, () => Guest.open(shared().client)));
  neighbours.push(...guests.map((guest) => new Neighbour(guest)));
});

interface Attack {
  readonly source: string;
  /** How it may end. */
  readonly ends: readonly (ExecutionResult['status'] | string)[];
  /** It runs until it is stopped, so the neighbours must have answered before it ends. */
  readonly endless?: true;
  readonly limits?: object;
}

const STOPPED = ['CPU_EXCEEDED', 'TIMED_OUT'];
const attacks: readonly Attack[] = [
  { source: 'for(;;);', ends: STOPPED, endless: true },
  { source: 'for(;;); // at the default limits', ends: STOPPED, endless: true, limits: {} },
  { source: 'await null; for(;;);', ends: STOPPED, endless: true },
  { source: 'Array.prototype.indexOf.call({length: 2**53-1}, 1)', ends: STOPPED, endless: true },
  {
    source: 'const a=[]; for(;;) a.push(new Array(1e5).fill(1))',
    ends: [...STOPPED, 'MEMORY_EXCEEDED', 'HOST_CRASHED'],
  },
  { source: '"ab".repeat(1.2e8).split("")', ends: [...STOPPED, 'MEMORY_EXCEEDED', 'HOST_CRASHED'] },
  { source: 'throw {get message(){for(;;);}}', ends: [...STOPPED, 'RUNTIME_ERROR'] },
  { source: '(function f(){Promise.resolve().then(f)})()', ends: [...STOPPED, 'ok'], endless: true },
  { source: 'await (async () => { for(;;) await 0 })()', ends: STOPPED, endless: true },
  { source: 'Promise.reject({get message(){for(;;);}})', ends: [...STOPPED, 'RUNTIME_ERROR', 'HOST_CRASHED'] },
  { source: 'void Promise.reject({get message(){for(;;);}}); 1', ends: [...STOPPED, 'ok', 'HOST_CRASHED'] },
  { source: 'await new Promise(() => {})', ends: ['TIMED_OUT'], endless: true },
  {
    source: 'const line = "x".repeat(1e6) + "\\n"; for (let i = 0; i < 1000; i++) console.log(line)',
    ends: [...STOPPED, 'ok'],
  },
];

for (const { source, ends, endless, limits } of attacks) {
  test.serial(`leaves nineteen other sessions answering, and its own usable: ${source}`, async (t) => {
    const { client } = shared();
    await Promise.all(neighbours.filter((_, index) => index % 2 === 0).map((neighbour) => neighbour.hold()));
    const attacker = new Neighbour(await Guest.open(client, limits === undefined ? small : { limits }));
    let over = false;
    const attack = attacker.guest.run(source).then((result) => {
      over = true;
      return result;
    });
    t.deepEqual(await Promise.all(neighbours.map((n) => n.answer('1+1'))), Array(NEIGHBOURS).fill(2));
    if (endless) t.false(over, 'the others answered while it was running');

    const { status, error } = await attack;
    t.true(ends.includes(error?.code ?? status), `it ended as ${JSON.stringify(error ?? status)}`);
    t.is(await attacker.answer('1+1'), 2);
    for (const neighbour of neighbours) {
      const held = await neighbour.answer('typeof held');
      t.is(held, neighbour.holds ? 'number' : 'undefined', 'what was lost was said to be lost');
    }
    await attacker.guest.close();
  });
}

async function hostsOf(admin: RawClient) {
  return (await admin.call('daemon.stats', {})).hosts;
}

test.serial(
  'a session whose host is killed from outside goes on as if nothing had happened, and so does its running cell',
  async (t) => {
    const daemon = await DaemonProcess.start(t);
    const client = await daemon.connect();
    const admin = await daemon.connect('admin');
    const open = () => Guest.open(client, { level: 'restricted' });
    const [holder, fresh, running] = await Promise.all([open(), open(), open()]);
    await holder.run('var held = 1');
    const interrupted = running.run('var begun = 1; (await input("go on?")) + begun');
    const asked = await client.event(
      ({ kind, sessionId }) => kind === 'input.requested' && sessionId === running.sessionId,
    );
    for (const { pid, cordon } of await hostsOf(admin)) if (cordon !== null) process.kill(pid, 'SIGKILL');

    t.is(await holder.json('held'), 1);
    t.is(await fresh.json('1+1'), 2);
    const { requestId } = asked as { requestId: string };
    await client.call('input.answer', { sessionId: running.sessionId, requestId, text: 'yes' });
    t.deepEqual((await interrupted).value, { kind: 'json', json: 'yes1' });
    t.is(await running.json('begun'), 1);
    t.deepEqual(
      client.events.filter(({ kind }) => kind === 'session.lost'),
      [],
    );
  },
);

test.serial('a daemon whose hosts are all killed at once has every session again in new ones', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const guests = await Promise.all(Array.from({ length: 10 }, () => Guest.open(client)));
  await Promise.all(guests.map((guest) => guest.run('var held = 1')));
  const killed = (await hostsOf(admin)).map(({ pid }) => pid);
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  await until(async () => !(await hostsOf(admin)).some(({ pid }) => killed.includes(pid)));
  t.deepEqual(await Promise.all(guests.map((guest) => guest.json('held + 1'))), Array(10).fill(2));
});

test.serial('what is asked of a session whose host is dying is answered by the next one', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const { sessionId } = await Guest.open(client);
  await client.call('session.execute', { sessionId, source: 'var held = 41' });
  for (const { pid, cordon } of await hostsOf(admin)) if (cordon !== null) process.kill(pid, 'SIGKILL');
  const [got, set] = await Promise.all([
    client.call('namespace.get', { sessionId, name: 'held' }),
    client.call('namespace.set', { sessionId, values: { more: 1 } }),
  ]);
  t.deepEqual(got.value, { kind: 'json', json: 41 });
  t.deepEqual(set.set, ['more']);
  const { value } = await client.call('session.execute', { sessionId, source: 'held + more' });
  t.deepEqual(value, { kind: 'json', json: 42 });
});

test.serial('a spare host that dies is replaced, and nobody notices', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const guest = await Guest.open(client);
  await guest.run('var held = 1');
  const spareOf = async () => (await hostsOf(admin)).find(({ cordon }) => cordon === null)?.pid;
  await until(async () => (await spareOf()) !== undefined);
  const spare = await spareOf();
  process.kill(Number(spare), 'SIGKILL');
  await until(async () => ![undefined, spare].includes(await spareOf()));
  t.is(await guest.json('held'), 1);
  t.is(await (await Guest.open(client, { level: 'restricted' })).json('1+1'), 2);
  t.true(daemon.running);
});

test.serial('a new session answers while 64 others spin', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const limits = { cellCpuMsMax: 5000, cellWallMsMax: 30_000 };
  const spinners = await Promise.all(Array.from({ length: 64 }, () => Guest.open(client, { limits })));
  let ended = 0;
  const spinning = spinners.map(async (guest) => {
    await guest.run('for(;;);').catch(() => undefined);
    ended++;
  });
  t.is(await (await Guest.open(client)).json('1+1'), 2);
  t.is(ended, 0, 'it did not have to wait for any of them');
  await Promise.all(spinners.map((guest) => guest.close()));
  await Promise.all(spinning);
});

test.serial('a session whose host had to be killed is alone in its host from then on', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const [attacker, other] = await Promise.all([Guest.open(client, small), Guest.open(client)]);
  const isolates = async () => (await hostsOf(admin)).flatMap((host) => (host.cordon === null ? [] : [host.isolates]));
  t.deepEqual(await isolates(), [2], 'two new sessions share a host');
  const { error } = await attacker.run('Array.prototype.indexOf.call({length: 2**53-1}, 1)');
  t.true(STOPPED.includes(error?.code ?? ''));
  t.is(await attacker.json('1+1'), 2);
  t.is(await other.json('1+1'), 2);
  const third = await Guest.open(client);
  t.is(await third.json('1+1'), 2);
  t.deepEqual((await isolates()).sort(), [1, 2]);
  await other.close();
  await third.close();
  t.is(await attacker.json('1+1'), 2, 'and it can still be used');
});

test.serial('hosts end when the daemon is killed, even one that spins', async (t) => {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  // At this level the cell's own limits would let it spin for longer than this test may take.
  const guest = await Guest.open(client, { level: 'unrestricted' });
  const spinning = guest.run('for(;;);');
  await client.event(({ kind }) => kind === 'execution.started');
  // The next spare host is started a moment later.
  await until(async () => (await hostsOf(admin)).length >= 2);
  const pids = (await hostsOf(admin)).map(({ pid }) => pid);
  t.true(pids.every(isAlive));
  await daemon.stop('SIGKILL');
  await t.throwsAsync(spinning);
  await until(() => !pids.some(isAlive));
  t.pass();
});
