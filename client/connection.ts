import { Socket } from 'node:net';
import WebSocket from 'ws';
import { PyreplError } from './errors.ts';
import { FRAME_BYTES_MAX, SUBPROTOCOL } from './protocol.ts';

const HANDSHAKE_MS_MAX = 10_000;
/** How long the daemon has to answer the closing handshake before the socket is cut. */
const CLOSING_MS_MAX = 1_000;

export interface ConnectionEvents {
  onFrame(text: string): void;
  /** Called once, and never before `open` has resolved. */
  onEnd(reason: PyreplError): void;
}

/**
 * One WebSocket over the daemon's Unix socket, from its handshake to its end.
 *
 * It knows frames, not what is in them. Invariant: `onEnd` is called exactly once for every connection that opened,
 * whoever ended it, and no frame is delivered after it.
 */
export class Connection {
  readonly #socket: WebSocket;
  /** Under the WebSocket, for what that does not offer: several frames in one write. */
  readonly #stream: Socket;
  readonly #ended: Promise<void>;
  #corked = false;

  private constructor(socket: WebSocket, stream: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.close(1003, 'frames are text');
      else events.onFrame(String(data));
    });
    socket.on('close', (code, reason) => {
      resolve();
      events.onEnd(connectionLost(code, String(reason)));
    });
  }

  /** Rejects UNAVAILABLE where nothing that speaks the protocol listens, or with the signal's reason. */
  static async open(socketPath: string, events: ConnectionEvents, signal?: AbortSignal): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    signal?.throwIfAborted();
    const unavailable = (cause: unknown): PyreplError => {
      const errno = cause instanceof Error && 'code' in cause ? { errno: cause.code } : {};
      const why = cause instanceof Error ? cause.message : String(cause);
      return new PyreplError('UNAVAILABLE', `cannot reach a daemon at ${socketPath}: ${why}`, {
        details: { socketPath, ...errno },
        cause,
      });
    };
    // A path in a ws+unix: URL loses its "?", "#" and "%"; a connection made by hand takes any path.
    const stream = new Socket();
    const socket = new WebSocket('ws://pyrepl3/', [SUBPROTOCOL], {
      createConnection: () => stream.connect(socketPath),
      handshakeTimeout: HANDSHAKE_MS_MAX,
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
    });
    const onAbort = (): void => {
      reject(signal?.reason);
      socket.terminate();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    // Stays for the life of the socket: after the handshake an error is always followed by 'close', which tells it.
    socket.on('error', (error) => reject(unavailable(error)));
    socket.once('open', () => resolve(new Connection(socket, stream, events)));
    return promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  send(text: string): void {
    // A closing socket drops what it is given; 'close' follows, and whoever waits for an answer learns of it there.
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#cork();
    this.#socket.send(text, () => undefined);
  }

  /** All that is sent in answer to one piece of input leaves in one write; a write of its own would cost most of a request. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#stream.uncork();
    });
  }

  /** Resolves when the socket is closed, after at most a second. */
  async close(code: number, reason: string): Promise<void> {
    this.#socket.close(code, reason);
    const timer = setTimeout(() => this.#socket.terminate(), CLOSING_MS_MAX);
    await this.#ended;
    clearTimeout(timer);
  }
}

function connectionLost(code: number, reason: string): PyreplError {
  const why = reason === '' ? `code ${code}` : `${reason} (${code})`;
  return new PyreplError('UNAVAILABLE', `the connection to the daemon was lost: ${why}`, {
    details: { closeCode: code },
  });
}
