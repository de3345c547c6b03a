import type { DomExceptionConstructor } from './dom-exception.ts';
import type { GuestKernel } from './kernel.ts';

/** What other guest modules build event targets with, out of reach of guests. */
export interface GuestEvents {
  readonly EventTarget: new () => object;
  /** Fires a trusted event that does not bubble. */
  readonly fire: (target: object, type: string) => void;
  readonly listen: (target: object, type: string, callback: object) => void;
  readonly unlisten: (target: object, type: string, callback: object) => void;
  /** Teaches `addEventListener` its `signal` option: `watch` runs `steps` once the signal aborts. */
  readonly useSignals: (watch: (signal: unknown, steps: () => void) => 'watched' | 'aborted' | 'no signal') => void;
}

/**
 * Installs `Event`, `CustomEvent` and `EventTarget` (DOM Standard §2). There is no tree here, so every target is its own path. What a
 * listener throws is written to the session's error stream and does not keep the other listeners from running.
 */
export function installEvents(kernel: GuestKernel, DOMException: DomExceptionConstructor): GuestEvents {
  interface Listener {
    readonly callback: object;
    readonly capture: boolean;
    readonly once: boolean;
    readonly passive: boolean;
    removed: boolean;
  }
  type EventOptions = { bubbles?: boolean; cancelable?: boolean; composed?: boolean };
  type ListenerOptions = boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: unknown } | null;
  const { uncurryThis, clock, write } = kernel;
  const NativeTypeError = TypeError;
  const NativeMap = Map;
  const { apply } = Reflect;
  const { defineProperty, setPrototypeOf } = Object;
  const mapGet = uncurryThis(NativeMap.prototype.get) as <T>(map: Map<string, T>, key: string) => T | undefined;
  const mapSet = uncurryThis(NativeMap.prototype.set) as <T>(map: Map<string, T>, key: string, value: T) => unknown;
  // Lists have no prototype: an assignment past their end cannot run into a guest's setter.
  const newList = <T>(): T[] => setPrototypeOf([], null) as T[];
  let watchSignal: Parameters<GuestEvents['useSignals']>[0] = () => 'no signal';
  // The doors into the private state of the classes, opened by their static blocks.
  let begin: (event: Event, target: object, trusted: boolean) => string;
  let end: (event: Event) => boolean;
  let stopped: (event: Event) => boolean;
  let setPassive: (event: Event, passive: boolean) => void;
  let add: (target: EventTarget, type: string, listener: Listener) => boolean;
  let remove: (target: EventTarget, type: string, callback: object, capture: boolean) => void;
  let dispatch: (target: EventTarget, event: Event, trusted: boolean) => boolean;

  const report = (error: unknown): void => {
    let text = 'a value that cannot be shown';
    try {
      const stack = typeof error === 'object' && error !== null ? (error as { stack?: unknown }).stack : undefined;
      text = typeof stack === 'string' ? stack : `${error as string}`;
    } catch {
      // The description failed as well: what is known is that something was thrown.
    }
    write('stderr', `Uncaught in an event listener: ${text}\n`);
  };

  const requireListener = (callback: unknown): void => {
    if (typeof callback === 'function' || (typeof callback === 'object' && callback !== null)) return;
    throw new NativeTypeError('A listener must be a function or an object with a handleEvent method');
  };

  const call = (target: EventTarget, type: string, event: Event, listener: Listener): void => {
    const { callback } = listener;
    if (listener.once) remove(target, type, callback, listener.capture);
    setPassive(event, listener.passive);
    try {
      if (typeof callback === 'function') apply(callback, target, [event]);
      else {
        const { handleEvent } = callback as { handleEvent?: unknown };
        if (typeof handleEvent !== 'function') throw new NativeTypeError('The listener has no handleEvent method');
        apply(handleEvent, callback, [event]);
      }
    } catch (error) {
      report(error);
    }
    setPassive(event, false);
  };

  class Event {
    #type: string;
    #bubbles: boolean;
    #cancelable: boolean;
    #composed: boolean;
    #target: object | null = null;
    #dispatching = false;
    #stopped = false;
    #stoppedNow = false;
    #prevented = false;
    #passive = false;
    #trusted = false;
    #timeStamp = clock.nowMs - clock.startMs;

    static {
      begin = (event, target, trusted) => {
        if (event.#dispatching) throw new DOMException('The event is already being dispatched', 'InvalidStateError');
        event.#dispatching = true;
        event.#trusted = trusted;
        event.#target = target;
        return event.#type;
      };
      end = (event) => {
        event.#dispatching = false;
        event.#stopped = false;
        event.#stoppedNow = false;
        return !event.#prevented;
      };
      stopped = (event) => event.#stoppedNow;
      setPassive = (event, passive) => {
        event.#passive = passive;
      };
    }

    constructor(type: string, options: EventOptions | null = null) {
      if (type === undefined) throw new NativeTypeError('An event needs a type');
      this.#type = `${type}`;
      this.#bubbles = !!options?.bubbles;
      this.#cancelable = !!options?.cancelable;
      this.#composed = !!options?.composed;
    }

    get type(): string {
      return this.#type;
    }

    get bubbles(): boolean {
      return this.#bubbles;
    }

    get cancelable(): boolean {
      return this.#cancelable;
    }

    get composed(): boolean {
      return this.#composed;
    }

    get target(): object | null {
      return this.#target;
    }

    get srcElement(): object | null {
      return this.#target;
    }

    get currentTarget(): object | null {
      return this.#dispatching ? this.#target : null;
    }

    get eventPhase(): number {
      return this.#dispatching ? 2 : 0;
    }

    get defaultPrevented(): boolean {
      return this.#prevented;
    }

    get returnValue(): boolean {
      return !this.#prevented;
    }

    set returnValue(value: boolean) {
      if (!value && this.#cancelable && !this.#passive) this.#prevented = true;
    }

    get cancelBubble(): boolean {
      return this.#stopped;
    }

    set cancelBubble(value: boolean) {
      if (value) this.#stopped = true;
    }

    get isTrusted(): boolean {
      return this.#trusted;
    }

    get timeStamp(): number {
      return this.#timeStamp;
    }

    composedPath(): object[] {
      return this.#dispatching && this.#target !== null ? [this.#target] : [];
    }

    preventDefault(): void {
      if (this.#cancelable && !this.#passive) this.#prevented = true;
    }

    stopPropagation(): void {
      this.#stopped = true;
    }

    stopImmediatePropagation(): void {
      this.#stopped = true;
      this.#stoppedNow = true;
    }
  }

  class CustomEvent extends Event {
    #detail: unknown;

    constructor(type: string, options: { detail?: unknown } | null = null) {
      super(type, options as EventOptions | null);
      this.#detail = options?.detail ?? null;
    }

    get detail(): unknown {
      return this.#detail;
    }
  }

  class EventTarget {
    #listeners = new NativeMap<string, Listener[]>();

    static {
      add = (target, type, listener) => {
        const list = mapGet(target.#listeners, type);
        if (list === undefined) {
          const first = newList<Listener>();
          first[0] = listener;
          mapSet(target.#listeners, type, first);
          return true;
        }
        for (let index = 0; index < list.length; index += 1) {
          const known = list[index] as Listener;
          if (known.callback === listener.callback && known.capture === listener.capture) return false;
        }
        list[list.length] = listener;
        return true;
      };
      remove = (target, type, callback, capture) => {
        const list = mapGet(target.#listeners, type);
        if (list === undefined) return;
        // A new list instead of a changed one: a dispatch under way goes on with the one that it began with.
        const rest = newList<Listener>();
        for (let index = 0; index < list.length; index += 1) {
          const listener = list[index] as Listener;
          if (listener.callback === callback && listener.capture === capture) listener.removed = true;
          else rest[rest.length] = listener;
        }
        mapSet(target.#listeners, type, rest);
      };
      dispatch = (target, event, trusted) => {
        const type = begin(event, target, trusted);
        const list = mapGet(target.#listeners, type);
        // Listeners that are added from here on wait for the next event.
        const count = list === undefined ? 0 : list.length;
        for (let index = 0; index < count && !stopped(event); index += 1) {
          const listener = (list as Listener[])[index] as Listener;
          if (!listener.removed) call(target, type, event, listener);
        }
        return end(event);
      };
    }

    addEventListener(type: string, callback: object | null, options: ListenerOptions = false): void {
      const name = `${type}`;
      if (callback === null || callback === undefined) return;
      requireListener(callback);
      const given = typeof options === 'object' && options !== null ? options : null;
      const capture = given === null ? !!options : !!given.capture;
      const once = !!given?.once;
      const passive = !!given?.passive;
      const signal = given?.signal;
      if (signal !== undefined) {
        const watch = watchSignal(signal, () => remove(this, name, callback, capture));
        if (watch === 'no signal') throw new NativeTypeError('The signal option must be an AbortSignal');
        if (watch === 'aborted') return;
      }
      add(this, name, { callback, capture, once, passive, removed: false });
    }

    removeEventListener(type: string, callback: object | null, options: ListenerOptions = false): void {
      const capture = typeof options === 'object' && options !== null ? !!options.capture : !!options;
      if (callback !== null && callback !== undefined) remove(this, `${type}`, callback, capture);
    }

    dispatchEvent(event: Event): boolean {
      return dispatch(this, event, false);
    }
  }

  const classes = { Event, CustomEvent, EventTarget };
  for (const name of ['Event', 'CustomEvent', 'EventTarget'] as const) {
    defineProperty(classes[name].prototype, Symbol.toStringTag, { value: name, configurable: true });
    kernel.define(name, classes[name]);
  }
  let phase = 0;
  for (const name of ['NONE', 'CAPTURING_PHASE', 'AT_TARGET', 'BUBBLING_PHASE']) {
    defineProperty(Event, name, { value: phase, enumerable: true });
    defineProperty(Event.prototype, name, { value: phase, enumerable: true });
    phase += 1;
  }
  return {
    EventTarget,
    fire(target, type) {
      dispatch(target as EventTarget, new Event(type), true);
    },
    listen(target, type, callback) {
      add(target as EventTarget, type, { callback, capture: false, once: false, passive: false, removed: false });
    },
    unlisten: (target, type, callback) => remove(target as EventTarget, type, callback, false),
    useSignals(watch) {
      watchSignal = watch;
    },
  };
}
