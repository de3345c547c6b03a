import test from 'ava';
import {
  connect,
  type EventGap,
  type ExecutionEvent,
  GuestError,
  PyreplError,
  type SessionEvent,
} from '../../client/index.ts';
import { FakeDaemon, NO_ANSWER, Refusal } from './fake-daemon.ts';

const quick = { initialDelayMs: 1, delayMsMax: 5, totalMs: 20_000 };
const textOf = (event: ExecutionEvent | EventGap): string => (event.kind === 'output' ? event.text : `<${event.kind}>`);
const untilAborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));

test('a cell resolves to its value, and its output comes first, as an iterable and as calls', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = (_source, cell) => {
    cell.print('a');
    cell.print('b', 'stderr');
    return { n: 42 };
  };
  await using client = await connect({ stateDir: daemon.stateDir });
  await using session = await client.createSession({ language: 'javascript' });
  const called: string[] = [];
  const execution = session.execute('x', { onOutput: (event) => called.push(textOf(event)) });
  const result = await execution;
  t.deepEqual(result.value, { kind: 'json', json: { n: 42 } });
  t.deepEqual(called, ['a', 'b']);
  t.deepEqual((await Array.fromAsync(execution.output)).map(textOf), ['a', 'b']);
  t.deepEqual(await session.run('x'), { n: 42 });
});

test('run throws a GuestError with the name, message and stack of the guest', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.script = () => {
    throw new RangeError('too far');
  };
  await using client = await connect({ stateDir: daemon.stateDir });
  await using session = await client.createSession();
  const error = await t.throwsAsync(session.run('x'), { instanceOf: GuestError });
  t.like(error, { code: 'RUNTIME_ERROR', name: 'RangeError', message: 'too far', blame: 'guest' });
  t.is(error.stack, 'RangeError: too far\nat cell:1:1');
  t.is((await session.execute('x')).status, 'error');
});

test('after a lost connection events go on without a gap or a repetition, under the same token', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const reconnected = new Promise((resolve) => client.on('reconnected', resolve));
  const session = await client.createSession();
  const events = session.events();
  daemon.session().emit({ kind: 'log', executionId: null, level: 'info', text: '1' });
  t.is((await events.next()).value.seq, 1);
  daemon.drop();
  for (const text of ['2', '3']) daemon.session().emit({ kind: 'log', executionId: null, level: 'info', text });
  await reconnected;
  daemon.session().emit({ kind: 'log', executionId: null, level: 'info', text: '4' });
  const seen: unknown[] = [];
  for (let i = 0; i < 3; i++) seen.push((await events.next()).value.seq);
  t.deepEqual(seen, [2, 3, 4]);
  t.is(daemon.of('daemon.hello')[1]?.params['token'], 'token-of-twenty-two-characters');
  t.deepEqual(daemon.of('session.attach')[1]?.params, { sessionId: 's1', afterSeq: 1 });
});

test('an execution in flight when the connection breaks is sent again under its key and runs once', async (t) => {
  await using daemon = await FakeDaemon.listen();
  let runs = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  daemon.script = async (_source, cell) => {
    runs += 1;
    cell.print('before ');
    await promise;
    cell.print('after');
    return runs;
  };
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  const execution = session.execute('x', { executionId: 'key-1' });
  await daemon.received('session.execute');
  daemon.drop();
  await daemon.received('session.execute', 2);
  resolve();
  t.like(await execution, { executionId: 'key-1', value: { json: 1 } });
  t.is((await Array.fromAsync(execution.output)).map(textOf).join(''), 'before after');
  t.deepEqual(
    daemon.of('session.execute').map(({ params }) => params['executionId']),
    ['key-1', 'key-1'],
  );
});

test('an answer that overtakes the events of its execution is held back until they are here', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  const fake = daemon.session();
  const runs = daemon.handlers['session.execute'];
  daemon.handlers['session.execute'] = async (params, peer) => {
    fake.peers.delete(peer);
    const result = await runs?.(params, peer);
    void daemon.received('session.show').then(() => {
      for (const { text } of fake.events) peer.send(text);
    });
    return result;
  };
  daemon.script = (_source, cell) => {
    cell.print('late');
    return 1;
  };
  const called: string[] = [];
  await session.execute('x', { onOutput: (event) => called.push(textOf(event)) });
  t.deepEqual(called, ['late']);
});

test('a request that may not be made twice rejects UNAVAILABLE and says so; one not sent yet waits', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  const disconnected = new Promise((resolve) => client.on('disconnected', resolve));
  const set = daemon.handlers['namespace.set'];
  daemon.handlers['namespace.set'] = () => NO_ANSWER;
  const lost = t.throwsAsync(session.namespace.set({ a: 1 }), { instanceOf: PyreplError });
  await daemon.received('namespace.set');
  if (set) daemon.handlers['namespace.set'] = set;
  daemon.drop();
  await disconnected;
  const waiting = session.namespace.set({ b: 2 });
  const error = await lost;
  t.is(error.code, 'UNAVAILABLE');
  t.regex(error.message, /namespace\.set .*may or may not/);
  t.deepEqual(await waiting, ['b']);
  t.is(daemon.of('namespace.set').length, 2);
});

test('events that the daemon no longer has are marked by one gap, and the kept ones follow', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  const events = session.events();
  daemon.drop();
  const fake = daemon.session();
  for (const text of ['1', '2', '3']) fake.emit({ kind: 'log', executionId: null, level: 'info', text });
  fake.events = fake.events.slice(2);
  t.like((await events.next()).value, { kind: 'events.gap', fromSeq: 1, toSeq: 2, reason: 'gone' });
  t.like((await events.next()).value, { kind: 'log', seq: 3 });
});

test('a session that is gone after a reconnection ends its streams with UNKNOWN_SESSION', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  const events = session.events();
  daemon.sessions.clear();
  daemon.drop();
  await t.throwsAsync(events.next(), { code: 'UNKNOWN_SESSION' });
  t.true((await events.next()).done);
  t.true(session.closed);
  await t.throwsAsync(session.run('1'), { code: 'UNKNOWN_SESSION' });
});

test('a daemon that stays away closes the client: every request and every stream ends with UNAVAILABLE', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const client = await connect({ stateDir: daemon.stateDir, reconnect: { initialDelayMs: 1, totalMs: 20 } });
  const session = await client.createSession();
  daemon.script = () => new Promise(() => undefined);
  const execution = session.execute('x');
  const events = session.events();
  await daemon.received('session.execute');
  await daemon.vanish();
  await t.throwsAsync(Promise.resolve(execution), { code: 'UNAVAILABLE' });
  await t.throwsAsync(
    (async () => {
      for await (const _ of events);
    })(),
    { code: 'UNAVAILABLE' },
  );
  await t.throwsAsync(client.listSessions(), { code: 'UNAVAILABLE' });
  await client.close();
});

test('with reconnect: false the first loss closes the client', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: false });
  const closed = new Promise((resolve) => client.on('closed', resolve));
  daemon.drop();
  t.like(await closed, { code: 'UNAVAILABLE' });
  await t.throwsAsync(client.listSessions(), { code: 'UNAVAILABLE' });
});

test('an execution during which the connection breaks again and again is given up, not sent for ever', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
  const session = await client.createSession();
  daemon.handlers['session.execute'] = (_params, peer) => {
    peer.terminate();
    return NO_ANSWER;
  };
  await t.throwsAsync(Promise.resolve(session.execute('x')), { code: 'UNAVAILABLE', message: /5 times/ });
  t.is(daemon.of('session.execute').length, 5);
});

test('close settles what is in flight, ends the streams, and may be called twice', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.script = () => new Promise(() => undefined);
  const execution = session.execute('x');
  const events = session.events();
  await client.close();
  await client.close();
  await t.throwsAsync(Promise.resolve(execution), { code: 'UNAVAILABLE', message: 'the client is closed' });
  t.deepEqual(await Array.fromAsync(events), []);
  t.deepEqual(await Array.fromAsync(execution.output), []);
});

test('an aborted signal interrupts the cell, and run throws its reason', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.script = async (_source, cell) => {
    await cell.interrupted;
    throw new Refusal('INTERRUPTED', 'interrupted');
  };
  const aborting = new AbortController();
  const running = session.run('x', { signal: aborting.signal });
  await daemon.received('session.execute');
  aborting.abort(new Error('enough'));
  await t.throwsAsync(running, { message: 'enough' });
  const execution = session.execute('y');
  t.true(await execution.interrupt());
  t.is((await execution).error?.code, 'INTERRUPTED');
});

test('an aborted signal ends the waiting for any other request, and keeps one from being sent', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  daemon.handlers['session.list'] = () => NO_ANSWER;
  const aborting = new AbortController();
  const listing = client.listSessions({ signal: aborting.signal });
  await daemon.received('session.list');
  aborting.abort(new Error('enough'));
  await t.throwsAsync(listing, { message: 'enough' });
  await t.throwsAsync(client.listSessions({ signal: aborting.signal }), { message: 'enough' });
  t.is(daemon.of('session.list').length, 1);
  await t.throwsAsync(connect({ stateDir: daemon.stateDir, signal: aborting.signal }), { message: 'enough' });
});

test('a slow reader of output gets the newest events and one gap in place of the oldest', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.script = (_source, cell) => {
    for (let i = 0; i < 10_100; i++) cell.print(`${i} `);
    return null;
  };
  const execution = session.execute('x');
  await execution;
  const events = await Array.fromAsync(execution.output);
  t.like(events[0], { kind: 'events.gap', fromSeq: 2, toSeq: 101, reason: 'slow-reader' });
  t.is(events.length, 10_001);
  t.like(events.at(-1), { text: '10099 ' });
});

test('a source or a message beyond the limits of the daemon is refused before it is sent', async (t) => {
  await using daemon = await FakeDaemon.listen();
  daemon.limits = { frameBytesMax: 4096, sourceBytesMax: 100 };
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  await t.throwsAsync(Promise.resolve(session.execute('é'.repeat(51))), { code: 'TOO_LARGE', message: /102 bytes/ });
  await t.throwsAsync(session.namespace.set({ a: 'x'.repeat(5000) }), { code: 'TOO_LARGE' });
  await t.throwsAsync(session.namespace.set({ a: 1n }), { code: 'INVALID_PARAMS' });
  t.is(daemon.of('session.execute').length + daemon.of('namespace.set').length, 0);
});

test('an execution or a request whose failure nobody awaits raises no unhandled rejection', async (t) => {
  await using daemon = await FakeDaemon.listen();
  const client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  const ending = new AbortController();
  process.once('unhandledRejection', () => ending.abort());
  daemon.script = () => new Promise(() => undefined);
  session.execute('x');
  session.execute('y', { signal: AbortSignal.abort() });
  await client.close();
  await new Promise((resolve) => setImmediate(resolve));
  t.false(ending.signal.aborted);
});

for (const [what, frame] of Object.entries({
  'text that is not JSON': 'nonsense',
  'a list': '[]',
  'a number': '1',
  'an answer with neither result nor error': '{"jsonrpc":"2.0","id":4}',
  'an error for no request': '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
  'an event that is none': '{"jsonrpc":"2.0","method":"event","params":{"sessionId":"s1","seq":"1"}}',
  'an output event without text':
    '{"jsonrpc":"2.0","method":"event","params":{"sessionId":"s1","seq":1,"kind":"output"}}',
})) {
  test(`a daemon that sends ${what} is no daemon: the client closes with INTERNAL`, async (t) => {
    await using daemon = await FakeDaemon.listen();
    await using client = await connect({ stateDir: daemon.stateDir, reconnect: quick });
    daemon.handlers['session.list'] = (_params, peer) => {
      peer.send(frame);
      return NO_ANSWER;
    };
    await t.throwsAsync(client.listSessions(), { instanceOf: PyreplError, code: 'INTERNAL' });
  });
}

test('an answer of the wrong shape rejects its request only, with INTERNAL naming the member', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.handlers['session.execute'] = () => ({ executionId: 'x', cell: 1, status: 'fine' });
  await t.throwsAsync(Promise.resolve(session.execute('x')), { code: 'INTERNAL', message: /session\.execute.*status/ });
  daemon.handlers['daemon.stats'] = () => null;
  await t.throwsAsync(client.call('daemon.stats', {}), { code: 'INTERNAL' });
  t.is((await client.listSessions()).length, 1);
});

test('a value that the daemon cannot read as a message fails its own request only', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.handlers['namespace.set'] = (_params, peer) => {
    peer.send('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"too deep"}}');
    return NO_ANSWER;
  };
  await t.throwsAsync(session.namespace.set({ a: 1 }), { code: 'INVALID_REQUEST', message: 'too deep' });
  t.is((await client.listSessions()).length, 1);
});

test('what the daemon refuses rejects with its code, blame and details; an unknown code is INTERNAL', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  daemon.handlers['session.create'] = () => {
    throw new Refusal('LEVEL_DENIED', 'too high', { levelCeiling: 'standard' });
  };
  const error = await t.throwsAsync(client.createSession({ level: 'trusted' }), { instanceOf: PyreplError });
  t.like(error, { code: 'LEVEL_DENIED', blame: 'policy', message: 'too high', details: { levelCeiling: 'standard' } });
  await t.throwsAsync(client.attachSession('nobody'), { code: 'UNKNOWN_SESSION' });
});

test('input() is answered by the handler, and a handler that throws is the end of input', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.script = async (_source, cell) => [await cell.ask('name? '), await cell.ask('again? ')];
  session.onInput(({ prompt }) => {
    if (prompt === 'again? ') throw new Error('no');
    return 'Ada';
  });
  t.deepEqual(await session.run('x'), ['Ada', null]);
});

test('a request for input that is settled elsewhere aborts the signal of its handler', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  daemon.script = (_source, cell) => cell.ask('name? ');
  const asked = Promise.withResolvers<AbortSignal>();
  const remove = session.onInput(async ({ signal }) => {
    asked.resolve(signal);
    await untilAborted(signal);
    return 'too late';
  });
  const running = session.run('x');
  const signal = await asked.promise;
  const [requestId, settle] = [...daemon.session().answers][0] ?? [];
  daemon.session().emit({ kind: 'input.settled', requestId: requestId ?? '', outcome: 'timed-out' });
  await untilAborted(signal);
  settle?.('elsewhere');
  t.is(await running, 'elsewhere');
  t.is(daemon.of('input.answer').length, 0);
  remove();
});

test('the namespace, completion and the rest of a session reach their methods', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  t.deepEqual(await session.namespace.set({ a: 1, b: 2 }), ['a', 'b']);
  t.deepEqual(await session.namespace.get('a'), { kind: 'json', json: 1 });
  t.deepEqual(await session.namespace.delete('a'), ['a']);
  t.deepEqual(
    (await session.namespace.list()).map(({ name }) => name),
    ['b'],
  );
  t.deepEqual(await session.complete('co'), { matches: ['co!'], start: 0, end: 2 });
  t.is(await session.isComplete('f() {'), 'incomplete');
  t.false((await session.inspect('x')).found);
  t.is((await session.setLevel('restricted')).level, 'restricted');
  t.is(session.info.level, 'restricted');
  t.is((await session.reset()).sessionId, 's1');
  t.deepEqual(await session.capabilities(), []);
  t.false(await session.interrupt());
  await session.detach();
  t.true(session.closed);
  const again = await client.attachSession('s1', { afterSeq: 0 });
  t.is(await client.attachSession('s1'), again);
  await again.close();
  await again.close();
  t.deepEqual(await client.listSessions(), []);
});

test('a session that ends by itself ends its streams after its last event', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  const events = session.events();
  daemon.session().emit({ kind: 'session.lost', code: 'HOST_CRASHED', message: 'gone' });
  daemon.session().emit({ kind: 'session.closed', reason: 'violation' });
  const kinds = (await Array.fromAsync(events)).map(({ kind }: SessionEvent | EventGap) => kind);
  t.deepEqual(kinds, ['session.lost', 'session.closed']);
});

test('connecting where nothing listens, or something else does, rejects UNAVAILABLE with the path', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await daemon.vanish();
  await t.throwsAsync(connect({ stateDir: daemon.stateDir }), { code: 'UNAVAILABLE', message: /client\.sock/ });
  await t.throwsAsync(connect({ socketPath: `/${'x'.repeat(300)}` }), { code: 'UNAVAILABLE' });
  await t.throwsAsync(connect({ socketPath: import.meta.filename }), { code: 'UNAVAILABLE' });
});

test('a session that rises above the ceiling ends its streams with LEVEL_DENIED, and can still be closed', async (t) => {
  await using daemon = await FakeDaemon.listen();
  await using client = await connect({ stateDir: daemon.stateDir });
  const session = await client.createSession();
  const events = session.events();
  daemon.session().emit({ kind: 'session.detached', role: 'admin', reason: 'not ours' });
  daemon.session().emit({ kind: 'session.detached', role: 'client', reason: 'above the ceiling' });
  t.like((await events.next()).value, { role: 'admin' });
  t.like((await events.next()).value, { role: 'client' });
  await t.throwsAsync(events.next(), { code: 'LEVEL_DENIED', message: 'above the ceiling' });
  await session.close();
  t.is(daemon.of('session.close').length, 1);
});
