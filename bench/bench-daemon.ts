/** A daemon of its own for one bench, and a client that does nothing but correlate answers, so that it costs little itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
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

const MAIN = fileURLToPath(import.meta.resolve('../daemon/main.ts'));

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
  /** The processes that hold sessions now (`taken`), or those that stand ready. */
  hostPids(taken: boolean): Promise<number[]>;
}

/** Starts a daemon that ends with the bench, however that ends: its standard input closes. */
export async function startDaemon(): Promise<BenchDaemon> {
  const stateDir = mkdtempSync(join(tmpdir(), 'pyrepl3-bench-'));
  const args = ['serve', '--state-dir', stateDir, '--ready-json', '--until-stdin-closes'];
  const child = spawn(process.execPath, [MAIN, ...args, '--client-ceiling', 'unrestricted'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the daemon did not start')));
  died.catch(() => undefined);
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), died]);
  const { clientSocket, adminSocket, pid } = JSON.parse(String(line));
  const client = await BenchClient.open(clientSocket);
  const admin = await BenchClient.open(adminSocket);
  return {
    client,
    admin,
    pid,
    async hostPids(taken) {
      const { hosts } = await admin.call('daemon.stats', {});
      return hosts.filter(({ isolates }) => isolates > 0 === taken).map((host) => host.pid);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), admin.close()]);
      const exited = child.exitCode === null ? once(child, 'exit') : undefined;
      child.stdin.end();
      await exited;
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
