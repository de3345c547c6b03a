/**
 * Cuts what a process writes into lines. Guest code, or a statement of it, runs in that process, so after a compromise it may write
 * anything, or a line that never ends. Node's own channel to a child process would take some of it for its own.
 *
 * I1: of a line whose end has not come, no more than `lineBytesMax` is kept.
 */
const LINE_FEED = 0x0a;

export class LineReader {
  readonly #lineBytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that `chunk` ends, without their ends; null where a line is too long, after which nothing more can be read. */
  take(chunk: Buffer): readonly string[] | null {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      if (!this.#keep(chunk.subarray(from, end))) return null;
      lines.push(this.#line());
      from = end + 1;
    }
    return from === chunk.length || this.#keep(chunk.subarray(from)) ? lines : null;
  }

  #keep(part: Buffer): boolean {
    this.#bytes += part.length;
    this.#parts.push(part);
    return this.#bytes <= this.#lineBytesMax;
  }

  #line(): string {
    const [only, ...others] = this.#parts as [Buffer, ...Buffer[]];
    const whole = others.length === 0 ? only : Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    return whole.toString();
  }
}
