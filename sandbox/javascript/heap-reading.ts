/** How much heap a session uses, read no oftener than it is worth. */
import type { Isolate } from '../isolate.ts';

/**
 * A reading is an entry of its own. A cell that used this much CPU waits for one; a shorter one is told the last, and a new one is
 * taken behind its back when that has become old.
 */
const READING_CPU_MS = 2;
const READING_AGE_MS_MAX = 250;

export class HeapReading {
  readonly #isolate: Isolate;
  readonly #monotonicMs: () => number;
  #atMs = Number.NEGATIVE_INFINITY;
  bytes = 0;

  constructor(isolate: Isolate, monotonicMs: () => number) {
    this.#isolate = isolate;
    this.#monotonicMs = monotonicMs;
    void this.#read();
  }

  /** Undefined where the last reading will do for a cell that used so much CPU. */
  after(cpuMs: number): Promise<void> | undefined {
    if (cpuMs > READING_CPU_MS) return this.#read();
    if (this.#monotonicMs() - this.#atMs > READING_AGE_MS_MAX) void this.#read();
    return undefined;
  }

  async #read(): Promise<void> {
    this.#atMs = this.#monotonicMs();
    this.bytes = await this.#isolate.heapBytes();
  }
}
