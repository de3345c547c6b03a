import type { DomExceptionConstructor } from './dom-exception.ts';
import type { GuestKernel } from './kernel.ts';

/** Replaces `Math.random` and installs `crypto` (`getRandomValues`, `randomUUID`) and `Crypto`, all fed by the kernel's generator. */
export function installRandom(kernel: GuestKernel, DOMException: DomExceptionConstructor): void {
  const { random32, uncurryThis } = kernel;
  const NativeTypeError = TypeError;
  const NativeUint8Array = Uint8Array;
  const { defineProperty, create, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const typedArray = getPrototypeOf(NativeUint8Array.prototype) as object;
  const getter = <T>(name: PropertyKey): ((self: unknown) => T) =>
    uncurryThis(getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => T);
  const tagOf = getter<string | undefined>(Symbol.toStringTag);
  const bufferOf = getter<ArrayBuffer>('buffer');
  const offsetOf = getter<number>('byteOffset');
  const byteLengthOf = getter<number>('byteLength');
  const hex = '0123456789abcdef';

  const { random } = {
    // 53 bits, as many as a number in [0, 1) can hold.
    random: () => ((random32() >>> 5) * 67108864 + (random32() >>> 6)) / 9007199254740992,
  };
  defineProperty(kernel.global.Math as object, 'random', {
    value: random,
    writable: true,
    enumerable: false,
    configurable: true,
  });

  const fill = (bytes: Uint8Array, length: number): void => {
    let word = 0;
    for (let position = 0; position < length; position += 1) {
      word = position % 4 === 0 ? random32() : word >>> 8;
      bytes[position] = word & 255;
    }
  };

  class Crypto {
    constructor() {
      throw new NativeTypeError('Illegal constructor');
    }

    getRandomValues(array: unknown): unknown {
      if (this !== crypto) throw new NativeTypeError('Illegal invocation');
      const tag = tagOf(array);
      if (tag === undefined || tag === 'Float16Array' || tag === 'Float32Array' || tag === 'Float64Array') {
        throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
      }
      const length = byteLengthOf(array);
      if (length > 65536) {
        const text = `The requested length (${length} bytes) exceeds the 65,536 bytes that one call may ask for`;
        throw new DOMException(text, 'QuotaExceededError');
      }
      if (length > 0) fill(new NativeUint8Array(bufferOf(array), offsetOf(array), length), length);
      return array;
    }

    randomUUID(): string {
      if (this !== crypto) throw new NativeTypeError('Illegal invocation');
      let uuid = '';
      let word = 0;
      for (let digit = 0; digit < 32; digit += 1) {
        word = digit % 8 === 0 ? random32() : word >>> 4;
        if (digit === 8 || digit === 12 || digit === 16 || digit === 20) uuid += '-';
        // RFC 9562: the version is 4, and the two top bits of the variant are 10.
        uuid += hex[digit === 12 ? 4 : digit === 16 ? (word & 3) | 8 : word & 15];
      }
      return uuid;
    }
  }
  defineProperty(Crypto.prototype, Symbol.toStringTag, { value: 'Crypto', configurable: true });
  const crypto = create(Crypto.prototype) as Crypto;
  kernel.define('Crypto', Crypto);
  kernel.define('crypto', crypto);
}
