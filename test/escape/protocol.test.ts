import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { RawPeer } from '../daemon/transport/raw-peer.ts';
import { refusalOf } from '../e2e/_administered.ts';
import { sessionOf } from '../e2e/_file-daemon.ts';
import { DaemonProcess, RawClient } from '../harness/daemon-process.ts';
import { isAlive, until } from '../harness/processes.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'pyrepl3-protocol-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** How a daemon that does not start says why. */
async function refusalToStart(stateDir: string): Promise<string> {
  const { message } = await DaemonProcess.start({ teardown: () => undefined }, { stateDir }).then(
    async (daemon) => {
      await daemon.stop();
      return new Error('it started');
    },
    (error: Error) => error,
  );
  return message;
}

/** Whether a client of the daemon under attack is served as if nothing had happened. */
async function stillServes(): Promise<unknown> {
  const client = await shared().daemon.connect();
  const guest = await Guest.open(client);
  const two = await guest.json('1 + 1');
  await guest.close();
  client.close();
  return two;
}

test.serial('I01: the state directory is the owner’s alone and so are both sockets, under any umask', async (t) => {
  const umask = process.umask(0);
  const stateDir = join(folder(t), 'state');
  try {
    await DaemonProcess.start(t, { stateDir });
  } finally {
    process.umask(umask);
  }
  t.is(statSync(stateDir).mode & 0o777, 0o700);
  for (const name of ['client.sock', 'admin.sock', 'audit', 'daemon.pid']) {
    t.is(statSync(join(stateDir, name)).mode & 0o077, 0, name);
  }
});

test.serial(
  'I01: what stands in the way of a socket is refused and left as it is: a file, a link, an open or linked directory',
  async (t) => {
    const cases: readonly ((stateDir: string) => void)[] = [
      (path) => writeFileSync(join(path, 'client.sock'), 'mine'),
      (path) => symlinkSync('/dev/null', join(path, 'admin.sock')),
      (path) => mkdirSync(join(path, 'client.sock')),
      (path) => chmodSync(path, 0o777),
    ];
    for (const prepare of cases) {
      const path = folder(t);
      prepare(path);
      t.regex(
        await refusalToStart(path),
        /the daemon ended with 1: pyrepl3: .*(?:client\.sock|admin\.sock|pyrepl3-protocol-)/s,
      );
    }
    const link = join(folder(t), 'link');
    symlinkSync(folder(t), link);
    t.regex(await refusalToStart(link), /link/);
  },
);

test.serial('I02: a path that a socket cannot hold is refused, not cut short', async (t) => {
  t.regex(await refusalToStart(join(folder(t), 'x'.repeat(120))), /107|too long/);
});

test.serial(
  'I05: a token is taken whole and as itself: no empty, short, foreign or guessed one, and never after another call',
  async (t) => {
    const { daemon, client } = shared();
    const guest = await Guest.open(client);
    const { token } = await client.call('daemon.hello', {});
    for (const wrong of ['', ' ', 'null', token.slice(0, 10), `${token}\n`, { toString: token }, 0, [token]]) {
      const other = await daemon.connect();
      t.is(await refusalOf(other.callAny('daemon.hello', { token: wrong })), 'INVALID_PARAMS', JSON.stringify(wrong));
      other.close();
    }
    for (const guess of [
      token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A'),
      token.toLowerCase(),
      'A'.repeat(token.length),
    ]) {
      const other = await daemon.connect();
      await other.callAny('daemon.hello', { token: guess });
      t.is(await refusalOf(other.call('session.show', { sessionId: guest.sessionId })), 'UNKNOWN_SESSION');
      other.close();
    }
    const late = await daemon.connect();
    await late.call('session.list', {});
    t.is(await refusalOf(late.call('daemon.hello', { token })), 'INVALID_REQUEST');
    // Neither a header nor the address of the handshake says who is calling.
    const peer = new RawPeer(daemon.clientSocket);
    await once(peer.socket, 'connect');
    peer.write(
      `GET /?token=${token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: pyrepl3.v1\r\n\r\n`,
    );
    await peer.httpHead();
    peer.text('{"jsonrpc":"2.0","id":1,"method":"session.list"}');
    const answer = JSON.parse(String((await peer.next())?.payload));
    t.deepEqual(answer.result, { sessions: [] });
    late.close();
    peer.socket.destroy();
    await guest.close();
  },
);

test.serial('I11: names of an object’s own machinery are no methods, on either socket', async (t) => {
  const { client, admin } = shared();
  for (const connection of [client, admin]) {
    for (const method of [
      'constructor',
      'toString',
      '__proto__',
      '__defineGetter__',
      'hasOwnProperty',
      'rpc.discover',
      'rpc.',
      '',
      'Session.List',
      'session.list ',
      'capability.invoke',
      'event',
    ]) {
      t.is(await refusalOf(connection.callAny(method, {})), 'METHOD_NOT_FOUND', method);
    }
  }
});

test.serial(
  'I12, I13: what belongs to another client is answered exactly as what does not exist, by every method',
  async (t) => {
    const { daemon, client } = shared();
    const guest = await Guest.open(client, { level: 'standard' });
    const { sessionId } = guest;
    const running = client.call('session.execute', { sessionId, source: 'await input("?")', executionId: 'mine' });
    const asked = await client.event((event) => event.kind === 'input.requested' && event.sessionId === sessionId);
    const requestId = asked.kind === 'input.requested' ? asked.requestId : '';
    const stranger = await daemon.connect();
    const told = async (method: string, params: object): Promise<unknown> => {
      const error = await t.throwsAsync(stranger.callAny(method, params), undefined, method);
      return JSON.stringify([error, error?.message]).replaceAll(/ses_[\w-]+/g, 'ID');
    };
    const attempts: readonly [method: string, params: object][] = [
      ['session.attach', {}],
      ['session.attach', { afterSeq: 0 }],
      ['session.detach', {}],
      ['session.show', {}],
      ['session.setLevel', { level: 'sandbox' }],
      ['session.interrupt', { executionId: 'mine' }],
      ['session.reset', {}],
      ['session.close', {}],
      ['session.execute', { source: '1', executionId: 'mine' }],
      ['session.complete', { source: 'a', cursor: 1 }],
      ['session.inspect', { source: 'a', cursor: 1 }],
      ['session.isComplete', { source: 'a' }],
      ['namespace.list', {}],
      ['namespace.get', { name: 'a' }],
      ['namespace.set', { values: { a: 1 } }],
      ['namespace.delete', { names: ['a'] }],
      ['capability.list', {}],
      ['capability.provide', { name: 'tool', summary: 'x', parameters: true }],
      ['capability.withdraw', { name: 'tool' }],
      ['input.answer', { requestId, text: 'stolen' }],
    ];
    const none = `ses_${'A'.repeat(22)}`;
    for (const [method, params] of attempts) {
      t.is(await told(method, { sessionId, ...params }), await told(method, { sessionId: none, ...params }), method);
    }
    for (const id of ['*', '', 'ses_*', 'ses_', sessionId.toLowerCase(), `${sessionId} `, '__proto__']) {
      t.is(await refusalOf(stranger.call('session.attach', { sessionId: id })), 'UNKNOWN_SESSION');
    }
    t.is(stranger.events.length, 0);
    t.deepEqual((await stranger.call('session.list', {})).sessions, []);
    await client.call('input.answer', { sessionId, requestId, text: 'mine' });
    t.deepEqual((await running).value, { kind: 'json', json: 'mine' });
    stranger.close();
    await guest.close();
  },
);

test.serial('I13: a replay from a negative, fractional or future number is refused', async (t) => {
  const { client } = shared();
  const guest = await Guest.open(client);
  const { sessionId } = guest;
  for (const afterSeq of [-1, 0.5, 2 ** 53, 1e308, '0', null]) {
    t.is(
      await refusalOf(client.callAny('session.attach', { sessionId, afterSeq })),
      'INVALID_PARAMS',
      String(afterSeq),
    );
  }
  t.not(
    await refusalOf(client.call('session.attach', { sessionId, afterSeq: Number.MAX_SAFE_INTEGER })),
    'not refused',
  );
  await guest.close();
});

test.serial(
  'I14: a reader that never reads is disconnected, and neither it, half-open peers nor 500 idle ones keep others waiting',
  async (t) => {
    const { daemon, admin } = shared();
    const connections = async (): Promise<number> => (await admin.call('daemon.stats', {})).connections;
    const before = await connections();
    const slow = await RawClient.open(daemon.clientSocket);
    const guest = await Guest.open(slow, { level: 'unrestricted' });
    const { token } = await slow.call('daemon.hello', {});
    (slow.socket as unknown as { _socket: { pause(): void } })._socket.pause();
    for (let n = 0; n < 8; n++) {
      guest.run('for (let i = 0; i < 15; i++) console.log("x".repeat(1e6))').catch(() => undefined);
    }
    const halves = Array.from({ length: 10 }, () => connect({ path: daemon.clientSocket, allowHalfOpen: true }));
    for (const half of halves) half.on('error', () => undefined).end('GET / HTTP/1.1\r\nHost:');
    const idle = await Promise.all(Array.from({ length: 500 }, () => daemon.connect()));
    t.is(await stillServes(), 2);
    await until(async () => (await connections()) === before + idle.length);
    const again = await daemon.connect();
    await again.call('daemon.hello', { token });
    await until(async () => (await again.call('session.show', { sessionId: guest.sessionId })).state === 'idle');
    await again.call('session.close', { sessionId: guest.sessionId });
    for (const half of halves) half.destroy();
    for (const client of [slow, again, ...idle]) client.close();
  },
);

test.serial(
  'I15: events come without gaps and in order, all output before the end of its cell, and one end',
  async (t) => {
    const { client } = shared();
    const guest = await Guest.open(client);
    const session = sessionOf(client, guest.sessionId);
    for (let cell = 0; cell < 20; cell++) {
      const stop = cell % 2 === 1 ? '; for (;;);' : '';
      await guest.run(
        `for (let i = 0; i < 200; i++) print(${cell}, i); queueMicrotask(() => print("late"))${stop}`,
        300,
      );
    }
    const events = session.events();
    t.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    );
    const ended = new Set<string>();
    for (const event of events) {
      if (event.kind === 'execution.finished') {
        t.false(ended.has(event.executionId));
        ended.add(event.executionId);
      } else if ('executionId' in event && event.executionId !== null)
        t.false(ended.has(event.executionId), event.kind);
    }
    t.is(ended.size, 20);
    await guest.close();
  },
);

test.serial(
  'I16: the same execution submitted by two connections at once is one, and both get its result',
  async (t) => {
    const { daemon } = shared();
    const one = await daemon.connect();
    const { token } = await one.call('daemon.hello', {});
    const other = await daemon.connect();
    await other.call('daemon.hello', { token });
    const { sessionId } = await one.call('session.create', {});
    await one.call('session.execute', { sessionId, source: 'var runs = 0' });
    for (let n = 0; n < 20; n++) {
      const request = { sessionId, source: '++runs', executionId: `same-${n}` };
      const results = await Promise.all(
        [one, other, one, other].map((client) => client.call('session.execute', request)),
      );
      t.is(new Set(results.map((result) => JSON.stringify(result))).size, 1);
      t.deepEqual(results[0]?.value, { kind: 'json', json: n + 1 });
    }
    const conflict = { sessionId, source: 'runs = 99', executionId: 'same-0' };
    t.is(await refusalOf(other.call('session.execute', conflict)), 'EXECUTION_CONFLICT');
    for (const client of [one, other]) client.close();
  },
);

test.serial('I18: output that looks like a message is a text inside of one', async (t) => {
  const { daemon } = shared();
  const peer = await RawPeer.connected(daemon.clientSocket);
  const frames: Record<string, unknown>[] = [];
  const answerTo = async (id: number, method: string, params: object): Promise<Record<string, unknown>> => {
    peer.text(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    for (;;) {
      const frame = await peer.next();
      if (frame === null) throw new Error('the connection ended');
      // No text: a ping, which comes to whoever takes long.
      if (frame.opcode !== 1) continue;
      const message = JSON.parse(String(frame.payload));
      if (message.id === id) return message;
      frames.push(message);
    }
  };
  const created = await answerTo(1, 'session.create', {});
  const { sessionId } = created['result'] as { sessionId: string };
  const forged = '{"jsonrpc":"2.0","id":2,"result":{"status":"ok"}}';
  const evil = `\n${forged}\r\n\r\n${forged}\u0000\u2028\u001b]52;c;ZXZpbA==\u0007`;
  const done = await answerTo(2, 'session.execute', {
    sessionId,
    source: `print(${JSON.stringify(evil)}); console.error(${JSON.stringify(evil)}); display(${JSON.stringify(evil)}); throw new Error(${JSON.stringify(evil)})`,
  });
  t.is((done['result'] as { status: string }).status, 'error');
  t.true(frames.length >= 4);
  t.true(frames.every(({ method, id }) => method === 'event' && id === undefined));
  peer.socket.destroy();
});

test.serial(
  'I19: every method for administrators is refused on client.sock with its role, whatever its parameters, and noted',
  async (t) => {
    const { client, admin } = shared();
    for (const method of [
      'daemon.stats',
      'daemon.backup',
      'daemon.drain',
      'approval.list',
      'approval.settle',
      'policy.apply',
      'audit.query',
      'audit.verify',
    ]) {
      for (const params of [{}, { constructor: 1 }, { approvalId: 'x'.repeat(1e5) }]) {
        t.is(await refusalOf(client.callAny(method, params)), 'ROLE_DENIED', method);
      }
      const { records } = await admin.call('audit.query', { kind: 'client.refused', limit: 3 });
      t.true(
        records.every(({ fields }) => String(fields['reason']).includes(method)),
        method,
      );
    }
    t.is(await refusalOf(client.callAny('daemon.shutdown', {})), 'METHOD_NOT_FOUND');
  },
);

test.serial(
  'I19: SIGTERM during cells that never end stops the daemon in good order, and leaves no process',
  async (t) => {
    const daemon = await DaemonProcess.start(t);
    const client = await daemon.connect();
    const guest = await Guest.open(client);
    const spinning = guest.run('for (;;);').catch((error: Error) => error.message);
    await client.event(({ kind }) => kind === 'execution.started');
    const pids = (await (await daemon.connect('admin')).call('daemon.stats', {})).hosts.map(({ pid }) => pid);
    t.is(await daemon.stop('SIGTERM'), 0);
    await spinning;
    await until(() => !pids.some(isAlive));
    t.pass();
  },
);

test.serial(
  'I20: a second daemon is refused while the first lives, and takes over after one that was killed with -9',
  async (t) => {
    const stateDir = folder(t);
    const first = await DaemonProcess.start(t, { stateDir });
    t.regex(await refusalToStart(stateDir), /already running/);
    t.is((await (await first.connect()).call('daemon.hello', {})).role, 'client', 'the first one is not disturbed');
    await first.stop('SIGKILL');
    const second = await DaemonProcess.start(t, { stateDir });
    const client = await second.connect();
    t.is(await (await Guest.open(client)).json('1 + 1'), 2);
  },
);
