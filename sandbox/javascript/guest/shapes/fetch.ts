import type { Body } from './bodies.ts';
import type { RequestParts } from './messages.ts';
import type { ShapeGlobals, ShapeParts } from './shape.ts';

/**
 * `fetch` and the classes that come with it. The daemon answers a request with the head of the response and the beginning of its
 * body; the rest is asked for as it is wanted.
 */
export function shapeFetch({ kernel, calls, builtins, data, shared }: ShapeParts): Record<string, ShapeGlobals> {
  const { Promise, TypeError, own, isArray, quote, abort, toBase64 } = builtins;
  const streams = shared.makeStreams(kernel, builtins);
  const headers = shared.makeHeaders(builtins);
  const bodies = shared.makeBodies(builtins, streams);
  const messages = shared.makeMessages(kernel, builtins, { headers, streams, bodies });
  const { Headers } = headers;
  const { Request, Response, requestParts, makeResponse } = messages;
  type Take = (value: unknown) => void;

  const textOf = (answer: unknown, key: string): string => {
    const text = own(answer, key);
    if (typeof text !== 'string') throw new TypeError(`The answer holds no ${key}.`);
    return text;
  };

  const cancel = (handle: string): void =>
    calls.request(
      'fetch',
      ['cancel', handle],
      () => undefined,
      () => undefined,
    );

  /** The body of an answer, and how to make reading it fail; `over` is called once there is nothing left to read. */
  function receive(answer: unknown, over: () => void): { body: Body | null; fail: (error: unknown) => void } {
    const received = own(answer, 'body');
    const last = received === null || own(received, 'done') === true;
    if (last) over();
    if (received === null) return { body: null, fail: () => undefined };
    const handle = last ? '' : textOf(received, 'handle');
    return bodies.ofReading(data.readBytes(received), last, {
      read(done, failed) {
        const take = (chunk: unknown): void => {
          const end = own(chunk, 'done') === true;
          if (end) over();
          done(data.readBytes(chunk), end);
        };
        calls.request('fetch', ['read', handle], take, failed);
      },
      cancel() {
        over();
        cancel(handle);
      },
    });
  }
  function headersOf(answer: unknown): object {
    const pairs = own(answer, 'headers');
    if (!isArray(pairs)) throw new TypeError('The answer holds no headers.');
    const received = new Headers(pairs);
    headers.freeze(received);
    return received;
  }
  function respond(answer: unknown, body: Body | null): object {
    const status = own(answer, 'status');
    if (!builtins.isSafeInteger(status)) throw new TypeError('The answer holds no status.');
    return makeResponse({
      url: textOf(answer, 'url'),
      status: status as number,
      statusText: textOf(answer, 'statusText'),
      redirected: own(answer, 'redirected') === true,
      headers: headersOf(answer),
      body,
      type: 'basic',
    });
  }

  function send(request: RequestParts, bodyJson: string, resolve: Take, reject: Take): void {
    const { url, method, signal, redirect } = request;
    let failBody: ((error: unknown) => void) | undefined;
    let aborted = false;
    const onAbort = (reason: unknown): void => {
      aborted = true;
      reject(reason);
      failBody?.(reason);
    };
    if (abort.watch(signal, onAbort) === 'aborted') {
      reject(abort.reasonOf(signal as object));
      return;
    }
    const over = (): void => {
      if (signal !== undefined) abort.unwatch(signal, onAbort);
    };
    const done = (answer: unknown): void => {
      const handle = own(own(answer, 'body'), 'handle');
      // Aborted meanwhile: what has come is nobody's to read.
      if (aborted) {
        if (typeof handle === 'string') cancel(handle);
        return;
      }
      const { body, fail } = receive(answer, over);
      failBody = fail;
      resolve(respond(answer, body));
    };
    const init = `{"method":${quote(method)},"headers":${headers.json(request.headers)},"body":${bodyJson},"redirect":${quote(redirect)}}`;
    calls.request('fetch', ['open', url, calls.encoded(init)], done, (error) => {
      over();
      reject(error);
    });
  }

  function start(request: RequestParts, resolve: Take, reject: Take): void {
    const { body, text } = request;
    if (body === null) send(request, 'null', resolve, reject);
    else if (text !== undefined) send(request, data.json(text) as string, resolve, reject);
    else body.readAll((bytes) => send(request, `{"base64":"${toBase64(bytes)}"}`, resolve, reject), reject);
  }

  const functions = {
    fetch(input: unknown, init: unknown = undefined): Promise<unknown> {
      return new Promise((resolve, reject) => start(requestParts(new Request(input, init)), resolve, reject));
    },
  };
  return {
    fetch: {
      fetch: functions.fetch,
      Headers,
      ReadableStream: streams.ReadableStream,
      Request,
      Response,
    },
  };
}
