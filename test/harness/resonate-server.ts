/**
 * A Resonate server on loopback: the real protocol over HTTP and server-sent events, decided by the SDK's own state machine, in
 * memory. Ids are checked as by release 0.10 of the real server, or as by the one before.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type MachineChange, type Message, newStateMachine, type Request } from '../../daemon/durability/sdk.ts';

const TICK_MS = 20;

export interface ServerOptions {
  /** What stands between the origin of an id and the rest. */
  readonly separator?: ':' | '.';
}

export class ResonateServer {
  readonly machine = newStateMachine();
  readonly #server: Server;
  readonly #separator: string;
  /** Open streams by group, then by process. */
  readonly #streams = new Map<string, Map<string, ServerResponse>>();
  readonly #ticker: NodeJS.Timeout;
  /** While it is set, requests are dropped without an answer and messages are lost. */
  isCutOff = false;
  /** Of every request that arrived. */
  readonly kinds: string[] = [];
  /** Of every request, and of every stream. */
  readonly authorizations: (string | undefined)[] = [];

  private constructor(server: Server, { separator = ':' }: ServerOptions) {
    this.#server = server;
    this.#separator = separator;
    server.on('request', (request, response) => void this.#handle(request, response));
    this.#ticker = setInterval(() => {
      const time = Date.now();
      this.#deliver(this.machine.apply(time, { kind: 'debug.tick', head: HEAD, data: { time } }).changes);
    }, TICK_MS);
  }

  static async start(options: ServerOptions = {}): Promise<ResonateServer> {
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    return new ResonateServer(server, options);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Whether the process listens to its messages. */
  hears(group: string, pid: string): boolean {
    return this.#streams.get(group)?.has(pid) ?? false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticker);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isCutOff) {
      request.socket.destroy();
      return;
    }
    this.authorizations.push(request.headers.authorization);
    const [, poll, group = '', pid = ''] = (request.url ?? '').split('/').map(decodeURIComponent);
    if (request.method === 'GET' && poll === 'poll') this.#stream(group, pid, response);
    else if (request.method === 'POST') this.#answer(await text(request), response);
    else response.writeHead(404).end();
  }

  #stream(group: string, pid: string, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.write(':\n\n');
    const streams = this.#streams.get(group) ?? new Map<string, ServerResponse>();
    this.#streams.set(group, streams);
    streams.set(pid, response);
    response.on('close', () => {
      if (streams.get(pid) === response) streams.delete(pid);
    });
  }

  #answer(body: string, response: ServerResponse): void {
    const request = JSON.parse(body) as Request;
    this.kinds.push(request.kind);
    const problem = this.#problemWith(request);
    const { corrId, version } = request.head;
    const applied = problem === null ? this.machine.apply(Date.now(), request) : null;
    const status = applied?.response.head.status ?? 400;
    const data = applied === null ? problem : applied.response.data;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: request.kind, head: { corrId, status, version }, data }));
    this.#deliver(applied?.changes ?? []);
  }

  #problemWith(request: Request): string | null {
    if (request.kind === 'task.create') return this.#problemWith(request.data.action);
    if (request.kind !== 'promise.create') return null;
    const { id, tags } = request.data;
    for (const name of ['resonate:origin', 'resonate:branch', 'resonate:parent']) {
      const tag = tags[name];
      if (tag === undefined || id === tag || id.startsWith(`${tag}${this.#separator}`)) continue;
      return `Promise ID must be prefixed by ${name}`;
    }
    return null;
  }

  #deliver(changes: readonly MachineChange[]): void {
    for (const change of changes) if (change.kind === 'message.send') this.#send(change.address, change.message);
  }

  /** To the process that is named, and for `any` to another of its group where that is not there. */
  #send(address: string, message: Message): void {
    const [, cast, group = '', pid = ''] = /^poll:\/\/(any|uni)@([^/]+)(?:\/(.+))?$/.exec(address) ?? [];
    const streams = this.#streams.get(group);
    const named = streams?.get(pid);
    const others = cast === 'any' ? [...(streams?.values() ?? [])] : [];
    const stream = named ?? others[Math.floor(Math.random() * others.length)];
    if (!this.isCutOff) stream?.write(`data: ${JSON.stringify(message)}\n\n`);
  }
}

const HEAD = { corrId: '', version: '' };
