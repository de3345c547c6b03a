import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import { Fault } from '../../../daemon/fault.ts';
import { listen } from '../../../daemon/transport/listener.ts';
import { TRANSPORT_LIMITS } from '../../../daemon/transport/transport-limits.ts';
import { RawPeer } from './raw-peer.ts';
import { Peer, serve, temporaryDirectory } from './transport-fixture.ts';

const GOOD = '{"jsonrpc":"2.0","id":1,"method":"session.list"}';

test.serial('creates the socket with mode 0600 even under an open umask', async (t) => {
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  const { socketPath } = await serve(t);
  t.is(statSync(socketPath).mode & 0o777, 0o600);
  t.is(process.umask(), 0, 'the umask of the process is put back');
});

test('says UNAVAILABLE when the path is taken', async (t) => {
  const socketPath = `${temporaryDirectory(t)}/c.sock`;
  writeFileSync(socketPath, '');
  const error = await t.throwsAsync(
    listen({ socketPath, role: 'client', limits: TRANSPORT_LIMITS, onConnection: () => undefined }),
    { instanceOf: Fault },
  );
  t.is((error as Fault).code, 'UNAVAILABLE');
});

for (const [what, bytes, status] of [
  ['a plain GET', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', '426'],
  ['a POST with a body', 'POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}', '426'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: x\r\n\r\n', '426'],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n', ''],
  ['bytes that are not HTTP', '\u0000\u0001{"jsonrpc":"2.0"}\r\n\r\n', '400'],
  ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001', '400'],
  [
    'conflicting lengths',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    '400',
  ],
  ['2,000 headers', `GET / HTTP/1.1\r\n${Array.from({ length: 2000 }, (_, n) => `X-${n}: y\r\n`).join('')}\r\n`, '431'],
  ['an upgrade to something else', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', '400'],
  [
    'a WebSocket without our subprotocol',
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    '400',
  ],
  [
    'a WebSocket without a key',
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: pyrepl3.v1\r\n\r\n',
    '400',
  ],
  [
    'a WebSocket in HTTP/1.0',
    'GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: pyrepl3.v1\r\n\r\n',
    '400',
  ],
] as const) {
  test(`refuses ${what} over HTTP, closes it and goes on serving`, async (t) => {
    const { socketPath, callers } = await serve(t);
    const peer = new RawPeer(socketPath);
    peer.write(Buffer.from(bytes, 'latin1'));
    const head = await peer.httpHead();
    t.is(head.split(' ')[1] ?? '', status, head);
    await peer.ended;
    t.is(callers.length, 0);
    t.deepEqual((await (await Peer.connected(t, socketPath)).ask(GOOD)).result, {});
  });
}

test('tells a plain HTTP client what this socket speaks', async (t) => {
  const { socketPath } = await serve(t);
  const peer = new RawPeer(socketPath);
  peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await peer.ended;
  t.regex(peer.rest, /Upgrade: websocket[\s\S]*JSON-RPC 2\.0 over WebSocket \(subprotocol pyrepl3\.v1\)/);
});

test('ends a handshake that never comes', async (t) => {
  const { socketPath } = await serve(t, {}, { limits: { handshakeMsMax: 100 } });
  const silent = new RawPeer(socketPath);
  const slow = new RawPeer(socketPath);
  slow.write('GET / HTTP/1.1\r\nHost:');
  await Promise.all([silent.ended, slow.ended]);
  t.pass();
});

for (const [what, code, attack] of [
  ['an unmasked frame', 1002, (peer: RawPeer) => peer.frame({ opcode: 1, payload: GOOD, masked: false })],
  ['a reserved bit', 1002, (peer: RawPeer) => peer.frame({ opcode: 1, payload: GOOD, rsv: 4 })],
  ['a reserved opcode', 1002, (peer: RawPeer) => peer.frame({ opcode: 3, payload: GOOD })],
  ['a fragmented ping', 1002, (peer: RawPeer) => peer.frame({ opcode: 9, payload: 'a', fin: false })],
  ['a ping of 126 bytes', 1002, (peer: RawPeer) => peer.frame({ opcode: 9, payload: 'a'.repeat(126) })],
  ['a continuation of nothing', 1002, (peer: RawPeer) => peer.frame({ opcode: 0, payload: 'a' })],
  ['a close frame with code 1005', 1002, (peer: RawPeer) => peer.frame({ opcode: 8, payload: Buffer.from([3, 237]) })],
  ['invalid UTF-8', 1007, (peer: RawPeer) => peer.frame({ opcode: 1, payload: Buffer.from([0x22, 0xff, 0x22]) })],
  ['a header that claims 16 EiB', 1009, (peer: RawPeer) => peer.frame({ opcode: 1, claimedLength: 2n ** 64n - 1n })],
  ['a header that claims 2^53 bytes', 1009, (peer: RawPeer) => peer.frame({ opcode: 1, claimedLength: 2n ** 53n })],
  ['a frame of 100 MB', 1009, (peer: RawPeer) => peer.frame({ opcode: 1, payload: Buffer.alloc(100_000_000, 0x20) })],
  ['a binary frame', 1003, (peer: RawPeer) => peer.frame({ opcode: 2, payload: GOOD })],
  [
    'a message in too many fragments',
    1008,
    (peer: RawPeer) => {
      peer.frame({ opcode: 1, payload: '[', fin: false });
      for (let n = 0; n < TRANSPORT_LIMITS.fragmentsMax; n += 1) peer.frame({ opcode: 0, payload: ' ', fin: false });
    },
  ],
] as const) {
  test(`closes with ${code} on ${what} and goes on serving others`, async (t) => {
    const { socketPath, callers } = await serve(t);
    const good = await Peer.connected(t, socketPath);
    const peer = await RawPeer.connected(socketPath);
    t.teardown(() => peer.socket.destroy());
    attack(peer);
    t.is(await peer.closeCode(), code);
    t.true(callers[1]?.signal.aborted);
    t.deepEqual((await good.ask(GOOD)).result, {});
  });
}

test('serves a message of exactly 8 MiB and closes with 1009 on one byte more', async (t) => {
  const { socketPath } = await serve(t);
  const peer = await Peer.connected(t, socketPath);
  t.deepEqual((await peer.ask(GOOD.padEnd(8 * 1024 * 1024))).result, {});
  peer.send(GOOD.padEnd(8 * 1024 * 1024 + 1));
  t.is((await peer.closed).code, 1009);
});

test('refuses the connection beyond its limit with 4004, and takes one again when another has left', async (t) => {
  const { socketPath, listener } = await serve(t, {}, { limits: { connectionsMax: 2 } });
  const first = await Peer.connected(t, socketPath);
  await Peer.connected(t, socketPath);
  const refused = await Peer.connected(t, socketPath);
  const { code, reason } = await refused.closed;
  t.is(code, 4004);
  t.regex(reason, /2 connections/);
  t.is(listener.size, 2);
  first.webSocket.close();
  await first.closed;
  const next = await Peer.connected(t, socketPath);
  t.deepEqual((await next.ask(GOOD)).result, {});
});

test('serves 1,000 connections at once', async (t) => {
  const { socketPath, listener } = await serve(t);
  const peers = await Promise.all(Array.from({ length: 1000 }, () => Peer.connected(t, socketPath)));
  const answers = await Promise.all(peers.map((peer) => peer.ask(GOOD)));
  t.true(answers.every((answer) => answer.id === 1));
  t.is(listener.size, 1000);
});

test('closing tells every client 1001, leaves no socket, and does not wait for those who do not answer', async (t) => {
  const { socketPath, listener, callers } = await serve(t, {}, { limits: { closeMsMax: 50 } });
  const polite = await Peer.connected(t, socketPath);
  const rude = await RawPeer.connected(socketPath);
  rude.socket.pause();
  const silent = connect({ path: socketPath });
  silent.on('error', () => undefined);
  await new Promise((resolve) => silent.once('connect', resolve));
  await listener.close();
  t.is((await polite.closed).code, 1001);
  t.true(callers.every((caller) => caller.signal.aborted));
  t.throws(() => statSync(socketPath), { code: 'ENOENT' });
  silent.destroy();
  rude.socket.destroy();
});

test('a client that offers several subprotocols gets ours', async (t) => {
  const { socketPath } = await serve(t);
  const webSocket = new WebSocket(`ws+unix:${socketPath}:/`, ['other', 'pyrepl3.v1']);
  await new Promise((resolve) => webSocket.once('open', resolve));
  t.is(webSocket.protocol, 'pyrepl3.v1');
  webSocket.terminate();
});
