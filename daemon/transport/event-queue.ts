/**
 * The events of one session: numbered, kept for a while, handed to whoever is attached.
 *
 * I1: numbers start at 1 and have no gaps; an event is numbered only once it is certain to be kept.
 * I2: a subscription sees each event after its start once, in order: first the kept ones, then the live ones.
 * I3: what is kept is bounded in number and in bytes; the newest event is always kept.
 * I4: an event is turned into JSON once, whoever reads it.
 * I5: a replay is paced by its reader. A reader so slow that what it still has to get is dropped is disconnected.
 */
import { CLOSE, type EventBody, FRAME_BYTES_MAX, type Role } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import type { EventLimits } from './transport-limits.ts';

/** The slice of a connection that events need. */
export interface EventSink {
  readonly signal: AbortSignal;
  readonly role: Role;
  /** Too much is waiting to be read for a replay to go on. */
  readonly congested: boolean;
  send(text: string): void;
  /** Calls back once, when everything that was waiting has left. */
  onceDrained(callback: () => void): void;
  close(code: number, reason: string): void;
}

/** Nothing is delivered before `start`, so that the answer to the request that subscribed can leave first. */
export interface Subscription {
  start(): void;
  stop(): void;
}

/** Where events are written down; nobody is handed one before it is. */
export interface EventJournal {
  event(seq: number, body: EventBody): void;
  /** What is not urgent may wait a moment, to be written down and to leave together with what follows it. */
  whenCommitted(then: () => void, urgent?: boolean): void;
}

const FORGETFUL: EventJournal = {
  event: () => undefined,
  whenCommitted: (then) => then(),
};

/** How many dropped places at the front of the arrays are worth moving the rest for. */
const COMPACT_AT = 1024;

export class EventQueue {
  readonly #prefix: string;
  readonly #limits: EventLimits;
  readonly #journal: EventJournal;
  readonly #subscriptions = new Map<EventSink, Reader>();
  #texts: string[] = [];
  /** How many places at the front of `#texts` hold events already dropped. */
  #dropped = 0;
  #firstKeptSeq = 1;
  /** The newest event that may be handed out: it is written down. */
  #handedSeq = 0;
  #bytes = 0;
  #over = false;

  constructor(sessionId: string, limits: EventLimits, journal: EventJournal = FORGETFUL) {
    this.#prefix = `{"jsonrpc":"2.0","method":"event","params":{"sessionId":${JSON.stringify(sessionId)},"seq":`;
    this.#limits = limits;
    this.#journal = journal;
  }

  /** The number of the newest event; 0 while there is none. */
  get lastSeq(): number {
    return this.#firstKeptSeq + (this.#texts.length - this.#dropped) - 1;
  }

  /** The newest event that may be handed out. */
  get handedSeq(): number {
    return this.#handedSeq;
  }

  /** Whether anybody is attached. */
  get watched(): boolean {
    return this.#subscriptions.size > 0;
  }

  /** The number of the oldest event still kept; one more than `lastSeq` while there is none. */
  get firstKeptSeq(): number {
    return this.#firstKeptSeq;
  }

  /**
   * Numbers an event, keeps it and hands it to everyone attached; returns its number. Fails with TOO_LARGE, and without
   * using up a number, where the event would not fit a message.
   */
  append(body: EventBody): number {
    const seq = this.lastSeq + 1;
    this.#keep(seq, body);
    this.#journal.event(seq, body);
    const text = this.textOf(seq) as string;
    // A question is the one event that the session itself waits on; the others can wait for company.
    const urgent = body.kind === 'input.requested';
    this.#journal.whenCommitted(() => {
      this.#handedSeq = seq;
      for (const reader of this.#subscriptions.values()) reader.take(text, seq);
    }, urgent);
    return seq;
  }

  /** Appends an event; of one that is too large for a message, only that it was left out. */
  tell(body: EventBody): void {
    try {
      this.append(body);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const executionId = 'executionId' in body ? body.executionId : null;
      this.append({ kind: 'output.truncated', executionId, limitBytes: FRAME_BYTES_MAX });
    }
  }

  /** What an earlier daemon had numbered, in order; `firstSeq` is the number of the first. */
  restore(firstSeq: number, bodies: readonly EventBody[]): void {
    if (this.#texts.length === 0) this.#firstKeptSeq = firstSeq;
    for (const body of bodies) this.#keep(this.lastSeq + 1, body);
    this.#handedSeq = this.lastSeq;
  }

  #keep(seq: number, body: EventBody): void {
    // A body always has a kind, so what follows its opening brace is never empty.
    const text = `${this.#prefix}${seq},${JSON.stringify(body).slice(1)}}`;
    if (text.length * 3 > FRAME_BYTES_MAX && Buffer.byteLength(text) > FRAME_BYTES_MAX) {
      throw new Fault('TOO_LARGE', `An event of kind ${body.kind} is larger than a message may be.`, {
        bytes: Buffer.byteLength(text),
        bytesMax: FRAME_BYTES_MAX,
      });
    }
    this.#texts.push(text);
    this.#bytes += text.length;
    while (this.#bytes > this.#limits.eventBytesMax || this.lastSeq - this.#firstKeptSeq >= this.#limits.eventsMax) {
      if (this.#firstKeptSeq === seq) break;
      this.#dropOldest();
    }
  }

  /**
   * Attaches a reader to the events after `afterSeq`, or to those yet to come. The same sink again replaces what it had;
   * a sink whose connection ends is detached. Fails with EVENTS_GONE where some of what is asked for is no longer kept,
   * and with INVALID_PARAMS where it lies in the future.
   */
  subscribe(sink: EventSink, afterSeq: number = this.lastSeq): Subscription {
    if (afterSeq > this.lastSeq) {
      throw new Fault('INVALID_PARAMS', `afterSeq must be at most ${this.lastSeq}, the last event, got ${afterSeq}`, {
        lastSeq: this.lastSeq,
      });
    }
    if (afterSeq + 1 < this.#firstKeptSeq) {
      throw new Fault(
        'EVENTS_GONE',
        `Events up to ${this.#firstKeptSeq - 1} are no longer kept; attach without afterSeq, or after ${this.#firstKeptSeq - 1}.`,
        { firstKeptSeq: this.#firstKeptSeq },
      );
    }
    this.unsubscribe(sink);
    const reader = new Reader(this, sink, afterSeq + 1);
    this.#subscriptions.set(sink, reader);
    const stop = () => {
      sink.signal.removeEventListener('abort', stop);
      reader.stop();
      if (this.#subscriptions.get(sink) === reader) this.#subscriptions.delete(sink);
    };
    reader.onStopped = stop;
    sink.signal.addEventListener('abort', stop);
    if (sink.signal.aborted) stop();
    return { start: () => reader.start(), stop };
  }

  /** Detaches a reader; nothing happens where it is not attached. */
  unsubscribe(sink: EventSink): void {
    this.#subscriptions.get(sink)?.onStopped();
  }

  /**
   * Detaches every reader of a role, after one last event that says so; nothing is said where there is none. A reader that is
   * still catching up cannot be told in order: its connection ends, and it is told when it attaches again.
   */
  release(role: Role, farewell: EventBody): void {
    const readers = [...this.#subscriptions].filter(([sink]) => sink.role === role);
    if (readers.length === 0) return;
    this.append(farewell);
    this.#journal.whenCommitted(() => {
      for (const [sink, reader] of readers) {
        const { live } = reader;
        reader.onStopped();
        if (!live) sink.close(CLOSE.slowReader, 'These events may not be read any more; attach again to learn why.');
      }
    });
  }

  /** The session is over, and nothing is appended any more: whoever is attached is let go once they have the last event. */
  end(): void {
    this.#journal.whenCommitted(() => {
      this.#over = true;
      for (const reader of [...this.#subscriptions.values()]) if (reader.live) reader.onStopped();
    });
  }

  /** The session goes on in another daemon, under the same numbers: whoever is attached has to attach again, and is told so. */
  abandon(reason: string): void {
    for (const [sink, reader] of [...this.#subscriptions]) {
      reader.onStopped();
      sink.close(CLOSE.sessionMoved, reason);
    }
  }

  /** Whether whoever has caught up has had the last event. */
  get over(): boolean {
    return this.#over;
  }

  /** The message of a kept event. */
  textOf(seq: number): string | undefined {
    return this.#texts[this.#dropped + seq - this.#firstKeptSeq];
  }

  #dropOldest(): void {
    this.#bytes -= this.#texts[this.#dropped]?.length ?? 0;
    this.#texts[this.#dropped] = '';
    this.#dropped += 1;
    this.#firstKeptSeq += 1;
    if (this.#dropped >= COMPACT_AT && this.#dropped * 2 >= this.#texts.length) {
      this.#texts = this.#texts.slice(this.#dropped);
      this.#dropped = 0;
    }
  }
}

/** One attached sink: where it stands, and whether it follows live or is still catching up. */
class Reader {
  onStopped: () => void = () => this.stop();
  readonly #queue: EventQueue;
  readonly #sink: EventSink;
  #nextSeq: number;
  #state: 'unstarted' | 'catching-up' | 'live' | 'stopped' = 'unstarted';

  constructor(queue: EventQueue, sink: EventSink, nextSeq: number) {
    this.#queue = queue;
    this.#sink = sink;
    this.#nextSeq = nextSeq;
  }

  get live(): boolean {
    return this.#state === 'live';
  }

  start(): void {
    if (this.#state !== 'unstarted') return;
    this.#state = 'catching-up';
    this.#catchUp();
  }

  stop(): void {
    this.#state = 'stopped';
  }

  /** A live event goes straight out, counted against the connection's own bound; one behind it finds it in the queue. */
  take(text: string, seq: number): void {
    if (this.#state === 'live' && seq >= this.#nextSeq) {
      this.#nextSeq = seq + 1;
      this.#sink.send(text);
    }
  }

  #catchUp(): void {
    if (this.#state !== 'catching-up') return;
    if (this.#nextSeq < this.#queue.firstKeptSeq) {
      this.onStopped();
      this.#sink.close(CLOSE.slowReader, 'Events were dropped before this client had read them; attach again.');
      return;
    }
    while (this.#nextSeq <= this.#queue.handedSeq) {
      if (this.#sink.congested) {
        this.#sink.onceDrained(() => this.#catchUp());
        return;
      }
      this.#sink.send(this.#queue.textOf(this.#nextSeq) as string);
      this.#nextSeq += 1;
    }
    this.#state = 'live';
    if (this.#queue.over) this.onStopped();
  }
}
