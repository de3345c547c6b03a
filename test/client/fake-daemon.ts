import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  ADMIN_SOCKET,
  CLIENT_SOCKET,
  type EventBody,
  type ExecutionError,
  type ExecutionResult,
  FAULTS,
  type FaultCode,
  type SessionInfo,
  SUBPROTOCOL,
} from '../../client/protocol.ts';

/** What a scripted handler throws to have the request refused. */
export class Refusal extends Error {
  readonly code: FaultCode;
  readonly details: Record<string, unknown>;

  constructor(code: FaultCode, message = 'refused', details: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** A script throws this where its cell is to end with the error as it is. */
export class CellFailure extends Error {
  readonly error: ExecutionError;

  constructor(error: Partial<ExecutionError>) {
    super(error.message);
    this.error = { code: 'RUNTIME_ERROR', name: 'Error', message: '', stack: '', ...error };
  }
}

/** A handler returns this where the request is to stay without an answer. */
export const NO_ANSWER = Symbol('no answer');

export interface Request {
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly id: number;
}
type Handler = (params: Record<string, unknown>, peer: WebSocket) => unknown;
type Body = EventBody extends infer B ? B : never;

export interface Cell {
  print(text: string, stream?: 'stdout' | 'stderr'): void;
  emit(body: Body): void;
  ask(prompt: string): Promise<string | null>;
  readonly interrupted: Promise<void>;
}

class FakeSession {
  readonly sessionId: string;
  readonly results = new Map<string, Promise<ExecutionResult>>();
  readonly interrupts = new Map<string, () => void>();
  readonly answers = new Map<string, (text: string | null) => void>();
  readonly names = new Map<string, unknown>();
  readonly peers = new Set<WebSocket>();
  events: { seq: number; text: string }[] = [];
  language: SessionInfo['language'] = 'javascript';
  level = 'sandbox';
  cells = 0;
  seq = 0;

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  emit(body: Body): void {
    this.seq += 1;
    const params = { sessionId: this.sessionId, seq: this.seq, ...body };
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'event', params });
    this.events.push({ seq: this.seq, text });
    for (const peer of this.peers) peer.send(text);
  }

  info(): SessionInfo {
    const { sessionId, language, level, cells, seq } = this;
    const limits = {
      heapMiBMax: 64,
      cellCpuMsMax: 1000,
      cellWallMsMax: 1000,
      cellOutputBytesMax: 1000,
      queueLengthMax: 10,
    };
    return {
      sessionId,
      language,
      level,
      cells,
      seq,
      limits,
      name: null,
      state: 'idle',
      createdAt: '2026-01-01T00:00:00.000Z',
      queued: 0,
      capabilities: ['print'],
      labels: {},
    };
  }
}

/** A daemon that speaks the protocol and does what a test tells it, over real sockets. */
export class FakeDaemon implements AsyncDisposable {
  readonly stateDir: string;
  readonly requests: Request[] = [];
  readonly sessions = new Map<string, FakeSession>();
  readonly handlers: Record<string, Handler>;
  readonly peers = new Set<WebSocket>();
  /** What running a source does; its value is the cell's. What it throws is the cell's error. */
  script: (source: string, cell: Cell) => unknown = (source) => (source === '' ? undefined : JSON.parse(source));
  limits = { frameBytesMax: 8 * 1024 * 1024, sourceBytesMax: 1024 * 1024 };
  readonly #servers: ReturnType<typeof createServer>[] = [];
  #seen: (() => void)[] = [];

  private constructor(stateDir: string) {
    this.stateDir = stateDir;
    this.handlers = this.#defaults();
  }

  static async listen(stateDir?: string): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(stateDir ?? (await mkdtemp(join(tmpdir(), 'fake-'))));
    await daemon.open();
    return daemon;
  }

  get socketPath(): string {
    return join(this.stateDir, CLIENT_SOCKET);
  }

  async open(): Promise<void> {
    for (const name of [CLIENT_SOCKET, ADMIN_SOCKET]) {
      const http = createServer();
      const sockets = new WebSocketServer({ server: http, handleProtocols: () => SUBPROTOCOL });
      sockets.on('connection', (peer) => this.#serve(peer));
      await new Promise<void>((resolve) => http.listen(join(this.stateDir, name), resolve));
      this.#servers.push(http);
    }
  }

  /** Cuts every connection without a goodbye; the listener stays. */
  drop(): void {
    for (const peer of this.peers) peer.terminate();
  }

  /** Cuts every connection and stops listening. */
  async vanish(): Promise<void> {
    this.drop();
    await Promise.all(this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  }

  /** Resolves once `count` requests of the method have arrived. */
  async received(method: string, count = 1): Promise<void> {
    while (this.of(method).length < count) await new Promise<void>((resolve) => this.#seen.push(resolve));
  }

  of(method: string): Request[] {
    return this.requests.filter((request) => request.method === method);
  }

  session(sessionId = 's1'): FakeSession {
    const session = this.sessions.get(sessionId);
    if (!session) throw new Refusal('UNKNOWN_SESSION', `there is no session ${sessionId}`);
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vanish();
    await rm(this.stateDir, { recursive: true, force: true });
  }

  #serve(peer: WebSocket): void {
    this.peers.add(peer);
    peer.on('close', () => {
      this.peers.delete(peer);
      for (const session of this.sessions.values()) session.peers.delete(peer);
    });
    peer.on('message', (data) => {
      const request = JSON.parse(String(data)) as Request;
      this.requests.push(request);
      for (const wake of this.#seen.splice(0)) wake();
      void this.#answer(request, peer);
    });
  }

  async #answer({ id, method, params }: Request, peer: WebSocket): Promise<void> {
    let after: string[] = [];
    try {
      const handler = this.handlers[method];
      if (!handler) throw new Refusal('METHOD_NOT_FOUND', `no ${method}`);
      const returned = handler(params, peer);
      const result = returned instanceof Promise ? await returned : returned;
      if (result === NO_ANSWER) return;
      if (method === 'session.attach') after = this.#attach(params, peer);
      peer.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
      for (const text of after) peer.send(text);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, details, message } = error;
      const data = { code, blame: FAULTS[code].blame, details };
      peer.send(JSON.stringify({ jsonrpc: '2.0', id, error: { code: FAULTS[code].rpc, message, data } }));
    }
  }

  #attach({ sessionId, afterSeq }: Record<string, unknown>, peer: WebSocket): string[] {
    const session = this.session(String(sessionId));
    const after = typeof afterSeq === 'number' ? afterSeq : session.seq;
    const firstKeptSeq = session.events[0]?.seq ?? session.seq + 1;
    if (after + 1 < firstKeptSeq) throw new Refusal('EVENTS_GONE', 'gone', { firstKeptSeq });
    session.peers.add(peer);
    return session.events.filter((event) => event.seq > after).map((event) => event.text);
  }

  #defaults(): Record<string, Handler> {
    const of = (params: Record<string, unknown>): FakeSession => this.session(String(params['sessionId']));
    return {
      'daemon.hello': ({ token }) => ({
        protocol: 1,
        version: '0.0.0',
        nodeVersion: 'v26',
        v8Version: '14',
        role: 'client',
        token: token ?? 'token-of-twenty-two-characters',
        levels: ['sandbox', 'restricted', 'standard', 'trusted', 'unrestricted'],
        levelCeiling: 'unrestricted',
        defaultLevel: 'sandbox',
        languages: ['javascript', 'typescript'],
        limits: this.limits,
      }),
      'daemon.stats': () => ({
        version: '0.0.0',
        pid: 1,
        uptimeMs: 61_000,
        nodeVersion: 'v26',
        v8Version: '14',
        connections: 1,
        sessions: this.sessions.size,
        running: 0,
        executions: 3,
        draining: true,
        rssBytes: 1024 * 1024,
        hosts: [{ pid: 2, cordon: null, isolates: 0, rssBytes: 2048 }],
      }),
      'session.create': ({ language, level }) => {
        const session = new FakeSession(`s${this.sessions.size + 1}`);
        if (language === 'typescript') session.language = language;
        if (typeof level === 'string') session.level = level;
        this.sessions.set(session.sessionId, session);
        return session.info();
      },
      'session.attach': (params) => of(params).info(),
      'session.detach': () => ({}),
      'session.list': () => ({ sessions: Array.from(this.sessions.values(), (session) => session.info()) }),
      'session.show': (params) => of(params).info(),
      'session.reset': (params) => of(params).info(),
      'session.setLevel': (params) => {
        of(params).level = String(params['level']);
        return of(params).info();
      },
      'session.close': (params) => {
        of(params).emit({ kind: 'session.closed', reason: 'closed' });
        this.sessions.delete(of(params).sessionId);
        return {};
      },
      'session.interrupt': (params) => {
        const session = of(params);
        for (const [key, interrupt] of session.interrupts) {
          if (params['executionId'] === undefined || params['executionId'] === key) interrupt();
        }
        return { interrupted: session.interrupts.size > 0 };
      },
      'session.execute': (params) => this.#execute(of(params), params),
      'session.isComplete': ({ source }) => ({ status: String(source).endsWith('{') ? 'incomplete' : 'complete' }),
      'session.complete': ({ source, cursor }) => ({ matches: [`${source}!`], start: 0, end: cursor }),
      'session.inspect': () => ({ found: false, text: '' }),
      'namespace.list': (params) => ({
        names: Array.from(of(params).names, ([name, value]) => ({
          name,
          kind: 'let',
          type: typeof value,
          preview: String(value),
        })),
      }),
      'namespace.get': (params) => ({ value: { kind: 'json', json: of(params).names.get(String(params['name'])) } }),
      'namespace.set': (params) => {
        const values = Object.entries(params['values'] as object);
        for (const [name, value] of values) of(params).names.set(name, value);
        return { set: values.map(([name]) => name) };
      },
      'namespace.delete': (params) => ({
        deleted: (params['names'] as string[]).filter((name) => of(params).names.delete(name)),
      }),
      'capability.list': () => ({ capabilities: [] }),
      'input.answer': (params) => {
        const resolve = of(params).answers.get(String(params['requestId']));
        if (!resolve) throw new Refusal('UNKNOWN_INPUT');
        resolve(params['text'] as string | null);
        return {};
      },
    };
  }

  #execute(session: FakeSession, params: Record<string, unknown>): Promise<ExecutionResult> {
    const executionId = String(params['executionId']);
    const known = session.results.get(executionId);
    if (known) return known;
    const result = this.#run(session, executionId, String(params['source']));
    session.results.set(executionId, result);
    return result;
  }

  async #run(session: FakeSession, executionId: string, source: string): Promise<ExecutionResult> {
    session.cells += 1;
    const { cells: cell } = session;
    let stdout = '';
    let stderr = '';
    const { promise: interrupted, resolve } = Promise.withResolvers<void>();
    session.interrupts.set(executionId, resolve);
    session.emit({ kind: 'execution.started', executionId, cell });
    const powers: Cell = {
      interrupted,
      print: (text, stream = 'stdout') => {
        if (stream === 'stdout') stdout += text;
        else stderr += text;
        session.emit({ kind: 'output', executionId, stream, text });
      },
      emit: (body) => session.emit(body),
      ask: (prompt) => {
        const requestId = `input-${session.seq}`;
        const answer = new Promise<string | null>((settle) => session.answers.set(requestId, settle));
        session.emit({ kind: 'input.requested', executionId, requestId, prompt });
        return answer;
      },
    };
    const base = (): Omit<ExecutionResult, 'status'> => ({
      executionId,
      cell,
      output: { stdout, stderr, truncated: false },
      durationMs: 1,
      cpuMs: 1,
      heapBytes: 1,
      capabilityCalls: 0,
    });
    let result: ExecutionResult;
    try {
      const json = await this.script(source, powers);
      const value =
        json === undefined
          ? ({ kind: 'preview', text: 'undefined', type: 'undefined' } as const)
          : ({ kind: 'json', json } as const);
      result = { ...base(), status: 'ok', value };
    } catch (thrown) {
      const error =
        thrown instanceof Refusal
          ? { code: thrown.code, name: 'Error', message: thrown.message, stack: 'at cell:1:1' }
          : thrown instanceof CellFailure
            ? thrown.error
            : {
                code: 'RUNTIME_ERROR' as const,
                name: (thrown as Error).name,
                message: (thrown as Error).message,
                stack: 'at cell:1:1',
              };
      result = { ...base(), status: 'error', error };
    }
    session.interrupts.delete(executionId);
    session.emit({ kind: 'execution.finished', executionId, status: result.status });
    return result;
  }
}
