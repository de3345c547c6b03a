import { once } from 'node:events';
import test from 'ava';
import { connect, type ProvidedHandler, PyreplError, type Session } from '../../client/index.ts';
import { FakeDaemon, NO_ANSWER, Refusal } from './fake-daemon.ts';

interface Answer {
  readonly id?: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: unknown };
}

const quick = { initialDelayMs: 1, delayMsMax: 5, totalMs: 20_000 };
const offer = { summary: 'Looks up.', parameters: { type: 'array', items: { type: 'string' } }, timeoutMs: 1000 };

async function daemonThatAsks(): Promise<FakeDaemon> {
  const daemon = await FakeDaemon.listen();
  daemon.handlers['capability.provide'] = ({ name }) => ({ name, granted: true });
  daemon.handlers['capability.withdraw'] = () => ({});
  // An answer of the client's has no method, and gets no answer itself.
  daemon.handlers['undefined'] = () => NO_ANSWER;
  return daemon;
}

let asked = 0;
/** Calls what the client provides, as the daemon does, and resolves to its answer. */
async function ask(daemon: FakeDaemon, params: object, method = 'capability.invoke'): Promise<Answer> {
  const [peer] = [...daemon.peers].slice(-1);
  if (!peer) throw new Error('nobody is connected');
  asked += 1;
  const id = `daemon-${asked}`;
  peer.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  for (;;) {
    const [data] = await once(peer, 'message');
    const message = JSON.parse(String(data)) as Answer;
    if (message.id === id) return message;
  }
}
const call = (name: string, ...args: unknown[]): object => ({ sessionId: 's1', callId: 'call-1', name, args });
const provide = (session: Session, handler: ProvidedHandler): Promise<void> =>
  session.provide('look_up', offer, handler);

test('a provided function is offered with its schema, and answers the calls of guest code', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  await provide(session, async (a: string, b: string) => ({ a, b }));
  t.deepEqual(daemon.of('capability.provide')[0]?.params, { sessionId: 's1', name: 'look_up', ...offer });
  t.deepEqual((await ask(daemon, call('look_up', 'x', 'y'))).result, { a: 'x', b: 'y' });
  await provide(session, () => undefined);
  t.is((await ask(daemon, call('look_up'))).result, null);
});

test('calls are answered as each is ready, while requests go on', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  const { promise, resolve } = Promise.withResolvers<void>();
  await provide(session, async (which: string) => {
    if (which === 'slow') await promise;
    return which;
  });
  const slow = ask(daemon, call('look_up', 'slow'));
  t.is((await ask(daemon, call('look_up', 'fast'))).result, 'fast');
  t.is((await session.show()).sessionId, 's1');
  resolve();
  t.is((await slow).result, 'slow');
});

for (const [what, handler, message] of [
  [
    'throws',
    () => {
      throw new RangeError('no such city');
    },
    /^no such city$/,
  ],
  ['rejects with what is no error', () => Promise.reject('plain text'), /^plain text$/],
  ['answers with what is no JSON', () => 1n, /not JSON/],
  ['answers with more than a message holds', () => 'x'.repeat(1000), /accepts 500/],
  [
    'throws a page',
    () => {
      throw new Error('x'.repeat(5000));
    },
    /^x{2000}$/,
  ],
] as [string, ProvidedHandler, RegExp][]) {
  test(`F14: a handler that ${what} fails the call by its message and harms nothing else`, async (t) => {
    await using daemon = await daemonThatAsks();
    if (/accepts/.test(message.source)) daemon.limits = { ...daemon.limits, frameBytesMax: 500 };
    await using client = await connect({ stateDir: daemon.stateDir });
    await provide(await client.createSession(), handler);
    const { error, result } = await ask(daemon, call('look_up'));
    t.is(result, undefined);
    t.regex(error?.message ?? '', message);
    t.is((await client.listSessions()).length, 1);
  });
}

test('what this client does not provide, or does not know, is refused', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir });
  await provide(await client.createSession(), () => 1);
  const codes: unknown[] = [];
  for (const params of [
    call('other'),
    call('toString'),
    { ...call('look_up'), sessionId: 's9' },
    {},
    { ...call('look_up'), args: 'x' },
  ]) {
    codes.push((await ask(daemon, params)).error?.data);
  }
  codes.push((await ask(daemon, {}, 'capability.other')).error?.data);
  t.deepEqual(
    codes.map((data) => (data as { code: string }).code),
    ['METHOD_NOT_FOUND', 'METHOD_NOT_FOUND', 'UNKNOWN_SESSION', 'INVALID_PARAMS', 'INVALID_PARAMS', 'METHOD_NOT_FOUND'],
  );
});

test('an offer that the daemon refuses is not answered for, and an earlier one of the name stays', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  await provide(session, () => 'first');
  daemon.handlers['capability.provide'] = () => {
    throw new Refusal('INVALID_PARAMS', 'no');
  };
  const refused = await t.throwsAsync(
    provide(session, () => 'second'),
    { instanceOf: PyreplError },
  );
  t.is(refused.code, 'INVALID_PARAMS');
  await t.throwsAsync(
    session.provide('other', offer, () => 'other'),
    { instanceOf: PyreplError },
  );
  t.is((await ask(daemon, call('look_up'))).result, 'first');
  t.truthy((await ask(daemon, call('other'))).error);
});

test('after a lost connection what is provided is offered again, and what was withdrawn is not', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  await provide(session, () => 'still here');
  await session.provide('passing', offer, () => 1);
  await session.withdraw('passing');
  t.deepEqual(daemon.of('capability.withdraw')[0]?.params, { sessionId: 's1', name: 'passing' });
  const reconnected = new Promise((resolve) => client.on('reconnected', resolve));
  daemon.drop();
  await reconnected;
  const names = daemon.of('capability.provide').map(({ params }) => params['name']);
  t.deepEqual(names, ['look_up', 'passing', 'look_up']);
  t.is((await ask(daemon, call('look_up'))).result, 'still here');
  t.truthy((await ask(daemon, call('passing'))).error);
});

test('a function that may not be provided any more does not keep the client from its connection', async (t) => {
  await using daemon = await daemonThatAsks();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  await provide(session, () => 1);
  daemon.handlers['capability.provide'] = () => {
    throw new Refusal('CAPABILITY_DENIED', 'the level lets clients provide nothing');
  };
  const reconnected = new Promise((resolve) => client.on('reconnected', resolve));
  daemon.drop();
  await reconnected;
  t.is((await session.show()).sessionId, 's1');
});
