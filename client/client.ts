import { join } from 'node:path';
import { parseAnswer, parseEvent } from './answers.ts';
import { PyreplError } from './errors.ts';
import {
  ADMIN_SOCKET,
  CLIENT_SOCKET,
  type FaultCode,
  METHODS,
  type MethodName,
  type Params,
  type Results,
  type Role,
  type SessionInfo,
} from './protocol.ts';
import { parseInvocation } from './provided-capabilities.ts';
import { type CallOptions, Session } from './session.ts';
import { type Exchange, type ReconnectOptions, Transport } from './transport.ts';

export interface ConnectOptions {
  /** The daemon's state directory; by the XDG rules unless given. */
  readonly stateDir?: string;
  /** The socket itself, instead of a state directory and a role. */
  readonly socketPath?: string;
  /** Which of the two sockets: `client` unless given. */
  readonly role?: Role;
  /** Of an earlier client (`hello.token`), whose sessions are then this one's. */
  readonly token?: string;
  /** How this program names itself to the daemon. */
  readonly client?: { readonly name: string; readonly version: string };
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal;
  /** What to do about a lost connection; `false` closes the client. */
  readonly reconnect?: ReconnectOptions | false;
}

export interface ClientEvents {
  disconnected: (reason: PyreplError) => void;
  reconnected: (hello: Results['daemon.hello']) => void;
  /** The client is over: without a daemon for too long, or, where the reason is null, by its own `close`. */
  closed: (reason: PyreplError | null) => void;
}

/** What may be asked twice: it changes nothing, or names what it changes so that a second time changes nothing more. */
const RESENDABLE: ReadonlySet<MethodName> = new Set([
  'daemon.drain',
  'daemon.stats',
  'session.attach',
  'session.detach',
  'session.list',
  'session.show',
  'session.close',
  'session.complete',
  'session.inspect',
  'session.isComplete',
  'namespace.list',
  'namespace.get',
  'capability.list',
  'capability.provide',
  'capability.withdraw',
  'input.answer',
  'approval.list',
  'approval.show',
  'policy.list',
  'policy.show',
  'policy.validate',
  'policy.diff',
  'policy.explain',
  'policy.test',
  'policy.learn',
  'audit.query',
  'audit.tail',
  'audit.verify',
]);

/**
 * A connection to the daemon that outlives the sockets it is made of.
 *
 * Owns the transport, the token that makes a new connection the same client, and the open sessions. Invariant: after a
 * reconnection the token has been presented and every open session attached again from its last event, before any
 * request travels.
 */
export class Client implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #listeners = new Map<keyof ClientEvents, Set<(argument: never) => void>>();
  #transport: Transport | null = null;
  #hello: Results['daemon.hello'] | null = null;
  #token: string | undefined;

  private constructor(options: ConnectOptions) {
    this.#options = options;
    this.#token = options.token;
  }

  /** As `connect` of index.ts, with the state directory to use where the options name neither that nor a socket. */
  static async connect(options: ConnectOptions, defaultStateDir: string): Promise<Client> {
    const client = new Client(options);
    const socketName = options.role === 'admin' ? ADMIN_SOCKET : CLIENT_SOCKET;
    const socketPath = options.socketPath ?? join(options.stateDir ?? defaultStateDir, socketName);
    client.#transport = await Transport.open(
      {
        socketPath,
        reconnect: options.reconnect ?? {},
        resume: (exchange) => client.#resume(exchange),
        onEvent: (params) => {
          const event = parseEvent(params);
          client.#sessions.get(event.sessionId)?.deliver(event);
        },
        onCall: (method, params) => client.#invoked(method, params),
        onDown: (reason) => client.#emit('disconnected', reason),
        onUp: () => client.#emit('reconnected', client.hello),
        onClosed: (error) => client.#closed(error),
      },
      options.signal,
    );
    client.#transport.limitFrames(client.hello.limits.frameBytesMax);
    return client;
  }

  /** What the daemon said of itself on the present connection. */
  get hello(): Results['daemon.hello'] {
    if (!this.#hello) throw new PyreplError('UNAVAILABLE', 'the daemon has not introduced itself');
    return this.#hello;
  }

  /** A new session, closed when it is disposed of. Asked-for limits and capabilities can only narrow the level. */
  async createSession(params: Params<'session.create'> = {}, options?: CallOptions): Promise<Session> {
    const { sessionId } = await this.call('session.create', params, options);
    return this.attachSession(sessionId, { afterSeq: 0 });
  }

  /**
   * A session that exists, with the events after `afterSeq` where that is given, and new ones only where it is not.
   * One that is open on this client already is returned as it is. Rejects UNKNOWN_SESSION; EVENTS_GONE where the daemon
   * no longer has those events.
   */
  async attachSession(sessionId: string, options: CallOptions & { readonly afterSeq?: number } = {}): Promise<Session> {
    const open = this.#sessions.get(sessionId);
    if (open) return open;
    const { afterSeq, ...rest } = options;
    const session = new Session(sessionId, afterSeq ?? null, {
      call: (method, params, callOptions) => this.call(method, params, callOptions),
      forget: (over) => {
        if (this.#sessions.get(sessionId) === over) this.#sessions.delete(sessionId);
      },
      sourceBytesMax: () => this.hello.limits.sourceBytesMax,
      role: () => this.hello.role,
    });
    // Known before it is asked for: its first events may come in the same piece as the answer.
    this.#sessions.set(sessionId, session);
    try {
      session.attached(
        await this.call('session.attach', { sessionId, ...(afterSeq !== undefined && { afterSeq }) }, rest),
      );
    } catch (error) {
      session.end(null);
      throw error;
    }
    return session;
  }

  /** This client's sessions; on the admin socket everybody's. */
  async listSessions(options?: CallOptions): Promise<readonly SessionInfo[]> {
    return (await this.call('session.list', {}, options)).sessions;
  }

  /** Any method of the protocol. Rejects with a PyreplError, or with the signal's reason. */
  async call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Results[M]> {
    if (!Object.hasOwn(METHODS, method)) throw new PyreplError('METHOD_NOT_FOUND', `there is no method ${method}`);
    if (!this.#transport) throw new PyreplError('UNAVAILABLE', 'the client is not connected');
    // An interrupt or an execution without its key may hit, or be, another one the second time.
    const keyed = ['session.execute', 'session.interrupt'].includes(method) && 'executionId' in params;
    const answer = await this.#transport.request(method, params, {
      resend: keyed || RESENDABLE.has(method),
      signal: options.signal,
    });
    return parseAnswer(method, answer);
  }

  /** Calls the listener each time; returns what removes it. */
  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** Rejects whatever has no answer yet, ends every stream, closes the connection. Sessions live on in the daemon. */
  async close(): Promise<void> {
    await this.#transport?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #resume(exchange: Exchange): Promise<void> {
    const hello = parseAnswer(
      'daemon.hello',
      await exchange('daemon.hello', {
        ...(this.#options.client && { client: this.#options.client }),
        ...(this.#token !== undefined && { token: this.#token }),
      }),
    );
    this.#hello = hello;
    this.#token = hello.token;
    this.#transport?.limitFrames(hello.limits.frameBytesMax);
    await Promise.all(Array.from(this.#sessions.values(), (session) => reattach(session, exchange)));
  }

  /** The daemon asks for what this client provides. */
  async #invoked(method: string, params: unknown): Promise<unknown> {
    const { sessionId, name, args } = parseInvocation(method, params);
    const session = this.#sessions.get(sessionId);
    if (!session) throw new PyreplError('UNKNOWN_SESSION', 'the session is not open on this client');
    return session.invoked(name, args);
  }

  #closed(reason: PyreplError | null): void {
    for (const session of [...this.#sessions.values()]) session.end(reason);
    this.#emit('closed', reason);
  }

  #emit<E extends keyof ClientEvents>(event: E, argument: Parameters<ClientEvents[E]>[0]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(argument as never);
      } catch (error) {
        // As with any event of Node, it is the program's to handle; the client's own work goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** What a session that cannot be followed any more is answered with. */
const ENDED: ReadonlySet<FaultCode> = new Set(['UNKNOWN_SESSION', 'SESSION_CLOSED', 'LEVEL_DENIED', 'SESSION_MOVED']);

async function reattach(session: Session, exchange: Exchange): Promise<void> {
  const { sessionId, lastSeq } = session;
  const attach = async (afterSeq?: number): Promise<void> => {
    const params = { sessionId, ...(afterSeq !== undefined && { afterSeq }) };
    session.attached(parseAnswer('session.attach', await exchange('session.attach', params)), afterSeq);
  };
  try {
    await attach(lastSeq);
  } catch (error) {
    if (!(error instanceof PyreplError)) throw error;
    if (ENDED.has(error.code)) {
      session.end(error);
      return;
    }
    // INVALID_PARAMS: the daemon counts from anew and has not come as far as this client.
    if (error.code !== 'EVENTS_GONE' && error.code !== 'INVALID_PARAMS') throw error;
    session.eventsGone();
    const { firstKeptSeq } = error.details;
    // The oldest kept event may be dropped before it is asked for; then only new ones are left to be had.
    if (typeof firstKeptSeq !== 'number') await attach();
    else await attach(firstKeptSeq - 1).catch(() => attach());
  }
  await Promise.all(session.provided.map((offer) => provideAgain(sessionId, offer, exchange)));
}

async function provideAgain(sessionId: string, offer: Session['provided'][number], exchange: Exchange): Promise<void> {
  try {
    await exchange('capability.provide', { sessionId, ...offer });
  } catch (error) {
    // The policy was narrowed meanwhile: the guest is told so when it calls. The connection itself is fine.
    if (!(error instanceof PyreplError) || error.code === 'UNAVAILABLE') throw error;
  }
}
