/** Servers of loopback that answer as a hostile one would, for attacks that come from the other end of a request. */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import {
  type HttpServer,
  type LoopbackServer,
  startHttpServer,
  startTcpServer,
} from '../daemon/network/_loopback-servers.ts';

const PIECE = Buffer.alloc(64 * 1024, 'x');

export const hello = (t: ExecutionContext): Promise<HttpServer> =>
  startHttpServer(t, (_, response) => response.end('hello'));

/** Answers every request with the same bytes, whatever they are. */
export const raw = (t: ExecutionContext, answer: string): Promise<LoopbackServer> =>
  startTcpServer(t, (socket) => socket.resume().write(answer));

/** A body that goes on for as long as somebody reads it. */
export const endless = (t: ExecutionContext): Promise<HttpServer> =>
  startHttpServer(t, (_, response) => Readable.from(pieces()).pipe(response));

function* pieces(): Generator<Buffer> {
  for (;;) yield PIECE;
}

/** A small body that becomes a large one when it is decoded. */
export function bomb(t: ExecutionContext, bytes: number): Promise<HttpServer> {
  const body = gzipSync(Buffer.alloc(bytes));
  return startHttpServer(t, (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body));
}

/** Three ways to keep a request waiting: a body and a head that come byte by byte, and no answer at all. */
export const slow = (t: ExecutionContext): Promise<LoopbackServer[]> =>
  Promise.all([
    startHttpServer(t, (_, response) => drip(response, 'x')),
    startTcpServer(t, (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-a: ')),
    startTcpServer(t, () => undefined),
  ]);

function drip(to: NodeJS.WritableStream, beginning: string): void {
  to.write(beginning);
  const timer = setInterval(() => to.write('x'), 50);
  to.once('close', () => clearInterval(timer));
}

/** Redirects to wherever `location` says at the time. */
export const redirecting = (t: ExecutionContext, location: () => string): Promise<HttpServer> =>
  startHttpServer(t, (_, response) => response.writeHead(307, { location: location() }).end());

/** Answers what it was sent as authorization, in a header and as the body. */
export const echoing = (t: ExecutionContext): Promise<HttpServer> =>
  startHttpServer(t, ({ headers }, response) => {
    const received = String(headers.authorization);
    response.setHeader('x-echo', received).end(received);
  });
