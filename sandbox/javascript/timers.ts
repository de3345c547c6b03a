/** The timers that guest code started: kept by the host, bounded, fired one after another by re-entering the isolate. */

const DELAY_MS_MAX = 2 ** 31 - 1;

interface GuestTimer {
  readonly delayMs: number;
  readonly repeat: boolean;
  /** The cell that it goes back to. */
  readonly origin: number;
  /** When it is due, on the clock that guest code sees. */
  readonly dueMs: number;
  armed: NodeJS.Timeout | undefined;
}

export class GuestTimers {
  readonly #fire: (id: number, origin: number) => Promise<void>;
  readonly #max: number;
  readonly #timers = new Map<number, GuestTimer>();
  /** While the life of a lost isolate is repeated, timers fire when they fired then. */
  #held = false;

  /** @param fire enters the isolate; settles when that entry has ended */
  constructor(max: number, fire: (id: number, origin: number) => Promise<void>) {
    this.#max = max;
    this.#fire = fire;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** @param asked the time that guest code was told when it asked for this, and the cell that it goes back to */
  start(
    id: number,
    delayMs: number,
    repeat: boolean,
    { nowMs, origin }: { readonly nowMs: number; readonly origin: number },
  ): void {
    // One timer may stand for those of many cells, as in the event loop of Python: it goes back to the oldest of them.
    const oldest = Math.min(this.#timers.get(id)?.origin ?? origin, origin);
    this.stop(id);
    if (this.#timers.size >= this.#max) return;
    const delay = Math.min(Math.max(1, Number.isFinite(delayMs) ? delayMs : 1), DELAY_MS_MAX);
    const timer: GuestTimer = { delayMs: delay, repeat, origin: oldest, dueMs: nowMs + delay, armed: undefined };
    this.#timers.set(id, timer);
    if (!this.#held) this.#arm(id, timer, delay);
  }

  #arm(id: number, timer: GuestTimer, afterMs: number): void {
    timer.armed = setTimeout(() => void this.fire(id, { nowMs: timer.dueMs }), afterMs);
  }

  /** @param clock what guest code is told when the entry has been made */
  async fire(id: number, clock: { readonly nowMs: number }): Promise<void> {
    const timer = this.#timers.get(id);
    if (timer !== undefined && !timer.repeat) this.#timers.delete(id);
    await this.#fire(id, timer?.origin ?? 0);
    // An interval is armed again only after its callback ended, and only if that did not clear or replace it.
    if (timer?.repeat && this.#timers.get(id) === timer)
      this.start(id, timer.delayMs, true, { nowMs: clock.nowMs, origin: timer.origin });
  }

  hold(): void {
    this.#held = true;
  }

  /** What is due by now fires at once, and in the order in which it was due; on a clock that was set back nothing waits longer than it was to. */
  release(nowMs: number): void {
    this.#held = false;
    const waiting = [...this.#timers].sort(([, one], [, other]) => one.dueMs - other.dueMs);
    for (const [id, timer] of waiting) this.#arm(id, timer, Math.min(Math.max(1, timer.dueMs - nowMs), timer.delayMs));
  }

  stop(id: number): void {
    clearTimeout(this.#timers.get(id)?.armed);
    this.#timers.delete(id);
  }

  clear(): void {
    for (const { armed } of this.#timers.values()) clearTimeout(armed);
    this.#timers.clear();
  }
}
