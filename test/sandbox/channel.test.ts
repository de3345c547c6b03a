import { EventEmitter } from 'node:events';
import test from 'ava';
import { type LinePort, lineChannel } from '../../sandbox/channel.ts';
import type { ToHost } from '../../sandbox/protocol.ts';

class Port extends EventEmitter implements LinePort {
  readonly written: string[] = [];
  write(text: string): void {
    this.written.push(text);
  }
}

test('messages of one turn leave as one line, and those of the next as another', (t) => {
  const port = new Port();
  const flushes: (() => void)[] = [];
  const channel = lineChannel(port, (flush) => flushes.push(flush));
  channel.send({ kind: 'host.pong', id: 1 });
  channel.send({ kind: 'host.ready', v8: 'line\nfeed' });
  t.deepEqual([port.written, flushes.length], [[], 1]);
  flushes[0]?.();
  channel.send({ kind: 'host.pong', id: 2 });
  flushes[1]?.();
  t.deepEqual(
    port.written.map((line) => JSON.parse(line)),
    [
      [
        { kind: 'host.pong', id: 1 },
        { kind: 'host.ready', v8: 'line\nfeed' },
      ],
      [{ kind: 'host.pong', id: 2 }],
    ],
  );
  t.true(port.written.every((line) => line.indexOf('\n') === line.length - 1));
});

test('messages come out whole and in order, wherever what carries them was cut', (t) => {
  const batches: ToHost[][] = [
    [{ kind: 'host.ping', id: 1 }],
    [
      { kind: 'ask', isolate: 'é€😀', id: 2, question: { about: 'namespace.list' } },
      { kind: 'host.ping', id: 3 },
    ],
  ];
  const bytes = Buffer.from(batches.map((batch) => `${JSON.stringify(batch)}\n`).join(''));
  for (const size of [1, 2, 7, bytes.length]) {
    const port = new Port();
    const received: ToHost[] = [];
    lineChannel(port, () => undefined).onMessage((message) => received.push(message));
    for (let from = 0; from < bytes.length; from += size) port.emit('data', bytes.subarray(from, from + size));
    t.deepEqual(received, batches.flat(), `in pieces of ${size}`);
  }
});
