/** A scripted peer that says anything on a Unix socket, well-formed or not, and reads what comes back frame by frame. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface RawFrame {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** What the header claims, where it differs from the payload's own length. */
  readonly claimedLength?: bigint;
}

const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: pyrepl3.v1',
];

export class RawPeer {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  #received = Buffer.alloc(0);
  #over = false;
  #wake: () => void = () => undefined;

  constructor(socketPath: string) {
    this.socket = connect({ path: socketPath, allowHalfOpen: false });
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    // The daemon may cut this peer off while it is still writing; the tests look at what arrived before.
    this.socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.#over = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** A peer whose WebSocket handshake has been accepted. */
  static async connected(socketPath: string): Promise<RawPeer> {
    const peer = new RawPeer(socketPath);
    await once(peer.socket, 'connect');
    peer.write(`${HANDSHAKE.join('\r\n')}\r\n\r\n`);
    const head = await peer.httpHead();
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(head);
    return peer;
  }

  write(data: Buffer | string): void {
    this.socket.write(data);
  }

  frame({ opcode, payload = '', fin = true, rsv = 0, masked = true, claimedLength }: RawFrame): void {
    const body = Buffer.from(payload);
    const length = claimedLength ?? BigInt(body.length);
    const header = Buffer.alloc(10);
    header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
    header[1] = (masked ? 0x80 : 0) | 127;
    header.writeBigUInt64BE(length, 2);
    const short =
      length < 126n
        ? Buffer.from([header[0], (masked ? 0x80 : 0) | Number(length)])
        : length < 65536n
          ? Buffer.from([header[0], (masked ? 0x80 : 0) | 126, Number(length >> 8n), Number(length & 255n)])
          : header;
    // A mask of zeros leaves the payload as it is.
    this.write(Buffer.concat([short, masked ? Buffer.alloc(4) : Buffer.alloc(0), body]));
  }

  text(payload: string): void {
    this.frame({ opcode: 1, payload });
  }

  /** The next frame; null when the connection ended instead. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#takeFrame();
      if (frame !== null) return frame;
      if (this.#over) return null;
      await this.#more();
    }
  }

  /** The code of the close frame, once the connection is over; null where there was none. */
  async closeCode(): Promise<number | null> {
    for (let frame = await this.next(); frame !== null; frame = await this.next()) {
      if (frame.opcode === 8) return frame.payload.readUInt16BE(0);
    }
    return null;
  }

  /** The head of an HTTP answer, up to its empty line. */
  async httpHead(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end !== -1) {
        const head = this.#received.subarray(0, end).toString();
        this.#received = this.#received.subarray(end + 4);
        return head;
      }
      if (this.#over) return '';
      await this.#more();
    }
  }

  /** What has arrived and was not taken yet. */
  get rest(): string {
    return this.#received.toString();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #takeFrame(): Frame | null {
    const data = this.#received;
    if (data.length < 2) return null;
    const short = (data[1] as number) & 127;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (data.length < start) return null;
    const length = short < 126 ? short : short === 126 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
    if (data.length < start + length) return null;
    this.#received = data.subarray(start + length);
    return { opcode: (data[0] as number) & 15, payload: data.subarray(start, start + length) };
  }
}
