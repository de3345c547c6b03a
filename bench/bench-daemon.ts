/** A daemon of its own for one bench, and a client that does nothing but correlate answers, so that it costs little itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import {
  FRAME_BYTES_MAX,
  type MethodName,
  type Params,
  type Results,
  type SessionEvent,
  SUBPROTOCOL,
} from '../client/protocol.ts';

let main = new URL('../daemon/main.ts', import.meta.url);

/** From now on daemons are started as they are published, from `dist/`; the source has its types to be stripped at every start. */
export function measureBuilt(): void {
  main = new URL('../dist/daemon/main.js', import.meta.url);
  if (!existsSync(main)) throw new Error('There is no dist/: npm run bench makes it, and so does npm run build.');
}

export class BenchClient {
  onEvent: (event: SessionEvent) => void = () => undefined;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const message = JSON.parse(String(data));
      if (message.method === 'event') {
        this.onEvent(message.params);
        return;
      }
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result as never);
      else waiting?.reject(new Error(message.error.message));
    });
    socket.on('close', (code, reason) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the daemon closed the connection: ${code} ${reason}`));
    });
  }

  static async open(socketPath: string): Promise<BenchClient> {
    const options = { perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX };
    const socket = new WebSocket(`ws+unix://${socketPath}:/`, SUBPROTOCOL, options);
    await once(socket, 'open');
    return new BenchClient(socket);
  }

  call<M extends MethodName>(method: M, params: Params<M>): Promise<Results[M]> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  async open(params: Params<'session.create'> = {}): Promise<string> {
    return (await this.call('session.create', params)).sessionId;
  }

  /** Runs a cell that must end well; a bench that measures failures measures nothing. */
  async run(sessionId: string, source: string): Promise<Results['session.execute']> {
    const result = await this.call('session.execute', { sessionId, source });
    if (result.status !== 'ok') throw new Error(`the cell failed: ${JSON.stringify(result)}`);
    return result;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

export interface BenchDaemon extends AsyncDisposable {
  readonly client: BenchClient;
  readonly admin: BenchClient;
  readonly pid: number;
  /** One more client, whom all daemons of the bench know by that name: two of the same name are the same to them. */
  connect(name: string): Promise<BenchClient>;
  /** When its process was started, by `performance.now()`. */
  readonly startedMs: number;
  /** The processes that hold sessions now (`taken`), or those that stand ready. */
  hostPids(taken: boolean): Promise<number[]>;
  /** Ends it, by a signal or in good order, and starts another one on what it leaves. */
  again(signal?: NodeJS.Signals): Promise<BenchDaemon>;
}

const tokenOf = (name: string): string => `${name}-of-the-benches-0123456789`;

/** Starts a daemon that ends with the bench, however that ends: its standard input closes. */
export function startDaemon(args: readonly string[] = []): Promise<BenchDaemon> {
  return startOn(mkdtempSync(join(tmpdir(), 'pyrepl3-bench-')), args);
}

async function startOn(stateDir: string, args: readonly string[]): Promise<BenchDaemon> {
  const own = ['serve', '--state-dir', stateDir, '--ready-json', '--until-stdin-closes'];
  const startedMs = performance.now();
  const child = spawn(process.execPath, [fileURLToPath(main), ...own, '--client-ceiling', 'unrestricted', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the daemon did not start')));
  died.catch(() => undefined);
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), died]);
  const { clientSocket, adminSocket, pid } = JSON.parse(String(line));
  const connect = async (name: string): Promise<BenchClient> => {
    const client = await BenchClient.open(clientSocket);
    await client.call('daemon.hello', { token: tokenOf(name) });
    return client;
  };
  const client = await connect('the-client');
  const admin = await BenchClient.open(adminSocket);
  let replaced = false;
  const end = async (signal?: NodeJS.Signals): Promise<void> => {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    if (signal === undefined) {
      await Promise.all([client.close(), admin.close()]);
      child.stdin.end();
    } else child.kill(signal);
    await exited;
  };
  return {
    ...{ client, admin, pid, connect },
    startedMs,
    async hostPids(taken) {
      const { hosts } = await admin.call('daemon.stats', {});
      return hosts.filter(({ isolates }) => isolates > 0 === taken).map((host) => host.pid);
    },
    async again(signal) {
      replaced = true;
      await end(signal);
      return startOn(stateDir, args);
    },
    async [Symbol.asyncDispose]() {
      if (replaced) return;
      await end();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
