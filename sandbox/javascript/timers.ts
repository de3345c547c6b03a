/** The timers that guest code started: kept by the host, bounded, fired one after another by re-entering the isolate. */

const DELAY_MS_MAX = 2 ** 31 - 1;

export class GuestTimers {
  readonly #fire: (id: number) => Promise<void>;
  readonly #max: number;
  readonly #timers = new Map<number, NodeJS.Timeout>();

  /** @param fire enters the isolate; settles when that entry has ended */
  constructor(max: number, fire: (id: number) => Promise<void>) {
    this.#max = max;
    this.#fire = fire;
  }

  get size(): number {
    return this.#timers.size;
  }

  start(id: number, delayMs: number, repeat: boolean): void {
    this.stop(id);
    if (this.#timers.size >= this.#max) return;
    const delay = Math.min(Math.max(1, Number.isFinite(delayMs) ? delayMs : 1), DELAY_MS_MAX);
    this.#timers.set(
      id,
      setTimeout(() => void this.#elapsed(id, delay, repeat), delay),
    );
  }

  async #elapsed(id: number, delayMs: number, repeat: boolean): Promise<void> {
    const timer = this.#timers.get(id);
    if (!repeat) this.#timers.delete(id);
    await this.#fire(id);
    // An interval is armed again only after its callback ended, and only if that did not clear or replace it.
    if (repeat && this.#timers.get(id) === timer) this.start(id, delayMs, true);
  }

  stop(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
