/**
 * How many file operations are under way. A file system that does not answer keeps a thread of Node's small pool for as long as
 * it likes; so their number is bounded, in all and for each root, and who waits is told after a while.
 *
 * I1: a slot is given back when the work has really ended, not when its caller has been told that it takes too long.
 * I2: what waits is bounded, and is begun in the order in which it came, but for roots that have all their slots taken.
 */
import { Fault } from '../fault.ts';
import { interrupted } from './file-faults.ts';
import { FILE_LIMITS } from './file-limits.ts';

export type SlotLimits = Readonly<
  Record<'operationsAtOnceMax' | 'operationsPerRootMax' | 'operationsWaitingMax' | 'operationMsMax', number>
>;

/** Throws where the work is to stop: its session is gone, or it has taken too long. To be called between two steps. */
export type Step = () => void;

interface Waiting {
  readonly root: string;
  readonly begin: () => void;
}

export class FileSlots {
  readonly #limits: SlotLimits;
  readonly #busy = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  #busyTotal = 0;

  constructor(limits: SlotLimits = FILE_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Fails with BUSY where too many wait already, with TIMED_OUT when it takes too long, with INTERRUPTED when `signal` aborts.
   * @param ended is called once, when nothing of the work runs any more or will run
   */
  run<T>(root: string, signal: AbortSignal, work: (step: Step) => Promise<T>, ended: () => void): Promise<T> {
    if (signal.aborted || this.#waiting.length >= this.#limits.operationsWaitingMax) {
      ended();
      return Promise.reject(signal.aborted ? interrupted() : busy());
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let stop: Fault | undefined;
    const step = (): void => {
      if (stop !== undefined) throw stop;
    };
    const begin = (): void => {
      this.#take(root);
      void work(step)
        .then(resolve, reject)
        .finally(() => {
          this.#release(root);
          ended();
        });
    };
    const waiting: Waiting = { root, begin };
    const end = (fault: Fault): void => {
      stop = fault;
      const place = this.#waiting.indexOf(waiting);
      if (place >= 0) {
        this.#waiting.splice(place, 1);
        ended();
      }
      reject(fault);
    };
    const onAbort = (): void => end(interrupted());
    const timer = setTimeout(() => end(overdue()), this.#limits.operationMsMax);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiting);
    this.#beginNext();
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
  }

  #beginNext(): void {
    for (let i = 0; i < this.#waiting.length && this.#busyTotal < this.#limits.operationsAtOnceMax; ) {
      const { root, begin } = this.#waiting[i] as Waiting;
      if ((this.#busy.get(root) ?? 0) >= this.#limits.operationsPerRootMax) {
        i++;
        continue;
      }
      this.#waiting.splice(i, 1);
      begin();
    }
  }

  #take(root: string): void {
    this.#busyTotal++;
    this.#busy.set(root, (this.#busy.get(root) ?? 0) + 1);
  }

  #release(root: string): void {
    this.#busyTotal--;
    const left = (this.#busy.get(root) ?? 1) - 1;
    if (left === 0) this.#busy.delete(root);
    else this.#busy.set(root, left);
    this.#beginNext();
  }
}

function busy(): Fault {
  return new Fault('BUSY', 'Too many file operations are waiting already; try again later.');
}

function overdue(): Fault {
  return new Fault(
    'TIMED_OUT',
    'The disk under this root does not answer; what was begun may or may not have been done.',
  );
}
