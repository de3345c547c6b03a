import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `websocket(url, { protocols })` gives a connection: `send`, `receive`, `close`, and the messages by `for await`. */
export function shapeWebSocket({ calls, data, builtins }: ShapeParts): Record<string, ShapeGlobals> {
  type Take = (value: unknown) => void;

  const { Promise, TypeError, own, freeze, defineProperty, asyncIterator, toStringTag } = builtins;
  // The doors into the private state of a connection, opened by the static block.
  let receive: (connection: Connection, done: Take, failed: Take) => void;
  let close: (connection: Connection, code: unknown, reason: unknown, done: Take, failed: Take) => void;

  const textOf = (answer: unknown, key: string): string => {
    const text = own(answer, key);
    if (typeof text !== 'string') throw new TypeError(`The answer holds no ${key}.`);
    return text;
  };
  const hide = (target: object, key: symbol, value: unknown): void =>
    void defineProperty(target, key, {
      __proto__: null,
      value,
      writable: true,
      configurable: true,
    } as PropertyDescriptor);

  class Connection {
    #handle = '';
    #url = '';
    #protocol = '';
    #closed: { readonly code: unknown; readonly reason: unknown } | null = null;

    static {
      receive = (connection, done, failed) => {
        if (connection.#closed !== null) {
          done(null);
          return;
        }
        const take = (answer: unknown): void => {
          const closed = own(answer, 'closed');
          if (closed === undefined) {
            done(data.read(own(answer, 'message')));
            return;
          }
          connection.#closed ??= freeze({ code: own(closed, 'code'), reason: own(closed, 'reason') });
          done(null);
        };
        calls.request('websocket', ['receive', connection.#handle], take, failed);
      };
      close = (connection, code, reason, done, failed) =>
        calls.request('websocket', ['close', connection.#handle, code, reason], done, failed);
    }

    constructor(answer: unknown) {
      this.#handle = textOf(answer, 'handle');
      this.#url = textOf(answer, 'url');
      this.#protocol = textOf(answer, 'protocol');
    }

    get url(): string {
      return this.#url;
    }

    get protocol(): string {
      return this.#protocol;
    }

    /** `{ code, reason }` once the end of the messages has been received. */
    get closed(): { readonly code: unknown; readonly reason: unknown } | null {
      return this.#closed;
    }

    send(message: unknown): Promise<unknown> {
      const content = data.argument(message, 'The message for send()');
      return calls.call('websocket', ['send', this.#handle, content], () => undefined);
    }

    /** The next message, a string or a Uint8Array; null once the connection is closed. */
    receive(): Promise<unknown> {
      return new Promise((resolve, reject) => receive(this, resolve, reject));
    }

    close(code: unknown, reason: unknown): Promise<unknown> {
      return new Promise((resolve, reject) => close(this, code, reason, () => resolve(undefined), reject));
    }
  }

  /** Leaving the loop before the end closes the connection. */
  function messages(this: Connection): object {
    const iterator = {
      next: () =>
        new Promise((resolve, reject) => {
          const done = (value: unknown): void => resolve({ value: value ?? undefined, done: value === null });
          receive(this, done, reject);
        }),
      return: () =>
        new Promise((resolve, reject) => {
          close(this, undefined, undefined, () => resolve({ value: undefined, done: true }), reject);
        }),
    };
    hide(iterator, asyncIterator, () => iterator);
    return iterator;
  }
  hide(Connection.prototype, asyncIterator, messages);
  defineProperty(Connection.prototype, toStringTag, {
    __proto__: null,
    value: 'WebSocketConnection',
    configurable: true,
  } as PropertyDescriptor);

  return {
    websocket: {
      websocket: (url: unknown, options: unknown): Promise<unknown> =>
        calls.call(
          'websocket',
          ['open', typeof url === 'object' ? `${url}` : url, options],
          (answer) => new Connection(answer),
        ),
    },
  };
}
