import type { GuestBuiltins } from '../builtins.ts';
import type { GuestKernel } from '../kernel.ts';

/** Where the bytes of a stream come from. */
export interface ByteSource {
  /** Asks for the next bytes; `done` is given null at the end. One call at a time. */
  pull(done: (bytes: Uint8Array<ArrayBuffer> | null) => void, failed: (error: unknown) => void): void;
  /** No more will be asked for. */
  cancel(): void;
}

export interface GuestStreams {
  readonly ReadableStream: new (source?: unknown, strategy?: unknown) => object;
  readonly isStream: (value: unknown) => value is object;
  readonly fromSource: (source: ByteSource) => object;
  /** Whether a reader holds it. */
  readonly isLocked: (stream: object) => boolean;
  /** Whether something was read from it, or it was cancelled. */
  readonly isDisturbed: (stream: object) => boolean;
  /** Locks a stream that nobody has touched, so that its source can be read directly; false where it was touched. */
  readonly take: (stream: object) => boolean;
  readonly tee: (stream: object) => [object, object];
  /** Locks a stream, and reads the rest of it; what is in it must be Uint8Arrays. */
  readonly toSource: (stream: object) => ByteSource;
}

/**
 * `ReadableStream` (Streams Standard), whose work the library `web-streams-polyfill` does. The library's text is evaluated when a
 * stream is first read or made by guest code, because that takes longer than everything else about a response together. It uses
 * the built-ins as it finds them then, and is given nothing but what the guest itself could do.
 */
export function makeStreams(kernel: GuestKernel, builtins: GuestBuiltins): GuestStreams {
  interface Opened {
    readonly locked: boolean;
    readonly _disturbed: boolean;
    cancel(reason: unknown): Promise<void>;
    getReader(options?: unknown): { read(): Promise<unknown>; cancel(): Promise<void> };
    tee(): [Opened, Opened];
    values(options?: unknown): object;
  }
  interface Library {
    readonly ReadableStream: (new (source: unknown, strategy: unknown) => Opened) & { from(values: unknown): Opened };
  }
  interface Controller {
    readonly byobRequest: { respond(count: number): void } | null;
    enqueue(bytes: Uint8Array): void;
    close(): void;
  }

  const { Promise, TypeError, Uint8Array, evaluate, construct, encoding, whenSettled, defineProperty, own } = builtins;
  const proof = {};
  let library: Library | undefined;
  // The doors into the private state of streams, opened by the static block.
  let isStream: (value: unknown) => value is object;
  let take: (stream: ReadableStream) => boolean;
  let open: (stream: ReadableStream) => Opened;
  let isLocked: (stream: ReadableStream) => boolean;
  let isDisturbed: (stream: ReadableStream) => boolean;

  function load(): Library {
    if (library !== undefined) return library;
    const text = kernel.compute('streams.source');
    if (text === null) throw new TypeError('Streams are not available.');
    const evaluated = evaluate(`(function (exports, module) {${text}\nreturn exports; })`);
    library = (evaluated as (exports: object, module: object) => Library)({}, {});
    return library;
  }
  function openSource(source: ByteSource): Opened {
    const pull = (controller: Controller): Promise<void> =>
      new Promise((resolve, reject) => {
        source.pull((bytes) => {
          // The stream takes the buffer of what it is given for its own, and a clone may hold the same bytes.
          if (bytes !== null) controller.enqueue(new Uint8Array(bytes));
          else {
            controller.close();
            controller.byobRequest?.respond(0);
          }
          resolve();
        }, reject);
      });
    const underlying = { __proto__: null, type: 'bytes', pull, cancel: () => source.cancel() };
    return construct(load().ReadableStream, [underlying, { __proto__: null, highWaterMark: 0 }]) as Opened;
  }

  class ReadableStream {
    #opened: Opened | undefined;
    #source: ByteSource | undefined;

    static {
      isStream = (value): value is object => typeof value === 'object' && value !== null && #opened in value;
      take = (stream) => {
        const untouched = stream.#source !== undefined;
        stream.#source = undefined;
        return untouched;
      };
      open = (stream) => {
        if (stream.#opened !== undefined) return stream.#opened;
        if (stream.#source === undefined) throw new TypeError('The stream is locked: it is being read as a whole.');
        stream.#opened = openSource(stream.#source);
        stream.#source = undefined;
        return stream.#opened;
      };
      isLocked = (stream) => (stream.#opened === undefined ? stream.#source === undefined : stream.#opened.locked);
      isDisturbed = (stream) =>
        stream.#opened === undefined ? stream.#source === undefined : stream.#opened._disturbed;
    }

    constructor(source: unknown = undefined, strategy: unknown = undefined) {
      if (source === proof) return;
      this.#opened = construct(load().ReadableStream, [source, strategy]) as Opened;
    }

    static from(values: unknown): ReadableStream {
      return wrap(load().ReadableStream.from(values));
    }

    /** A stream of ours: one that the library has made, or a source that it has not seen yet. */
    static make(key: unknown, opened: Opened | undefined, source: ByteSource | undefined): ReadableStream {
      if (key !== proof) throw new TypeError('Illegal call');
      const stream = new ReadableStream(proof);
      stream.#opened = opened;
      stream.#source = source;
      return stream;
    }

    get locked(): boolean {
      return isLocked(this);
    }

    cancel(reason: unknown = undefined): Promise<void> {
      return open(this).cancel(reason);
    }

    getReader(options: unknown = undefined): unknown {
      return open(this).getReader(options);
    }

    tee(): [ReadableStream, ReadableStream] {
      const branches = open(this).tee();
      return [wrap(branches[0]), wrap(branches[1])];
    }

    values(options: unknown = undefined): object {
      return open(this).values(options);
    }
  }
  const make = ReadableStream.make;
  builtins.deleteProperty(ReadableStream, 'make');
  const wrap = (opened: Opened): ReadableStream => make(proof, opened, undefined);
  const field = (value: unknown, writable: boolean): PropertyDescriptor =>
    ({ __proto__: null, value, writable, configurable: true }) as PropertyDescriptor;
  defineProperty(ReadableStream.prototype, builtins.asyncIterator, field(ReadableStream.prototype.values, true));
  defineProperty(ReadableStream.prototype, builtins.toStringTag, field('ReadableStream', false));

  function toSource(stream: object): ByteSource {
    const reader = open(stream as ReadableStream).getReader();
    const pull: ByteSource['pull'] = (done, failed) =>
      void whenSettled(
        reader.read(),
        (result) => {
          if (own(result, 'done') === true) {
            done(null);
            return;
          }
          const value = own(result, 'value');
          const bytes = typeof value === 'object' && value !== null ? encoding.bytesOf(value) : undefined;
          if (bytes === undefined) failed(new TypeError('A stream that is a body must be of Uint8Arrays.'));
          else done(new Uint8Array(bytes));
        },
        failed,
      );
    return { pull, cancel: () => void reader.cancel() };
  }

  return {
    ReadableStream,
    isStream,
    toSource,
    fromSource: (source) => make(proof, undefined, source),
    isLocked: (stream) => isLocked(stream as ReadableStream),
    isDisturbed: (stream) => isDisturbed(stream as ReadableStream),
    take: (stream) => take(stream as ReadableStream),
    tee: (stream) => (stream as ReadableStream).tee(),
  };
}
