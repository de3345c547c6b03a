import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import anyTest, { type TestFn } from 'ava';
import { descriptorsOf } from '../harness/processes.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);
const levels = ['sandbox', 'restricted', 'standard', 'trusted', 'unrestricted'];

const CLOCKS = `[() => Date.now(), () => performance.now(), () => +new Date(), () => Number(Temporal.Now.instant().epochNanoseconds),
  () => Temporal.Now.zonedDateTimeISO().epochMilliseconds, () => new Intl.DateTimeFormat('en', { fractionalSecondDigits: 3, second: 'numeric' }).format(),
  () => Date(), () => new Event('x').timeStamp]`;

for (const level of levels.slice(0, 3)) {
  test.serial(`E01: every clock stands still while code runs at level ${level}`, async (t) => {
    const guest = await Guest.open(shared().client, { level });
    const moved = await guest.json(
      `${CLOCKS}.map((read) => { const before = read(); for (let i = 0; i < 3e6; i++); return before === read() })`,
    );
    t.deepEqual(moved, Array(8).fill(true));
    t.is(
      await guest.json('[typeof SharedArrayBuffer, typeof Atomics, typeof WebAssembly, typeof Worker].join()'),
      'undefined,undefined,undefined,undefined',
    );
    await guest.close();
  });
}

test.serial('E01: time moves between cells and after a wait', async (t) => {
  const guest = await Guest.open(shared().client);
  t.true(
    await guest.json(
      'const before = Date.now(); await new Promise((resolve) => setTimeout(resolve, 20)); Date.now() - before >= 20',
    ),
  );
});

test.serial('E01: live clocks move at trusted, in steps of at least a microsecond', async (t) => {
  const guest = await Guest.open(shared().client, { level: 'trusted' });
  t.true(await guest.json('const before = Date.now(); while (Date.now() === before); Date.now() > before'));
});

for (const level of levels) {
  test.serial(`E03: nothing of the machine can be seen at level ${level}`, async (t) => {
    const guest = await Guest.open(shared().client, { level });
    t.deepEqual(
      await guest.json(`[new Intl.DateTimeFormat().resolvedOptions().timeZone, new Intl.NumberFormat().resolvedOptions().locale,
        new Date(0).getTimezoneOffset(), new Date(2026, 6, 1).getTimezoneOffset(), Temporal.Now.timeZoneId(), (1234.5).toLocaleString(),
        typeof navigator, typeof process, typeof os, Error.stackTraceLimit]`),
      ['UTC', 'en-US', 0, 0, 'UTC', '1,234.5', 'undefined', 'undefined', 'undefined', 10],
    );
    const everything = JSON.stringify([
      await guest.run('null.x'),
      await guest.run('throw new Error("x")'),
      await guest.run('console.trace(1)'),
    ]);
    for (const secret of [
      hostname(),
      process.cwd(),
      shared().daemon.stateDir,
      'node_modules',
      'isolated-vm',
      'pyrepl3:',
    ])
      t.false(everything.includes(secret), secret);
    await guest.close();
  });
}

test.serial('E04: nothing of one session is in another, though they share a process', async (t) => {
  const { client } = shared();
  const [first, second] = [await Guest.open(client), await Guest.open(client)];
  await first.run(`globalThis.leak = 1; Object.prototype.leak = 2; Array.prototype.map = null; Symbol.for('leak').description;
    globalThis[Symbol.for('leak')] = 3; /(secret)/.exec('secret'); Math.random = () => 4; Date.now = () => 5; console.log = null`);
  t.deepEqual(
    await second.json(
      "[typeof leak, {}.leak === undefined, typeof [].map, typeof globalThis[Symbol.for('leak')], RegExp.$1, Math.random() === 4, Date.now() === 5, typeof console.log]",
    ),
    ['undefined', true, 'function', 'undefined', '', false, false, 'function'],
  );
  await first.close();
  const third = await Guest.open(client);
  t.deepEqual(await third.json('[typeof leak, typeof [].map, RegExp.$1]'), ['undefined', 'function', '']);
});

test.serial('E04: sessions do not share randomness', async (t) => {
  const { client } = shared();
  const guests = await Promise.all(Array.from({ length: 10 }, () => Guest.open(client)));
  const drawn = await Promise.all(guests.map((guest) => guest.json('[Math.random(), crypto.randomUUID()].join()')));
  t.is(new Set(drawn).size, 10);
});

test.serial('E06: a host has no environment of the daemon, no arguments of a session and no network', async (t) => {
  const { admin, client } = shared();
  await (await Guest.open(client)).run('1');
  const { hosts } = await admin.call('daemon.stats', {});
  t.true(hosts.length >= 2);
  for (const { pid } of hosts) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((entry) => entry !== '');
    const names = environment.map((entry) => entry.split('=')[0]).sort();
    // Node adds the channel's own, and hands on its coverage folder while coverage is taken.
    t.deepEqual(
      names.filter((name) => !/^NODE_(CHANNEL_|V8_COVERAGE$)/.test(name ?? '')),
      ['LC_ALL', 'LIBC', 'TZ'],
    );
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    t.false(command.includes(shared().daemon.stateDir));
    t.regex(command, /--permission/);
    // The channel to the daemon is a socket pair, and so is the pipe of stderr: nothing else is one.
    const sockets = descriptorsOf(pid).filter((target) => target.startsWith('socket:'));
    t.true(sockets.length <= 2, sockets.join());
  }
});

test.serial('E07: ids of sessions, executions and questions cannot be guessed', async (t) => {
  const { client } = shared();
  const ids = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const guest = await Guest.open(client);
    t.regex(guest.sessionId, /^ses_[\w-]{22}$/);
    ids.add(guest.sessionId);
    ids.add((await guest.run('1')).executionId);
    await guest.close();
  }
  t.is(ids.size, 40);
});

test.serial('I12: a foreign session is answered exactly like one that does not exist', async (t) => {
  const { client, daemon } = shared();
  const owned = await Guest.open(client);
  const stranger = await daemon.connect();
  await stranger.call('daemon.hello', {});
  for (const [method, params] of [
    ['session.attach', {}],
    ['session.show', {}],
    ['session.execute', { source: '1' }],
    ['session.interrupt', {}],
    ['session.reset', {}],
    ['session.close', {}],
    ['session.setLevel', { level: 'sandbox' }],
    ['namespace.list', {}],
    ['input.answer', { requestId: 'x', text: 'x' }],
  ] as const) {
    const told = async (sessionId: string) => {
      const fault = (await t.throwsAsync(stranger.callAny(method, { ...params, sessionId }))) as Error & {
        code?: string;
      };
      return [fault.code, fault.message];
    };
    t.deepEqual(await told(owned.sessionId), await told('ses_AAAAAAAAAAAAAAAAAAAAAA'), method);
    t.is((await told(owned.sessionId))[0], 'UNKNOWN_SESSION');
  }
  t.is(await owned.json('1+1'), 2);
  stranger.close();
});
