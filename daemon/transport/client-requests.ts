/**
 * What the daemon asks of one client, over the connection that the client opened: requests in the other direction.
 *
 * I1: every request settles: with its answer, an error, its signal, or the end of the connection.
 * I2: at most `pendingMax` wait; what a client does not answer costs nothing beyond that.
 * I3: what a client answers is data of its own: texts are cut short, codes are not believed.
 */
import { FRAME_BYTES_MAX } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import type { Connection } from './connection.ts';

/** More than the calls that one session may have open; each waits with its arguments sent and nothing kept. */
const PENDING_MAX = 1024;
const MESSAGE_CHARS_MAX = 2000;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export class ClientRequests {
  readonly #connection: Pick<Connection, 'send' | 'signal'>;
  readonly #pendingMax: number;
  readonly #pending = new Map<string, Pending>();
  #last = 0;

  constructor(connection: Pick<Connection, 'send' | 'signal'>, pendingMax = PENDING_MAX) {
    this.#connection = connection;
    this.#pendingMax = pendingMax;
    connection.signal.addEventListener('abort', () => {
      for (const { reject } of this.#pending.values()) reject(unreachable());
    });
  }

  /**
   * Resolves to the client's result. Rejects with EFFECT_FAILED (`details.reason` is `unreachable`, `protocol`, or
   * `provided` where the client answered with an error), BUSY, TOO_LARGE, or the signal's reason; what was sent is
   * sent.
   */
  async invoke(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (this.#connection.signal.aborted) throw unreachable();
    if (this.#pending.size >= this.#pendingMax) {
      throw new Fault('BUSY', `The client has ${this.#pendingMax} calls to answer; wait for some of them.`);
    }
    this.#last += 1;
    // A text, while clients mostly number their own requests.
    const id = `daemon-${this.#last}`;
    const text = JSON.stringify({ jsonrpc: '2.0', id, method, params });
    const bytes = Buffer.byteLength(text);
    if (bytes > FRAME_BYTES_MAX) {
      throw new Fault('TOO_LARGE', `The call has ${bytes} bytes; a message may have ${FRAME_BYTES_MAX}.`, {
        bytes,
        bytesMax: FRAME_BYTES_MAX,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#pending.set(id, { resolve, reject });
    try {
      this.#connection.send(text);
      return await promise;
    } finally {
      this.#pending.delete(id);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Takes a message that came from the client. Answers whether it has the form of an answer, which no request has; one
   * to a request that nobody waits for any more is dropped.
   */
  settle(message: unknown): boolean {
    if (typeof message !== 'object' || message === null || !('result' in message || 'error' in message)) return false;
    const { id, result, error } = message as Readonly<Record<string, unknown>>;
    const pending = typeof id === 'string' ? this.#pending.get(id) : undefined;
    if ('result' in message && 'error' in message) pending?.reject(failed('The client answered with both', 'protocol'));
    else if ('result' in message) pending?.resolve(result);
    else pending?.reject(failed(messageOf(error), 'provided'));
    return true;
  }
}

function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null ? (error as { message?: unknown }).message : undefined;
  return typeof message === 'string' ? message.slice(0, MESSAGE_CHARS_MAX) : 'The client answered with an error.';
}

function unreachable(): Fault {
  return failed('The client that provides this is not connected.', 'unreachable');
}

function failed(message: string, reason: string): Fault {
  return new Fault('EFFECT_FAILED', message, { reason });
}
