import type { StartTimer } from '../../../daemon/hitl/deadline.ts';

/** The longest that Node can be asked for; more fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A clock and its timers, moved by hand. */
export class FakeTime {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  readonly monotonicMs = (): number => this.#now;
  readonly nowMs = (): number => Date.UTC(2026, 0, 1) + this.#now;

  readonly startTimer: StartTimer = (callback, ms) => {
    const timer = { at: this.#now + (ms > TIMER_MS_MAX ? 1 : ms), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and what is due happen in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((one, other) => one.at - other.at);
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }

  /** Time passes, but the process is too busy for its timers. */
  stall(ms: number): void {
    this.#now += ms;
  }
}
