/**
 * The wall clock of one cell: runs from the cell's start, stands still while the cell waits for a person, and calls `expired`
 * once when the limit is reached.
 */
export class CellClock {
  #limitMs: number;
  readonly #monotonicMs: () => number;
  readonly #expired: () => void;
  #usedMs = 0;
  #runningSince: number | undefined;
  #pauses = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number, monotonicMs: () => number, expired: () => void) {
    this.#limitMs = limitMs;
    this.#monotonicMs = monotonicMs;
    this.#expired = expired;
    this.#start();
  }

  #start(): void {
    this.#runningSince = this.#monotonicMs();
    this.#timer = setTimeout(this.#expired, Math.max(1, this.leftMs));
  }

  get usedMs(): number {
    return this.#usedMs + (this.#runningSince === undefined ? 0 : this.#monotonicMs() - this.#runningSince);
  }

  get leftMs(): number {
    return this.#limitMs - this.usedMs;
  }

  pause(): void {
    if (this.#pauses++ > 0) return;
    this.#usedMs = this.usedMs;
    this.#runningSince = undefined;
    clearTimeout(this.#timer);
  }

  resume(): void {
    if (this.#pauses > 0 && --this.#pauses === 0) this.#start();
  }

  /** All of its time is before it again; what it waits for still keeps it standing. */
  restart(limitMs: number): void {
    this.#limitMs = limitMs;
    this.#usedMs = 0;
    if (this.#runningSince === undefined) return;
    clearTimeout(this.#timer);
    this.#start();
  }

  stop(): void {
    if (this.#runningSince !== undefined) this.#usedMs = this.usedMs;
    this.#runningSince = undefined;
    clearTimeout(this.#timer);
  }
}
