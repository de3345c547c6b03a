import { once } from 'node:events';
import test from 'ava';
import { RawPeer } from './raw-peer.ts';
import { Peer, serve } from './transport-fixture.ts';

test('disconnects a reader that never reads with 4001 when its bound is met, and others go on', async (t) => {
  const { socketPath, callers, connections } = await serve(
    t,
    {},
    { limits: { unsentBytesMax: 1_000_000, closeMsMax: 50 } },
  );
  const good = await Peer.connected(t, socketPath);
  const peer = await RawPeer.connected(socketPath);
  peer.socket.pause();
  const signal = callers[1]?.signal as AbortSignal;
  const text = JSON.stringify('x'.repeat(10_000));
  let sent = 0;
  for (; !signal.aborted && sent < 10_000; sent += 1) connections[1]?.send(text);
  t.true(sent < 10_000);
  t.is((await good.call('session.list')).id, 1);
  peer.socket.resume();
  t.true([4001, null].includes(await peer.closeCode()), 'the close frame fits only where the peer reads again in time');
});

test('a reader that stops for a while and reads again in time is told why it was disconnected', async (t) => {
  const { socketPath, connections } = await serve(t, {}, { limits: { unsentBytesMax: 100_000 } });
  const peer = await RawPeer.connected(socketPath);
  connections[0]?.send(JSON.stringify('x'.repeat(5_000_000)));
  t.is(await peer.closeCode(), 4001);
});

test('ends a peer that misses two heartbeats with 4002, and keeps one that answers', async (t) => {
  const { socketPath, connections } = await serve(t, {}, { limits: { heartbeatMs: 3_600_000 } });
  const good = await Peer.connected(t, socketPath);
  const mute = await RawPeer.connected(socketPath);
  const [alive, dead] = connections;
  for (let beats = 0; beats < 5; beats += 1) {
    const pinged = once(good.webSocket, 'ping');
    alive?.beat();
    dead?.beat();
    await pinged;
    // The pong is on its way before anything sent after it.
    await good.call('session.list');
  }
  t.false(alive?.signal.aborted);
  t.true(dead?.signal.aborted);
  t.is(await mute.closeCode(), 4002);
});

test('the listener drives the heartbeat', async (t) => {
  const { socketPath } = await serve(t, {}, { limits: { heartbeatMs: 20 } });
  const mute = await RawPeer.connected(socketPath);
  t.is(await mute.closeCode(), 4002);
});

test('a peer that has stopped reading is told so by its heartbeat, not that it is dead', async (t) => {
  const { socketPath, connections } = await serve(t, {}, { limits: { heartbeatMs: 3_600_000 } });
  const peer = await RawPeer.connected(socketPath);
  peer.socket.pause();
  connections[0]?.send(JSON.stringify('x'.repeat(4_000_000)));
  for (let beats = 0; beats < 3; beats += 1) connections[0]?.beat();
  t.true(connections[0]?.signal.aborted);
  peer.socket.resume();
  t.is(await peer.closeCode(), 4001);
});

test('says nothing after the end, and calls no one back', async (t) => {
  const { socketPath, connections } = await serve(t);
  const peer = await Peer.connected(t, socketPath);
  const [connection] = connections;
  connection?.close(1000, 'done');
  connection?.close(1001, 'again');
  connection?.beat();
  connection?.send('"late"');
  connection?.onceDrained(() => t.fail('drained'));
  peer.send('"late"');
  t.deepEqual(await peer.closed, { code: 1000, reason: 'done' });
  t.pass();
});

test('keeps the order of everything sent in one go', async (t) => {
  const { socketPath, connections } = await serve(t);
  const peer = await Peer.connected(t, socketPath);
  for (let n = 0; n < 5000; n += 1) connections[0]?.send(String(n));
  for (let n = 0; n < 5000; n += 1) t.is(await peer.next(), n);
});
