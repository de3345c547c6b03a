import type { GuestKernel } from './kernel.ts';
import type { GuestPlatform } from './platform.ts';

export type GuestBuiltins = ReturnType<typeof captureBuiltins>;

/** What guest modules use that may be evaluated after guest code has run: captured once, before any has. */
export function captureBuiltins(kernel: GuestKernel, platform: GuestPlatform) {
  const { uncurryThis, global } = kernel;
  const { hasOwn } = Object;
  const { isView } = ArrayBuffer;
  const NativeUint8Array = Uint8Array;
  const Base64 = NativeUint8Array as unknown as { fromBase64: (text: string) => Uint8Array<ArrayBuffer> };
  const bytesPrototype = NativeUint8Array.prototype as unknown as { toBase64: () => string };
  const typedArray = Object.getPrototypeOf(NativeUint8Array.prototype) as object;
  const fromBase64 = uncurryThis(Base64.fromBase64 as (this: unknown, text: string) => Uint8Array<ArrayBuffer>);
  const paramsText = uncurryThis((global['URLSearchParams'] as typeof URLSearchParams).prototype.toString) as (
    self: unknown,
  ) => string;

  const bytesGetter = <T>(name: string): ((bytes: Uint8Array) => T) =>
    uncurryThis(Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: Uint8Array) => T);

  return {
    ...platform,
    Map,
    mapGet: uncurryThis(Map.prototype.get) as <K, V>(map: Map<K, V>, key: K) => V | undefined,
    mapSet: uncurryThis(Map.prototype.set) as <K, V>(map: Map<K, V>, key: K, value: V) => unknown,
    imul: Math.imul,
    isExtensible: Reflect.isExtensible,
    /** One of each kind: nothing else leads to their prototypes. */
    iterators: {
      array: [][Symbol.iterator](),
      string: ''[Symbol.iterator](),
      map: new Map()[Symbol.iterator](),
      set: new Set()[Symbol.iterator](),
      matches: ''.matchAll(/./g),
    },
    AbortController: global['AbortController'] as new () => object,
    signalOf: uncurryThis(
      Object.getOwnPropertyDescriptor((global['AbortController'] as typeof AbortController).prototype, 'signal')
        ?.get as (this: object) => object,
    ),
    Promise,
    TypeError,
    RangeError,
    Uint8Array: NativeUint8Array,
    // biome-ignore lint/security/noGlobalEval: it evaluates the text of a library of ours, inside the isolate.
    evaluate: eval,
    parse: JSON.parse,
    quote: JSON.stringify as (text: string) => string,
    stringify: JSON.stringify,
    isArray: Array.isArray,
    min: Math.min,
    isView,
    freeze: Object.freeze,
    setPrototypeOf: Object.setPrototypeOf,
    isSafeInteger: Number.isSafeInteger,
    prototypeOf: Reflect.getPrototypeOf,
    objectPrototype: Object.prototype,
    describe: Reflect.getOwnPropertyDescriptor,
    defineProperty: Reflect.defineProperty,
    deleteProperty: Reflect.deleteProperty,
    ownKeys: Reflect.ownKeys,
    apply: Reflect.apply,
    construct: Reflect.construct,
    arrayPrototype: Array.prototype,
    iteratorPrototype: Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object,
    iterator: Symbol.iterator as symbol,
    asyncIterator: Symbol.asyncIterator as symbol,
    toStringTag: Symbol.toStringTag as symbol,
    whenSettled: uncurryThis(Promise.prototype.then) as (
      promise: unknown,
      done: (value: unknown) => unknown,
      failed?: (error: unknown) => unknown,
    ) => Promise<unknown>,
    codeAt: uncurryThis(String.prototype.charCodeAt),
    slice: uncurryThis(String.prototype.slice),
    indexOf: uncurryThis(String.prototype.indexOf),
    trim: uncurryThis(String.prototype.trim),
    split: uncurryThis(String.prototype.split as (this: string, separator: string) => string[]),
    lowerCase: uncurryThis(String.prototype.toLowerCase),
    upperCase: uncurryThis(String.prototype.toUpperCase),
    wellFormed: uncurryThis((String.prototype as unknown as { toWellFormed: (this: string) => string }).toWellFormed),
    replaceAll: uncurryThis(String.prototype.replaceAll as (this: string, what: string, by: string) => string),
    fromCharCode: String.fromCharCode,
    sort: uncurryThis(Array.prototype.sort) as <T>(list: T[], compare: (a: T, b: T) => number) => T[],
    functionText: uncurryThis(Function.prototype.toString) as (self: unknown) => string,
    setBytes: uncurryThis(NativeUint8Array.prototype.set) as (self: Uint8Array, from: Uint8Array, at: number) => void,
    lengthOf: bytesGetter<number>('length'),
    bufferOf: bytesGetter<ArrayBufferLike>('buffer'),
    toBase64: uncurryThis(bytesPrototype.toBase64) as (bytes: Uint8Array) => string,
    /** @throws SyntaxError where the text is no base64 */
    fromBase64: (text: string) => fromBase64(NativeUint8Array, text),
    /** An own property, or undefined: what a guest may have planted on Object.prototype is not met. */
    own: (value: unknown, key: string): unknown =>
      typeof value === 'object' && value !== null && hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined,
    /** The text of a URLSearchParams; undefined for anything else. */
    paramsText: (value: unknown): string | undefined => {
      try {
        return typeof value === 'object' && value !== null ? paramsText(value) : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
