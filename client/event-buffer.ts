/** Stands in a stream of events for those that are missing from it, so that a reader knows what it did not see. */
export interface EventGap {
  readonly kind: 'events.gap';
  readonly sessionId: string;
  /** The numbers of the first and the last event that are missing. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** `gone`: the daemon no longer had them after a reconnection; `slow-reader`: the reader of this stream fell behind. */
  readonly reason: 'gone' | 'slow-reader';
}

interface Numbered {
  readonly kind: string;
  readonly sessionId: string;
  readonly seq: number;
}

const BUFFERED_EVENTS_MAX = 10_000;
/** In UTF-16 units of event content. */
const BUFFERED_LENGTH_MAX = 4 * 1024 * 1024;
/** What an event costs beside its content, so that empty ones are not free. */
const EVENT_OVERHEAD = 64;

type Waiter<T> = { resolve(result: IteratorResult<T>): void; reject(error: unknown): void };

/**
 * The events between the connection, which does not wait, and one reader, which may be slow.
 *
 * Owns what has arrived and has not been read. Invariants: it never holds more than its two limits; when it would, the
 * oldest go first and one {@link EventGap} takes their place, so what is read is in order, without repetition, and says
 * what is missing. After `end` it yields what it still holds, then stops, or throws the error that ended it.
 */
export class EventBuffer<E extends Numbered> implements AsyncIterableIterator<E | EventGap> {
  readonly #items: { item: E | EventGap; size: number }[] = [];
  readonly #waiters: Waiter<E | EventGap>[] = [];
  readonly #countMax: number;
  readonly #lengthMax: number;
  #head = 0;
  #length = 0;
  #dropped: EventGap | null = null;
  #ended: { readonly error: Error | null } | null = null;

  constructor(limits: { readonly countMax?: number; readonly lengthMax?: number } = {}) {
    this.#countMax = limits.countMax ?? BUFFERED_EVENTS_MAX;
    this.#lengthMax = limits.lengthMax ?? BUFFERED_LENGTH_MAX;
  }

  push(item: E | EventGap): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter) {
      waiter.resolve({ done: false, value: item });
      return;
    }
    const size = contentLength(item) + EVENT_OVERHEAD;
    this.#items.push({ item, size });
    this.#length += size;
    while (this.#count > this.#countMax || (this.#length > this.#lengthMax && this.#count > 1)) this.#dropOldest();
  }

  /** Ends the stream once: with an error where it was cut off. */
  end(error: Error | null = null): void {
    if (this.#ended) return;
    this.#ended = { error };
    for (const waiter of this.#waiters.splice(0)) this.#finish(waiter);
  }

  next(): Promise<IteratorResult<E | EventGap>> {
    return new Promise((resolve, reject) => {
      const item = this.#take();
      if (item) resolve({ done: false, value: item });
      else if (this.#ended) this.#finish({ resolve, reject });
      else this.#waiters.push({ resolve, reject });
    });
  }

  /** The reader leaves: nothing is kept for it any more. */
  return(): Promise<IteratorResult<E | EventGap>> {
    this.end();
    this.#items.length = 0;
    this.#head = 0;
    this.#length = 0;
    this.#dropped = null;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get #count(): number {
    return this.#items.length - this.#head;
  }

  #take(): E | EventGap | undefined {
    if (this.#dropped) {
      const gap = this.#dropped;
      this.#dropped = null;
      return gap;
    }
    return this.#shift();
  }

  #shift(): E | EventGap | undefined {
    const entry = this.#items[this.#head];
    if (!entry) return undefined;
    this.#head += 1;
    this.#length -= entry.size;
    // Array.shift on a long array copies it; the read part is cut off in large pieces instead.
    if (this.#head === this.#items.length || this.#head >= 1024) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return entry.item;
  }

  #dropOldest(): void {
    const item = this.#shift();
    if (!item) return;
    const [fromSeq, toSeq] = 'seq' in item ? [item.seq, item.seq] : [item.fromSeq, item.toSeq];
    this.#dropped = {
      kind: 'events.gap',
      sessionId: item.sessionId,
      fromSeq: this.#dropped?.fromSeq ?? fromSeq,
      toSeq,
      reason: 'slow-reader',
    };
  }

  #finish({ resolve, reject }: Waiter<E | EventGap>): void {
    const error = this.#ended?.error;
    if (!error) {
      resolve({ done: true, value: undefined });
      return;
    }
    // An iterator throws once, then it is done.
    this.#ended = { error: null };
    reject(error);
  }
}

function contentLength(item: object): number {
  if ('text' in item && typeof item.text === 'string') return item.text.length;
  return 'data' in item ? JSON.stringify(item.data).length : 0;
}
