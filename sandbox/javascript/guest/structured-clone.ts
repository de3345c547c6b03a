import type { DomExceptionConstructor } from './dom-exception.ts';
import type { GuestKernel } from './kernel.ts';

/**
 * Installs `structuredClone` (HTML Standard §2.7). Install it after the other classes, so that it knows which of them to refuse. It
 * differs from the standard where only an engine could tell: a Proxy is cloned as the object it shows, an object that was given another
 * prototype is taken for what that prototype says, and views that track the length of their buffer get a fixed length.
 */
export function installStructuredClone(kernel: GuestKernel, DOMException: DomExceptionConstructor): void {
  type Memo = Map<object, object>;
  /** Clones an object of one kind; undefined when it only inherits from that kind's prototype. */
  type Cloner = (value: object, memo: Memo) => object | undefined;
  type Constructor = new (...args: unknown[]) => object;

  const { uncurryThis, global } = kernel;
  const NativeTypeError = TypeError;
  const NativeArrayBuffer = ArrayBuffer;
  const NativeDataView = DataView;
  const NativeUint8Array = Uint8Array;
  const NativeDate = global.Date as DateConstructor;
  const NativeRegExp = RegExp;
  const NativeMap = Map;
  const NativeSet = Set;
  const NativeObject = Object;
  const { construct, ownKeys } = Reflect;
  const { isArray } = Array;
  const { isView } = ArrayBuffer;
  const isError = (Error as unknown as { isError: (value: unknown) => boolean }).isError;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const objectPrototype = Object.prototype;
  const arrayPrototype = Array.prototype;
  const getter = <T>(target: object, name: PropertyKey): ((self: unknown) => T) =>
    uncurryThis(getOwnPropertyDescriptor(target, name)?.get as (this: unknown) => T);
  const isEnumerable = uncurryThis(objectPrototype.propertyIsEnumerable) as (self: object, key: PropertyKey) => boolean;
  const functionText = uncurryThis(Function.prototype.toString) as (self: unknown) => string;
  const symbolText = uncurryThis(Symbol.prototype.toString) as (self: unknown) => string;
  const slice = uncurryThis(String.prototype.slice);
  const mapGet = uncurryThis(NativeMap.prototype.get) as <K, V>(map: Map<K, V>, key: K) => V | undefined;
  const mapSet = uncurryThis(NativeMap.prototype.set) as <K, V>(map: Map<K, V>, key: K, value: V) => unknown;
  const mapEach = uncurryThis(NativeMap.prototype.forEach) as (
    self: object,
    visit: (value: unknown, key: unknown) => void,
  ) => void;
  const addTo = uncurryThis(NativeSet.prototype.add) as (set: Set<unknown>, value: unknown) => unknown;
  const setHas = uncurryThis(NativeSet.prototype.has) as (set: Set<unknown>, value: unknown) => boolean;
  const setEach = uncurryThis(NativeSet.prototype.forEach) as (self: object, visit: (value: unknown) => void) => void;
  const bufferPrototype = NativeArrayBuffer.prototype;
  const bufferLength = getter<number>(bufferPrototype, 'byteLength');
  const isDetached = getter<boolean>(bufferPrototype, 'detached');
  const isResizable = getter<boolean>(bufferPrototype, 'resizable');
  const lengthMax = getter<number>(bufferPrototype, 'maxByteLength');
  const detach = uncurryThis((bufferPrototype as unknown as { transfer: () => object }).transfer) as (
    buffer: object,
  ) => object;
  const typedArray = getPrototypeOf(NativeUint8Array.prototype) as object & Uint8Array;
  const tagOf = getter<string | undefined>(typedArray, Symbol.toStringTag);
  const arrayBufferOf = getter<ArrayBuffer>(typedArray, 'buffer');
  const arrayOffset = getter<number>(typedArray, 'byteOffset');
  const arrayLength = getter<number>(typedArray, 'length');
  const setBytes = uncurryThis(typedArray.set) as (self: object, source: object) => void;
  const viewBuffer = getter<ArrayBuffer>(NativeDataView.prototype, 'buffer');
  const viewOffset = getter<number>(NativeDataView.prototype, 'byteOffset');
  const viewLength = getter<number>(NativeDataView.prototype, 'byteLength');
  const exceptionName = getter<string>(DOMException.prototype, 'name');

  const refuse = (what: string): never => {
    throw new DOMException(`${what} could not be cloned.`, 'DataCloneError');
  };

  const attempt = <T>(read: (self: unknown) => T, self: unknown): T | undefined => {
    try {
      return read(self);
    } catch {
      return undefined;
    }
  };

  /** Creates an own property. Plain assignment is several times faster, and right where no setter can be inherited. */
  const put = (target: Record<string, unknown>, isList: boolean, key: string, value: unknown): void => {
    const inherits =
      isList && getPrototypeOf(arrayPrototype) === objectPrototype
        ? key in arrayPrototype
        : isList || key in objectPrototype;
    if (!inherits) target[key] = value;
    else {
      const descriptor = { __proto__: null, value, writable: true, enumerable: true, configurable: true };
      defineProperty(target, key, descriptor as PropertyDescriptor);
    }
  };

  const hide = (target: object, key: string, value: unknown): void => {
    defineProperty(target, key, { __proto__: null, value, writable: true, configurable: true } as PropertyDescriptor);
  };

  const copyProperties = (from: object, to: object, isList: boolean, memo: Memo): object => {
    mapSet(memo, from, to);
    const keys = ownKeys(from);
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] as string;
      if (typeof key === 'string' && isEnumerable(from, key)) {
        put(to as Record<string, unknown>, isList, key, clone((from as Record<string, unknown>)[key], memo));
      }
    }
    return to;
  };

  const cloneArray = (value: unknown[], memo: Memo): object => {
    const copy: unknown[] = [];
    const { length } = value;
    copyProperties(value, copy, true, memo);
    if (copy.length !== length) copy.length = length;
    return copy;
  };

  const errorTypes = { __proto__: null } as unknown as Record<string, Constructor>;
  for (const name of ['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError']) {
    errorTypes[name] = global[name] as Constructor;
  }

  const cloneError = (value: object, memo: Memo): object => {
    const own = (key: string): PropertyDescriptor | undefined => {
      const found = getOwnPropertyDescriptor(value, key);
      // The fields of a descriptor are its own; a field that is missing would be looked up in Object.prototype.
      return found !== undefined && isEnumerable(found, 'value') ? found : undefined;
    };
    const { stack } = value as { stack?: unknown };
    const message = own('message');
    let copy: object;
    if (isDomException(value)) {
      copy = new DOMException(message === undefined ? '' : `${message.value}`, exceptionName(value));
    } else {
      const { name } = value as { name?: unknown };
      const Type = (typeof name === 'string' ? errorTypes[name] : undefined) ?? (errorTypes.Error as Constructor);
      copy = construct(Type, message === undefined ? [] : [`${message.value}`]);
    }
    mapSet(memo, value, copy);
    if (typeof stack === 'string') hide(copy, 'stack', stack);
    const cause = own('cause');
    if (cause !== undefined) hide(copy, 'cause', clone(cause.value, memo));
    return copy;
  };

  const isDomException = (value: object): boolean => {
    for (let link = getPrototypeOf(value); link !== null; link = getPrototypeOf(link)) {
      if (link === DOMException.prototype) return true;
    }
    return false;
  };

  const cloneBuffer: Cloner = (value, memo) => {
    const length = attempt(bufferLength, value);
    if (length === undefined) return undefined;
    if (isDetached(value)) refuse('An ArrayBuffer that is detached');
    const options = isResizable(value) ? { __proto__: null, maxByteLength: lengthMax(value) } : undefined;
    const copy = new NativeArrayBuffer(length, options as { maxByteLength: number } | undefined);
    setBytes(new NativeUint8Array(copy), new NativeUint8Array(value as ArrayBuffer));
    mapSet(memo, value, copy);
    return copy;
  };

  const viewTypes = { __proto__: null } as unknown as Record<string, Constructor>;
  for (const name of Object.getOwnPropertyNames(global)) {
    if (name.endsWith('Array') && name !== 'Array') viewTypes[name] = global[name] as Constructor;
  }

  const cloneView = (value: object, memo: Memo): object => {
    const tag = tagOf(value);
    const typed = tag !== undefined;
    const buffer = clone(typed ? arrayBufferOf(value) : viewBuffer(value), memo);
    const length = typed ? arrayLength(value) : attempt(viewLength, value);
    if (length === undefined) return refuse('A DataView that is out of bounds');
    const offset = typed ? arrayOffset(value) : viewOffset(value);
    const copy = construct(typed ? (viewTypes[tag] as Constructor) : NativeDataView, [buffer, offset, length]);
    mapSet(memo, value, copy);
    return copy;
  };

  const cloneMap: Cloner = (value, memo) => {
    const copy = new NativeMap<unknown, unknown>();
    // Pairs of a copy made first, as the standard has it: a getter that changes the map meanwhile changes nothing.
    const pairs = new NativeMap<unknown, unknown>();
    const collect = (self: unknown): boolean => {
      mapEach(self as object, (item, key) => mapSet(pairs, key, item));
      return true;
    };
    if (attempt(collect, value) === undefined) return undefined;
    mapSet(memo, value, copy);
    mapEach(pairs, (item, key) => {
      const keyCopy = clone(key, memo);
      mapSet(copy, keyCopy, clone(item, memo));
    });
    return copy;
  };

  const cloneSet: Cloner = (value, memo) => {
    const copy = new NativeSet<unknown>();
    const items = new NativeSet<unknown>();
    const collect = (self: unknown): boolean => {
      setEach(self as object, (item) => addTo(items, item));
      return true;
    };
    if (attempt(collect, value) === undefined) return undefined;
    mapSet(memo, value, copy);
    setEach(items, (item) => addTo(copy, clone(item, memo)));
    return copy;
  };

  const regExpSource = getter<string>(NativeRegExp.prototype, 'source');
  const flagReaders = new NativeMap<string, (self: unknown) => boolean>();
  for (const flag of [
    'dhasIndices',
    'gglobal',
    'iignoreCase',
    'mmultiline',
    'sdotAll',
    'uunicode',
    'vunicodeSets',
    'ysticky',
  ]) {
    flagReaders.set(flag[0] as string, getter(NativeRegExp.prototype, flag.slice(1)));
  }

  const cloneRegExp: Cloner = (value, memo) => {
    const source = attempt(regExpSource, value);
    if (source === undefined) return undefined;
    let flags = '';
    mapEach(flagReaders, (read, flag) => {
      if ((read as (self: unknown) => boolean)(value)) flags += flag as string;
    });
    const copy = new NativeRegExp(source, flags);
    mapSet(memo, value, copy);
    return copy;
  };

  const dateValue = uncurryThis(NativeDate.prototype.getTime) as (self: unknown) => number;
  const cloneDate: Cloner = (value, memo) => {
    const time = attempt(dateValue, value);
    if (time === undefined) return undefined;
    const copy = new NativeDate(time);
    mapSet(memo, value, copy);
    return copy;
  };

  const kinds = new NativeMap<object, Cloner>();
  kinds.set(objectPrototype, (value, memo) => copyProperties(value, {}, false, memo));
  kinds.set(NativeMap.prototype, cloneMap);
  kinds.set(NativeSet.prototype, cloneSet);
  kinds.set(NativeDate.prototype, cloneDate);
  kinds.set(NativeRegExp.prototype, cloneRegExp);
  kinds.set(bufferPrototype, cloneBuffer);
  for (const prototype of [Boolean.prototype, Number.prototype, String.prototype, BigInt.prototype]) {
    const primitiveOf = uncurryThis(prototype.valueOf as () => unknown) as (self: unknown) => unknown;
    kinds.set(prototype, (value, memo) => {
      const primitive = attempt(primitiveOf, value);
      if (primitive === undefined) return undefined;
      const copy = NativeObject(primitive) as object;
      mapSet(memo, value, copy);
      return copy;
    });
  }
  const refused =
    'Symbol Promise WeakMap WeakSet WeakRef FinalizationRegistry SharedArrayBuffer Crypto Event EventTarget AbortController URL ' +
    'URLSearchParams TextEncoder TextDecoder';
  const refuseAll = (holder: Record<string, unknown>, names: readonly string[]): void => {
    for (const name of names) {
      const type = holder[name];
      if (typeof type === 'function' && type.prototype) kinds.set(type.prototype, () => refuse(`#<${name}>`));
    }
  };
  refuseAll(global, refused.split(' '));
  for (const name of ['Temporal', 'Intl']) {
    const holder = global[name] as Record<string, unknown> | undefined;
    if (holder !== undefined) refuseAll(holder, Object.getOwnPropertyNames(holder));
  }

  const cloneObject = (value: object, memo: Memo): object => {
    if (isArray(value)) return cloneArray(value, memo);
    if (isError(value)) return cloneError(value, memo);
    if (isView(value)) return cloneView(value, memo);
    for (let link = getPrototypeOf(value); link !== null; link = getPrototypeOf(link)) {
      const copy = mapGet(kinds, link as object)?.(value, memo);
      if (copy !== undefined) return copy;
    }
    return copyProperties(value, {}, false, memo);
  };

  const clone = (value: unknown, memo: Memo): unknown => {
    if (typeof value === 'symbol') return refuse(symbolText(value));
    if (typeof value === 'function') return refuse(slice(functionText(value), 0, 200));
    if (typeof value !== 'object' || value === null) return value;
    return mapGet(memo, value) ?? cloneObject(value, memo);
  };

  const checkTransfer = (transfer: unknown): Set<unknown> => {
    const buffers = new NativeSet<unknown>();
    const take = (buffer: unknown): void => {
      const fault =
        attempt(bufferLength, buffer) === undefined
          ? 'is of a type that cannot be transferred'
          : isDetached(buffer)
            ? 'is detached already'
            : setHas(buffers, buffer) && 'is there twice';
      if (fault) throw new DOMException(`A value in the transfer list ${fault}.`, 'DataCloneError');
      addTo(buffers, buffer);
    };
    // Arrays are walked by index: their iterator is the guest's to replace.
    if (isArray(transfer)) for (let index = 0; index < transfer.length; index += 1) take(transfer[index]);
    else for (const buffer of transfer as Iterable<unknown>) take(buffer);
    return buffers;
  };

  const { structuredClone } = {
    structuredClone(...args: unknown[]): unknown {
      if (args.length === 0) throw new NativeTypeError('structuredClone needs one argument');
      const options = args.length > 1 ? (args[1] as { transfer?: unknown } | null | undefined) : undefined;
      const transfer = options?.transfer;
      const buffers = transfer === undefined ? undefined : checkTransfer(transfer);
      const copy = clone(args[0], new NativeMap());
      // Buffers are copied like the rest, and only then detached: getters that ran meanwhile saw them whole.
      if (buffers !== undefined) setEach(buffers, (buffer) => void detach(buffer as object));
      return copy;
    },
  };
  defineProperty(structuredClone, 'length', { value: 1 });
  kernel.define('structuredClone', structuredClone);
}
