import type { DomExceptionConstructor } from './dom-exception.ts';
import type { GuestEvents } from './events.ts';
import type { GuestKernel } from './kernel.ts';
import type { GuestTimers } from './timers.ts';

/** Abort signals for other guest modules, out of reach of guests. */
export interface GuestAbort {
  readonly isSignal: (value: unknown) => value is object;
  /** Runs `steps` with the reason once `signal` aborts, unless it already has, or is no AbortSignal at all. */
  readonly watch: (signal: unknown, steps: (reason: unknown) => void) => 'watched' | 'aborted' | 'no signal';
  /** Takes such steps back. */
  readonly unwatch: (signal: object, steps: (reason: unknown) => void) => void;
  /** The reason of an aborted signal. */
  readonly reasonOf: (signal: object) => unknown;
}

/** Installs `AbortController` and `AbortSignal` (DOM Standard §3). */
export function installAbort(
  kernel: GuestKernel,
  DOMException: DomExceptionConstructor,
  events: GuestEvents,
  timers: Pick<GuestTimers, 'start'>,
): GuestAbort {
  const { uncurryThis } = kernel;
  const { EventTarget, fire, listen, unlisten } = events;
  const NativeTypeError = TypeError;
  const NativeSet = Set;
  const { apply } = Reflect;
  const { isArray } = Array;
  const { min, trunc } = Math;
  const { defineProperty } = Object;
  const addTo = uncurryThis(NativeSet.prototype.add) as <T>(set: Set<T>, value: T) => unknown;
  const removeFrom = uncurryThis(NativeSet.prototype.delete) as <T>(set: Set<T>, value: T) => unknown;
  const each = uncurryThis(NativeSet.prototype.forEach) as <T>(set: Set<T>, callback: (value: T) => void) => void;
  const proof = {};
  const defaultReason = (): Error => new DOMException('This operation was aborted', 'AbortError');
  // The doors into the private state of signals, opened by the static block.
  let isSignal: (value: unknown) => value is AbortSignal;
  let abort: (signal: AbortSignal, reason: unknown) => void;
  let follow: (signal: AbortSignal, source: AbortSignal) => void;
  let watch: GuestAbort['watch'];
  let unwatch: (signal: AbortSignal, steps: (reason: unknown) => void) => void;
  let reasonOf: (signal: AbortSignal) => unknown;

  const make = (): AbortSignal => new (AbortSignal as new (key: object) => AbortSignal)(proof);

  class AbortSignal extends EventTarget {
    #aborted = false;
    #reason: unknown = undefined;
    #steps = new NativeSet<(reason: unknown) => void>();
    /** The signals that `any` derived from this one, and, in a derived one, those that it follows: never derived themselves. */
    #followers = new NativeSet<AbortSignal>();
    #sources: Set<AbortSignal> | undefined;
    #handler: unknown = null;
    #listener: ((event: unknown) => unknown) | undefined;

    static {
      isSignal = (value): value is AbortSignal => typeof value === 'object' && value !== null && #aborted in value;
      reasonOf = (signal) => signal.#reason;
      const mark = (signal: AbortSignal, reason: unknown): boolean => {
        if (signal.#aborted) return false;
        signal.#aborted = true;
        signal.#reason = reason;
        return true;
      };
      const run = (signal: AbortSignal): void => {
        const steps = signal.#steps;
        signal.#steps = new NativeSet();
        each(steps, (step) => step(signal.#reason));
        fire(signal, 'abort');
      };
      abort = (signal, given) => {
        const reason = given === undefined ? defaultReason() : given;
        if (!mark(signal, reason)) return;
        // All of them are aborted before the first listener runs, as the standard has it.
        const marked = new NativeSet<AbortSignal>();
        each(signal.#followers, (follower) => {
          if (mark(follower, reason)) addTo(marked, follower);
        });
        run(signal);
        each(marked, run);
      };
      follow = (signal, source) => {
        signal.#sources ??= new NativeSet();
        const own = signal.#sources;
        const attach = (root: AbortSignal): void => {
          addTo(own, root);
          addTo(root.#followers, signal);
        };
        if (source.#sources === undefined) attach(source);
        else each(source.#sources, attach);
      };
      watch = (signal, steps) => {
        if (!isSignal(signal)) return 'no signal';
        if (signal.#aborted) return 'aborted';
        addTo(signal.#steps, steps);
        return 'watched';
      };
      unwatch = (signal, steps) => void removeFrom(signal.#steps, steps);
    }

    constructor(...key: unknown[]) {
      if (key.length === 0 || key[0] !== proof) throw new NativeTypeError('Illegal constructor');
      super();
    }

    static abort(reason: unknown = undefined): AbortSignal {
      const signal = make();
      abort(signal, reason);
      return signal;
    }

    static timeout(milliseconds: number): AbortSignal {
      const delayMs = trunc(+milliseconds);
      if (!(delayMs >= 0 && delayMs <= 9007199254740991)) {
        throw new NativeTypeError('The timeout must be a number of milliseconds from 0 to 2^53 - 1');
      }
      const signal = make();
      const expire = (): void =>
        abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
      timers.start(expire, min(delayMs, 2147483647));
      return signal;
    }

    static any(signals: Iterable<AbortSignal>): AbortSignal {
      const given = new NativeSet<AbortSignal>();
      const take = (signal: unknown): void => {
        if (!isSignal(signal)) throw new NativeTypeError('AbortSignal.any takes AbortSignals');
        addTo(given, signal);
      };
      // Arrays are walked by index: their iterator is the guest's to replace.
      if (isArray(signals)) for (let index = 0; index < signals.length; index += 1) take(signals[index]);
      else for (const signal of signals) take(signal);
      const result = make();
      each(given, (signal) => {
        if (signal.#aborted && !result.#aborted) abort(result, signal.#reason);
      });
      if (!result.#aborted) {
        result.#sources = new NativeSet();
        each(given, (signal) => follow(result, signal));
      }
      return result;
    }

    get aborted(): boolean {
      return this.#aborted;
    }

    get reason(): unknown {
      return this.#reason;
    }

    throwIfAborted(): void {
      if (this.#aborted) throw this.#reason;
    }

    get onabort(): unknown {
      return this.#handler;
    }

    set onabort(handler: unknown) {
      if (this.#listener !== undefined) unlisten(this, 'abort', this.#listener);
      this.#handler = typeof handler === 'function' ? handler : null;
      this.#listener = undefined;
      if (typeof handler !== 'function') return;
      // A function of its own: the same handler may have been given to addEventListener as well, and then runs twice.
      this.#listener = (event: unknown) => apply(handler, this, [event]);
      listen(this, 'abort', this.#listener);
    }
  }

  class AbortController {
    #signal = make();

    get signal(): AbortSignal {
      return this.#signal;
    }

    abort(reason: unknown = undefined): void {
      abort(this.#signal, reason);
    }
  }

  defineProperty(AbortSignal, 'length', { value: 0 });
  defineProperty(AbortSignal.prototype, Symbol.toStringTag, { value: 'AbortSignal', configurable: true });
  defineProperty(AbortController.prototype, Symbol.toStringTag, { value: 'AbortController', configurable: true });
  kernel.define('AbortSignal', AbortSignal);
  kernel.define('AbortController', AbortController);
  const result: GuestAbort = {
    isSignal: (value): value is object => isSignal(value),
    watch: (signal, steps) => watch(signal, steps),
    unwatch: (signal, steps) => unwatch(signal as AbortSignal, steps),
    reasonOf: (signal) => reasonOf(signal as AbortSignal),
  };
  events.useSignals(result.watch);
  return result;
}
