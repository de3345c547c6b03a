import { Fault } from '../fault.ts';
import { networkFault } from './network-fault.ts';

/**
 * The time that one request has, from its first look-up to the last byte of its answer, however many calls of guest
 * code that takes. Its signal is aborted with the Fault that says why.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onParent = (): void => this.#controller.abort(new Fault('INTERRUPTED', 'The call was ended from outside.'));

  /** @param parent ends it early */
  constructor(msMax: number, parent: AbortSignal) {
    this.#parent = parent;
    this.#timer = setTimeout(() => {
      this.#controller.abort(networkFault('timed-out', `The server did not finish its answer within ${msMax} ms.`));
    }, msMax);
    if (parent.aborted) this.#onParent();
    else parent.addEventListener('abort', this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whoever made it ends it, or its timer holds on. */
  end(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener('abort', this.#onParent);
  }
}

/** The promise's outcome, or the signal's reason where that comes first. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
