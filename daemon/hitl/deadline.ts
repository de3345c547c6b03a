/** Calls back once after a time, until the returned function is called. */
export type StartTimer = (callback: () => void, ms: number) => () => void;

/** The longest that a timer of Node can be set to. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const startNodeTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

/**
 * Calls back when a monotonic clock has reached `deadlineMs`, never before, however far away that is. Returns what takes it
 * back.
 */
export function atDeadline(
  deadlineMs: number,
  powers: { readonly monotonicMs: () => number; readonly startTimer: StartTimer },
  callback: () => void,
): () => void {
  let stop: () => void = () => undefined;
  const arm = (): void => {
    const leftMs = deadlineMs - powers.monotonicMs();
    // A timer of Node may be a fraction of a millisecond early.
    if (leftMs <= 0) callback();
    else stop = powers.startTimer(arm, Math.min(Math.ceil(leftMs), TIMER_MS_MAX));
  };
  arm();
  return () => stop();
}
