import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { HostPool, type IsolateLoss } from '../../../daemon/hosts/host-pool.ts';
import { startHost } from '../../../daemon/hosts/host-process.ts';
import { Watchdog } from '../../../daemon/hosts/watchdog.ts';
import type { PackageLock } from '../../../sandbox/protocol.ts';
import { isAlive, until } from '../../harness/processes.ts';
import { PLATFORM, SPEC } from '../../sandbox/_hosted.ts';

const entry = fileURLToPath(import.meta.resolve('./scripted-host.ts'));
const LIMITS = { cpuMs: 1, wallMs: 1, outputBytes: 1 };

class Owner {
  readonly heard: string[] = [];
  readonly losses: IsolateLoss[] = [];
  executing = false;
  #tell: () => void = () => undefined;
  readonly told = new Promise<void>((resolve) => {
    this.#tell = resolve;
  });
  readonly written: string[] = [];
  onMessage(message: { kind: string; text?: unknown }): void {
    this.heard.push(message.kind);
    if (typeof message.text === 'string') this.written.push(message.text);
    this.#tell();
  }
  onLost(loss: IsolateLoss): void {
    this.losses.push(loss);
    this.#tell();
  }
}

const LAUNCH = { entry, execPath: process.execPath, readable: [dirname(entry)], snapshots: { entry, folder: null } };

function makePool(t: { teardown(cleanup: () => void): void }, started = [startHost(LAUNCH)]) {
  const ended: (string | null)[] = [];
  const pool = new HostPool(
    LAUNCH,
    { hostStarted: () => undefined, hostEnded: (_pid, _cordon, { killedFor }) => ended.push(killedFor) },
    () => performance.now(),
    started,
    ({ sha256 }) => ({ files: new Map([[`${sha256}.py`, Buffer.alloc(sha256.length)]]) }),
  );
  t.teardown(() => pool.close());
  const open = (level: string, quarantined = false, packages: readonly PackageLock[] = [], given = packages) => {
    const owner = new Owner();
    const shape = { language: 'javascript', heapMiB: 64, platform: PLATFORM, capabilities: [] } as const;
    const before = new Map(pool.hosts.map((host) => [host.pid, host.isolates]));
    const link = pool.open({ ...shape, level, packages }, { ...SPEC, packages: given }, quarantined, owner);
    const pid = pool.hosts.find((host) => host.isolates > (before.get(host.pid) ?? 0))?.pid ?? 0;
    const run = (source: string) => {
      owner.executing = true;
      link.send({ kind: 'cell.run', cell: 1, source, limits: LIMITS });
    };
    return { owner, link, run, pid };
  };
  return { pool, open, ended };
}

test('sessions of one cordon share hosts and sessions of two never do', (t) => {
  const { open } = makePool(t);
  const first = Array.from({ length: 4 }, () => open('sandbox').pid);
  t.is(new Set(first).size, 1);
  t.false(first.includes(open('sandbox').pid), 'a host that holds a few is spread');
  t.false(first.includes(open('restricted').pid));
});

const packageOf = (sha256: string): PackageLock => ({ name: sha256, version: '1.0', sha256 });

test('sessions of a cordon whose level has other packages by now share no host with those before', (t) => {
  const { open } = makePool(t);
  const [older, newer] = [[packageOf('one')], [packageOf('one'), packageOf('two')]];
  const { pid } = open('sandbox', false, older);
  t.is(open('sandbox', false, older).pid, pid);
  const other = open('sandbox', false, newer);
  t.not(other.pid, pid);
  t.is(open('sandbox', false, newer, older).pid, other.pid, 'one that is made again with what it began with');
  t.false([pid, other.pid].includes(open('sandbox').pid));
});

test('a host is sent each package once, before the first isolate that has it', async (t) => {
  const { open } = makePool(t);
  const first = open('sandbox', false, [packageOf('one')]);
  open('sandbox', false, [packageOf('one')], [packageOf('two'), packageOf('one')]);
  first.run('packages');
  await first.owner.told;
  t.deepEqual(first.owner.written, ['host.package one, host.join, isolate.open, host.package two, isolate.open']);
});

test('a quarantined session is alone in its host, which ends with it', async (t) => {
  const { open } = makePool(t);
  const shared = open('sandbox').pid;
  const alone = open('sandbox', true);
  t.not(alone.pid, shared);
  t.is(open('sandbox').pid, shared);
  alone.link.dispose();
  alone.link.dispose();
  await until(() => !isAlive(alone.pid));
  t.is(alone.owner.losses.length, 0, 'who gives an isolate up is not told of its loss');
});

test('a message reaches the owner of its isolate, and one about no isolate of that host reaches nobody', async (t) => {
  const { open } = makePool(t);
  const [one, two] = [open('sandbox'), open('sandbox')];
  two.run('foreign');
  one.run('hello');
  await one.owner.told;
  t.deepEqual([one.owner.heard, two.owner.heard], [['output'], []]);
});

for (const source of ['nonsense', 'no batch', 'no JSON', 'bytes']) {
  test(`a host that says ${source} is ended, and all its sessions are told once`, async (t) => {
    const { open, ended } = makePool(t);
    const [one, two] = [open('sandbox'), open('sandbox')];
    one.run(source);
    await Promise.all([one.owner.told, two.owner.told]);
    t.deepEqual([one.owner.losses.length, two.owner.losses.length], [1, 1]);
    t.regex(ended[0] ?? '', /^A host sent /);
    one.link.send({ kind: 'cell.stop', cell: 1 });
    one.link.killHost('again');
    one.link.dispose();
  });
}

test('when a host dies, the only session that was running is the suspect', async (t) => {
  const { open } = makePool(t);
  const [one, two] = [open('sandbox'), open('sandbox')];
  one.run('die');
  await Promise.all([one.owner.told, two.owner.told]);
  t.deepEqual([one.owner.losses[0]?.culprit, two.owner.losses[0]?.culprit], [true, false]);
});

test('a session that has given its isolate up is not told that the host then died', async (t) => {
  const { open } = makePool(t);
  const [one, two] = [open('sandbox'), open('sandbox')];
  one.run('die');
  one.link.dispose();
  await two.owner.told;
  t.deepEqual([one.owner.losses.length, two.owner.losses.length], [0, 1]);
});

test('when two sessions were running, neither is suspected', async (t) => {
  const { open } = makePool(t);
  const [one, two] = [open('sandbox'), open('sandbox')];
  two.owner.executing = true;
  one.run('die');
  await Promise.all([one.owner.told, two.owner.told]);
  t.deepEqual([one.owner.losses[0]?.culprit, two.owner.losses[0]?.culprit], [false, false]);
});

test('a session that is out of memory is lost alone, and its host takes no more', async (t) => {
  const { open } = makePool(t);
  const [greedy, other] = [open('sandbox'), open('sandbox')];
  greedy.run('memory');
  await greedy.owner.told;
  t.like(greedy.owner.losses[0], { by: 'memory', culprit: true });
  t.is(other.owner.losses.length, 0);
  t.not(open('sandbox').pid, other.pid);
});

for (const [source, by] of [
  ['stuck', 'stuck'],
  ['doomed by memory', 'memory'],
  ['doomed by stuck', 'stuck'],
] as const) {
  test(`a session that is ${source} takes its host with it, and is the one to blame`, async (t) => {
    const { open } = makePool(t);
    const [one, two] = [open('sandbox'), open('sandbox')];
    one.run(source);
    await Promise.all([one.owner.told, two.owner.told]);
    t.deepEqual([one.owner.losses[0]?.culprit, two.owner.losses[0]?.culprit], [true, false]);
    t.is(one.owner.losses[0]?.by, by);
    await until(() => !isAlive(one.pid));
  });
}

test('a host that has been killed is given no session, though it has not ended yet', (t) => {
  const { pool, open } = makePool(t);
  const { pid } = open('sandbox');
  pool.hosts.find((host) => host.pid === pid)?.kill('a test');
  t.not(open('sandbox').pid, pid);
});

test('hosts that were started before are taken first, and one that has died meanwhile is replaced', async (t) => {
  const started = [startHost(LAUNCH), startHost(LAUNCH), startHost({ ...LAUNCH, execPath: '/nonexistent/node' })];
  const [first, second] = started.map(({ pid }) => Number(pid));
  process.kill(Number(second), 'SIGKILL');
  await once(started[1] as ChildProcess, 'exit');
  const { pool, open } = makePool(t, started);
  t.is(open('sandbox').pid, Number(first));
  await until(() => pool.hosts.every(({ pid }) => pid !== second && pid !== 0) && pool.hosts.length === 2);
  t.true(isAlive(open('restricted').pid));
});

test('a session whose host cannot be started is told so, and the cell that was to run in it is to blame', async (t) => {
  const { open } = makePool(t, [startHost({ ...LAUNCH, entry: `${entry}.none` })]);
  const { owner, run } = open('standard');
  run('');
  await owner.told;
  t.deepEqual(owner.losses, [
    { by: 'host', culprit: true, message: 'The sandbox host of this cell could not be started.' },
  ]);
});

test('a dead spare is replaced', async (t) => {
  const { pool, open } = makePool(t);
  const spare = () => pool.hosts.find(({ cordon }) => cordon === null)?.pid;
  const first = Number(spare());
  process.kill(first, 'SIGKILL');
  await until(() => ![undefined, first].includes(spare()));
  t.not(open('sandbox').pid, first);
});

test('the watchdog ends a host over its memory and one that does not answer, and knows the others', async (t) => {
  const { pool, open } = makePool(t);
  const { pid } = open('sandbox');
  const kills: string[] = [];
  const host = (changes: object) => ({
    pid,
    cordon: 'sandbox/javascript',
    isolates: 1,
    rssBytesMax: Number.MAX_SAFE_INTEGER,
    lastPongMs: 0,
    ping: () => undefined,
    kill: (reason: string) => void kills.push(reason),
    ...changes,
  });
  const well = new Watchdog(
    () => [host({}), host({ pid: 2 ** 22 + 1 })],
    () => 0,
  );
  await Promise.all([well.look(), well.look()]);
  t.deepEqual(kills, [], 'a process that has just ended is nobody to kill');
  t.true(well.rssBytes(pid) > 0);
  t.is(well.rssBytes(1), 0);
  well.close();
  const strict = new Watchdog(
    () => [host({ rssBytesMax: 1 }), host({ lastPongMs: -1e9 })],
    () => 0,
  );
  await strict.look();
  t.regex(kills.join('\n'), /it did not answer/);
  t.regex(kills.join('\n'), /it used \d+ MiB of memory/);
  strict.close();
  await until(() => pool.hosts.length === 2);
  t.pass('the spare that was taken is replaced');
});
