import test from 'ava';
import fc from 'fast-check';
import { CLOSE, FRAME_BYTES_MAX, type Role, type SessionEvent } from '../../../client/protocol.ts';
import { Fault } from '../../../daemon/fault.ts';
import { EventQueue, type EventSink } from '../../../daemon/transport/event-queue.ts';
import { EVENT_LIMITS } from '../../../daemon/transport/transport-limits.ts';
import { Peer, serve } from './transport-fixture.ts';

/** A sink that keeps what it is sent, and is congested when the test says so. */
class Sink implements EventSink {
  readonly events: SessionEvent[] = [];
  readonly ended = new AbortController();
  readonly signal = this.ended.signal;
  readonly closed: number[] = [];
  readonly role: Role;
  /** How many more events it takes before it is congested. */
  room = Number.POSITIVE_INFINITY;
  #waiters: (() => void)[] = [];

  constructor(role: Role = 'client') {
    this.role = role;
  }

  get congested(): boolean {
    return this.room <= 0;
  }

  get seqs(): number[] {
    return this.events.map(({ seq }) => seq);
  }

  send(text: string): void {
    this.room -= 1;
    const { method, params } = JSON.parse(text);
    if (method === 'event') this.events.push(params);
  }

  onceDrained(callback: () => void): void {
    this.#waiters.push(callback);
  }

  drain(room: number): void {
    this.room = room;
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  close(code: number): void {
    this.closed.push(code);
    this.ended.abort();
  }
}

function output(text: string) {
  return { kind: 'output', executionId: 'x', stream: 'stdout', text } as const;
}

function filled(count: number, limits = EVENT_LIMITS): EventQueue {
  const queue = new EventQueue('s"1', limits);
  for (let n = 1; n <= count; n += 1) queue.append(output(String(n)));
  return queue;
}

test('numbers events from 1 and delivers them whole', (t) => {
  const queue = new EventQueue('s"1', EVENT_LIMITS);
  t.deepEqual([queue.lastSeq, queue.firstKeptSeq], [0, 1]);
  const sink = new Sink();
  queue.subscribe(sink).start();
  t.is(queue.append(output('a\u2028"')), 1);
  t.is(queue.append({ kind: 'session.reset' }), 2);
  t.deepEqual(sink.events, [
    { sessionId: 's"1', seq: 1, ...output('a\u2028"') },
    { sessionId: 's"1', seq: 2, kind: 'session.reset' },
  ]);
});

test('delivers nothing before it is started, then everything since the subscription', (t) => {
  const queue = filled(3);
  const sink = new Sink();
  const subscription = queue.subscribe(sink);
  queue.append(output('4'));
  t.deepEqual(sink.seqs, []);
  subscription.start();
  subscription.start();
  queue.append(output('5'));
  t.deepEqual(sink.seqs, [4, 5]);
});

test('replays what came after afterSeq, then goes on live', (t) => {
  const queue = filled(5);
  const sink = new Sink();
  queue.subscribe(sink, 2).start();
  queue.append(output('6'));
  t.deepEqual(sink.seqs, [3, 4, 5, 6]);
});

test('keeps no more than its number of events, and says EVENTS_GONE with the first it has', (t) => {
  const queue = filled(5000, { eventsMax: 10, eventBytesMax: 1e6 });
  t.deepEqual([queue.firstKeptSeq, queue.lastSeq], [4991, 5000]);
  const sink = new Sink();
  queue.subscribe(sink, 4990).start();
  t.deepEqual(sink.seqs, [4991, 4992, 4993, 4994, 4995, 4996, 4997, 4998, 4999, 5000]);
  const error = t.throws(() => queue.subscribe(new Sink(), 4989), { instanceOf: Fault }) as Fault;
  t.deepEqual([error.code, error.details], ['EVENTS_GONE', { firstKeptSeq: 4991 }]);
});

test('keeps no more than its bytes, but always the newest', (t) => {
  const queue = filled(3, { eventsMax: 100, eventBytesMax: 1000 });
  queue.append(output('x'.repeat(600)));
  queue.append(output('y'.repeat(600)));
  t.deepEqual([queue.firstKeptSeq, queue.lastSeq], [5, 5]);
  queue.append(output('z'.repeat(5000)));
  t.deepEqual([queue.firstKeptSeq, queue.lastSeq], [6, 6]);
});

test('refuses an afterSeq in the future', (t) => {
  const error = t.throws(() => filled(5).subscribe(new Sink(), 6), { instanceOf: Fault }) as Fault;
  t.is(error.code, 'INVALID_PARAMS');
});

test('refuses an event larger than a message without using up a number', (t) => {
  const queue = filled(1);
  const error = t.throws(() => queue.append(output('é'.repeat(FRAME_BYTES_MAX / 2))), { instanceOf: Fault }) as Fault;
  t.is(error.code, 'TOO_LARGE');
  t.is(queue.append(output('2')), 2);
});

test('paces a replay by its reader, and events that arrive meanwhile follow it in order', (t) => {
  const queue = filled(10);
  const sink = new Sink();
  sink.room = 4;
  queue.subscribe(sink, 0).start();
  t.deepEqual(sink.seqs, [1, 2, 3, 4]);
  queue.append(output('11'));
  sink.drain(5);
  t.is(sink.seqs.length, 9);
  sink.drain(100);
  queue.append(output('12'));
  t.deepEqual(
    sink.seqs,
    Array.from({ length: 12 }, (_, n) => n + 1),
  );
});

test('disconnects a reader whose events were dropped before it read them', (t) => {
  const queue = filled(10, { eventsMax: 10, eventBytesMax: 1e6 });
  const sink = new Sink();
  sink.room = 4;
  queue.subscribe(sink, 0).start();
  for (let n = 0; n < 10; n += 1) queue.append(output('more'));
  sink.drain(100);
  t.deepEqual(sink.closed, [4001]);
  t.deepEqual(sink.seqs, [1, 2, 3, 4]);
});

test('detaches a reader when its connection ends, when it is told to, and when it attaches anew', (t) => {
  const queue = filled(2);
  const [gone, stopped, detached, again] = [new Sink(), new Sink(), new Sink(), new Sink()] as const;
  queue.subscribe(gone).start();
  const subscription = queue.subscribe(stopped);
  subscription.start();
  queue.subscribe(detached).start();
  queue.subscribe(again).start();
  queue.subscribe(again, 1).start();
  gone.ended.abort();
  subscription.stop();
  queue.unsubscribe(detached);
  queue.unsubscribe(new Sink());
  queue.append(output('3'));
  t.deepEqual([gone.seqs, stopped.seqs, detached.seqs, again.seqs], [[], [], [], [2, 3]]);
  const late = new Sink();
  late.ended.abort();
  queue.subscribe(late).start();
  queue.append(output('4'));
  t.deepEqual(late.seqs, []);
});

test('a reader sees each event after its start exactly once and in order, however it reads', (t) => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ drain: fc.integer({ min: 0, max: 30 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(5), (steps, after) => {
      const queue = filled(5);
      const sink = new Sink();
      sink.room = 0;
      queue.subscribe(sink, after).start();
      for (const action of steps) {
        if ('append' in action) for (let n = 0; n < action.append; n += 1) queue.append(output('x'));
        else sink.drain(action.drain);
      }
      sink.drain(Number.POSITIVE_INFINITY);
      t.deepEqual(
        sink.seqs,
        Array.from({ length: queue.lastSeq - after }, (_, n) => after + 1 + n),
      );
    }),
  );
});

test('replays 8 MiB over a real socket without meeting the bound on what is unread', async (t) => {
  const { socketPath, callers } = await serve(t, {}, { limits: { unsentBytesMax: 2_000_000 } });
  const queue = new EventQueue('s', EVENT_LIMITS);
  for (let n = 0; n < 800; n += 1) queue.append(output('x'.repeat(10_000)));
  const peer = await Peer.connected(t, socketPath);
  queue.subscribe((callers[0] as (typeof callers)[number]).events, 0).start();
  for (let seq = 1; seq <= 800; seq += 1) t.is((await peer.next()).params.seq, seq);
});

test('readers of one role are let go after an event that says so, and the others read on', (t) => {
  const queue = filled(3);
  const [client, admin, behind] = [new Sink(), new Sink('admin'), new Sink()];
  behind.room = 1;
  for (const sink of [client, admin, behind]) queue.subscribe(sink, 0).start();
  queue.release('client', { kind: 'session.detached', role: 'client', reason: 'r' });
  queue.append(output('4'));
  t.deepEqual(client.seqs, [1, 2, 3, 4]);
  t.like(client.events.at(-1), { kind: 'session.detached', role: 'client' });
  t.deepEqual(admin.seqs, [1, 2, 3, 4, 5]);
  t.deepEqual([behind.seqs, behind.closed], [[1], [CLOSE.slowReader]], 'one that is behind is cut off');
  t.deepEqual([client.closed, admin.closed], [[], []]);
  queue.release('client', { kind: 'session.detached', role: 'client', reason: 'r' });
  t.is(queue.lastSeq, 5, 'where nobody reads, nobody is told');
});
