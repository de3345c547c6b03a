import test from 'ava';
import { FAULTS, type FaultCode } from '../../../client/protocol.ts';
import { Fault } from '../../../daemon/fault.ts';
import { AnswerThen, type Handlers } from '../../../daemon/transport/handlers.ts';
import { type Message, Peer, serve } from './transport-fixture.ts';

const EXECUTED = { executionId: 'x' } as unknown as Awaited<ReturnType<Handlers['session.execute']>>;

function request(method: string, params?: unknown, id: unknown = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

for (const [what, text, code, id] of [
  ['text that is not JSON', 'hello', 'PARSE_ERROR', null],
  ['an empty text', '', 'PARSE_ERROR', null],
  ['a million open brackets', '['.repeat(1_000_000), 'INVALID_REQUEST', null],
  ['a million nested brackets', '['.repeat(1_000_000) + ']'.repeat(1_000_000), 'INVALID_REQUEST', null],
  [
    '201 levels',
    request('session.list').replace('}', `,"x":${'['.repeat(200)}${']'.repeat(200)}}`),
    'INVALID_REQUEST',
    null,
  ],
  ['half a million keys', `{${Array.from({ length: 500_000 }, (_, n) => `"${n}":0`).join()}}`, 'INVALID_REQUEST', null],
  ['null', 'null', 'INVALID_REQUEST', null],
  ['a number', '5', 'INVALID_REQUEST', null],
  ['an empty batch', '[]', 'INVALID_REQUEST', null],
  ['a batch of 101', `[${Array.from({ length: 101 }, () => request('session.list')).join()}]`, 'INVALID_REQUEST', null],
  ['no version', '{"id":1,"method":"session.list"}', 'INVALID_REQUEST', 1],
  ['JSON-RPC 1.0', '{"jsonrpc":"1.0","id":1,"method":"session.list"}', 'INVALID_REQUEST', 1],
  ['a method that is a number', '{"jsonrpc":"2.0","id":1,"method":5}', 'INVALID_REQUEST', 1],
  ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"session.list"}', 'INVALID_REQUEST', null],
  ['an id of a million characters', request('session.list', {}, 'x'.repeat(1e6)), 'INVALID_REQUEST', null],
  ['the method constructor', request('constructor'), 'METHOD_NOT_FOUND', 1],
  ['the method toString', request('toString'), 'METHOD_NOT_FOUND', 1],
  ['the method __proto__', request('__proto__'), 'METHOD_NOT_FOUND', 1],
  ['the method __defineGetter__', request('__defineGetter__'), 'METHOD_NOT_FOUND', 1],
  ['the method rpc.discover', request('rpc.discover'), 'METHOD_NOT_FOUND', 1],
  ['an admin method on the client socket', request('daemon.stats'), 'ROLE_DENIED', 1],
] as const) {
  test(`answers ${what} with ${code}`, async (t) => {
    const { socketPath, incidents } = await serve(t);
    const peer = await Peer.connected(t, socketPath);
    const { jsonrpc, id: answered, error } = await peer.ask(text);
    t.is(jsonrpc, '2.0');
    t.is(answered, id);
    t.is(error.code, FAULTS[code as FaultCode].rpc);
    t.deepEqual([error.data.code, error.data.blame], [code, FAULTS[code as FaultCode].blame]);
    t.true(error.message.length < 300);
    t.deepEqual((await peer.ask(request('session.list', undefined, 'next'))).id, 'next');
    t.deepEqual(incidents, []);
  });
}

test('drops an answer to what nobody asked, and refuses one in a batch', async (t) => {
  const { socketPath } = await serve(t);
  const peer = await Peer.connected(t, socketPath);
  peer.send('{"jsonrpc":"2.0","id":"daemon-1","result":5}');
  t.is((await peer.ask(request('session.list', undefined, 'next'))).id, 'next');
  const [refused] = await peer.ask('[{"jsonrpc":"2.0","id":1,"result":5}]');
  t.is(refused.error.data.code, 'INVALID_REQUEST');
});

const TIMEOUT = 'session.execute: timeoutMs must be a whole number from 1 to 86400000, got';
for (const [what, method, params, message] of [
  ['0', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":0}', `${TIMEOUT} 0`],
  ['-1', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":-1}', `${TIMEOUT} -1`],
  ['NaN as null', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":null}', `${TIMEOUT} null`],
  ['2**31', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":2147483648}', `${TIMEOUT} 2147483648`],
  ['1e308', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":1e308}', `${TIMEOUT} 1e+308`],
  ['1e999', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":1e999}', `${TIMEOUT} null`],
  ['1.5', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":1.5}', `${TIMEOUT} 1.5`],
  ['"5"', 'session.execute', '{"sessionId":"s","source":"","timeoutMs":"5"}', `${TIMEOUT} "5"`],
  ['a missing one', 'session.execute', '{"sessionId":"s"}', 'session.execute: source is missing'],
  ['no params at all', 'session.show', undefined, 'session.show: sessionId is missing'],
  [
    'an unknown one',
    'session.show',
    '{"sessionId":"s","x":1}',
    'session.show: there is no parameter "x"; known are sessionId',
  ],
  ['one where none are', 'session.list', '{"x":1}', 'session.list: there is no parameter "x"; it takes none'],
  [
    '__proto__',
    'session.show',
    '{"sessionId":"s","__proto__":1}',
    'session.show: there is no parameter "__proto__"; known are sessionId',
  ],
  [
    'toString',
    'session.show',
    '{"sessionId":"s","toString":1}',
    'session.show: there is no parameter "toString"; known are sessionId',
  ],
  ['null params', 'session.show', 'null', 'session.show: params must be an object of named parameters, got null'],
  [
    'a list of params',
    'session.show',
    '["s"]',
    'session.show: params must be an object of named parameters, got a list',
  ],
  [
    'a wrong type',
    'session.show',
    '{"sessionId":[1,2]}',
    'session.show: sessionId must be a string of at most 64 characters, got a list of 2',
  ],
  [
    'a long string',
    'session.show',
    `{"sessionId":"${'x'.repeat(100)}"}`,
    `session.show: sessionId must be a string of at most 64 characters, got "${'x'.repeat(40)}"… (100 characters)`,
  ],
  [
    'a pattern',
    'session.execute',
    '{"sessionId":"s","source":"","executionId":"a b"}',
    'session.execute: executionId must be 1 to 128 letters, digits or any of _ . : -, got "a b"',
  ],
  [
    'a choice',
    'session.create',
    '{"language":"cobol"}',
    'session.create: language must be one of "javascript", "typescript", "python", got "cobol"',
  ],
  [
    'a nested one',
    'session.create',
    '{"limits":{"cellCpuMsMax":0}}',
    'session.create: limits.cellCpuMsMax must be a whole number from 1 to 86400000, got 0',
  ],
  [
    'an item',
    'session.create',
    '{"capabilities":["a",""]}',
    'session.create: capabilities.1 must be a string of 1 to 256 characters, got ""',
  ],
  [
    'too many items',
    'session.create',
    `{"capabilities":[${'"a",'.repeat(256)}"a"]}`,
    'session.create: capabilities must be a list of at most 256 items, got a list of 257',
  ],
  [
    'a name',
    'namespace.set',
    '{"sessionId":"s","values":{"":1}}',
    'namespace.set: each name in values must be a string of 1 to 256 characters, got ""',
  ],
  [
    'a nullable',
    'input.answer',
    '{"sessionId":"s","requestId":"r","text":5}',
    'input.answer: text must be a string or null, got 5',
  ],
  [
    'a name that is lost',
    'namespace.set',
    '{"sessionId":"s","values":{"constructor":1}}',
    'namespace.set: values may not hold the name "constructor"',
  ],
] as const) {
  test(`says in words what is wrong with parameters: ${what}`, async (t) => {
    const { socketPath } = await serve(t);
    const peer = await Peer.connected(t, socketPath);
    const text = `{"jsonrpc":"2.0","id":1,"method":"${method}"${params === undefined ? '' : `,"params":${params}`}}`;
    const { error } = await peer.ask(text);
    t.is(error.message, message);
    t.is(error.code, -32602);
  });
}

test('allows admin methods on the admin socket', async (t) => {
  const { socketPath } = await serve(t, {}, { role: 'admin' });
  t.deepEqual((await (await Peer.connected(t, socketPath)).call('daemon.stats')).result, {});
});

test('tells a client on the wrong socket where to go', async (t) => {
  const { socketPath } = await serve(t);
  const { error } = await (await Peer.connected(t, socketPath)).call('daemon.stats');
  t.regex(error.message, /admin\.sock/);
});

test('a Fault of a handler arrives with its code, blame and details', async (t) => {
  const { socketPath } = await serve(t, {
    'session.show': () => {
      throw new Fault('UNKNOWN_SESSION', 'There is no such session.', { a: 1 });
    },
  });
  const { error } = await (await Peer.connected(t, socketPath)).call('session.show', { sessionId: 's' });
  t.deepEqual(error, {
    code: -32001,
    message: 'There is no such session.',
    data: { code: 'UNKNOWN_SESSION', blame: 'client', details: { a: 1 } },
  });
});

for (const [what, fail] of [
  [
    'throws',
    () => {
      throw new Error('/secret/path');
    },
  ],
  ['rejects', () => Promise.reject(new Error('/secret/path'))],
  ['rejects with a string', () => Promise.reject('/secret/path')],
  ['answers what has no JSON', () => ({ a: 1n, b: '/secret/path' })],
] as const) {
  test(`tells nothing but an incident when a handler ${what}, and logs the rest`, async (t) => {
    const { socketPath, incidents } = await serve(t, { 'session.list': fail as unknown as Handlers['session.list'] });
    const peer = await Peer.connected(t, socketPath);
    const { error } = await peer.call('session.list');
    t.is(error.data.code, 'INTERNAL');
    t.notRegex(JSON.stringify(error), /secret/);
    t.is(incidents.length, 1);
    t.is(incidents[0]?.incident, error.data.details.incident);
  });
}

test('runs a notification without answering it, and logs its failure', async (t) => {
  const seen: string[] = [];
  const { socketPath, incidents } = await serve(t, {
    'session.close': ({ sessionId }) => {
      seen.push(sessionId);
      throw new Error('broken');
    },
  });
  const peer = await Peer.connected(t, socketPath);
  peer.send({ jsonrpc: '2.0', method: 'session.close', params: { sessionId: 'a' } });
  peer.send({ jsonrpc: '2.0', method: 'no.such' });
  t.is((await peer.call('session.list')).id, 1, 'the first message that comes back is the answer to the request');
  t.deepEqual(seen, ['a']);
  t.is(incidents.length, 1);
});

test('answers a batch in its order, without its notifications, whatever settles first', async (t) => {
  const { socketPath } = await serve(t, {
    'session.execute': async ({ source }) => {
      if (source === 'slow') await new Promise((resolve) => setImmediate(resolve));
      return { executionId: source } as never;
    },
  });
  const peer = await Peer.connected(t, socketPath);
  const execute = (source: string) => ({ method: 'session.execute', params: { sessionId: 's', source } });
  const answers = await peer.ask(
    JSON.stringify([
      { jsonrpc: '2.0', id: 'a', ...execute('slow') },
      { jsonrpc: '2.0', ...execute('silent') },
      5,
      { jsonrpc: '2.0', id: 'b', ...execute('fast') },
    ]),
  );
  t.deepEqual(
    answers.map(({ id, result, error }: Message) => [id, result?.executionId ?? error.code]),
    [
      ['a', 'slow'],
      [null, -32600],
      ['b', 'fast'],
    ],
  );
  const one = await peer.ask(`[${request('session.list')}]`);
  t.true(Array.isArray(one), 'a batch of one is answered by a batch of one');
});

test('starts handlers in the order of arrival and lets answers overtake each other', async (t) => {
  const started: string[] = [];
  const release = Promise.withResolvers<void>();
  const { socketPath } = await serve(t, {
    'session.execute': async ({ source }) => {
      started.push(source);
      if (source === '0') await release.promise;
      return EXECUTED;
    },
  });
  const peer = await Peer.connected(t, socketPath);
  for (let id = 0; id < 50; id += 1) peer.send(request('session.execute', { sessionId: 's', source: String(id) }, id));
  const first: number[] = [];
  for (let n = 0; n < 49; n += 1) first.push((await peer.next()).id);
  release.resolve();
  t.is((await peer.next()).id, 0);
  t.deepEqual(
    started,
    Array.from({ length: 50 }, (_, n) => String(n)),
  );
  t.deepEqual(
    first,
    Array.from({ length: 49 }, (_, n) => n + 1),
  );
});

test('answers each of 20,000 requests at once, those beyond its bound with BUSY and at once', async (t) => {
  const release = Promise.withResolvers<void>();
  const { socketPath } = await serve(t, {
    'session.execute': async () => {
      await release.promise;
      return EXECUTED;
    },
  });
  const peer = await Peer.connected(t, socketPath);
  for (let id = 0; id < 20_000; id += 1) peer.send(request('session.execute', { sessionId: 's', source: '1' }, id));
  let busy = 0;
  for (; busy < 20_000 - 4096; busy += 1) t.is((await peer.next()).error.data.code, 'BUSY');
  release.resolve();
  for (let ok = 0; ok < 4096; ok += 1) t.is((await peer.next()).result.executionId, 'x');
  t.truthy((await peer.call('session.list')).result, 'afterwards there is room again');
});

test('bounds what requests in flight hold in bytes too', async (t) => {
  const release = Promise.withResolvers<void>();
  const { socketPath } = await serve(
    t,
    {
      'session.execute': async () => {
        await release.promise;
        return EXECUTED;
      },
    },
    { limits: { requestBytesInFlightMax: 1000 } },
  );
  const peer = await Peer.connected(t, socketPath);
  const large = { sessionId: 's', source: 'x'.repeat(2000) };
  peer.send(request('session.execute', large, 'first'));
  t.is((await peer.ask(request('session.execute', large, 'second'))).error.data.code, 'BUSY');
  release.resolve();
  t.is((await peer.next()).id, 'first');
  t.is((await peer.ask(request('session.execute', large, 'third'))).id, 'third');
});

test('says TOO_LARGE instead of sending a message that no client takes', async (t) => {
  const { socketPath } = await serve(t, {
    'namespace.get': ({ name }) => ({ value: { kind: 'json', json: 'é'.repeat(name === 'half' ? 2.5e6 : 5e6) } }),
  });
  const peer = await Peer.connected(t, socketPath);
  const { error } = await peer.call('namespace.get', { sessionId: 's', name: 'all' });
  t.is(error.data.code, 'TOO_LARGE');
  t.true(error.data.details.bytes > 10_000_000);
  const half = request('namespace.get', { sessionId: 's', name: 'half' });
  const batch = await peer.ask(`[${half},${half}]`);
  t.deepEqual(
    batch.map((answer: Message) => answer.error.data.code),
    ['TOO_LARGE', 'TOO_LARGE'],
  );
});

test('does what follows an answer only once the answer is on its way', async (t) => {
  const { socketPath } = await serve(t, {
    'session.attach': (_params, caller) =>
      new AnswerThen({ seq: 1 } as never, () => caller.events.send('{"method":"event"}')),
  });
  const peer = await Peer.connected(t, socketPath);
  t.deepEqual((await peer.call('session.attach', { sessionId: 's' })).result, { seq: 1 });
  t.is((await peer.next()).method, 'event');
});

test('a client that vanishes in the middle of a request costs nothing but its own answer', async (t) => {
  const started = Promise.withResolvers<AbortSignal>();
  const release = Promise.withResolvers<void>();
  const { socketPath, incidents } = await serve(t, {
    'session.execute': async (_params, caller) => {
      started.resolve(caller.signal);
      await release.promise;
      return EXECUTED;
    },
  });
  const peer = await Peer.connected(t, socketPath);
  peer.send(request('session.execute', { sessionId: 's', source: '1' }));
  const signal = await started.promise;
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
  peer.webSocket.terminate();
  await aborted;
  release.resolve();
  const other = await Peer.connected(t, socketPath);
  t.is((await other.call('session.list')).id, 1);
  t.deepEqual(incidents, []);
});

test('lone surrogates, NUL and line separators in a source arrive as they were sent', async (t) => {
  const source = '\ud800 \u0000 \u2028 \ufeff 🎵';
  const { socketPath } = await serve(t, { 'session.execute': (params) => ({ executionId: params.source }) as never });
  const peer = await Peer.connected(t, socketPath);
  t.is((await peer.call('session.execute', { sessionId: 's', source })).result.executionId, source);
});

test('hello gives a token that makes another connection the same client, and fixes it with the first other call', async (t) => {
  const { socketPath, callers } = await serve(t, {
    'daemon.hello': ({ token }, caller) => ({ token: caller.hello(token) }) as never,
  });
  const first = await Peer.connected(t, socketPath);
  const { token } = (await first.call('daemon.hello')).result;
  t.regex(token, /^[\w-]{43}$/);
  t.is((await first.call('daemon.hello')).result.token, token, 'asked again, it is the same');
  const second = await Peer.connected(t, socketPath);
  t.not(callers[1]?.principal, callers[0]?.principal);
  t.is((await second.call('daemon.hello', { token })).result.token, token);
  t.is(callers[1]?.principal, callers[0]?.principal);
  await second.call('session.list');
  t.is((await second.call('daemon.hello', { token })).result.token, token);
  const { error } = await second.call('daemon.hello', { token: 'x'.repeat(43) });
  t.is(error.data.code, 'INVALID_REQUEST');
  t.is((await second.call('daemon.hello', { token: '' })).error.data.code, 'INVALID_PARAMS');
});
