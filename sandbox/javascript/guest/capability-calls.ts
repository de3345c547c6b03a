import type { GuestKernel } from './kernel.ts';
import type { SendToHost } from './output.ts';

export interface CapabilityCalls {
  /** Makes the named functions exist, and withdraws those that are no longer named. Throws where a guest made a name unusable. */
  grant(names: readonly string[]): void;
  /** Settles a call with the host's answer. False where no such call is open. */
  settle(call: number, ok: boolean, json: string): boolean;
  /** What a rejection of ours stands for, or undefined for any other value. */
  faultOf(error: unknown): { readonly code: string; readonly capability: string } | undefined;
}

/**
 * The functions whose effect lies outside the isolate. A call leaves as one message with its arguments as JSON, copied once;
 * its promise settles when the host re-enters the isolate with the answer. A withdrawn capability stays as a function that
 * rejects, so that code which saved a reference learns why.
 */
export function makeCapabilityCalls(
  kernel: GuestKernel,
  send: SendToHost,
  jsonValue: (value: unknown, maxBytes: number) => { json: string } | null | 'too-large',
  limits: { readonly argumentBytesMax: number; readonly pendingCallsMax: () => number },
): CapabilityCalls {
  const { uncurryThis, global } = kernel;
  const MapGet = uncurryThis(Map.prototype.get);
  const MapSet = uncurryThis(Map.prototype.set);
  const MapDelete = uncurryThis(Map.prototype.delete);
  const mapSize = uncurryThis(
    Object.getOwnPropertyDescriptor(Map.prototype, 'size')?.get as (this: Map<unknown, unknown>) => number,
  );
  const WeakMapGet = uncurryThis(WeakMap.prototype.get);
  const WeakMapSet = uncurryThis(WeakMap.prototype.set);
  const parse = JSON.parse;
  const defineProperty = Reflect.defineProperty;
  const apply = Reflect.apply;
  const makeSet = Set;
  const SetHas = uncurryThis(Set.prototype.has);
  const SetAdd = uncurryThis(Set.prototype.add);
  const CapturedPromise = Promise;
  const CapturedError = Error;
  const CapturedTypeError = TypeError;
  const CapturedRangeError = RangeError;

  const waiting = new Map<
    number,
    { name: string; resolve: (value: unknown) => void; reject: (error: unknown) => void }
  >();
  const faults = new WeakMap<object, { code: string; capability: string }>();
  const known = new Map<string, unknown>();
  let granted = new Set<string>();
  let calls = 0;

  function fault(code: string, capability: string, name: string, message: string): Error {
    const error = new CapturedError(message);
    defineProperty(error, 'name', {
      __proto__: null,
      value: name,
      configurable: true,
      writable: true,
      enumerable: false,
    } as PropertyDescriptor);
    defineProperty(error, 'code', {
      __proto__: null,
      value: code,
      configurable: true,
      writable: true,
      enumerable: true,
    } as PropertyDescriptor);
    WeakMapSet(faults, error, { code, capability });
    return error;
  }

  function encodeArguments(name: string, args: readonly unknown[]): string {
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count--;
    let json = '[';
    for (let i = 0; i < count; i++) {
      const encoded =
        args[i] === undefined ? { json: 'null' } : jsonValue(args[i], limits.argumentBytesMax - json.length);
      if (encoded === 'too-large')
        throw new CapturedRangeError(`The arguments of ${name}() are larger than ${limits.argumentBytesMax} bytes.`);
      if (encoded === null) throw new CapturedTypeError(`Argument ${i + 1} of ${name}() must be plain JSON data.`);
      json += (i === 0 ? '' : ',') + encoded.json;
    }
    return `${json}]`;
  }

  function call(name: string, args: readonly unknown[]): unknown {
    if (!SetHas(granted, name)) {
      return new CapturedPromise((_, reject) => {
        reject(fault('CAPABILITY_DENIED', name, 'CapabilityDenied', `${name} is no longer granted to this session.`));
      });
    }
    if (mapSize(waiting) >= limits.pendingCallsMax()) {
      throw new CapturedRangeError(
        `Too many calls are waiting for an answer: at most ${limits.pendingCallsMax()} at once.`,
      );
    }
    const argsJson = encodeArguments(name, args);
    return new CapturedPromise((resolve, reject) => {
      const id = ++calls;
      MapSet(waiting, id, { name, resolve, reject });
      send('call', id, name, argsJson);
    });
  }

  function makeFunction(name: string): unknown {
    const holder = { [name]: (...args: unknown[]): unknown => call(name, args) };
    const made = holder[name] as object;
    defineProperty(made, 'length', { __proto__: null, value: 0, configurable: true } as PropertyDescriptor);
    return made;
  }

  return {
    grant(names) {
      const next = new makeSet<string>();
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        SetAdd(next, name);
        if (MapGet(known, name) !== undefined) continue;
        const made = makeFunction(name);
        const done = defineProperty(global, name, {
          __proto__: null,
          value: made,
          writable: true,
          configurable: true,
          enumerable: false,
        } as PropertyDescriptor);
        if (!done) throw new CapturedTypeError(`The global name ${name} cannot be defined.`);
        MapSet(known, name, made);
      }
      granted = next;
    },
    settle(id, ok, json) {
      const entry = MapGet(waiting, id);
      if (entry === undefined) return false;
      MapDelete(waiting, id);
      const value = parse(json);
      if (ok) apply(entry.resolve, undefined, [value]);
      else apply(entry.reject, undefined, [fault(value.code, entry.name, value.name, value.message)]);
      return true;
    },
    faultOf(error) {
      return (typeof error === 'object' && error !== null) || typeof error === 'function'
        ? (WeakMapGet(faults, error as object) as { code: string; capability: string } | undefined)
        : undefined;
    },
  };
}
