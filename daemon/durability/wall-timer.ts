/**
 * One timer for a time on the wall clock, however far away.
 *
 * I1: the callback is never called before that time.
 * I2: a clock that was set, and a machine that slept, are noticed within a minute: timers of Node run on another clock.
 */
const LOOK_AGAIN_MS = 60_000;

export class WallTimer {
  readonly #nowMs: () => number;
  readonly #callback: () => void;
  #atMs: number | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number, callback: () => void) {
    this.#nowMs = nowMs;
    this.#callback = callback;
  }

  /** @param atMs when to call back, instead of any time before; null for never */
  set(atMs: number | null): void {
    if (atMs === this.#atMs) return;
    this.#atMs = atMs;
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#atMs === null) return;
    const leftMs = Math.max(0, Math.ceil(this.#atMs - this.#nowMs()));
    this.#timer = setTimeout(() => this.#look(), Math.min(leftMs, LOOK_AGAIN_MS));
  }

  #look(): void {
    if (this.#atMs === null) return;
    if (this.#nowMs() < this.#atMs) {
      this.#arm();
      return;
    }
    this.#atMs = null;
    this.#callback();
  }
}
