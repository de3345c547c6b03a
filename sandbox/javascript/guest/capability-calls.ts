import type { GuestKernel } from './kernel.ts';
import type { SendToHost } from './output.ts';

export interface CapabilityCalls {
  /** From now on these can be called, and nothing else. Calls of `patient` ones say where in the user's code they stand. */
  setGranted(names: readonly string[], patient: readonly string[]): void;
  isGranted(name: string): boolean;
  /** A cell begins: what is refused from now on is told anew. */
  begin(): void;
  /**
   * Makes a call; its promise is fulfilled with what `convert` makes of the answer.
   * @throws TypeError or RangeError where the arguments cannot be sent
   */
  call(name: string, args: ArrayLike<unknown>, convert?: (answer: unknown) => unknown): Promise<unknown>;
  /** The same for code of ours that waits for the answer itself. Never throws: what cannot be sent has `failed`. */
  request(
    name: string,
    args: ArrayLike<unknown>,
    done: (answer: unknown) => void,
    failed: (error: unknown) => void,
  ): void;
  /**
   * The same for another language than JavaScript, which has arguments and answer as JSON.
   * @param place where in the user's code the call stands, as V8 writes stacks
   * @param take told how it ended; never throws
   * @returns the number of the call
   * @throws RangeError where too much waits already, and the fault of a call that is not granted
   */
  exchange(name: string, argsJson: string, place: string, take: (ok: boolean, json: string) => void): number;
  /** An argument that is JSON text already. */
  encoded(json: string): object;
  /** The JSON of a value; `what` names it where it has none. @throws TypeError or RangeError */
  json(value: unknown, what: string): string;
  /** Settles a call with the host's answer. False where no such call is open. */
  settle(call: number, ok: boolean, json: string): boolean;
  /** The number of the call that was made last. */
  made(): number;
  /** Calls are numbered from there. */
  resume(made: number): void;
  /** What a rejection of ours stands for, or undefined for any other value. */
  faultOf(error: unknown): { readonly code: string; readonly capability: string } | undefined;
}

/**
 * The calls whose effect lies outside the isolate. A call leaves as one message with its arguments as JSON, copied once, and is
 * settled when the host re-enters the isolate with the answer.
 *
 * I1: a name that is not granted is never sent; the caller is told CAPABILITY_DENIED.
 * I2: open calls are bounded in number and in the length of their arguments.
 * I3: a refusal here is told to the host once for each name and cell, whatever code does with it.
 * I4: no answer, whatever its text, leaves a call open or throws into the host.
 */
export function makeCapabilityCalls(
  kernel: GuestKernel,
  send: SendToHost,
  jsonValue: (value: unknown, maxBytes: number) => { json: string } | null | 'too-large',
  limits: {
    /** Characters of the JSON of one call's arguments, and of those of all open calls together. */
    readonly argumentsMax: number;
    readonly waitingMax: number;
    readonly pendingCallsMax: () => number;
  },
): CapabilityCalls {
  const { uncurryThis } = kernel;
  const MapGet = uncurryThis(Map.prototype.get);
  const MapSet = uncurryThis(Map.prototype.set);
  const MapDelete = uncurryThis(Map.prototype.delete);
  const mapSize = uncurryThis(
    Object.getOwnPropertyDescriptor(Map.prototype, 'size')?.get as (this: Map<unknown, unknown>) => number,
  );
  const WeakMapGet = uncurryThis(WeakMap.prototype.get);
  const WeakMapSet = uncurryThis(WeakMap.prototype.set);
  const parse = JSON.parse;
  const { defineProperty, deleteProperty, getOwnPropertyDescriptor: describe } = Reflect;
  const hasOwn = Object.hasOwn;
  const CapturedSet = Set;
  const SetHas = uncurryThis(Set.prototype.has);
  const SetAdd = uncurryThis(Set.prototype.add);
  const CapturedPromise = Promise;
  const CapturedError = Error;
  const CapturedTypeError = TypeError;
  const CapturedRangeError = RangeError;
  const captureStackTrace = Error.captureStackTrace;
  const indexOf = uncurryThis(String.prototype.indexOf);
  const slice = uncurryThis(String.prototype.slice);

  interface Waiting {
    readonly name: string;
    readonly size: number;
    /** Never throws. */
    readonly take: (ok: boolean, json: string) => void;
  }
  const waiting = new Map<number, Waiting>();
  const faults = new WeakMap<object, { code: string; capability: string }>();
  let waitingSize = 0;
  let granted = new Set<string>();
  let patient = new Set<string>();
  let refused = new Set<string>();
  let calls = 0;

  class Encoded {
    readonly #json: string;
    constructor(json: string) {
      this.#json = json;
    }
    /** The text, where the value is one of these. */
    static text(value: unknown): string | undefined {
      return typeof value === 'object' && value !== null && #json in value ? value.#json : undefined;
    }
  }
  const encodedText = Encoded.text;

  const field = (value: unknown, enumerable: boolean): PropertyDescriptor =>
    ({ __proto__: null, value, configurable: true, writable: true, enumerable }) as PropertyDescriptor;

  function fault(
    capability: string,
    code: unknown,
    name: unknown,
    message: unknown,
    details?: unknown,
    error: Error = new CapturedError(),
  ): Error {
    defineProperty(error, 'message', field(typeof message === 'string' ? message : '', false));
    defineProperty(error, 'name', field(typeof name === 'string' ? name : 'Error', false));
    defineProperty(error, 'code', field(typeof code === 'string' ? code : 'INTERNAL', true));
    if (details !== undefined) defineProperty(error, 'details', field(details, true));
    nameInStack(error as { name: unknown; message: unknown; stack?: unknown });
    WeakMapSet(faults, error, { code: typeof code === 'string' ? code : 'INTERNAL', capability });
    return error;
  }
  /** V8 wrote the first line of the stack when the error had neither name nor message yet. */
  function nameInStack(error: { name: unknown; message: unknown; stack?: unknown }): void {
    try {
      const { stack } = error;
      if (typeof stack !== 'string') return;
      const frames = indexOf(stack, '\n');
      const head = `${error.name}: ${error.message}`;
      defineProperty(error, 'stack', field(frames === -1 ? head : head + slice(stack, frames), false));
    } catch {
      // A guest has its own way of writing stacks, and it throws.
    }
  }
  const unreadable = (name: string, site: Error): Error =>
    fault(name, 'INTERNAL', 'DaemonError', `The answer to a call of ${name} could not be read.`, undefined, site);

  function encodeArguments(name: string, args: ArrayLike<unknown>): string {
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count--;
    let json = '[';
    for (let i = 0; i < count; i++) {
      const left = limits.argumentsMax - json.length;
      const value = args[i];
      const ready = encodedText(value);
      const encoded =
        ready !== undefined ? { json: ready } : value === undefined ? { json: 'null' } : jsonValue(value, left);
      if (encoded === 'too-large' || (encoded !== null && encoded.json.length > left))
        throw new CapturedRangeError(`The arguments of ${name}() are longer than ${limits.argumentsMax} characters.`);
      if (encoded === null) throw new CapturedTypeError(`Argument ${i + 1} of ${name}() must be plain JSON data.`);
      json += (i === 0 ? '' : ',') + encoded.json;
    }
    return `${json}]`;
  }

  /** V8's own text of the stack, whatever a guest has done to have it written otherwise; '' where that cannot be had. */
  function stackText(): string {
    const holder = { __proto__: null, name: '', message: '' } as unknown as { stack?: unknown };
    const keys = ['prepareStackTrace', 'stackTraceLimit'];
    const before = [describe(CapturedError, 'prepareStackTrace'), describe(CapturedError, 'stackTraceLimit')];
    const meanwhile = [undefined, 16];
    let set = true;
    for (let i = 0; i < 2; i++)
      set = defineProperty(CapturedError, keys[i] as string, field(meanwhile[i], false)) && set;
    if (set) captureStackTrace(holder);
    const stack = hasOwn(holder, 'stack') ? holder.stack : '';
    for (let i = 0; i < 2; i++) {
      const descriptor = before[i];
      if (descriptor === undefined) deleteProperty(CapturedError, keys[i] as string);
      else defineProperty(CapturedError, keys[i] as string, descriptor);
    }
    return typeof stack === 'string' ? stack : '';
  }

  /** What keeps a call of this name from being made now, or undefined. */
  function denial(name: string): Error | undefined {
    if (SetHas(granted, name)) return undefined;
    if (!SetHas(refused, name)) send('denied', name);
    SetAdd(refused, name);
    return fault(name, 'CAPABILITY_DENIED', 'CapabilityDenied', `${name} is no longer granted to this session.`);
  }
  function refuseCount(): void {
    if (mapSize(waiting) >= limits.pendingCallsMax())
      throw new CapturedRangeError(
        `Too many calls are waiting for an answer: at most ${limits.pendingCallsMax()} at once.`,
      );
  }
  function refuseSize(argsJson: string): void {
    if (waitingSize + argsJson.length > limits.waitingMax)
      throw new CapturedRangeError(
        `The calls that wait for an answer carry too much data: at most ${limits.waitingMax} characters together.`,
      );
  }
  /** What keeps a call from being sent, or the text of its arguments. */
  function prepare(name: string, args: ArrayLike<unknown>): { argsJson: string } | { denied: Error } {
    const denied = denial(name);
    if (denied !== undefined) return { denied };
    refuseCount();
    const argsJson = encodeArguments(name, args);
    refuseSize(argsJson);
    return { argsJson };
  }
  function start(name: string, argsJson: string, place: string, take: Waiting['take']): number {
    const id = ++calls;
    waitingSize += argsJson.length;
    MapSet(waiting, id, { name, size: argsJson.length, take });
    send('call', id, name, argsJson, place, kernel.origin());
    return id;
  }
  function startHere(
    name: string,
    argsJson: string,
    done: (answer: unknown) => void,
    failed: (error: unknown) => void,
  ): void {
    // Made where the call stands, so that its failure has the stack of the code that called.
    const site = new CapturedError();
    const take = (ok: boolean, json: string): void => {
      try {
        const value = parse(json);
        if (ok) done(value);
        else {
          const details = hasOwn(value, 'details') ? value.details : undefined;
          failed(fault(name, value.code, value.name, value.message, details, site));
        }
      } catch {
        failed(unreadable(name, site));
      }
    };
    start(name, argsJson, SetHas(patient, name) ? stackText() : '', take);
  }
  const setOf = (names: readonly string[]): Set<string> => {
    const set = new CapturedSet<string>();
    for (let i = 0; i < names.length; i++) SetAdd(set, names[i] as string);
    return set;
  };

  return {
    setGranted(names, patientNames) {
      granted = setOf(names);
      patient = setOf(patientNames);
    },
    isGranted: (name) => SetHas(granted, name),
    begin() {
      refused = new CapturedSet();
    },
    call(name, args, convert) {
      const prepared = prepare(name, args);
      return new CapturedPromise((resolve, reject) => {
        if ('denied' in prepared) reject(prepared.denied);
        else
          startHere(
            name,
            prepared.argsJson,
            convert === undefined ? resolve : (answer) => resolve(convert(answer)),
            reject,
          );
      });
    },
    request(name, args, done, failed) {
      let prepared: ReturnType<typeof prepare>;
      try {
        prepared = prepare(name, args);
      } catch (error) {
        failed(error);
        return;
      }
      if ('denied' in prepared) failed(prepared.denied);
      else startHere(name, prepared.argsJson, done, failed);
    },
    exchange(name, argsJson, place, take) {
      const denied = denial(name);
      if (denied !== undefined) throw denied;
      refuseCount();
      if (argsJson.length > limits.argumentsMax)
        throw new CapturedRangeError(`The arguments of ${name}() are longer than ${limits.argumentsMax} characters.`);
      refuseSize(argsJson);
      return start(name, argsJson, place, take);
    },
    encoded: (json) => new Encoded(json),
    json(value, what) {
      const encoded = jsonValue(value, limits.argumentsMax);
      if (encoded === 'too-large')
        throw new CapturedRangeError(`${what} is longer than ${limits.argumentsMax} characters.`);
      if (encoded === null) throw new CapturedTypeError(`${what} must be plain JSON data.`);
      return encoded.json;
    },
    settle(id, ok, json) {
      const entry = MapGet(waiting, id);
      if (entry === undefined) return false;
      MapDelete(waiting, id);
      waitingSize -= entry.size;
      entry.take(ok, json);
      return true;
    },
    made: () => calls,
    resume(made) {
      calls = made;
    },
    faultOf(error) {
      return (typeof error === 'object' && error !== null) || typeof error === 'function'
        ? (WeakMapGet(faults, error as object) as { code: string; capability: string } | undefined)
        : undefined;
    },
  };
}
