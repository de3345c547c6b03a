/** One HTTP request over one connection of its own, and the beginning of its answer. */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Client } from 'undici';
import { Fault } from '../fault.ts';
import { asFault } from './network-fault.ts';
import { BODY_CHUNK_BYTES_MAX, RESPONSE_HEADER_BYTES_MAX, RESPONSE_HEADERS_MAX } from './network-limits.ts';
import { type HeaderList, isTooLongResponse } from './request-headers.ts';

export interface HttpRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: Buffer | null;
}

export interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case. */
  readonly headers: HeaderList;
  /** As it came over the wire. Destroying it ends the connection; reading it to its end does so too. */
  readonly body: Readable;
}

/** Fails with a Fault, or with the signal's reason; the socket is gone then. */
export async function exchange(socket: Socket, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const client = clientOver(socket, request.url.origin);
  try {
    const answer = await client.request({
      path: request.url.pathname + request.url.search,
      method: request.method,
      headers: request.headers.flat(),
      body: request.body,
      signal,
      responseHeaders: 'raw',
      highWaterMark: BODY_CHUNK_BYTES_MAX,
      // `Connection: close`: nobody else uses this connection.
      reset: true,
    });
    const discard = (): void => void client.destroy();
    answer.body.once('close', discard).on('error', discard);
    const headers = pairs(answer.headers as unknown as readonly string[]);
    if (isTooLongResponse(headers)) {
      answer.body.destroy();
      throw headersTooLarge();
    }
    return { status: answer.statusCode, statusText: answer.statusText, headers, body: answer.body };
  } catch (error) {
    void client.destroy();
    socket.destroy();
    signal.throwIfAborted();
    if (error instanceof Error && 'code' in error && error.code === 'UND_ERR_HEADERS_OVERFLOW') throw headersTooLarge();
    throw asFault(error, 'protocol', 'The server did not answer in HTTP.');
  }
}

function clientOver(socket: Socket, origin: string): Client {
  let isTaken = false;
  return new Client(origin, {
    connect: (_options, done) => {
      if (isTaken) return done(new Error('the connection was used already'), null);
      isTaken = true;
      // undici expects its answer later than its question.
      queueMicrotask(() => done(null, socket));
    },
    pipelining: 1,
    maxRequestsPerClient: 1,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
    // The deadline of the whole is the signal's.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });
}

/** What undici calls raw: names and values in turn. */
function pairs(raw: readonly string[]): HeaderList {
  const headers: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) headers.push([raw[at]?.toLowerCase() ?? '', raw[at + 1] ?? '']);
  return headers;
}

function headersTooLarge(): Fault {
  return new Fault(
    'TOO_LARGE',
    `The response has more than ${RESPONSE_HEADERS_MAX} headers or ${RESPONSE_HEADER_BYTES_MAX} bytes of them.`,
  );
}
