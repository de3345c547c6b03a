/**
 * A Unix socket on which WebSocket connections of one role arrive.
 *
 * I1: the socket is never, not even between its creation and a chmod, open to anyone but its owner.
 * I2: whatever arrives that is not a WebSocket handshake for our subprotocol gets an HTTP refusal and is closed.
 * I3: connections are bounded; the one too many is told so.
 * I4: after `close` nothing is left: no connection, no timer, no socket.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { CLOSE, FRAME_BYTES_MAX, type Role, SUBPROTOCOL } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { Connection } from './connection.ts';
import type { TransportLimits } from './transport-limits.ts';

/** Not imported: for the sake of names that nobody here asks for, that would load Node's own fetch, at every start. */
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');

const GOING_AWAY = 1001;
/** Sockets beyond the connections that may be in their handshake or on their way out. */
const SPARE_SOCKETS = 64;
const HOW_TO = `This is the socket of a PyREPL3 daemon: it speaks JSON-RPC 2.0 over WebSocket (subprotocol ${SUBPROTOCOL}).\n`;

export interface ListenOptions {
  readonly socketPath: string;
  readonly role: Role;
  readonly limits: TransportLimits;
  readonly onConnection: (connection: Connection) => void;
}

export interface Listener {
  /** Connections open at the moment. */
  readonly size: number;
  /** Takes no more connections, closes those there are (1001 unless told otherwise), and waits until all are gone. */
  close(code?: number, reason?: string): Promise<void>;
}

/** Listens on `socketPath`, where nothing may be yet. Fails with UNAVAILABLE where the path cannot be bound. */
export async function listen({ socketPath, role, limits, onConnection }: ListenOptions): Promise<Listener> {
  const connections = new Map<Connection, WebSocket>();
  const server = createHttpServer(limits);
  const webSockets = createWebSocketServer(limits);
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const problem = handshakeProblem(request);
    if (problem !== null) {
      refuse(stream, problem.status, problem.sentence);
      return;
    }
    webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      const connection = new Connection({ id: randomUUID(), role, webSocket, stream, limits });
      if (connections.size >= limits.connectionsMax) {
        connection.close(CLOSE.tooManyConnections, `This daemon has ${limits.connectionsMax} connections, its limit.`);
        return;
      }
      connections.set(connection, webSocket);
      webSocket.once('close', () => connections.delete(connection));
      onConnection(connection);
    });
  });
  await bind(server, socketPath, limits);
  const heartbeat = setInterval(() => {
    for (const connection of connections.keys()) connection.beat();
  }, limits.heartbeatMs);
  return {
    get size() {
      return connections.size;
    },
    close: async (code = GOING_AWAY, reason = 'The daemon is stopping.') => {
      clearInterval(heartbeat);
      const closed = once(server, 'close');
      server.close();
      const gone = [...connections].map(async ([connection, webSocket]) => {
        const over = once(webSocket, 'close');
        connection.close(code, reason);
        await over;
      });
      await Promise.all(gone);
      server.closeAllConnections();
      webSockets.close();
      await closed;
    },
  };
}

function createHttpServer(limits: TransportLimits): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.handshakeBytesMax,
      headersTimeout: limits.handshakeMsMax,
      requestTimeout: limits.handshakeMsMax,
      connectionsCheckingInterval: Math.ceil(limits.handshakeMsMax / 4),
    },
    (_request, response) => {
      response.writeHead(426, {
        Connection: 'Upgrade, close',
        Upgrade: 'websocket',
        'Content-Type': 'text/plain; charset=utf-8',
        'Content-Length': Buffer.byteLength(HOW_TO),
      });
      response.end(HOW_TO);
    },
  );
  server.maxConnections = limits.connectionsMax + SPARE_SOCKETS;
  return server;
}

function createWebSocketServer(limits: TransportLimits): WebSocketServer {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_BYTES_MAX,
    maxFragments: limits.fragmentsMax,
    // Compression would let a small frame grow past the bound on frames, for nothing: the other end is on this machine.
    perMessageDeflate: false,
    skipUTF8Validation: false,
    closeTimeout: limits.closeMsMax,
    handleProtocols: () => SUBPROTOCOL,
  };
  return new WebSocketServer(options);
}

function handshakeProblem(request: IncomingMessage): { status: number; sentence: string } | null {
  if (request.httpVersion !== '1.1') return { status: 400, sentence: 'A WebSocket handshake is made in HTTP/1.1.\n' };
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || !offered.includes(SUBPROTOCOL)) {
    return { status: 400, sentence: HOW_TO };
  }
  return null;
}

function refuse(stream: Duplex, status: number, sentence: string): void {
  stream.on('error', () => stream.destroy());
  stream.once('finish', () => stream.destroy());
  stream.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(sentence)}\r\n\r\n${sentence}`,
  );
}

/** Binds with a file mode of 0600 from the first moment; the umask belongs to the process, so nothing may await in between. */
async function bind(server: Server, socketPath: string, limits: TransportLimits): Promise<void> {
  const umask = process.umask(0o177);
  try {
    // A Unix socket whose backlog is full refuses a connection at once instead of letting it wait.
    server.listen({ path: socketPath, backlog: limits.connectionsMax });
  } finally {
    process.umask(umask);
  }
  try {
    await once(server, 'listening');
  } catch (error) {
    throw unavailable(socketPath, error as Error);
  }
}

function unavailable(socketPath: string, { message }: Error): Fault {
  return new Fault('UNAVAILABLE', `Cannot listen on ${socketPath}: ${message}`);
}
