/**
 * Who may run a statement now, and who waits.
 *
 * I1: no more calls run at once than the limits say: of all, of one source, of one session.
 * I2: whoever waits longest among those that may run goes next; the queue is bounded, and a full one says BUSY.
 */
import { Fault } from '../fault.ts';

export interface SlotLimits {
  readonly runningMax: number;
  readonly runningPerSourceMax: number;
  readonly runningPerSessionMax: number;
  readonly waitingMax: number;
  readonly waitingPerSessionMax: number;
}

interface Claim {
  readonly source: string;
  readonly sessionId: string;
}

interface Waiter extends Claim {
  readonly enter: () => void;
}

export class CallSlots {
  readonly #limits: SlotLimits;
  readonly #running = new Set<Claim>();
  #waiting: Waiter[] = [];

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /**
   * Resolves with the function that gives the slot back, to be called once. Fails with BUSY where the queue is full or `waitMs`
   * passes, and with INTERRUPTED when the signal aborts.
   */
  async acquire(source: string, sessionId: string, waitMs: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw interrupted();
    const claim: Claim = { source, sessionId };
    if (this.#fits(claim)) return this.#enter(claim);
    const ofSession = this.#waiting.filter((waiter) => waiter.sessionId === sessionId).length;
    if (this.#waiting.length >= this.#limits.waitingMax || ofSession >= this.#limits.waitingPerSessionMax)
      throw new Fault('BUSY', 'Too many calls wait for a data source; await some before making more.');
    await this.#queued(claim, waitMs, signal);
    return () => this.#leave(claim);
  }

  #queued(claim: Claim, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
      };
      const waiter: Waiter = {
        ...claim,
        enter: () => {
          settle();
          this.#running.add(claim);
          resolve();
        },
      };
      const onAbort = (): void => {
        settle();
        reject(interrupted());
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Fault('BUSY', `The data source was busy with other calls for ${waitMs} ms; try again later.`));
      }, waitMs);
      signal.addEventListener('abort', onAbort);
      this.#waiting.push(waiter);
    });
  }

  #fits({ source, sessionId }: Claim): boolean {
    const running = [...this.#running];
    return (
      running.length < this.#limits.runningMax &&
      running.filter((other) => other.source === source).length < this.#limits.runningPerSourceMax &&
      running.filter((other) => other.sessionId === sessionId).length < this.#limits.runningPerSessionMax
    );
  }

  #enter(claim: Claim): () => void {
    this.#running.add(claim);
    return () => this.#leave(claim);
  }

  #leave(claim: Claim): void {
    this.#running.delete(claim);
    for (const waiter of [...this.#waiting]) if (this.#fits(waiter)) waiter.enter();
  }
}

function interrupted(): Fault {
  return new Fault('INTERRUPTED', 'The call was given up before it began.');
}
