import type { GuestKernel } from './kernel.ts';

export interface GuestTimers {
  /**
   * Runs the callback of a timer that is due; what it throws reaches the caller. Answers false when the timer is no longer
   * known (cleared while the host's message was under way).
   */
  readonly fire: (id: number) => boolean;
  /** `setTimeout` for other guest modules, out of reach of guests. `delayMs` is at most 2^31 - 1. */
  readonly start: (callback: () => void, delayMs: number) => number;
  /** The number of the timer that was started last. */
  readonly last: () => number;
  /** Timers are numbered from there. */
  readonly resume: (last: number) => void;
}

/** Installs `setTimeout`, `setInterval`, `setImmediate`, their `clear…` functions, and `queueMicrotask`. The host keeps the time. */
export function installTimers(kernel: GuestKernel): GuestTimers {
  interface Timer {
    readonly callback: (...args: unknown[]) => unknown;
    readonly args: readonly unknown[];
    readonly repeat: boolean;
  }
  const NativeTypeError = TypeError;
  const NativeRangeError = RangeError;
  const { apply } = Reflect;
  const { trunc } = Math;
  const { startTimer, stopTimer, uncurryThis } = kernel;
  const pendingMax = 10_000;
  const timers = new Map<unknown, Timer>();
  const timerOf = uncurryThis(timers.get);
  const setTimer = uncurryThis(timers.set);
  const deleteTimer = uncurryThis(timers.delete);
  let pending = 0;
  let lastId = 0;

  const requireFunction = (callback: unknown, where: string): void => {
    if (typeof callback === 'function') return;
    // Strings are refused as well: a timer never evaluates text.
    const got = typeof callback === 'string' ? 'a string' : callback === null ? 'null' : typeof callback;
    throw new NativeTypeError(`${where}: the callback must be a function, and this is ${got}`);
  };

  const begin = (callback: Timer['callback'], args: readonly unknown[], delayMs: number, repeat: boolean): number => {
    if (pending >= pendingMax) {
      throw new NativeRangeError(
        '10,000 timers are pending, which is the most a session may have; clear some or let them fire',
      );
    }
    lastId += 1;
    setTimer(timers, lastId, { callback, args, repeat });
    pending += 1;
    startTimer(lastId, delayMs, repeat);
    return lastId;
  };

  // Node's clamp: whatever is not from 1 to 2^31 - 1 becomes 1.
  const clamp = (delay: unknown): number => {
    const delayMs = +(delay as number);
    return delayMs >= 1 && delayMs <= 2147483647 ? trunc(delayMs) : 1;
  };

  const clear = (id: unknown): void => {
    const key = typeof id === 'string' ? +id : id;
    const timer = timerOf(timers, key);
    if (timer === undefined) return;
    deleteTimer(timers, key);
    pending -= 1;
    stopTimer(key as number);
  };

  const functions = {
    setTimeout(callback: Timer['callback'], delay: unknown = 0, ...args: unknown[]): number {
      requireFunction(callback, 'setTimeout');
      return begin(callback, args, clamp(delay), false);
    },
    setInterval(callback: Timer['callback'], delay: unknown = 0, ...args: unknown[]): number {
      requireFunction(callback, 'setInterval');
      return begin(callback, args, clamp(delay), true);
    },
    setImmediate(callback: Timer['callback'], ...args: unknown[]): number {
      requireFunction(callback, 'setImmediate');
      return begin(callback, args, 0, false);
    },
    clearTimeout(id: unknown = undefined): void {
      clear(id);
    },
    clearInterval(id: unknown = undefined): void {
      clear(id);
    },
    clearImmediate(id: unknown = undefined): void {
      clear(id);
    },
    queueMicrotask(callback: () => void): void {
      requireFunction(callback, 'queueMicrotask');
      // An `await` of a plain value goes through nothing that a guest can replace, unlike Promise.prototype.then.
      (async () => {
        await undefined;
        callback();
      })();
    },
  };
  for (const name of Object.keys(functions)) kernel.define(name, functions[name as keyof typeof functions]);

  return {
    fire(id) {
      const timer = timerOf(timers, id);
      if (timer === undefined) return false;
      if (!timer.repeat) {
        deleteTimer(timers, id);
        pending -= 1;
      }
      apply(timer.callback, undefined, timer.args);
      return true;
    },
    start: (callback, delayMs) => begin(callback, [], clamp(delayMs), false),
    last: () => lastId,
    resume(last) {
      lastId = last;
    },
  };
}
