import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { METHODS, type MethodName, type Role, SUBPROTOCOL } from '../../../client/protocol.ts';
import type { Caller } from '../../../daemon/transport/caller.ts';
import type { Connection } from '../../../daemon/transport/connection.ts';
import type { Handlers } from '../../../daemon/transport/handlers.ts';
import { type Listener, listen } from '../../../daemon/transport/listener.ts';
import { type Incident, Rpc } from '../../../daemon/transport/rpc.ts';
import { TRANSPORT_LIMITS, type TransportLimits } from '../../../daemon/transport/transport-limits.ts';

/** A directory of its own for a test, removed after it. */
export function temporaryDirectory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'pyrepl3-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface Served {
  readonly socketPath: string;
  readonly listener: Listener;
  readonly incidents: readonly Incident[];
  readonly callers: readonly Caller[];
  readonly connections: readonly Connection[];
}

/** A listener with an Rpc behind it; methods that are not given answer an empty object. */
export async function serve(
  t: ExecutionContext,
  handlers: Partial<Handlers> = {},
  { limits = {}, role = 'client' }: { limits?: Partial<TransportLimits>; role?: Role } = {},
): Promise<Served> {
  const socketPath = join(temporaryDirectory(t), 'c.sock');
  const incidents: Incident[] = [];
  const callers: Caller[] = [];
  const connections: Connection[] = [];
  const all = Object.fromEntries((Object.keys(METHODS) as MethodName[]).map((method) => [method, () => ({})]));
  const rpc = new Rpc({
    handlers: { ...all, ...handlers } as unknown as Handlers,
    limits: { ...TRANSPORT_LIMITS, ...limits },
    roleDenied: () => undefined,
    log: (incident) => incidents.push(incident),
  });
  const listener = await listen({
    socketPath,
    role,
    limits: { ...TRANSPORT_LIMITS, ...limits },
    onConnection: (connection) => {
      connections.push(connection);
      callers.push(rpc.serve(connection));
    },
  });
  t.teardown(() => listener.close());
  return { socketPath, listener, incidents, callers, connections };
}

/** What came back, parsed; the shape is the test's business. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every shape are looked into field by field.
export type Message = any;

/** A well-behaved WebSocket client that hands out messages one by one. */
export class Peer {
  readonly webSocket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  #messages: Message[] = [];
  #waiters: ((message: Message) => void)[] = [];
  #nextId = 1;

  constructor(socketPath: string) {
    this.webSocket = new WebSocket(`ws+unix:${socketPath}:/`, SUBPROTOCOL, { perMessageDeflate: false });
    this.closed = new Promise((resolve) => {
      this.webSocket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.webSocket.on('message', (data) => {
      const message = JSON.parse(String(data));
      const waiter = this.#waiters.shift();
      if (waiter === undefined) this.#messages.push(message);
      else waiter(message);
    });
    this.webSocket.on('error', () => undefined);
  }

  static async connected(t: ExecutionContext, socketPath: string): Promise<Peer> {
    const peer = new Peer(socketPath);
    t.teardown(() => peer.webSocket.terminate());
    await once(peer.webSocket, 'open');
    return peer;
  }

  send(message: unknown): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  next(): Promise<Message> {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Sends one request and takes the next message as its answer. */
  async call(method: string, params?: unknown): Promise<Message> {
    const id = this.#nextId;
    this.#nextId += 1;
    this.send({ jsonrpc: '2.0', id, method, params });
    return this.next();
  }

  /** The answer to whatever text is sent. */
  ask(text: string): Promise<Message> {
    this.send(text);
    return this.next();
  }
}
