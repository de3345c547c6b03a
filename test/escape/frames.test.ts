import anyTest, { type TestFn } from 'ava';
import { RawPeer } from '../daemon/transport/raw-peer.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

/** Whether a client of the daemon under attack is served as if nothing had happened. */
async function stillServes(): Promise<unknown> {
  const client = await shared().daemon.connect();
  const guest = await Guest.open(client);
  const two = await guest.json('1 + 1');
  await guest.close();
  client.close();
  return two;
}

for (const [id, what, code, attack] of [
  ['I06', 'an unmasked frame', 1002, (peer: RawPeer) => peer.frame({ opcode: 1, payload: '{}', masked: false })],
  ['I06', 'a reserved bit', 1002, (peer: RawPeer) => peer.frame({ opcode: 1, payload: '{}', rsv: 4 })],
  ['I06', 'a control frame in pieces', 1002, (peer: RawPeer) => peer.frame({ opcode: 9, payload: 'a', fin: false })],
  ['I06', 'invalid UTF-8', 1007, (peer: RawPeer) => peer.frame({ opcode: 1, payload: Buffer.from([0x22, 0xff]) })],
  ['I06', 'a length of 16 EiB', 1009, (peer: RawPeer) => peer.frame({ opcode: 1, claimedLength: 2n ** 64n - 1n })],
  ['I07', 'a compressed frame', 1002, (peer: RawPeer) => peer.frame({ opcode: 1, payload: Buffer.alloc(64), rsv: 4 })],
  [
    'I07',
    'a message of ten thousand fragments',
    1008,
    (peer: RawPeer) => {
      peer.frame({ opcode: 1, payload: '[', fin: false });
      for (let n = 0; n < 10_000; n++) peer.frame({ opcode: 0, payload: ' ', fin: false });
    },
  ],
  ['I10', 'a message of 100 MB', 1009, (peer: RawPeer) => peer.frame({ opcode: 1, payload: Buffer.alloc(1e8, 0x20) })],
] as const) {
  test.serial(
    `${id}: ${what} on a socket of the daemon ends its connection with ${code}, and nothing else`,
    async (t) => {
      const peer = await RawPeer.connected(shared().daemon.clientSocket);
      attack(peer);
      t.is(await peer.closeCode(), code);
      peer.socket.destroy();
      t.is(await stillServes(), 2);
    },
  );
}

for (const [id, what, bytes, status] of [
  ['I08', '2,000 headers', `GET / HTTP/1.1\r\n${'X-A: y\r\n'.repeat(2000)}\r\n`, '431'],
  [
    'I08',
    '64 kB of spaces in a header',
    `GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: a${' '.repeat(65_536)}b\r\n\r\n`,
    '431',
  ],
  [
    'I08',
    '64 kB of spaces before a header’s value',
    `GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol:${' '.repeat(65_536)}b\r\n\r\n`,
    '426',
  ],
  [
    'I17',
    'two requests in one',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    '400',
  ],
  ['I17', 'HTTP/1.0', 'GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', '400'],
  ['I17', 'TRACE', 'TRACE / HTTP/1.1\r\nHost: x\r\n\r\n', '426'],
  ['I17', 'CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n', ''],
] as const) {
  test.serial(`${id}: ${what} in the place of a handshake is refused and the connection closed`, async (t) => {
    for (const socketPath of [shared().daemon.clientSocket, shared().daemon.adminSocket]) {
      const peer = new RawPeer(socketPath);
      peer.write(bytes);
      t.is((await peer.httpHead()).split(' ')[1] ?? '', status);
      await peer.ended;
    }
    t.is(await stillServes(), 2);
  });
}

for (const [what, text] of [
  ['a million brackets', '['.repeat(1e6)],
  ['a million closed brackets', `${'['.repeat(1e6)}${']'.repeat(1e6)}`],
  ['an object of a million keys', `{${Array.from({ length: 1e6 }, (_, n) => `"${n}":0`).join()}}`.slice(0, 8_000_000)],
] as const) {
  test.serial(`I10: ${what} as a message is refused before it is parsed, and the connection lives`, async (t) => {
    const peer = await RawPeer.connected(shared().daemon.clientSocket);
    peer.text(text);
    const { error } = JSON.parse(String((await peer.next())?.payload));
    t.true([-32600, -32700].includes(error.code));
    peer.text('{"jsonrpc":"2.0","id":7,"method":"session.list"}');
    t.is(JSON.parse(String((await peer.next())?.payload)).id, 7);
    peer.socket.destroy();
  });
}
