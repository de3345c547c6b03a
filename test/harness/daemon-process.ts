/** Starts real daemons for tests, and speaks raw JSON-RPC to them. Whatever a test starts ends with the test, however it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import WebSocket from 'ws';
import {
  type FaultCode,
  FRAME_BYTES_MAX,
  type MethodName,
  type Params,
  type Results,
  type SessionEvent,
  SUBPROTOCOL,
} from '../../client/protocol.ts';

const MAIN = fileURLToPath(import.meta.resolve('../../daemon/main.ts'));

/** A refusal as the daemon sent it. */
export class RpcFault extends Error {
  readonly code: FaultCode;
  readonly number: number;
  readonly details: Record<string, unknown>;
  constructor(error: { code: number; message: string; data?: { code: FaultCode; details?: Record<string, unknown> } }) {
    super(error.message);
    this.code = error.data?.code ?? 'INTERNAL';
    this.number = error.code;
    this.details = error.data?.details ?? {};
  }
}

/** What the daemon asks of a client. */
export interface DaemonRequest {
  readonly id: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** One raw connection. */
export class RawClient {
  readonly events: SessionEvent[] = [];
  readonly socket: WebSocket;
  /** Takes what the daemon asks; `send` answers it. */
  onRequest: (request: DaemonRequest) => void = () => undefined;
  #lastId = 0;
  readonly #waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  readonly #watchers = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.#receive(JSON.parse(String(data))));
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`closed ${code} ${reason}`));
      this.#waiting.clear();
    });
  }

  static async open(socketPath: string): Promise<RawClient> {
    const socket = new WebSocket(`ws+unix://${socketPath}:/`, SUBPROTOCOL, {
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
    });
    const client = new RawClient(socket);
    await once(socket, 'open');
    return client;
  }

  #receive(message: {
    method?: string;
    params: unknown;
    id: number;
    result: unknown;
    error?: ConstructorParameters<typeof RpcFault>[0];
  }): void {
    if (message.method === 'event') {
      this.events.push(message.params as SessionEvent);
      for (const watch of this.#watchers) watch();
      return;
    }
    if (message.method !== undefined) {
      this.onRequest(message as unknown as DaemonRequest);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result as never);
    else waiting?.reject(new RpcFault(message.error));
  }

  call<M extends MethodName>(method: M, params: Params<M>): Promise<Results[M]> {
    return this.callAny(method, params) as Promise<Results[M]>;
  }

  /** Any method with any parameters, for requests that are wrong on purpose. */
  callAny(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  /** A message as it is, for whatever no call would say. */
  send(message: object): void {
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  /** Resolves with the first event, already received or yet to come, that `matches`. */
  event(matches: (event: SessionEvent) => boolean): Promise<SessionEvent> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find(matches);
        if (found === undefined) return;
        this.#watchers.delete(look);
        resolve(found);
      };
      this.#watchers.add(look);
      look();
    });
  }

  close(): void {
    this.socket.terminate();
  }
}

export interface DaemonOptions {
  readonly args?: readonly string[];
  readonly stateDir?: string;
  /** Modules that are loaded before the daemon, to disturb it. */
  readonly preload?: readonly string[];
  /** Where it runs, if not where the tests do: what to put before its command, and before a path of its own to name it from here. */
  readonly place?: { readonly command: readonly string[]; readonly root: string };
}

export class DaemonProcess {
  readonly stateDir: string;
  readonly child: ChildProcess;
  readonly clientSocket: string;
  readonly adminSocket: string;
  #stderr = '';

  private constructor(stateDir: string, child: ChildProcess, root: string) {
    this.stateDir = stateDir;
    this.child = child;
    this.clientSocket = join(root, stateDir, 'client.sock');
    this.adminSocket = join(root, stateDir, 'admin.sock');
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** Starts a daemon that ends with the test (or with this process, should that be killed: its standard input closes). */
  static async start(t: Pick<ExecutionContext, 'teardown'>, options: DaemonOptions = {}): Promise<DaemonProcess> {
    const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), 'pyrepl3-test-'));
    const [command = '', ...args] = [
      ...(options.place?.command ?? []),
      process.execPath,
      ...(options.preload ?? []).map((file) => `--import=${file}`),
      MAIN,
      'serve',
      '--state-dir',
      stateDir,
      '--ready-json',
      '--until-stdin-closes',
      // A test that ends has nothing to wait for.
      '--drain-ms',
      '0',
      ...(options.args ?? ['--client-ceiling', 'unrestricted']),
    ];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const daemon = new DaemonProcess(stateDir, child, options.place?.root ?? '');
    t.teardown(async () => {
      await daemon.stop();
      rmSync(stateDir, { recursive: true, force: true });
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const [line] = await Promise.race([
      once(lines, 'line'),
      once(child, 'close').then(([status]) => [`the daemon ended with ${status}: ${daemon.stderr}`]),
    ]);
    if (!String(line).startsWith('{')) throw new Error(String(line));
    return daemon;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  connect(role: 'client' | 'admin' = 'client'): Promise<RawClient> {
    return RawClient.open(role === 'client' ? this.clientSocket : this.adminSocket);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.running) {
      const exited = once(this.child, 'exit');
      this.child.kill(signal);
      await exited;
    }
    return this.child.exitCode;
  }
}

/** A daemon, a connection and a session of it. */
export async function openSession(t: Pick<ExecutionContext, 'teardown'>, params: Params<'session.create'> = {}) {
  const daemon = await DaemonProcess.start(t);
  const client = await daemon.connect();
  const { sessionId } = await client.call('session.create', params);
  return {
    daemon,
    client,
    sessionId,
    run: (source: string, timeoutMs?: number) =>
      client.call('session.execute', { sessionId, source, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
  };
}
