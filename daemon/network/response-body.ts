/**
 * The body of one response, read piece by piece as guest code asks for it.
 *
 * I1: no more than the cap leaves the decoder, and no more than a little above it is taken from the wire.
 * I2: what nobody reads stops the sender: at most a few pieces are held.
 * I3: once it has ended, failed or been disposed of, its connection is closed and its deadline does not hold on.
 */
import { pipeline, type Readable, Transform } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import {
  brotliCompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  deflateSync,
  gzipSync,
} from 'node:zlib';
import { Fault } from '../fault.ts';
import type { Deadline } from './deadline.ts';
import { asFault, networkFault } from './network-fault.ts';
import { BODY_CHUNK_BYTES_MAX } from './network-limits.ts';

export interface BodyPiece {
  readonly bytes: Buffer;
  /** Nothing comes after it. */
  readonly done: boolean;
}

export interface BodyOptions {
  /** As it comes over the wire. */
  readonly body: Readable;
  /** The `content-encoding` of the response. */
  readonly encoding: string | null;
  readonly bytesMax: number;
  readonly deadline: Deadline;
}

/** The body disposes of its deadline. */
export class ResponseBody {
  readonly #stream: Readable;
  readonly #deadline: Deadline;
  #failure: unknown = null;
  /** Tells the read that waits that something has changed. */
  #wake = (): void => undefined;
  #isReading = false;

  /** Fails with a Fault where the encoding is not known; the body is gone then. */
  static over(options: BodyOptions): ResponseBody {
    try {
      return new ResponseBody(options, decodingOf(options.encoding));
    } catch (error) {
      options.body.destroy();
      throw error;
    }
  }

  private constructor({ body, bytesMax, deadline }: BodyOptions, decoding: Decoding | null) {
    this.#deadline = deadline;
    const last = new ByteCap(bytesMax, bytesMax);
    const stages = decoding === null ? [last] : [wireCap(bytesMax, decoding), decoding.decoder, last];
    this.#stream = last;
    const wake = (): void => this.#wake();
    // The first listener for "readable" is also what starts the fetching.
    last.on('readable', wake).on('end', wake);
    const expire = (): void => this.#fail(deadline.signal.reason);
    deadline.signal.addEventListener('abort', expire, { once: true });
    pipeline([body, ...stages], (error) => {
      if (error) this.#failure ??= error;
      deadline.signal.removeEventListener('abort', expire);
      deadline.end();
      wake();
    });
  }

  /** The next piece. Rejects with a Fault, and with BUSY while another read waits. */
  read(): Promise<BodyPiece> {
    return this.#exclusively(async () => {
      for (;;) {
        const bytes = this.#take(BODY_CHUNK_BYTES_MAX);
        if (bytes !== null) return { bytes, done: false };
        if (this.#stream.readableEnded) return { bytes: Buffer.alloc(0), done: true };
        await this.#change();
      }
    });
  }

  /**
   * The beginning of the body, at most `bytesMax` of it.
   *
   * @param isShort whether to wait until the body has ended or there are as many bytes; else there is what came already
   */
  begin(bytesMax: number, isShort: boolean): Promise<BodyPiece> {
    return this.#exclusively(async () => {
      const pieces: Buffer[] = [];
      let left = bytesMax;
      // What came in one packet with the headers has gone through all stages after a few turns.
      for (let turns = 0; turns < 3; ) {
        const bytes = this.#take(left);
        if (bytes !== null) {
          pieces.push(bytes);
          left -= bytes.length;
          continue;
        }
        if (this.#stream.readableEnded) return { bytes: Buffer.concat(pieces), done: true };
        if (left === 0 && this.#stream.readableLength > 0) break;
        if (isShort) {
          await this.#change();
        } else {
          turns++;
          await setImmediate();
        }
      }
      return { bytes: Buffer.concat(pieces), done: false };
    });
  }

  dispose(): void {
    this.#fail(new Fault('INTERRUPTED', 'The response was closed.'));
    this.#deadline.end();
  }

  async #exclusively(work: () => Promise<BodyPiece>): Promise<BodyPiece> {
    if (this.#isReading) throw new Fault('BUSY', 'Another read of this response is waiting.');
    this.#isReading = true;
    try {
      return await work();
    } finally {
      this.#isReading = false;
    }
  }

  #take(bytesMax: number): Buffer | null {
    if (this.#failure !== null) {
      throw asFault(
        this.#failure,
        'protocol',
        'The response ended before it was complete, or is not what it says it is.',
      );
    }
    // A read of nothing is what tells the stream that its end may be announced.
    return this.#stream.read(Math.min(bytesMax, this.#stream.readableLength)) as Buffer | null;
  }

  /** Resolves when there is more, or no more. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #fail(reason: unknown): void {
    if (this.#stream.readableEnded) return;
    this.#failure ??= reason;
    this.#stream.destroy();
    this.#wake();
  }
}

interface Decoding {
  readonly decoder: Transform;
  /** What an empty body is when it is encoded. */
  readonly nothing: Buffer;
}

/** Lets so many bytes through; one more is a failure. */
class ByteCap extends Transform {
  readonly #bytesMax: number;
  readonly #told: number;
  readonly #nothing: Buffer | null;
  #bytes = 0;

  /**
   * @param told what the message says
   * @param nothing what goes on in place of no bytes at all
   */
  constructor(bytesMax: number, told: number, nothing: Buffer | null = null) {
    super({ highWaterMark: BODY_CHUNK_BYTES_MAX });
    this.#bytesMax = bytesMax;
    this.#told = told;
    this.#nothing = nothing;
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.#bytes += chunk.length;
    const responseBytesMax = this.#told;
    if (this.#bytes <= this.#bytesMax) done(null, chunk);
    else done(new Fault('TOO_LARGE', `The response is larger than ${responseBytesMax} bytes.`, { responseBytesMax }));
  }

  override _flush(done: (error: Error | null, chunk?: Buffer) => void): void {
    if (this.#bytes === 0 && this.#nothing !== null) done(null, this.#nothing);
    else done(null);
  }
}

/**
 * Before the decoder: what is compressed is hardly larger than what it becomes, unless it is made to be. And many
 * servers answer an empty body as it is, whatever encoding they say it has.
 */
function wireCap(bytesMax: number, { nothing }: Decoding): ByteCap {
  return new ByteCap(bytesMax + bytesMax / 64 + 1024, bytesMax, nothing);
}

/** Null where there is nothing to decode. What is encoded twice is a bomb more often than a page. */
function decodingOf(encoding: string | null): Decoding | null {
  switch ((encoding ?? '').trim().toLowerCase()) {
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return { decoder: createGunzip(), nothing: gzipSync('') };
    case 'deflate':
      return { decoder: createInflate(), nothing: deflateSync('') };
    case 'br':
      return { decoder: createBrotliDecompress(), nothing: brotliCompressSync('') };
    default:
      throw networkFault('protocol', 'The response is compressed in a way that is not known here.');
  }
}
