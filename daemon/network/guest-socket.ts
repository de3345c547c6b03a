/**
 * One WebSocket of guest code: what it received and nobody asked for yet, and how it ended.
 *
 * I1: at most a few messages, and the bytes of one packet, wait here; then the socket is not read, and the sender has
 * to wait.
 * I2: one receive waits at a time. What came before the end is received before the end is told.
 * I3: once it has ended or been disposed of, its connection is closed and its timer does not hold on.
 */
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import type { WireData } from '../capabilities/wire-data.ts';
import { Fault } from '../fault.ts';
import { Deadline, orAborted } from './deadline.ts';
import type { ConnectRules, Network } from './network.ts';
import { asFault, networkFault } from './network-fault.ts';
import {
  CLOSE_MS_MAX,
  HANDSHAKE_MS_MAX,
  RECEIVE_QUEUE_BYTES_MAX,
  RECEIVE_QUEUE_MESSAGES_MAX,
  SEND_QUEUE_BYTES_MAX,
} from './network-limits.ts';
import type { Target } from './target.ts';

export interface SocketRules {
  readonly messageBytesMax: number;
  /** Of both directions. */
  readonly totalBytesMax: number;
  readonly idleMsMax: number;
}

export interface SocketOpening {
  readonly target: Target;
  readonly protocols: readonly string[];
  /** Headers that the daemon adds. */
  readonly headers: ReadonlyMap<string, string>;
  readonly connect: ConnectRules;
}

export interface SocketEnd {
  readonly code: number;
  readonly reason: string;
}

export type Received = { readonly message: WireData } | { readonly closed: SocketEnd };

/** With a closing code, or with what went wrong. */
type End = { readonly closed: SocketEnd } | { readonly fault: unknown };

interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

interface Receiver {
  readonly resolve: (received: Received) => void;
  readonly reject: (fault: unknown) => void;
}

export class GuestSocket {
  readonly #rules: SocketRules;
  readonly #parent: AbortSignal;
  readonly #lifetime = new AbortController();
  readonly #onParent = (): void => this.dispose();
  #idle: NodeJS.Timeout | null = null;
  readonly #queue: Message[] = [];
  #queuedBytes = 0;
  #totalBytes = 0;
  #receiver: Receiver | null = null;
  #socket: WebSocket | null = null;
  /** How it ended, once it has. */
  #end: End | null = null;
  /** Whether this side wants it to end; what comes from then on is dropped. */
  #isClosing = false;
  #wasIdle = false;

  /** @param parent disposes of it */
  constructor(rules: SocketRules, parent: AbortSignal) {
    this.#rules = rules;
    this.#parent = parent;
    if (parent.aborted) this.dispose();
    else parent.addEventListener('abort', this.#onParent, { once: true });
  }

  /** Connects; answers the protocol that the server chose. Fails with a Fault. */
  async open(network: Network, { target, protocols, headers, connect }: SocketOpening): Promise<string> {
    const deadline = new Deadline(Math.min(HANDSHAKE_MS_MAX, this.#rules.idleMsMax), this.#lifetime.signal);
    try {
      const connection = await network.connect(target, connect, deadline.signal);
      const options: ClientOptions & { closeTimeout: number } = {
        createConnection: () => connection,
        headers: Object.fromEntries(headers),
        followRedirects: false,
        perMessageDeflate: false,
        maxPayload: this.#rules.messageBytesMax,
        closeTimeout: CLOSE_MS_MAX,
      };
      const socket = new WebSocket(target.url, [...protocols], options);
      this.#socket = socket;
      this.#listen(socket);
      await orAborted(opened(socket), deadline.signal);
      if (this.#end === null) this.#idle = setTimeout(() => this.#closeIdle(), this.#rules.idleMsMax);
      return socket.protocol;
    } catch (error) {
      this.dispose();
      throw asFault(error, 'protocol', 'The server did not agree to a WebSocket.');
    } finally {
      deadline.end();
    }
  }

  /** Resolves when the message has been handed to the operating system. Fails with a Fault. */
  async send(data: string | Buffer): Promise<void> {
    const socket = this.#socket;
    if (this.#isClosing || this.#end !== null || socket?.readyState !== WebSocket.OPEN) throw closedFault();
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    const { messageBytesMax } = this.#rules;
    if (bytes > messageBytesMax) throw messageTooLarge(messageBytesMax);
    if (socket.bufferedAmount > SEND_QUEUE_BYTES_MAX) {
      throw new Fault('BUSY', 'The server does not take what was sent; wait for the sends that have not ended.');
    }
    if (!this.#count(bytes)) throw this.#totalTooLarge();
    await orAborted(
      new Promise<void>((resolve, reject) => {
        socket.send(data, { binary: typeof data !== 'string' }, (error) => (error ? reject(closedFault()) : resolve()));
      }),
      this.#lifetime.signal,
    );
    if (this.#end === null) this.#idle?.refresh();
  }

  /** The next message, or how the connection ended. Rejects with BUSY while another receive waits. */
  receive(): Promise<Received> {
    if (this.#receiver !== null) {
      return Promise.reject(new Fault('BUSY', 'Another receive of this socket is waiting.'));
    }
    return new Promise((resolve, reject) => {
      this.#receiver = { resolve, reject };
      this.#deliver();
    });
  }

  /** Resolves when the connection is closed, at most a little later than the server may take to agree. */
  close(code: number, reason: string): Promise<void> {
    const socket = this.#socket;
    if (socket === null || socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    this.#isClosing = true;
    return new Promise((resolve) => {
      socket.once('close', () => resolve());
      socket.close(code, reason);
      // A server's agreement is not read while the socket stands still.
      socket.resume();
    });
  }

  dispose(): void {
    this.#finish({ fault: new Fault('INTERRUPTED', 'The socket was closed with its session.') });
    this.#queue.length = 0;
    this.#lifetime.abort(new Fault('INTERRUPTED', 'The socket was closed with its session.'));
    this.#socket?.terminate();
  }

  #listen(socket: WebSocket): void {
    socket.on('message', (data, isBinary) => this.#take({ data: whole(data), isBinary }));
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', (code, reason) => {
      const { idleMsMax } = this.#rules;
      const closed = this.#wasIdle
        ? { code: 1001, reason: `Nothing was sent or received for ${idleMsMax} ms.` }
        : { code, reason: reason.toString() };
      this.#finish({ closed });
    });
  }

  #take(message: Message): void {
    const socket = this.#socket;
    if (this.#isClosing || this.#end !== null) return;
    this.#idle?.refresh();
    if (!this.#count(message.data.length)) {
      this.#finish({ fault: this.#totalTooLarge() });
      socket?.terminate();
      return;
    }
    this.#queue.push(message);
    this.#queuedBytes += message.data.length;
    this.#deliver();
    if (this.#isFull()) socket?.pause();
  }

  #deliver(): void {
    if (this.#receiver === null) return;
    const message = this.#queue.shift();
    if (message === undefined && this.#end === null) return;
    const { resolve, reject } = this.#receiver;
    this.#receiver = null;
    if (message === undefined) {
      if (this.#end !== null && 'fault' in this.#end) reject(this.#end.fault);
      else if (this.#end !== null) resolve(this.#end);
      return;
    }
    this.#queuedBytes -= message.data.length;
    if (!this.#isFull()) this.#socket?.resume();
    const { data, isBinary } = message;
    resolve({ message: isBinary ? { base64: data.toString('base64') } : { text: data.toString() } });
  }

  #isFull(): boolean {
    return this.#queue.length >= RECEIVE_QUEUE_MESSAGES_MAX || this.#queuedBytes >= RECEIVE_QUEUE_BYTES_MAX;
  }

  /** Whether so many bytes more are within the total. */
  #count(bytes: number): boolean {
    if (this.#totalBytes + bytes > this.#rules.totalBytesMax) return false;
    this.#totalBytes += bytes;
    return true;
  }

  #totalTooLarge(): Fault {
    const { totalBytesMax } = this.#rules;
    return new Fault('TOO_LARGE', `A socket may carry ${totalBytesMax} bytes in all in this session.`, {
      totalBytesMax,
    });
  }

  /** What is no fault of the protocol is a broken connection, whose end the event "close" tells. */
  #onError(error: Error): void {
    const code = 'code' in error ? String(error.code) : '';
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
      this.#finish({ fault: messageTooLarge(this.#rules.messageBytesMax) });
    } else if (code.startsWith('WS_ERR_')) {
      this.#finish({ fault: networkFault('protocol', 'The server broke the WebSocket protocol.', error) });
    }
  }

  #closeIdle(): void {
    this.#wasIdle = true;
    void this.close(1001, 'idle');
  }

  #finish(end: End): void {
    if (this.#end !== null) return;
    this.#end = end;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#parent.removeEventListener('abort', this.#onParent);
    this.#deliver();
  }
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

function whole(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

function closedFault(): Fault {
  return new Fault('EFFECT_FAILED', 'The socket is closed.', { reason: 'closed' });
}

function messageTooLarge(messageBytesMax: number): Fault {
  const message = `A message may have at most ${messageBytesMax} bytes in this session.`;
  return new Fault('TOO_LARGE', message, { messageBytesMax });
}
