/**
 * The executions of all sessions: how many there were, and which are under way.
 *
 * A core with nothing to do is given up, and on a virtual machine getting it back takes longer than a short cell does, and makes
 * slow what comes next. So where one cell has begun that may be a short one, the daemon stays awake until it has ended: on two
 * such cores `1+1` takes two thirds of the time.
 *
 * I1: it stays awake for no longer than `SHORT_MS` for each cell, and not at all after one that took longer.
 * I2: with several such cells it does not: the cores have something to do, and hosts need them.
 */

/** A cell that has not ended by then is a long one. */
const SHORT_MS = 2;

export class Executions {
  readonly #monotonicMs: () => number;
  readonly #soon: (look: () => void) => void;
  /** Those that may be short ones, with the time at which they began, in that order. */
  readonly #young = new Map<object, number>();
  #count = 0;
  #lastWasShort = false;
  #awake = false;

  constructor(monotonicMs: () => number, soon: (look: () => void) => void = setImmediate) {
    this.#monotonicMs = monotonicMs;
    this.#soon = soon;
  }

  /** How many have ended. */
  get count(): number {
    return this.#count;
  }

  /** It is on its way to a host. */
  began(execution: object): void {
    const nowMs = this.#monotonicMs();
    for (const [other, beganMs] of this.#young) {
      if (nowMs - beganMs < SHORT_MS) break;
      this.#young.delete(other);
    }
    this.#young.set(execution, nowMs);
    if (this.#lastWasShort) this.#stayAwake();
  }

  ended(execution: object): void {
    this.#count++;
    const beganMs = this.#young.get(execution);
    this.#young.delete(execution);
    this.#lastWasShort = beganMs !== undefined && this.#monotonicMs() - beganMs < SHORT_MS;
  }

  #stayAwake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#soon(this.#look);
  }

  /** As long as there is an immediate, Node looks for what has come and does not wait for it. */
  readonly #look = (): void => {
    this.#awake = false;
    const [beganMs, another] = this.#young.values();
    if (beganMs === undefined || another !== undefined) return;
    if (this.#monotonicMs() - beganMs < SHORT_MS) this.#stayAwake();
    else this.#lastWasShort = false;
  };
}
