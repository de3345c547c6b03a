import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Certificate } from './_certificate.ts';

export interface LoopbackServer {
  readonly port: number;
  /** How many connections were ever made to it. */
  readonly connections: () => number;
}

export interface HttpServer extends LoopbackServer {
  /** What was asked, in order. */
  readonly requests: readonly IncomingMessage[];
}

/** Answers HTTP on an address of loopback. */
export async function startHttpServer(
  t: ExecutionContext,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
  { host = '127.0.0.1', port = 0, certificate }: { host?: string; port?: number; certificate?: Certificate } = {},
): Promise<HttpServer> {
  const requests: IncomingMessage[] = [];
  const record: RequestListener = (request, response) => {
    requests.push(request);
    listener(request, response);
  };
  const server = certificate === undefined ? createServer(record) : createSecureServer(certificate, record);
  return { ...(await listen(t, server, host, port)), requests };
}

/** Hands over connections as they are. */
export async function startTcpServer(
  t: ExecutionContext,
  onConnection: (socket: Socket) => void,
): Promise<LoopbackServer> {
  return listen(t, createTcpServer(onConnection), '127.0.0.1', 0);
}

/** A port of loopback at which nobody listens. */
export async function closedPort(t: ExecutionContext): Promise<number> {
  const server = createTcpServer();
  const { port } = await listen(t, server, '127.0.0.1', 0);
  server.close();
  await once(server, 'close');
  return port;
}

/** The whole body of a request. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

export async function listen(t: ExecutionContext, server: Server, host: string, port: number): Promise<LoopbackServer> {
  const open = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}
