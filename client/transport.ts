import { setTimeout as sleep } from 'node:timers/promises';
import {
  createJSONRPCErrorResponse,
  createJSONRPCSuccessResponse,
  JSONRPCClient,
  JSONRPCErrorCode,
  type JSONRPCResponse,
} from 'json-rpc-2.0';
import { Connection } from './connection.ts';
import { errorFromResponse, PyreplError } from './errors.ts';
import { FAULTS, FRAME_BYTES_MAX } from './protocol.ts';

/**
 * Requests without an answer; more are refused with BUSY, so that a caller in a loop cannot fill the memory. The daemon
 * takes as many on one connection, so that after a reconnection all of them can be sent again.
 */
const REQUESTS_MAX = 4096;
/** Calls of the daemon's that are being answered; more are refused with BUSY. */
const CALLS_MAX = 1024;
/** As much of an error's message as the daemon passes on. */
const MESSAGE_CHARS_MAX = 2000;
/** A request that was there each time the connection broke is likely what breaks it. */
const SENDS_MAX = 5;

export interface ReconnectOptions {
  /** Before the first attempt; doubled for each further one. Default 50 ms. */
  readonly initialDelayMs?: number;
  /** Default 2,000 ms. Each wait is between half of what it would be and all of it, at random. */
  readonly delayMsMax?: number;
  /** How long to try before the client is closed as UNAVAILABLE. Default 30,000 ms. */
  readonly totalMs?: number;
}

/** Sends a request on the connection that is being set up, and on no other. */
export type Exchange = (method: string, params: object) => Promise<unknown>;

export interface TransportOptions {
  readonly socketPath: string;
  readonly reconnect: ReconnectOptions | false;
  /** Introduces the client on a new connection and takes its sessions up again, before anything else travels on it. */
  resume(exchange: Exchange): Promise<void>;
  /** Given the parameters of an `event` notification. A PyreplError thrown here closes the transport with it. */
  onEvent(params: unknown): void;
  /** Answers a request of the daemon's; what it rejects with travels back as its message. */
  onCall(method: string, params: unknown): Promise<unknown>;
  onDown(reason: PyreplError): void;
  onUp(): void;
  /**
   * Called once: with what every request from now on is refused with, or null where the client's own `close` ended it.
   */
  onClosed(error: PyreplError | null): void;
}

interface Link {
  connection: Connection | null;
  ended: PyreplError | null;
}

interface Outstanding {
  readonly id: number;
  readonly method: string;
  readonly frame: string;
  readonly resend: boolean;
  /** Set for what belongs to the setting up of one connection. */
  readonly only: Link | null;
  sends: number;
  failure: { readonly error: unknown } | null;
}

type Phase =
  | { readonly name: 'opening' | 'down' }
  | { readonly name: 'up'; readonly link: Link; readonly sinceMs: number }
  | { readonly name: 'closed'; readonly error: PyreplError };

/**
 * Requests and their answers over a connection that may break and be made again.
 *
 * Owns the connection, the requests without an answer, and the way back after a loss. Invariants:
 * - every request settles: with its answer, its signal's reason, or a PyreplError; `close` settles all that are left;
 * - a frame is sent twice only where its caller said that it may be (`resend`), and never more than {@link SENDS_MAX}
 *   times; one that was not sent yet waits for the next connection in any case;
 * - requests travel in the order in which they were made, also after a reconnection.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #rpc = new JSONRPCClient<Outstanding>((_payload, entry) => this.#dispatch(entry));
  readonly #ending = new AbortController();
  #phase: Phase = { name: 'opening' };
  #closing: Promise<void> = Promise.resolve();
  #nextId = 1;
  #attempt = 0;
  #downSinceMs = 0;
  #frameBytesMax = FRAME_BYTES_MAX;
  #calls = 0;

  private constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** Connects and runs `resume` once. Rejects as they do; nothing is retried yet. */
  static async open(options: TransportOptions, signal?: AbortSignal): Promise<Transport> {
    const transport = new Transport(options);
    try {
      await transport.#establish(signal);
    } catch (error) {
      await transport.close();
      throw error;
    }
    return transport;
  }

  limitFrames(bytesMax: number): void {
    this.#frameBytesMax = Math.min(bytesMax, FRAME_BYTES_MAX);
  }

  /**
   * Resolves to the answer's result, whatever it is. Rejects with the daemon's refusal, TOO_LARGE or BUSY before
   * anything is sent, UNAVAILABLE where the connection is lost for good or the request may not be sent twice.
   * The signal only ends the waiting: what was sent is sent.
   */
  async request(
    method: string,
    params: object,
    options: { readonly resend: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<unknown> {
    if (this.#phase.name === 'closed') throw this.#phase.error;
    options.signal?.throwIfAborted();
    if (this.#outstanding.size >= REQUESTS_MAX) {
      throw new PyreplError('BUSY', `${REQUESTS_MAX} requests are waiting for their answers already`);
    }
    return this.#exchange(method, params, { resend: options.resend, only: null }, options.signal);
  }

  /** Settles every request and closes the connection. */
  async close(): Promise<void> {
    this.#shut(null);
    await this.#closing;
  }

  async #exchange(
    method: string,
    params: object,
    route: Pick<Outstanding, 'resend' | 'only'>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const id = this.#nextId++;
    const request = { jsonrpc: '2.0', id, method, params } as const;
    const entry: Outstanding = { id, method, frame: this.#encode(method, request), ...route, sends: 0, failure: null };
    const onAbort = (): void => this.#fail(entry, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const response = await this.#rpc.requestAdvanced(request, entry);
      if (entry.failure) throw entry.failure.error;
      if (response.error) throw errorFromResponse(response.error);
      return response.result;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#outstanding.delete(id);
    }
  }

  /** @param what the message is, for the refusal of one that cannot be sent */
  #encode(what: string, message: object): string {
    let frame: string;
    try {
      frame = JSON.stringify(message);
    } catch (error) {
      throw notJson(what, error);
    }
    const bytes = Buffer.byteLength(frame);
    if (bytes <= this.#frameBytesMax) return frame;
    throw new PyreplError(
      'TOO_LARGE',
      `${what} would take ${bytes} bytes; the daemon accepts ${this.#frameBytesMax} in one message`,
      { details: { bytes, bytesMax: this.#frameBytesMax } },
    );
  }

  #dispatch(entry: Outstanding): void {
    this.#outstanding.set(entry.id, entry);
    const link = entry.only ?? (this.#phase.name === 'up' ? this.#phase.link : null);
    if (link) send(entry, link);
  }

  #fail(entry: Outstanding, error: unknown): void {
    entry.failure ??= { error };
    // Out of the map at once: an answer that comes later finds nobody, and a reconnection does not send it again.
    this.#outstanding.delete(entry.id);
    this.#rpc.receive(createJSONRPCErrorResponse(entry.id, JSONRPCErrorCode.InternalError, 'settled by the client'));
  }

  async #establish(signal?: AbortSignal): Promise<void> {
    const link: Link = { connection: null, ended: null };
    const events = {
      onFrame: (text: string) => this.#onFrame(link, text),
      onEnd: (reason: PyreplError) => this.#onEnd(link, reason),
    };
    const signals = signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
    link.connection = await Connection.open(this.#options.socketPath, events, signals);
    try {
      if (link.ended) throw link.ended;
      await this.#options.resume((method, params) =>
        this.#exchange(method, params, { resend: false, only: link }, signals),
      );
      if (link.ended) throw link.ended;
      signals.throwIfAborted();
    } catch (error) {
      await link.connection.close(1000, '');
      throw error;
    }
    this.#phase = { name: 'up', link, sinceMs: performance.now() };
    for (const entry of this.#outstanding.values()) if (!entry.only) send(entry, link);
  }

  #onFrame(link: Link, text: string): void {
    if (this.#phase.name === 'closed' || link.ended) return;
    const message = parseFrame(text);
    if (message === null) this.#violated('a frame that is not JSON-RPC');
    else if ('method' in message) this.#onCall(link, message);
    // An answer to what was given up meanwhile finds nobody there, which is as it should be.
    else if (isResponse(message)) this.#rpc.receive(message);
    else if (message.id === null && 'error' in message) this.#onRefusedFrame(errorFromResponse(message.error));
    else this.#violated('a frame that is neither an answer nor a notification');
  }

  /**
   * A frame that the daemon would not read, so it cannot say which one it was. Only a value of the caller's own can
   * make a frame of this client unreadable (by its depth, or its number of members), and one method carries such
   * values.
   */
  #onRefusedFrame(refusal: PyreplError): void {
    const suspects = [...this.#outstanding.values()].filter(
      (entry) => entry.method === 'namespace.set' && entry.sends > 0,
    );
    if (suspects.length === 0) this.#violated(`an error for no request: ${refusal.message}`);
    for (const entry of suspects) this.#fail(entry, refusal);
  }

  #onCall(link: Link, message: { readonly method?: unknown; readonly params?: unknown; readonly id?: unknown }): void {
    const { method, params, id } = message;
    if ((typeof id === 'number' || typeof id === 'string') && typeof method === 'string') {
      void this.#answer(link, id, method, params);
      return;
    }
    // Notifications of other names are of a newer protocol and ask for nothing.
    if (message.method !== 'event') return;
    try {
      this.#options.onEvent(message.params);
    } catch (error) {
      if (!(error instanceof PyreplError)) throw error;
      this.#shut(error);
    }
  }

  /** Answers on the connection that asked; once that is gone nobody waits for it. Never rejects. */
  async #answer(link: Link, id: number | string, method: string, params: unknown): Promise<void> {
    this.#calls += 1;
    let frame: string;
    try {
      if (this.#calls > CALLS_MAX) throw new PyreplError('BUSY', `this client is answering ${CALLS_MAX} calls already`);
      const result = (await this.#options.onCall(method, params)) ?? null;
      frame = this.#encode('the answer', createJSONRPCSuccessResponse(id, result));
    } catch (error) {
      frame = JSON.stringify(refusal(id, error));
    }
    this.#calls -= 1;
    if (!link.ended) link.connection?.send(frame);
  }

  /** The other side does not speak the protocol: a new connection would not change that. */
  #violated(what: string): void {
    this.#shut(new PyreplError('INTERNAL', `the daemon sent ${what}`));
  }

  #onEnd(link: Link, reason: PyreplError): void {
    link.ended = reason;
    for (const entry of this.#outstanding.values()) if (entry.only === link) this.#fail(entry, reason);
    if (this.#phase.name !== 'up' || this.#phase.link !== link) return;
    const { sinceMs } = this.#phase;
    for (const entry of this.#outstanding.values()) {
      if (entry.sends > 0 && (!entry.resend || entry.sends >= SENDS_MAX)) this.#fail(entry, unanswered(entry, reason));
    }
    const { reconnect } = this.#options;
    if (reconnect === false) this.#shut(reason);
    else this.#goDown(reconnect, reason, sinceMs);
  }

  #goDown(policy: ReconnectOptions, reason: PyreplError, upSinceMs: number): void {
    const nowMs = performance.now();
    // A connection that breaks as soon as it stands is one long failure, not many short ones.
    if (this.#attempt === 0 || nowMs - upSinceMs > (policy.delayMsMax ?? 2_000)) {
      this.#attempt = 0;
      this.#downSinceMs = nowMs;
    }
    this.#phase = { name: 'down' };
    this.#options.onDown(reason);
    void this.#reconnect(policy, reason);
  }

  /** Never rejects: what ends it closes the transport. */
  async #reconnect(policy: ReconnectOptions, firstReason: PyreplError): Promise<void> {
    const { initialDelayMs = 50, delayMsMax = 2_000, totalMs = 30_000 } = policy;
    let reason: unknown = firstReason;
    while (this.#phase.name === 'down') {
      const delayMs =
        Math.min(delayMsMax, initialDelayMs * 2 ** Math.min(this.#attempt, 30)) * (0.5 + Math.random() / 2);
      this.#attempt += 1;
      if (performance.now() - this.#downSinceMs + delayMs > totalMs) {
        this.#shut(gaveUp(reason, totalMs));
        return;
      }
      try {
        await sleep(delayMs, undefined, { signal: this.#ending.signal });
        await this.#establish();
        this.#options.onUp();
        return;
      } catch (error) {
        reason = error;
        // Whatever is not a daemon that is away or full would be the same the next time.
        if (!(error instanceof PyreplError && ['UNAVAILABLE', 'BUSY'].includes(error.code)))
          this.#shut(gaveUp(error, totalMs));
      }
    }
  }

  #shut(cause: PyreplError | null): void {
    if (this.#phase.name === 'closed') return;
    const error = cause ?? new PyreplError('UNAVAILABLE', 'the client is closed');
    const link = this.#phase.name === 'up' ? this.#phase.link : null;
    this.#phase = { name: 'closed', error };
    this.#ending.abort(error);
    for (const entry of this.#outstanding.values()) this.#fail(entry, error);
    if (link?.connection && !link.ended) this.#closing = link.connection.close(1000, '');
    this.#options.onClosed(cause);
  }
}

function parseFrame(text: string): { readonly id?: unknown; readonly error?: unknown } | null {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && !Array.isArray(message) ? message : null;
  } catch {
    return null;
  }
}

function isResponse(message: { readonly id?: unknown }): message is JSONRPCResponse {
  return typeof message.id === 'number' && 'result' in message !== 'error' in message;
}

function send(entry: Outstanding, link: Link): void {
  entry.sends += 1;
  link.connection?.send(entry.frame);
}

/** What a call is answered with where it failed: the message is all that is told of an error which is not ours. */
function refusal(id: number | string, error: unknown): JSONRPCResponse {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_CHARS_MAX);
  const code = error instanceof PyreplError ? error.code : 'RUNTIME_ERROR';
  const { blame, rpc } = FAULTS[code];
  return createJSONRPCErrorResponse(id, rpc, message, { code, blame });
}

function notJson(what: string, cause: unknown): PyreplError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PyreplError('INVALID_PARAMS', `${what} cannot be sent, for it is not JSON: ${why}`, { cause });
}

function unanswered(entry: Outstanding, cause: PyreplError): PyreplError {
  const message = entry.resend
    ? `${entry.method} was sent ${entry.sends} times and the connection was lost each time before it was answered`
    : `the connection was lost before ${entry.method} was answered: it may or may not have taken effect, and is not sent again`;
  return new PyreplError('UNAVAILABLE', message, { details: { method: entry.method }, cause });
}

function gaveUp(cause: unknown, totalMs: number): PyreplError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof PyreplError ? cause.code : 'UNAVAILABLE';
  const details = cause instanceof PyreplError ? cause.details : {};
  const message = code === 'UNAVAILABLE' ? `no connection to the daemon within ${totalMs} ms: ${why}` : why;
  return new PyreplError(code, message, { details, cause });
}
