import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import type { CallContext } from '../../../daemon/capabilities/capability.ts';
import { WebSocketCapability } from '../../../daemon/capabilities/websocket.ts';
import { Fault } from '../../../daemon/fault.ts';
import { type CredentialSource, Network } from '../../../daemon/network/network.ts';
import type { ConstraintsOf } from '../../../policies/capabilities.ts';
import { type Certificate, selfSignedCertificate, trustCertificates } from '../network/_certificate.ts';
import { failure, NO_CREDENTIALS } from '../network/_fetching.ts';
import { type LoopbackServer, listen, startHttpServer, startTcpServer } from '../network/_loopback-servers.ts';
import { addressesOf, startNameServer } from '../network/_name-server.ts';
import { allowed, fakeContext } from './_call-context.ts';

type Grant = ConstraintsOf<'websocket'>;

const GRANT: Grant = {
  hosts: ['*:*'],
  addresses: ['127.0.0.1'],
  credentials: [],
  messageBytesMax: 1000,
  totalBytesMax: 1_000_000,
  openMax: 8,
  idleMsMax: 60_000,
};

const secure = selfSignedCertificate('ws.test');
trustCertificates(secure);

interface SocketClientOptions {
  readonly grant?: Partial<Grant>;
  readonly nameServer?: string;
  readonly credentials?: CredentialSource;
  readonly context?: CallContext;
}

/** `websocket` as a session has it. */
class SocketClient {
  readonly context: CallContext;
  readonly #capability: WebSocketCapability;
  readonly #grant: Grant;

  constructor({ grant, nameServer, credentials = NO_CREDENTIALS, context = fakeContext() }: SocketClientOptions = {}) {
    this.context = context;
    this.#grant = { ...GRANT, ...grant };
    const resolve = nameServer === undefined ? {} : { servers: [nameServer] };
    this.#capability = new WebSocketCapability(new Network({ resolve, credentials }));
  }

  async call(...input: unknown[]): Promise<unknown> {
    const parsed = v.safeParse(this.#capability.args, input);
    if (!parsed.success) throw new Fault('INVALID_PARAMS', parsed.issues[0].message);
    const refusal = this.#capability.refuse(parsed.output, this.#grant);
    if (refusal !== null) throw new Fault('CAPABILITY_DENIED', refusal);
    return this.#capability.invoke(allowed('websocket', parsed.output, this.#grant), this.context);
  }

  async open(url: string, options?: unknown): Promise<{ handle: string; url: string; protocol: string }> {
    return (await this.call('open', url, options)) as { handle: string; url: string; protocol: string };
  }

  audited(...input: unknown[]): unknown {
    return this.#capability.audited(v.parse(this.#capability.args, input));
  }
}

interface Peer extends LoopbackServer {
  readonly url: string;
  readonly requests: readonly IncomingMessage[];
}

/** A WebSocket server on loopback. */
async function startPeer(
  t: ExecutionContext,
  onConnection: (socket: WebSocket, raw: Socket) => void,
  { certificate, host = '127.0.0.1', port = 0 }: { certificate?: Certificate; host?: string; port?: number } = {},
): Promise<Peer> {
  const server = certificate === undefined ? createServer() : createSecureServer(certificate);
  const peers = new WebSocketServer({ server, perMessageDeflate: true });
  const requests: IncomingMessage[] = [];
  peers.on('connection', (socket, request) => {
    requests.push(request);
    socket.on('error', () => undefined);
    onConnection(socket, request.socket);
  });
  const loopback = await listen(t, server, host, port);
  return { ...loopback, url: `ws://127.0.0.1:${loopback.port}/`, requests };
}

const echo = (socket: WebSocket): void =>
  void socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));

test('sends and receives texts and bytes in order, and tells how the server closed', async (t) => {
  const peer = await startPeer(t, (socket) => {
    echo(socket);
    socket.on('message', (data) => String(data) === 'bye' && socket.close(3001, 'done'));
  });
  const client = new SocketClient();
  const { handle, url, protocol } = await client.open(`${peer.url}path?a=b#c`);
  t.deepEqual([url, protocol], [`${peer.url}path?a=b`, '']);
  for (const message of [{ text: 'é' }, { base64: 'AP8=' }, { text: '' }]) {
    t.is(await client.call('send', handle, message), null);
    t.deepEqual(await client.call('receive', handle), { message });
  }
  await client.call('send', handle, { text: 'bye' });
  t.deepEqual(await client.call('receive', handle), { message: { text: 'bye' } });
  t.deepEqual(await client.call('receive', handle), { closed: { code: 3001, reason: 'done' } });
  t.deepEqual(await client.call('receive', handle), { closed: { code: 1005, reason: '' } });
  t.is(await failure(client.call('send', handle, { text: 'x' })), 'EFFECT_FAILED closed');
});

test('agrees on a protocol, and on no compression', async (t) => {
  const peer = await startPeer(t, echo);
  const { protocol } = await new SocketClient().open(peer.url, { protocols: ['one', 'two'] });
  t.is(protocol, 'one');
  t.is(peer.requests[0]?.headers['sec-websocket-extensions'], undefined);
});

test('closing tells the server why, and answers the receive that waits', async (t) => {
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  const peer = await startPeer(t, (socket) => socket.on('close', (code, reason) => resolve([code, String(reason)])));
  const client = new SocketClient({ grant: { openMax: 1 } });
  const { handle } = await client.open(peer.url);
  const receiving = client.call('receive', handle);
  t.is(await client.call('close', handle, 4000, 'enough'), null);
  t.deepEqual(await receiving, { closed: { code: 4000, reason: 'enough' } });
  t.deepEqual(await closed, [4000, 'enough']);
  t.is(await client.call('close', handle), null);
  // What was closed does not count any more.
  t.truthy(await client.open(peer.url));
});

test('works over TLS, with the certificate checked against the name', async (t) => {
  const peer = await startPeer(t, echo, { certificate: secure });
  const names = await startNameServer(t, addressesOf({ 'ws.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'] }));
  const client = new SocketClient({ nameServer: names.address });
  const { handle } = await client.open(`wss://ws.test:${peer.port}/`);
  await client.call('send', handle, { text: 'x' });
  t.deepEqual(await client.call('receive', handle), { message: { text: 'x' } });
  t.is(await failure(client.open(`wss://other.test:${peer.port}/`)), 'EFFECT_FAILED tls');
});

for (const [what, url] of [
  ['an unlisted host', 'ws://b.test:8080/'],
  ['an unlisted port', 'ws://a.test:81/'],
  ['an unlisted path', 'ws://a.test:8080/other'],
  ['HTTP', 'http://a.test:8080/'],
  ['a Unix socket', 'ws+unix:///run/daemon.sock:/'],
  ['a password', 'ws://user:pass@a.test:8080/'],
] as const) {
  test(`H07: ${what} is refused`, async (t) => {
    t.is(await failure(new SocketClient({ grant: { hosts: ['a.test:8080/'] } }).open(url)), 'CAPABILITY_DENIED');
  });
}

test('H01: private addresses are refused by every name, and no connection is made', async (t) => {
  const peer = await startPeer(t, echo);
  const names = await startNameServer(t, addressesOf({ 'a.test': ['127.0.0.1'], 'b.test': ['8.8.8.8', '127.0.0.1'] }));
  const client = new SocketClient({ grant: { addresses: [] }, nameServer: names.address });
  for (const host of ['127.0.0.1', '127.1', '[::ffff:127.0.0.1]', 'a.test', 'b.test']) {
    t.is(await failure(client.open(`ws://${host}:${peer.port}/`)), 'CAPABILITY_DENIED', host);
  }
  t.is(peer.connections(), 0);
});

test('a name server that answers differently each time reaches only what was checked', async (t) => {
  const peer = await startPeer(t, echo);
  const hidden = await startPeer(t, echo, { host: '127.0.0.2', port: peer.port });
  let asked = 0;
  const names = await startNameServer(t, (_, type) =>
    type === 'A' ? [asked++ === 0 ? '127.0.0.1' : '127.0.0.2'] : [],
  );
  const client = new SocketClient({ nameServer: names.address });
  await client.open(`ws://rebinding.test:${peer.port}/`);
  t.is(peer.connections(), 1);
  t.is(await failure(client.open(`ws://rebinding.test:${peer.port}/`)), 'CAPABILITY_DENIED');
  t.is(hidden.connections(), 0);
});

test('redirects are not followed, and a server that speaks no WebSocket is a failure', async (t) => {
  const peer = await startPeer(t, echo);
  const server = await startHttpServer(t, (_, response) => response.writeHead(302, { location: peer.url }).end());
  const client = new SocketClient();
  t.is(await failure(client.open(`ws://127.0.0.1:${server.port}/`)), 'EFFECT_FAILED protocol');
  t.is(peer.connections(), 0);
});

test('a server that never answers the opening request is given up', async (t) => {
  const silent = await startTcpServer(t, () => undefined);
  const client = new SocketClient({ grant: { idleMsMax: 50, openMax: 1 } });
  for (let attempt = 0; attempt < 2; attempt++) {
    t.is(await failure(client.open(`ws://127.0.0.1:${silent.port}/`)), 'EFFECT_FAILED timed-out');
  }
});

test('the daemon adds a credential to the opening request', async (t) => {
  const peer = await startPeer(t, echo);
  const credential = { header: 'authorization', value: 'Bearer s3cret', secret: { name: 'token', value: 's3cret' } };
  const credentials = { credential: () => ({ ...credential, host: `127.0.0.1:${peer.port}` }) };
  const client = new SocketClient({ grant: { credentials: ['api'] }, credentials });
  await client.open(peer.url);
  t.is(peer.requests[0]?.headers.authorization, 'Bearer s3cret');
  t.is(client.context.redactor.redact('s3cret'), '[redacted:token]');
});

test('a message may have as many bytes as allowed, and not one more, in both directions', async (t) => {
  const peer = await startPeer(t, (socket) => {
    socket.on('message', (data) => socket.send('y'.repeat(Number(String(data).trim()))));
  });
  const client = new SocketClient({ grant: { messageBytesMax: 1000 } });
  const { handle } = await client.open(peer.url);
  t.is(await client.call('send', handle, { text: '1000'.padEnd(1000) }), null);
  t.deepEqual(await client.call('receive', handle), { message: { text: 'y'.repeat(1000) } });
  t.is(await failure(client.call('send', handle, { text: 'x'.repeat(1001) })), 'TOO_LARGE');
  await client.call('send', handle, { text: '1001' });
  t.is(await failure(client.call('receive', handle)), 'TOO_LARGE');
});

test('a socket may carry as many bytes as allowed in all, and not one more', async (t) => {
  const peer = await startPeer(t, echo);
  const client = new SocketClient({ grant: { totalBytesMax: 20 } });
  const { handle } = await client.open(peer.url);
  await client.call('send', handle, { text: '12345' });
  await client.call('receive', handle);
  t.is(await failure(client.call('send', handle, { text: '12345678901' })), 'TOO_LARGE');
  await client.call('send', handle, { text: '123456' });
  // Five and five and six were carried; the answer of six is more than what is left.
  t.is(await failure(client.call('receive', handle)), 'TOO_LARGE');
  t.is(await failure(client.call('send', handle, { text: '1' })), 'EFFECT_FAILED closed');
});

test('as many sockets as allowed may be open, however many are opened at once', async (t) => {
  const peer = await startPeer(t, echo);
  const client = new SocketClient({ grant: { openMax: 3 } });
  const opened = await Promise.allSettled(Array.from({ length: 6 }, () => client.open(peer.url)));
  t.is(opened.filter(({ status }) => status === 'fulfilled').length, 3);
  t.is(await failure(client.open(peer.url)), 'BUSY');
  t.is(peer.connections(), 3);
});

test('a second receive beside one that waits is refused, and the first is not harmed', async (t) => {
  const peer = await startPeer(t, echo);
  const client = new SocketClient();
  const { handle } = await client.open(peer.url);
  const receiving = client.call('receive', handle);
  t.is(await failure(client.call('receive', handle)), 'BUSY');
  await client.call('send', handle, { text: 'x' });
  t.deepEqual(await receiving, { message: { text: 'x' } });
});

test('H11: a server that sends more than is received has to wait, and nothing is lost', async (t) => {
  const count = 40_000;
  const { promise: raw, resolve } = Promise.withResolvers<Socket>();
  const peer = await startPeer(t, (socket, connection) => {
    resolve(connection);
    for (let at = 0; at < count; at++) socket.send(`${at}`.padEnd(1000));
    socket.close();
  });
  const client = new SocketClient({ grant: { totalBytesMax: 1e9 } });
  const { handle } = await client.open(peer.url);
  t.deepEqual(await client.call('receive', handle), { message: { text: '0'.padEnd(1000) } });
  // 40 MB are more than what two sockets hold, so most of it still waits at the server.
  t.true((await raw).writableLength > 10_000_000);
  let last = 0;
  for (let at = 1; at < count; at++) {
    const { message } = (await client.call('receive', handle)) as { message: { text: string } };
    last = Number(message.text);
    if (last !== at) break;
  }
  t.is(last, count - 1);
  t.deepEqual(await client.call('receive', handle), { closed: { code: 1005, reason: '' } });
});

test('a socket on which nothing happens is closed', async (t) => {
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  const peer = await startPeer(t, (socket) => socket.on('close', resolve));
  const client = new SocketClient({ grant: { idleMsMax: 2000 } });
  const { handle } = await client.open(peer.url);
  const reason = 'Nothing was sent or received for 2000 ms.';
  t.deepEqual(await client.call('receive', handle), { closed: { code: 1001, reason } });
  t.is(await closed, 1001);
});

test('a server that breaks the protocol, or breaks off, is told apart from one that closes', async (t) => {
  const broken = await startPeer(t, (_, raw) => raw.write(Buffer.from([0xff, 0xff])));
  const gone = await startPeer(t, (socket) => socket.terminate());
  const client = new SocketClient();
  const receive = async (url: string) => client.call('receive', (await client.open(url)).handle);
  t.is(await failure(receive(broken.url)), 'EFFECT_FAILED protocol');
  t.deepEqual(await receive(gone.url), { closed: { code: 1006, reason: '' } });
});

test('the end of the session and a withdrawal close the connection and end the receive that waits', async (t) => {
  const withdrawal = new AbortController();
  for (const end of [
    { context: fakeContext(), run: (context: CallContext) => context.handles.disposeAll() },
    { context: fakeContext({ signal: withdrawal.signal }), run: () => withdrawal.abort() },
  ]) {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const peer = await startPeer(t, (_, raw) => raw.once('close', () => resolve()));
    const client = new SocketClient({ context: end.context });
    const { handle } = await client.open(peer.url);
    const receiving = failure(client.call('receive', handle));
    end.run(end.context);
    t.is(await receiving, 'INTERRUPTED');
    await closed;
  }
});

test('the end of the session ends an opening that waits', async (t) => {
  const silent = await startTcpServer(
    t,
    (socket) => void once(socket, 'data').then(() => context.handles.disposeAll()),
  );
  const context = fakeContext();
  const opening = new SocketClient({ context }).open(`ws://127.0.0.1:${silent.port}/`);
  t.is(await failure(opening), 'INTERRUPTED');
});

test('a handle of another session opens nothing', async (t) => {
  const peer = await startPeer(t, echo);
  const { handle } = await new SocketClient().open(peer.url);
  const other = new SocketClient();
  t.is(await failure(other.call('send', handle, { text: 'x' })), 'EFFECT_FAILED closed');
  t.deepEqual(await other.call('receive', handle), { closed: { code: 1005, reason: '' } });
});

test('H13: the log shows the URL but its password, and the size and digest of a message', (t) => {
  const client = new SocketClient();
  t.deepEqual(client.audited('open', 'ws://user:pass@a.test/?b=c', { protocols: ['p'] }), {
    operation: 'open',
    url: 'ws://a.test/?b=c',
    protocols: ['p'],
  });
  t.like(client.audited('send', 'h', { text: 'secret' }), { operation: 'send', bytes: 6 });
  t.notRegex(JSON.stringify(client.audited('send', 'h', { text: 'secret' })), /secret/);
  t.deepEqual(client.audited('close', 'h', 1000, 'why'), { operation: 'close' });
});

for (const args of [
  [],
  ['open'],
  ['open', 'no url'],
  ['open', 'ws://a/', { protocols: ['a b'] }],
  ['open', 'ws://a/', { protocols: ['a', 'a'] }],
  ['open', 'ws://a/', { headers: {} }],
  ['send', 'h'],
  ['send', 'h', 'text'],
  ['receive', 1],
  ['close', 'h', 1001],
  ['close', 'h', 1000, 'x'.repeat(124)],
  ['toString', 'h'],
]) {
  test(`the arguments ${JSON.stringify(args).slice(0, 44)} are refused`, async (t) => {
    t.is(await failure(new SocketClient().call(...args)), 'INVALID_PARAMS');
  });
}
