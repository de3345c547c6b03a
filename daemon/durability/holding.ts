/**
 * One task that this daemon holds.
 *
 * I1: it is held until its lease runs out by our own clock, or it ends; what was lost never comes back.
 * I2: the signal is aborted when it is lost, and says so to whoever asks for it later, too.
 */
import { Fault } from '../fault.ts';

/** How the function of a task is to end: it is done; another daemon may go on; nobody is to go on until a person says so. */
export type Ending = 'done' | 'released' | 'parked';

export interface Holding {
  readonly id: string;
  /** Grows with every holding of the task, so that what two holders write can be told apart. */
  readonly version: number;
  /** Aborted when the lease is lost. */
  readonly signal: AbortSignal;
  isHeld(): boolean;
}

export class Held implements Holding {
  readonly id: string;
  readonly version: number;
  readonly #monotonicMs: () => number;
  /** Made when somebody asks for it. */
  #lost: AbortController | undefined;
  expiresMs = Number.POSITIVE_INFINITY;
  ending: Ending | 'lost' | null = null;

  constructor(id: string, version: number, monotonicMs: () => number) {
    this.id = id;
    this.version = version;
    this.#monotonicMs = monotonicMs;
  }

  get signal(): AbortSignal {
    this.#lost ??= new AbortController();
    if (this.ending === 'lost') this.#abort();
    return this.#lost.signal;
  }

  isHeld(): boolean {
    return this.ending === null && !this.isLost();
  }

  /** Whether another may hold the task; not the opposite of being held, since one that is ending here is neither. */
  isLost(): boolean {
    return this.ending === 'lost' || this.#monotonicMs() >= this.expiresMs;
  }

  lose(): void {
    this.ending = 'lost';
    this.#abort();
  }

  #abort(): void {
    if (this.#lost?.signal.aborted === false)
      this.#lost.abort(new Fault('UNAVAILABLE', 'Another daemon may have taken the session over.'));
  }
}
