/** What ended cells have left behind: its CPU time between two cells is bounded, whatever it is spread over. */
import type { Isolate } from '../isolate.ts';

export class BackgroundWork {
  readonly #isolate: Isolate;
  readonly #cpuMsMax: number;
  /** The isolate's CPU time when the last cell ended. */
  #cpuMsWhenIdle = 0;
  #entries = 0;
  #stopping = false;

  constructor(isolate: Isolate, cpuMsMax: number) {
    this.#isolate = isolate;
    this.#cpuMsMax = cpuMsMax;
  }

  get running(): boolean {
    return this.#entries > 0;
  }

  begin(): void {
    this.#entries++;
  }

  end(): void {
    this.#entries--;
  }

  /** A cell has ended, or what went on was stopped: the count begins anew. */
  reset(): void {
    this.#cpuMsWhenIdle = this.#isolate.cpuMs;
  }

  get overdrawn(): boolean {
    return this.#isolate.cpuMs - this.#cpuMsWhenIdle > this.#cpuMsMax;
  }

  get stopNotice(): string {
    return `What ended cells had left behind used more than ${this.#cpuMsMax} ms of CPU; it was stopped and its timers cleared.\n`;
  }

  /** It can spin where no timeout of an entry reaches: in a getter of what a promise was rejected with. */
  stop(stuck: () => void): void {
    if (this.#stopping) return;
    this.#stopping = true;
    void this.#isolate.terminate().then((alive) => {
      this.#stopping = false;
      if (!alive) stuck();
    });
  }
}
