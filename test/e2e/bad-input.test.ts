/** Everything that a client can get wrong or do on purpose; after each, the daemon answers another client at once. */
import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import WebSocket from 'ws';
import { FRAME_BYTES_MAX, SUBPROTOCOL } from '../../client/protocol.ts';
import { RawClient, type RpcFault } from '../harness/daemon-process.ts';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

test.afterEach('another client is answered', async (t) => {
  t.is(await file.answersAnother(), 2);
  t.true(file.daemon.running);
});

interface Answer {
  readonly id: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly code: string } };
  readonly result?: unknown;
}

/** Sends texts as they are and resolves with as many answers. */
async function answersTo(texts: readonly string[], count = texts.length): Promise<readonly Answer[]> {
  const socket = await rawSocket();
  const answers: Answer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      answers.push(JSON.parse(String(data)));
      if (answers.length === count) resolve();
    });
    for (const text of texts) socket.send(text);
  });
  socket.terminate();
  return answers;
}

async function rawSocket(): Promise<WebSocket> {
  const socket = new WebSocket(`ws+unix://${file.daemon.clientSocket}:/`, SUBPROTOCOL, { perMessageDeflate: false });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return socket;
}

const request = (method: unknown, params: unknown = {}, id: unknown = 1): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

const refusals: readonly [what: string, text: string, code: string, number: number][] = [
  ['what is not JSON', 'hello', 'PARSE_ERROR', -32700],
  ['half of a request', request('daemon.hello').slice(0, -2), 'PARSE_ERROR', -32700],
  ['nothing', '', 'PARSE_ERROR', -32700],
  ['a number', '5', 'INVALID_REQUEST', -32600],
  ['null', 'null', 'INVALID_REQUEST', -32600],
  ['an empty batch', '[]', 'INVALID_REQUEST', -32600],
  ['an object that is no request', '{}', 'INVALID_REQUEST', -32600],
  ['another version', '{"jsonrpc":"1.0","id":1,"method":"daemon.hello"}', 'INVALID_REQUEST', -32600],
  ['a method that is a number', request(5), 'INVALID_REQUEST', -32600],
  ['brackets without end', '['.repeat(1e6), 'INVALID_REQUEST', -32600],
  ['an unknown method', request('session.explode'), 'METHOD_NOT_FOUND', -32601],
  ['a method of every object', request('toString'), 'METHOD_NOT_FOUND', -32601],
  ['a list of parameters', request('daemon.hello', []), 'INVALID_PARAMS', -32602],
  ['parameters that are text', request('daemon.hello', 'x'), 'INVALID_PARAMS', -32602],
  ['a method of the administrator', request('daemon.stats'), 'ROLE_DENIED', -32004],
];

for (const [what, text, code, number] of refusals) {
  test(`${what} is refused as ${code}`, async (t) => {
    const [answer] = await answersTo([text]);
    t.is(answer?.error?.data.code, code, JSON.stringify(answer).slice(0, 300));
    t.is(answer?.error?.code, number);
    t.true((answer?.error?.message.length ?? 0) < 1000);
  });
}

async function faultOf(t: ExecutionContext, method: string, params: unknown): Promise<RpcFault> {
  const error = await t.throwsAsync(file.client.callAny(method, params), undefined, JSON.stringify(params));
  return error as unknown as RpcFault;
}

test('missing, extra and wrong-typed parameters are INVALID_PARAMS and named', async (t) => {
  const { sessionId } = await file.session();
  for (const [method, params, named] of [
    ['session.execute', {}, 'sessionId'],
    ['session.execute', { sessionId }, 'source'],
    ['session.execute', { sessionId, source: 5 }, 'source'],
    ['session.execute', { sessionId, source: null }, 'source'],
    ['session.execute', { sessionId, source: '1', extra: 1 }, 'extra'],
    ['session.execute', { sessionId, source: '1', executionId: 'not ok' }, 'executionId'],
    ['session.execute', { sessionId, source: '1', executionId: 'x'.repeat(129) }, 'executionId'],
    ['session.create', { language: 'cobol' }, 'language'],
    ['session.create', { limits: { heapMiBMax: 'big' } }, 'heapMiBMax'],
    ['session.create', { limits: { everything: 1 } }, 'everything'],
    ['session.create', { capabilities: 'print' }, 'capabilities'],
    ['session.create', { labels: { a: 1 } }, 'labels'],
    ['session.attach', { sessionId, afterSeq: -1 }, 'afterSeq'],
    ['session.complete', { sessionId, source: 'a', cursor: 1.5 }, 'cursor'],
    ['namespace.set', { sessionId, values: 'x' }, 'values'],
    ['namespace.get', { sessionId, name: '' }, 'name'],
    ['input.answer', { sessionId, requestId: 'x' }, 'text'],
  ] as const) {
    const fault = await faultOf(t, method, params);
    t.is(fault.code, 'INVALID_PARAMS', `${method} ${JSON.stringify(params)}`);
    t.true(fault.message.includes(named), fault.message);
  }
});

test('numbers out of range are INVALID_PARAMS', async (t) => {
  const { sessionId } = await file.session();
  for (const timeoutMs of ['0', '-1', '2147483648', '1e308', '1e999', '"5"', 'null', '0.5', 'true', '[]']) {
    const params = `{"sessionId":"${sessionId}","source":"1","timeoutMs":${timeoutMs}}`;
    const [answer] = await answersTo([`{"jsonrpc":"2.0","id":1,"method":"session.execute","params":${params}}`]);
    t.is(answer?.error?.data.code, 'INVALID_PARAMS', timeoutMs);
  }
  const [nan] = await answersTo([`{"jsonrpc":"2.0","id":1,"method":"session.execute","params":{"timeoutMs":NaN}}`]);
  t.is(nan?.error?.data.code, 'PARSE_ERROR');
});

test('a session of somebody else is answered exactly like one that does not exist', async (t) => {
  const session = await file.session();
  const stranger = await file.daemon.connect();
  const methods = [
    ['session.show', {}],
    ['session.execute', { source: '1' }],
    ['session.attach', {}],
    ['session.close', {}],
    ['session.interrupt', {}],
    ['namespace.list', {}],
    ['namespace.get', { name: 'x' }],
    ['input.answer', { requestId: 'x', text: '' }],
  ] as const;
  for (const [method, rest] of methods) {
    const answers = [];
    for (const sessionId of [session.sessionId, `ses_${'A'.repeat(22)}`]) {
      const error = await t.throwsAsync(stranger.callAny(method, { sessionId, ...rest }));
      const { code, number, message, details } = error as unknown as RpcFault;
      answers.push(JSON.stringify({ code, number, message, details }).replaceAll(sessionId, 'ID'));
    }
    t.is(answers[0], answers[1]);
    t.true(answers[0]?.includes('UNKNOWN_SESSION'));
  }
  t.deepEqual(await stranger.call('session.list', {}), { sessions: [] });
  stranger.close();
});

test('a frame of 100 MB ends the connection that sent it, with the code for it', async (t) => {
  const socket = await rawSocket();
  const closed = once(socket, 'close');
  socket.send(Buffer.alloc(100 * 1024 * 1024, 0x20).toString(), () => undefined);
  t.is((await closed)[0], 1009);
});

test('a binary frame and bytes that are no WebSocket end their connection alone', async (t) => {
  const socket = await rawSocket();
  const closed = once(socket, 'close');
  socket.send(Buffer.from(request('daemon.hello')));
  t.is((await closed)[0], 1003);
  const plain = connect(file.daemon.clientSocket);
  plain.on('error', () => undefined).resume();
  plain.end('GET / HTTP/1.1\r\n\r\n\0\xff');
  await once(plain, 'close');
  t.pass();
});

test('10,000 requests at once are each answered: with the result, or BUSY', async (t) => {
  const answers = await answersTo(Array.from({ length: 10_000 }, (_, id) => request('daemon.hello', {}, id)));
  t.is(new Set(answers.map(({ id }) => id)).size, 10_000);
  t.true(answers.every(({ error }) => error === undefined || error.data.code === 'BUSY'));
});

test('10,000 cells at once are each answered: those that wait run in order, the others are BUSY', async (t) => {
  const { sessionId, run } = await file.session({ level: 'unrestricted' });
  await run('var n = 0');
  const calls = Array.from({ length: 10_000 }, () =>
    file.client.call('session.execute', { sessionId, source: '++n' }).then(
      ({ value }) => (value?.kind === 'json' ? value.json : 'no value'),
      (error: RpcFault) => error.code,
    ),
  );
  const answers = await Promise.all(calls);
  const numbers = answers.filter((answer) => answer !== 'BUSY');
  t.deepEqual(
    numbers,
    Array.from(numbers, (_, i) => i + 1),
  );
  t.true(numbers.length > 0);
});

test('a source may have 1 MiB, and one byte more is TOO_LARGE', async (t) => {
  const session = await file.session();
  const most = `${' '.repeat(2 ** 20 - 1)}7`;
  t.deepEqual(await session.value(most), { kind: 'json', json: 7 });
  const fault = await t.throwsAsync(session.run(` ${most}`));
  t.is((fault as unknown as RpcFault).code, 'TOO_LARGE');
  const inBytes = await t.throwsAsync(session.run(`"${'é'.repeat(2 ** 19)}"`));
  t.is((inBytes as unknown as RpcFault).code, 'TOO_LARGE');
});

test('a source of 50 MB ends the connection, and its session is still there for its client', async (t) => {
  const { token } = await file.client.call('daemon.hello', {});
  const client = await file.daemon.connect();
  await client.call('daemon.hello', { token });
  const { sessionId } = await client.call('session.create', {});
  const socket = client.socket;
  const closed = once(socket, 'close');
  const message = request('session.execute', { sessionId, source: 'x'.repeat(50e6) });
  t.true(message.length > FRAME_BYTES_MAX);
  socket.send(message, () => undefined);
  t.is((await closed)[0], 1009);
  t.is((await file.client.call('session.show', { sessionId })).state, 'idle');
});

for (const language of ['javascript', 'typescript'] as const) {
  for (const [what, source] of [
    ['brackets', '['.repeat(1e6)],
    ['closed brackets', `${'['.repeat(5e5)}${']'.repeat(5e5)}`],
    ['parentheses', `${'('.repeat(5e5)}1${')'.repeat(5e5)}`],
    ['unary minuses', `${'- '.repeat(5e5)}1`],
    ['sums', `${'1+'.repeat(5e5)}1`],
    ['member accesses', `a${'.a'.repeat(5e5)}`],
    ['template literals', `\${\``.repeat(3e5)],
    ['awaits', `${'await '.repeat(1.5e5)}1`],
  ] as const) {
    test(`a million of nested ${what} in ${language} is an error of the cell or its value, and harms nobody`, async (t) => {
      const session = await file.session({ language });
      const { status, error } = await session.run(source);
      if (status === 'error') t.regex(error?.code ?? '', /SYNTAX_ERROR|RUNTIME_ERROR|TOO_LARGE|CPU_EXCEEDED|TIMED_OUT/);
      t.deepEqual(await session.value('1 + 1'), { kind: 'json', json: 2 });
    });
  }
}

const odd: readonly [what: string, source: string, outcome: unknown][] = [
  ['a lone surrogate in a string', '"\ud800".charCodeAt(0)', 0xd800],
  ['a lone surrogate as a token', '\udc00', 'SYNTAX_ERROR'],
  ['NUL in a string', '"\0".length', 1],
  ['NUL as a token', '1\0', 'SYNTAX_ERROR'],
  ['\\u2028 as a line end', 'let a = 1\u2028a', 1],
  ['\\u2028 in a string', '"\u2028".length', 1],
  ['a byte order mark', '\ufeff1 + 1', 2],
  ['a hashbang', '#!/usr/bin/env node\n2 + 2', 4],
  ['an HTML-like comment', '1 <!-- rest\n+ 2', 3],
  ['an HTML-like closing comment', '1\n--> rest\n', 1],
  ['a way out of a wrapper', '})(); escaped = 1; (async () => {', 'SYNTAX_ERROR'],
  ['a way out of an async wrapper', 'await 0; })(); escaped = 1; (async () => {', 'SYNTAX_ERROR'],
  ['a return', 'return 1', 'SYNTAX_ERROR'],
  ['a spoofed source', '1 //# sourceURL=pyrepl3:prelude', 1],
  ['a spoofed source map', '2 //# sourceMappingURL=data:application/json;base64,e30=', 2],
];

for (const [what, source, outcome] of odd) {
  test(`${what} in a source is ${outcome}`, async (t) => {
    const session = await file.session();
    const { value, error } = await session.run(source);
    t.deepEqual(value?.kind === 'json' ? value.json : (error?.code ?? value), outcome);
    t.deepEqual(await session.value('typeof escaped'), { kind: 'json', json: 'undefined' });
  });
}

const vanishings: readonly [what: string, source: string, until: string][] = [
  ['a running cell', 'for (;;);', 'execution.started'],
  ['a cell that awaits', 'await new Promise(() => {})', 'execution.started'],
  ['a pending input()', 'await input()', 'input.requested'],
  ['an output stream', 'for (;;) console.log("x".repeat(1000))', 'output'],
];

for (const [what, source, until] of vanishings) {
  test(`a client that vanishes in the middle of ${what} finds its session again`, async (t) => {
    const client = await file.daemon.connect();
    const { token } = await client.call('daemon.hello', {});
    const { sessionId } = await client.call('session.create', { level: 'standard' });
    client.call('session.execute', { sessionId, source, executionId: 'cell' }).catch(() => undefined);
    await client.event(({ kind }) => kind === until);
    client.socket.terminate();
    t.is(await file.answersAnother(), 2);

    const again = await file.daemon.connect();
    await again.call('daemon.hello', { token });
    t.is((await again.call('session.show', { sessionId })).state, 'running');
    await again.call('session.attach', { sessionId });
    await again.call('session.interrupt', { sessionId });
    const result = await again.call('session.execute', { sessionId, source, executionId: 'cell' });
    t.is(result.error?.code, 'INTERRUPTED');
    t.deepEqual((await again.call('session.execute', { sessionId, source: '1' })).value, { kind: 'json', json: 1 });
    again.close();
  });
}

test('a client that vanishes in the middle of a request harms nobody', async (t) => {
  const socket = await rawSocket();
  const stream = (socket as unknown as { _socket: { write(data: Buffer): void; destroy(): void } })._socket;
  // The head of a masked text frame of 1,000 bytes, and no more of it.
  stream.write(Buffer.from([0x81, 0xfe, 0x03, 0xe8, 1, 2, 3, 4, 5]));
  stream.destroy();
  await once(socket, 'close');
  t.true(file.daemon.running);
});

test('a reader that never reads is disconnected, and the session runs on', async (t) => {
  const client = await RawClient.open(file.daemon.clientSocket);
  const { token } = await client.call('daemon.hello', {});
  const { sessionId } = await client.call('session.create', { level: 'unrestricted' });
  (client.socket as unknown as { _socket: { pause(): void } })._socket.pause();
  const write = 'for (let i = 0; i < 15; i++) console.log("x".repeat(1e6))';
  for (let i = 0; i < 4; i++) client.call('session.execute', { sessionId, source: write }).catch(() => undefined);
  const again = await file.daemon.connect();
  await again.call('daemon.hello', { token });
  t.deepEqual((await again.call('session.execute', { sessionId, source: '1' })).value, { kind: 'json', json: 1 });
  client.socket.terminate();
  again.close();
});
