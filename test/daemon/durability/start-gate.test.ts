import test from 'ava';
import type { Message } from '../../../daemon/durability/sdk.ts';
import { StartGate } from '../../../daemon/durability/start-gate.ts';

const announce = (id: unknown, version: unknown = 0) =>
  ({ kind: 'execute', head: {}, data: { task: { id, version } } }) as Extract<Message, { kind: 'execute' }>;

test('64 tasks start at once, and each that has started lets the next one', (t) => {
  const started: string[] = [];
  const gate = new StartGate(({ data }) => started.push(data.task.id));
  for (let number = 0; number < 70; number++) gate.take(announce(`t${number}`));
  t.is(started.length, 64);
  gate.started('t3');
  gate.started('t3');
  gate.started('never announced');
  t.is(started.length, 65);
  t.is(started.at(-1), 't64');
});

test('a task that is announced again while it starts waits, and one that waits is announced with its last version', (t) => {
  const started: Message[] = [];
  const gate = new StartGate((message) => started.push(message));
  gate.take(announce('a', 0));
  gate.take(announce('a', 1));
  gate.take(announce('a', 2));
  t.deepEqual(started, [announce('a', 0)]);
  gate.started('a');
  t.deepEqual(started, [announce('a', 0), announce('a', 2)]);
});

test('an announcement that is none is dropped, and after the end all of them are', (t) => {
  const started: Message[] = [];
  const gate = new StartGate((message) => started.push(message));
  for (const [id, version] of [
    [7, 0],
    [null, 0],
    ['a', '0'],
    ['a', 1.5],
  ])
    gate.take(announce(id, version));
  gate.stop();
  gate.take(announce('b'));
  t.deepEqual(started, []);
});
