/** Time, as those who need it are given it. */
export interface Clock {
  /** Milliseconds since the epoch: for people and records, never for deadlines. */
  nowMs(): number;
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
