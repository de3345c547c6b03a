import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { fakeContext } from '../capabilities/_call-context.ts';
import { Fetcher, failure, faultOf } from './_fetching.ts';
import { startHttpServer, startTcpServer } from './_loopback-servers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Answers every request with the same body. */
function serve(t: ExecutionContext, body: Buffer | string, headers: Record<string, string> = {}) {
  return startHttpServer(t, (_, response) => response.writeHead(200, headers).end(body));
}

/** Answers every request with the same bytes, head included, and leaves the connection open. */
function serveRaw(t: ExecutionContext, text: string) {
  return startTcpServer(t, (socket) => socket.once('data', () => socket.write(text)));
}

test('a short body comes with its response', async (t) => {
  const server = await serve(t, 'x'.repeat(64 * KIB));
  const { body } = await new Fetcher().open(`http://127.0.0.1:${server.port}/`);
  t.true(body?.done);
  t.is(body?.handle, undefined);
  t.is(Buffer.from(body?.base64 ?? '', 'base64').length, 64 * KIB);
});

test('a longer body is read in pieces of at most 256 KiB, to its end', async (t) => {
  const content = randomBytes(700 * KIB);
  const server = await serve(t, content);
  const fetcher = new Fetcher();
  const { body } = await fetcher.open(`http://127.0.0.1:${server.port}/`);
  const pieces = [Buffer.from(body?.base64 ?? '', 'base64')];
  const handle = body?.handle ?? '';
  t.true((pieces[0]?.length ?? 0) <= 64 * KIB);
  for (let done = false; !done; ) {
    const piece = await fetcher.read(handle);
    pieces.push(Buffer.from(piece.base64, 'base64'));
    done = piece.done;
  }
  t.true(pieces.every(({ length }) => length <= 256 * KIB));
  t.true(Buffer.concat(pieces).equals(content));
  t.is(await failure(fetcher.read(handle)), 'INVALID_PARAMS');
});

test('a response without a body has none', async (t) => {
  const server = await startHttpServer(t, (request, response) =>
    response.writeHead(Number(request.url?.slice(1)), { 'content-encoding': 'gzip' }).end(),
  );
  const fetcher = new Fetcher();
  t.is((await fetcher.open(`http://127.0.0.1:${server.port}/204`)).body, null);
  t.is((await fetcher.open(`http://127.0.0.1:${server.port}/304`)).body, null);
  t.is((await fetcher.open(`http://127.0.0.1:${server.port}/200`, { method: 'HEAD' })).body, null);
  t.is(await fetcher.text(await fetcher.open(`http://127.0.0.1:${server.port}/200`)), '');
});

for (const [encoding, encode] of [
  ['gzip', gzipSync],
  ['X-GZip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['identity', (content: Buffer) => content],
] as const) {
  test(`a body with the encoding ${encoding} is decoded`, async (t) => {
    const content = Buffer.from('some text, again and again, '.repeat(20_000));
    const server = await serve(t, encode(content), { 'content-encoding': encoding });
    const fetcher = new Fetcher();
    t.true((await fetcher.bytes(await fetcher.open(`http://127.0.0.1:${server.port}/`))).equals(content));
  });
}

test('H11: what is encoded twice, or in an unknown way, is refused', async (t) => {
  const server = await startHttpServer(t, (request, response) =>
    response.setHeader('content-encoding', decodeURIComponent(request.url?.slice(1) ?? '')).end('x'),
  );
  for (const encoding of ['gzip, gzip', 'zstd', 'toString']) {
    const opening = new Fetcher().open(`http://127.0.0.1:${server.port}/${encodeURIComponent(encoding)}`);
    t.is(await failure(opening), 'EFFECT_FAILED protocol', encoding);
  }
});

test('a compressed body that is cut off or broken is a failure, not a short body', async (t) => {
  const whole = gzipSync(randomBytes(300 * KIB));
  for (const body of [whole.subarray(0, -100), Buffer.concat([whole.subarray(0, 1000), randomBytes(1000)])]) {
    const server = await serve(t, body, { 'content-encoding': 'gzip' });
    const fetcher = new Fetcher();
    const reading = fetcher.open(`http://127.0.0.1:${server.port}/`).then((opened) => fetcher.bytes(opened));
    t.is(await failure(reading), 'EFFECT_FAILED protocol');
  }
});

test('a body may have as many bytes as allowed, and not one more, counted after decoding', async (t) => {
  for (const encoding of ['identity', 'gzip']) {
    const encode = (bytes: number) => (encoding === 'gzip' ? gzipSync(Buffer.alloc(bytes)) : Buffer.alloc(bytes));
    const server = await startHttpServer(t, (request, response) =>
      response.setHeader('content-encoding', encoding).end(encode(Number(request.url?.slice(1)))),
    );
    const fetcher = new Fetcher({ constraints: { responseBytesMax: 200 * KIB } });
    const size = async (bytes: number) =>
      (await fetcher.bytes(await fetcher.open(`http://127.0.0.1:${server.port}/${bytes}`))).length;
    t.is(await size(200 * KIB), 200 * KIB);
    const fault = await faultOf(size(200 * KIB + 1));
    t.is(fault.code, 'TOO_LARGE');
    t.deepEqual(fault.details, { responseBytesMax: 200 * KIB });
  }
});

test('H11: a gzip bomb of 1000:1 is stopped at the cap', async (t) => {
  const server = await serve(t, gzipSync(Buffer.alloc(64 * MIB)), { 'content-encoding': 'gzip' });
  const fetcher = new Fetcher();
  const url = `http://127.0.0.1:${server.port}/`;
  t.is(await failure(fetcher.open(url).then((opened) => fetcher.bytes(opened))), 'TOO_LARGE');
});

test('H11: compressed bytes that become nothing are counted too', async (t) => {
  // Empty stored blocks (RFC 1951, section 3.2.4) after the header of a gzip file.
  const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  const nothing = Buffer.alloc(5 * 64 * KIB, Buffer.from([0, 0, 0, 0xff, 0xff]));
  const server = await startHttpServer(t, (_, response) => {
    response.setHeader('content-encoding', 'gzip').write(head);
    const more = (): boolean => response.destroyed || (response.write(nothing) && more());
    response.on('drain', more);
    more();
  });
  const fetcher = new Fetcher();
  const url = `http://127.0.0.1:${server.port}/`;
  t.is(await failure(fetcher.open(url).then((opened) => fetcher.bytes(opened))), 'TOO_LARGE');
});

test('H11: an endless body is stopped at the cap, and stops its sender while nobody reads', async (t) => {
  let sent = 0;
  const server = await startHttpServer(t, (_, response) => {
    const piece = Buffer.alloc(64 * KIB);
    const more = (): void => {
      while (!response.destroyed && response.write(piece)) sent += piece.length;
      sent += piece.length;
    };
    response.on('drain', more);
    more();
  });
  const fetcher = new Fetcher({ constraints: { responseBytesMax: 64 * MIB } });
  const opened = await fetcher.open(`http://127.0.0.1:${server.port}/`);
  t.is(opened.body?.done, false);
  t.is(await failure(fetcher.bytes(opened)), 'TOO_LARGE');
  // What the sender got rid of beyond the cap is in the buffers of two sockets at most.
  t.true(sent < 96 * MIB);
});

test('H11: a body that drips is ended when its time is over', async (t) => {
  const server = await startHttpServer(t, (_, response) => {
    const timer = setInterval(() => response.write('x'), 5);
    response.once('close', () => clearInterval(timer));
  });
  const fetcher = new Fetcher({ constraints: { timeMsMax: 200 } });
  const url = `http://127.0.0.1:${server.port}/`;
  t.is(await failure(fetcher.open(url).then((opened) => fetcher.bytes(opened))), 'EFFECT_FAILED timed-out');
});

test('H11: a head that never comes, or never ends, is ended when its time is over', async (t) => {
  for (const text of ['', 'HTTP/1.1 200 OK\r\nx-a: ', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
    const server = await serveRaw(t, text);
    const fetcher = new Fetcher({ constraints: { timeMsMax: 50 } });
    t.is(await failure(fetcher.open(`http://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED timed-out');
  }
});

test('H11: a short body that does not come is ended when its time is over', async (t) => {
  const server = await serveRaw(t, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc');
  const fetcher = new Fetcher({ constraints: { timeMsMax: 50 } });
  t.is(await failure(fetcher.open(`http://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED timed-out');
});

test('H11: 1e5 headers, and a header without an end, are too large', async (t) => {
  for (const headers of ['x: y\r\n'.repeat(1e5), 'x: y\r\n'.repeat(501), `x: ${'y'.repeat(10 * MIB)}\r\n`]) {
    const server = await serveRaw(t, `HTTP/1.1 200 OK\r\n${headers}content-length: 0\r\n\r\n`);
    t.is(await failure(new Fetcher().open(`http://127.0.0.1:${server.port}/`)), 'TOO_LARGE');
  }
});

test('H11: trailers without an end are a failure', async (t) => {
  const server = await serveRaw(
    t,
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${'a: b\r\n'.repeat(1e5)}`,
  );
  const fetcher = new Fetcher();
  const reading = fetcher.open(`http://127.0.0.1:${server.port}/`).then((opened) => fetcher.bytes(opened));
  t.is(await failure(reading), 'EFFECT_FAILED protocol');
});

for (const [what, text] of [
  ['no HTTP', 'hello\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
  ],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'],
] as const) {
  test(`a server that answers with ${what} is a failure of the protocol`, async (t) => {
    const server = await serveRaw(t, text);
    t.is(await failure(new Fetcher().open(`http://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED protocol');
  });
}

test('a connection that ends too early is a failure of the protocol', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nabc';
  const server = await startTcpServer(t, (socket) => socket.once('data', () => socket.end(head)));
  const fetcher = new Fetcher();
  const reading = fetcher.open(`http://127.0.0.1:${server.port}/`).then((opened) => fetcher.bytes(opened));
  t.is(await failure(reading), 'EFFECT_FAILED protocol');
});

/** An answer whose body has begun and does not go on, and whether its connection is closed. */
async function openUnfinished(t: ExecutionContext, fetcher: Fetcher) {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const server = await startTcpServer(t, (socket) => {
    socket.once('close', () => resolve());
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nabc'));
  });
  const opened = await fetcher.open(`http://127.0.0.1:${server.port}/`);
  let read = Buffer.from(opened.body?.base64 ?? '', 'base64').toString();
  const handle = opened.body?.handle ?? '';
  while (read.length < 3) read += Buffer.from((await fetcher.read(handle)).base64, 'base64').toString();
  return { handle, closed };
}

test('cancelling a body closes its connection and fails the read that waits', async (t) => {
  const fetcher = new Fetcher();
  const { handle, closed } = await openUnfinished(t, fetcher);
  const reading = failure(fetcher.read(handle));
  t.is(await fetcher.call(['cancel', handle]), null);
  t.is(await reading, 'INTERRUPTED');
  await closed;
  t.is(await failure(fetcher.read(handle)), 'INVALID_PARAMS');
  t.is(await fetcher.call(['cancel', handle]), null);
});

test('a second read beside one that waits is refused, and the first is not harmed', async (t) => {
  const fetcher = new Fetcher();
  const { handle } = await openUnfinished(t, fetcher);
  const reading = failure(fetcher.read(handle));
  t.is(await failure(fetcher.read(handle)), 'BUSY');
  fetcher.context.handles.disposeAll();
  t.is(await reading, 'INTERRUPTED');
});

test('the end of the session closes the connections of bodies that nobody reads', async (t) => {
  const context = fakeContext();
  const { closed } = await openUnfinished(t, new Fetcher({ context }));
  context.handles.disposeAll();
  await closed;
  t.pass();
});

test('withdrawing the capability ends a request that waits and a body that is being read', async (t) => {
  const withdrawal = new AbortController();
  const fetcher = new Fetcher({ context: fakeContext({ signal: withdrawal.signal }) });
  const { handle, closed } = await openUnfinished(t, fetcher);
  const silent = await serveRaw(t, '');
  const outcomes = [failure(fetcher.read(handle)), failure(fetcher.open(`http://127.0.0.1:${silent.port}/`))];
  withdrawal.abort();
  t.deepEqual(await Promise.all(outcomes), ['INTERRUPTED', 'INTERRUPTED']);
  await closed;
});

test('a handle of another session, or of another kind, opens nothing', async (t) => {
  const { handle } = await openUnfinished(t, new Fetcher());
  const other = new Fetcher();
  t.is(await failure(other.read(handle)), 'INVALID_PARAMS');
  const socket = other.context.handles.open('websocket', {}, () => undefined);
  t.is(await failure(other.read(socket)), 'INVALID_PARAMS');
});
