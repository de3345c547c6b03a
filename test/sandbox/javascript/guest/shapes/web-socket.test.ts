import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const inbox: unknown[] = [];
const session = new CapabilitySession(['websocket'], (_, [operation, target]) => {
  if (operation === 'open')
    return target === 'wss://malformed/' ? { url: 1 } : { handle: 'h', url: `${target}`, protocol: 'chat' };
  if (operation === 'receive') return inbox.shift() ?? { closed: { code: 1000, reason: 'bye' } };
  return null;
});
test.after.always(() => session.close());

test.serial('a connection sends and receives text and bytes, and says when it is closed', async (t) => {
  inbox.push({ message: { text: 'a' } }, { message: { base64: 'AQI=' } });
  t.deepEqual(
    await session.run(`
      const ws = await websocket(new URL('wss://a.test'), { protocols: ['chat'] });
      await ws.send('x'); await ws.send(new Uint8Array([1]));
      const first = await ws.receive(); const second = await ws.receive(); const open = ws.closed;
      [ws.url, ws.protocol, first, [...second], open, await ws.receive(), ws.closed, await ws.receive(), String(ws)]`),
    [
      'wss://a.test/',
      'chat',
      'a',
      [1, 2],
      null,
      null,
      { code: 1000, reason: 'bye' },
      null,
      '[object WebSocketConnection]',
    ],
  );
  t.deepEqual(session.calls, [
    ['websocket', 'open', 'wss://a.test/', { protocols: ['chat'] }],
    ['websocket', 'send', 'h', { text: 'x' }],
    ['websocket', 'send', 'h', { base64: 'AQ==' }],
    ['websocket', 'receive', 'h'],
    ['websocket', 'receive', 'h'],
    ['websocket', 'receive', 'h'],
  ]);
});

test.serial('for await gives every message, and leaving it closes the connection', async (t) => {
  inbox.push({ message: { text: 'a' } }, { message: { text: '' } });
  t.deepEqual(
    await session.run("const seen = []; for await (const m of await websocket('wss://a.test/')) seen.push(m); seen"),
    ['a', ''],
  );
  t.not(session.calls.at(-1)?.[1], 'close');
  inbox.push({ message: { text: 'a' } });
  await session.run("for await (const m of await websocket('wss://a.test/')) break");
  t.deepEqual(session.calls.at(-1), ['websocket', 'close', 'h']);
  await session.run("await (await websocket('wss://a.test/')).close(4000, 'done')");
  t.deepEqual(session.calls.at(-1), ['websocket', 'close', 'h', 4000, 'done']);
});

test.serial('what cannot be sent is refused, and an answer that is none rejects', async (t) => {
  t.regex(String(await session.run('await ws.send(5)')), /^TypeError: The message for send\(\) must be a string/);
  t.is(await session.run("await websocket('wss://malformed/').catch((error) => error.code)"), 'INTERNAL');
  inbox.push({ message: 5 });
  t.is(
    await session.run("await (await websocket('wss://a.test/')).receive().catch((error) => error.code)"),
    'INTERNAL',
  );
});
