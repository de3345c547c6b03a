import type { GuestKernel } from './kernel.ts';

/** UTF-8 for other guest modules, out of reach of guests. */
export interface GuestEncoding {
  /** Lone surrogates become U+FFFD. */
  readonly encode: (text: string) => Uint8Array;
  /** Decodes the first `length` bytes; ill-formed sequences become U+FFFD, and a byte order mark stays. */
  readonly decode: (bytes: Uint8Array, length: number) => string;
  /** The bytes of a buffer or a view, not copied; undefined for anything else. */
  readonly bytesOf: (value: object) => Uint8Array | undefined;
}

/** Installs `TextEncoder` and `TextDecoder` (Encoding Standard) for UTF-8, UTF-16 and windows-1252 with all their labels. */
export function installEncoding(kernel: GuestKernel): GuestEncoding {
  /** Collects UTF-16 code units. */
  interface Sink {
    readonly add: (unit: number) => void;
    readonly finish: () => string;
  }
  /** What a decoder remembers between the chunks of a stream. */
  interface Decoding {
    readonly fatal: boolean;
    /** UTF-8: the code point so far, how many bytes it still needs, and the range of the next one. */
    point: number;
    needed: number;
    lower: number;
    upper: number;
    /** UTF-16: the first byte of a unit, and a leading surrogate; -1 for none. */
    lead: number;
    surrogate: number;
  }
  type Algorithm = (state: Decoding, bytes: Uint8Array, length: number, last: boolean, sink: Sink) => void;

  const { uncurryThis } = kernel;
  const NativeTypeError = TypeError;
  const NativeRangeError = RangeError;
  const NativeUint8Array = Uint8Array;
  const { isView } = ArrayBuffer;
  const { apply } = Reflect;
  const { fromCharCode } = String;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
  const codeAt = uncurryThis(String.prototype.charCodeAt);
  const slice = uncurryThis(String.prototype.slice);
  const lowerCase = uncurryThis(String.prototype.toLowerCase);
  const getter = <T>(target: object, name: PropertyKey): ((self: unknown) => T) =>
    uncurryThis(getOwnPropertyDescriptor(target, name)?.get as (this: unknown) => T);
  const typedArray = getPrototypeOf(NativeUint8Array.prototype) as object;
  const tagOf = getter<string | undefined>(typedArray, Symbol.toStringTag);
  const arrayBuffer = getter<ArrayBuffer>(typedArray, 'buffer');
  const arrayOffset = getter<number>(typedArray, 'byteOffset');
  const arrayLength = getter<number>(typedArray, 'byteLength');
  const viewBuffer = getter<ArrayBuffer>(DataView.prototype, 'buffer');
  const viewOffset = getter<number>(DataView.prototype, 'byteOffset');
  const viewLength = getter<number>(DataView.prototype, 'byteLength');
  const bufferLength = getter<number>(ArrayBuffer.prototype, 'byteLength');
  const sharedLength =
    typeof SharedArrayBuffer === 'function' ? getter<number>(SharedArrayBuffer.prototype, 'byteLength') : bufferLength;

  /** The code point at `position`, with U+FFFD for a surrogate that has no partner. */
  const pointAt = (text: string, position: number): number => {
    const unit = codeAt(text, position);
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit > 0xdbff || position + 1 >= text.length) return 0xfffd;
    const next = codeAt(text, position + 1);
    return next < 0xdc00 || next > 0xdfff ? 0xfffd : 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
  };

  const sizeOf = (point: number): number => (point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4);

  const encodeInto = (text: string, bytes: Uint8Array, capacity: number): { read: number; written: number } => {
    let written = 0;
    let read = 0;
    while (read < text.length) {
      const point = pointAt(text, read);
      const size = sizeOf(point);
      if (written + size > capacity) break;
      if (size === 1) bytes[written] = point;
      else {
        bytes[written] = (point >> (6 * (size - 1))) | (size === 2 ? 0xc0 : size === 3 ? 0xe0 : 0xf0);
        for (let rest = size - 2; rest >= 0; rest -= 1)
          bytes[written + size - 1 - rest] = ((point >> (6 * rest)) & 63) | 0x80;
      }
      written += size;
      read += size === 4 ? 2 : 1;
    }
    return { read, written };
  };

  const encode = (text: string): Uint8Array => {
    let size = 0;
    for (let position = 0; position < text.length; ) {
      const pointSize = sizeOf(pointAt(text, position));
      size += pointSize;
      position += pointSize === 4 ? 2 : 1;
    }
    const bytes = new NativeUint8Array(size);
    encodeInto(text, bytes, size);
    return bytes;
  };

  const makeSink = (): Sink => {
    // Without a prototype there is no setter that an assignment past the end could run into.
    const units = setPrototypeOf([], null) as number[];
    let count = 0;
    let text = '';
    const flush = (): void => {
      if (units.length !== count) units.length = count;
      text += apply(fromCharCode, undefined, units);
      count = 0;
    };
    return {
      add(unit) {
        units[count] = unit;
        count += 1;
        if (count === 4096) flush();
      },
      finish() {
        if (count > 0) flush();
        return text;
      },
    };
  };

  const addPoint = (sink: Sink, point: number): void => {
    if (point < 0x10000) sink.add(point);
    else {
      sink.add(0xd800 + ((point - 0x10000) >> 10));
      sink.add(0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  };

  const illFormed = (state: Decoding, sink: Sink): void => {
    if (!state.fatal) {
      sink.add(0xfffd);
      return;
    }
    const error = new NativeTypeError('The encoded data was not valid');
    defineProperty(error, 'code', {
      __proto__: null,
      value: 'ERR_ENCODING_INVALID_ENCODED_DATA',
      writable: true,
      configurable: true,
    } as PropertyDescriptor);
    throw error;
  };

  /** The first byte of a sequence: how many follow, and which second bytes would make it overlong, a surrogate or too large. */
  const startUtf8 = (state: Decoding, byte: number, sink: Sink): void => {
    if (byte < 0xc2 || byte > 0xf4) {
      illFormed(state, sink);
      return;
    }
    state.needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    state.point = byte & (byte < 0xe0 ? 0x1f : byte < 0xf0 ? 0xf : 7);
    if (byte === 0xe0) state.lower = 0xa0;
    if (byte === 0xed) state.upper = 0x9f;
    if (byte === 0xf0) state.lower = 0x90;
    if (byte === 0xf4) state.upper = 0x8f;
  };

  const decodeUtf8: Algorithm = (state, bytes, length, last, sink) => {
    for (let position = 0; position < length; position += 1) {
      const byte = bytes[position] as number;
      if (state.needed === 0) {
        if (byte < 0x80) sink.add(byte);
        else startUtf8(state, byte, sink);
        continue;
      }
      const fits = byte >= state.lower && byte <= state.upper;
      state.lower = 0x80;
      state.upper = 0xbf;
      if (fits) {
        state.point = (state.point << 6) | (byte & 63);
        state.needed -= 1;
        if (state.needed === 0) addPoint(sink, state.point);
      } else {
        // The sequence so far is one replacement; this byte is looked at again, as a first one.
        state.needed = 0;
        illFormed(state, sink);
        position -= 1;
      }
    }
    if (last && state.needed > 0) illFormed(state, sink);
  };

  const makeUtf16 =
    (bigEndian: boolean): Algorithm =>
    (state, bytes, length, last, sink) => {
      for (let position = 0; position < length; position += 1) {
        const byte = bytes[position] as number;
        if (state.lead < 0) {
          state.lead = byte;
          continue;
        }
        const unit = bigEndian ? (state.lead << 8) | byte : (byte << 8) | state.lead;
        state.lead = -1;
        const trailing = unit >= 0xdc00 && unit <= 0xdfff;
        if (state.surrogate >= 0) {
          if (trailing) sink.add(state.surrogate);
          else illFormed(state, sink);
          if (trailing) sink.add(unit);
          state.surrogate = -1;
          if (trailing) continue;
        }
        if (trailing) illFormed(state, sink);
        else if (unit >= 0xd800 && unit <= 0xdbff) state.surrogate = unit;
        else sink.add(unit);
      }
      if (last && (state.lead >= 0 || state.surrogate >= 0)) illFormed(state, sink);
    };

  const decodeWindows1252: Algorithm = (_state, bytes, length, _last, sink) => {
    const high =
      '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
      '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';
    for (let position = 0; position < length; position += 1) {
      const byte = bytes[position] as number;
      sink.add(byte >= 0x80 && byte < 0xa0 ? codeAt(high, byte - 0x80) : byte);
    }
  };

  const algorithms = {
    __proto__: null,
    'utf-8': decodeUtf8,
    'utf-16le': makeUtf16(false),
    'utf-16be': makeUtf16(true),
    'windows-1252': decodeWindows1252,
  } as unknown as Record<string, Algorithm>;
  const labels = {
    'utf-8': 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8',
    'utf-16le': 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le',
    'utf-16be': 'unicodefffe utf-16be',
    'windows-1252':
      'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 ' +
      'iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252',
  };
  const encodings = { __proto__: null } as unknown as Record<string, string>;
  for (const encoding of Object.keys(labels) as (keyof typeof labels)[]) {
    for (const label of labels[encoding].split(' ')) encodings[label] = encoding;
  }

  const fresh = (fatal: boolean): Decoding => ({
    fatal,
    point: 0,
    needed: 0,
    lower: 0x80,
    upper: 0xbf,
    lead: -1,
    surrogate: -1,
  });

  const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 10 || code === 12 || code === 13;

  const encodingOf = (label: string): string => {
    let start = 0;
    let end = label.length;
    while (start < end && isSpace(codeAt(label, start))) start += 1;
    while (end > start && isSpace(codeAt(label, end - 1))) end -= 1;
    const encoding = encodings[lowerCase(slice(label, start, end))];
    if (encoding === undefined) throw new NativeRangeError(`The "${label}" encoding is not supported`);
    return encoding;
  };

  const attempt = (read: (self: unknown) => number, self: unknown): number | undefined => {
    try {
      return read(self);
    } catch {
      return undefined;
    }
  };

  /** The bytes of a buffer or a view, not copied; empty for those that are detached or out of bounds. */
  const bytesOf = (input: unknown): { bytes: Uint8Array; length: number } => {
    let buffer = input as ArrayBuffer;
    let offset = 0;
    let length: number | undefined;
    if (isView(input)) {
      const typed = tagOf(input) !== undefined;
      buffer = typed ? arrayBuffer(input) : viewBuffer(input);
      length = attempt(typed ? arrayLength : viewLength, input) ?? 0;
      if (length > 0) offset = typed ? arrayOffset(input) : viewOffset(input);
    } else length = attempt(bufferLength, input) ?? attempt(sharedLength, input);
    if (length === undefined) throw new NativeTypeError('The input to decode must be an ArrayBuffer or a view of one');
    return { bytes: length === 0 ? new NativeUint8Array(0) : new NativeUint8Array(buffer, offset, length), length };
  };

  class TextEncoder {
    get encoding(): string {
      return 'utf-8';
    }

    encode(input: unknown = ''): Uint8Array {
      return encode(`${input}`);
    }

    encodeInto(source: unknown, destination: Uint8Array): { read: number; written: number } {
      const text = `${source}`;
      if (tagOf(destination) !== 'Uint8Array') throw new NativeTypeError('The destination must be a Uint8Array');
      return encodeInto(text, destination, arrayLength(destination));
    }
  }

  class TextDecoder {
    #encoding: string;
    #ignoreBom: boolean;
    #state: Decoding;
    /** The previous call was told that more would follow. */
    #streaming = false;
    /** The first character of the stream has been seen. */
    #started = false;

    constructor(label: unknown = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } | null = null) {
      this.#encoding = encodingOf(`${label}`);
      this.#state = fresh(!!options?.fatal);
      this.#ignoreBom = !!options?.ignoreBOM;
    }

    get encoding(): string {
      return this.#encoding;
    }

    get fatal(): boolean {
      return this.#state.fatal;
    }

    get ignoreBOM(): boolean {
      return this.#ignoreBom;
    }

    decode(input: unknown = undefined, options: { stream?: boolean } | null = null): string {
      const stream = !!options?.stream;
      const { bytes, length } = input === undefined ? { bytes: new NativeUint8Array(0), length: 0 } : bytesOf(input);
      if (!this.#streaming) {
        this.#state = fresh(this.#state.fatal);
        this.#started = false;
      }
      this.#streaming = stream;
      const sink = makeSink();
      (algorithms[this.#encoding] as Algorithm)(this.#state, bytes, length, !stream, sink);
      const text = sink.finish();
      if (this.#started || text.length === 0) return text;
      this.#started = true;
      const mark = !this.#ignoreBom && this.#encoding !== 'windows-1252' && codeAt(text, 0) === 0xfeff;
      return mark ? slice(text, 1) : text;
    }
  }

  defineProperty(TextEncoder.prototype, Symbol.toStringTag, { value: 'TextEncoder', configurable: true });
  defineProperty(TextDecoder.prototype, Symbol.toStringTag, { value: 'TextDecoder', configurable: true });
  kernel.define('TextEncoder', TextEncoder);
  kernel.define('TextDecoder', TextDecoder);
  return {
    encode,
    decode(bytes, length) {
      const sink = makeSink();
      decodeUtf8(fresh(false), bytes, length, true, sink);
      return sink.finish();
    },
    bytesOf(value) {
      try {
        return bytesOf(value).bytes;
      } catch {
        return undefined;
      }
    },
  };
}
