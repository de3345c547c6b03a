import type { GuestKernel } from './kernel.ts';

export interface InspectOptions {
  /** How many levels of nested objects are shown; `null` means as many as are ever shown (50). 2 by default. */
  depth?: number | null;
  /** Characters of the whole text, 65,536 by default; what is longer ends with '… (truncated)'. */
  maxLength?: number;
  /** Column at which an object is spread over lines, 80 by default. */
  breakLength?: number;
  /** How many inner levels may share a line, 3 by default; `false` gives every entry a line of its own. */
  compact?: number | boolean;
  /** Items shown of an array, Map, Set or typed array, 100 by default. */
  maxArrayLength?: number | null;
  /** Characters shown of a nested string, 10,000 by default. */
  maxStringLength?: number | null;
  /** Accepted so that options written for Node work; the text never has colours. */
  colors?: boolean;
}

export interface Inspector {
  /** The value as text, as Node's `util.inspect` shows it. Never throws; what cannot be read is '[unprintable]'. */
  readonly inspect: (value: unknown, options?: InspectOptions) => string;
  /** The values as one text, as Node's `util.format` joins them. Never throws. */
  readonly format: (args: ArrayLike<unknown>) => string;
  /** Columns that a text takes on a terminal: wide characters take two, combining ones none. */
  readonly width: (text: string) => number;
}

/** An array without a prototype, so that no setter or getter of the guest's is met when it is read or written. */
interface List<T> {
  length: number;
  [index: number]: T;
}

/** The state of one call of `inspect`. */
interface Run {
  readonly depthMax: number;
  readonly breakLength: number;
  readonly compact: number;
  readonly arrayMax: number;
  readonly stringMax: number;
  /** Characters that may still be produced; below zero everything else is left out and `cut` is set. */
  left: number;
  cut: boolean;
  indent: number;
  deepest: number;
  probes: number;
  readonly seen: List<object>;
  readonly circular: List<object>;
}

/** What the prototype chain says an object is. `native` is the nearest built-in class in it, '' where there is none. */
interface Identity {
  readonly name: string | null;
  readonly tag: string;
  readonly native: string;
}

interface Known {
  readonly name: string;
  readonly tag: string;
  readonly error: boolean;
}

/** How an object is going to be laid out. `whole` is the full text where there is nothing to list. */
interface Outline {
  open: string;
  close: string;
  base: string;
  whole: string | null;
  grouped: boolean;
  numeric: boolean;
  keys: List<PropertyKey>;
  items: ((level: number) => List<string>) | null;
}

/**
 * Node's `util.inspect` and `util.format` for values that may be hostile: getters are never invoked, internal slots are
 * recognised by the built-ins' own brand checks, and depth, breadth and total length are bounded. Guest code runs only
 * where the language leaves no way around it: Proxy traps, and the conversions that %s, %d, %i, %f and %j ask for.
 * Differences from Node 26: the state of a Promise and the items of an iterator cannot be read from inside an isolate,
 * Proxies are not seen through, and `nodejs.util.inspect.custom` is not called.
 */
export function makeInspect(kernel: GuestKernel): Inspector {
  // biome-ignore lint/suspicious/noRedundantUseStrict: the text is evaluated in a script, where strictness is not implied
  'use strict';
  const DEPTH_MAX = 50;
  const CHAIN_MAX = 50;
  const LISTABLE_MAX = 10_000;
  const SCAN_MAX = 10_000;
  const PROBES_MAX = 50;
  const FORMAT_MAX = 2 ** 24;
  const BIGINT_MAX = 1n << 32_768n;
  const TRUNCATED = '… (truncated)';
  const UNPRINTABLE = '[unprintable]';

  const uncurryThis = kernel.uncurryThis;
  const charCodeAt = uncurryThis(String.prototype.charCodeAt);
  const slice = uncurryThis(String.prototype.slice);
  const indexOf = uncurryThis(String.prototype.indexOf);
  const lastIndexOf = uncurryThis(String.prototype.lastIndexOf);
  const repeat = uncurryThis(String.prototype.repeat);
  const numberToString = uncurryThis(Number.prototype.toString);
  const symbolToString = uncurryThis(Symbol.prototype.toString);
  const functionToString = uncurryThis(Function.prototype.toString);
  const builtinTag = uncurryThis(Object.prototype.toString);
  const hasOwn = Object.hasOwn;
  const describe = Object.getOwnPropertyDescriptor;
  const objectKeys = Object.keys;
  const objectSymbols = Object.getOwnPropertySymbols;
  const prototypeOf = Object.getPrototypeOf;
  const is = Object.is;
  const isArray = Array.isArray;
  const isView = ArrayBuffer.isView;
  const stringify = JSON.stringify;
  const toText = String;
  const toNumber = Number;
  const toInteger = Number.parseInt;
  const toFloat = Number.parseFloat;
  const isNotANumber = Number.isNaN;
  const min = Math.min;
  const max = Math.max;
  const floor = Math.floor;
  const round = Math.round;
  const sqrt = Math.sqrt;
  const Bytes = Uint8Array;
  const TAG = Symbol.toStringTag;
  const TO_PRIMITIVE = Symbol.toPrimitive;
  const isErrorBrand = (Error as unknown as { isError?: (value: unknown) => boolean }).isError ?? (() => false);

  const getterOf = (owner: object, key: PropertyKey) =>
    uncurryThis((describe(owner, key) as PropertyDescriptor).get as (this: unknown) => unknown);
  const TypedArrayPrototype = prototypeOf(Uint8Array.prototype) as object;
  const typedTag = getterOf(TypedArrayPrototype, TAG) as (value: unknown) => string | undefined;
  const typedLength = getterOf(TypedArrayPrototype, 'length') as (value: unknown) => number;
  const mapSize = getterOf(Map.prototype, 'size') as (value: unknown) => number;
  const mapEntries = uncurryThis(Map.prototype.entries as (this: unknown) => object);
  const mapNext = uncurryThis(new Map().entries().next as (this: unknown) => IteratorResult<[unknown, unknown]>);
  const mapGet = uncurryThis(Map.prototype.get as (this: unknown, key: unknown) => unknown);
  const setSize = getterOf(Set.prototype, 'size') as (value: unknown) => number;
  const setValues = uncurryThis(Set.prototype.values as (this: unknown) => object);
  const setNext = uncurryThis(new Set().values().next as (this: unknown) => IteratorResult<unknown>);
  const weakMapHas = uncurryThis(WeakMap.prototype.has as (this: unknown, key: unknown) => boolean);
  const weakSetHas = uncurryThis(WeakSet.prototype.has as (this: unknown, key: unknown) => boolean);
  const getTime = uncurryThis(Date.prototype.getTime as (this: unknown) => number);
  const toISOString = uncurryThis(Date.prototype.toISOString as (this: unknown) => string);
  const FunctionPrototype = Function.prototype;
  const RegExpPrototype = RegExp.prototype;
  const regExpSource = getterOf(RegExpPrototype, 'source') as (value: unknown) => string;
  const bufferLength = getterOf(ArrayBuffer.prototype, 'byteLength') as (value: unknown) => number;
  const viewBuffer = getterOf(DataView.prototype, 'buffer');
  const viewLength = getterOf(DataView.prototype, 'byteLength');
  const viewOffset = getterOf(DataView.prototype, 'byteOffset');
  const sharedLength =
    typeof SharedArrayBuffer === 'undefined'
      ? null
      : (getterOf(SharedArrayBuffer.prototype, 'byteLength') as (value: unknown) => number);
  const stackDescriptor = describe(new Error('probe'), 'stack');
  const engineStackGetter = stackDescriptor?.get;

  const list = <T>(): List<T> => ({ __proto__: null, length: 0 }) as unknown as List<T>;
  const push = <T>(target: List<T>, item: T): void => {
    target[target.length] = item;
    target.length += 1;
  };
  const indexIn = (target: List<unknown>, item: unknown): number => {
    for (let i = 0; i < target.length; i++) if (target[i] === item) return i;
    return -1;
  };
  const join = (parts: List<string>, separator: string): string => {
    let text = '';
    for (let i = 0; i < parts.length; i++) text += i === 0 ? parts[i] : separator + parts[i];
    return text;
  };
  const includes = (text: string, part: string): boolean => indexOf(text, part) !== -1;
  const startsWith = (text: string, start: string): boolean => slice(text, 0, start.length) === start;
  const plural = (count: number, noun: string): string => `${count} ${noun}${count > 1 ? 's' : ''}`;

  // Captured while nothing has been tampered with: the class that each built-in prototype belongs to.
  const known = new Map<object, Known>();
  const flagNames = list<string>();
  const flagGetters = list<(value: unknown) => unknown>();
  const learn = (prototype: unknown, name: string): void => {
    if (prototype === null || (typeof prototype !== 'object' && typeof prototype !== 'function')) return;
    const tag = describe(prototype, TAG)?.value;
    const error = prototype === Error.prototype || prototypeOf(prototype) === Error.prototype;
    known.set(prototype, { name, tag: typeof tag === 'string' ? tag : '', error });
  };
  for (const name of [
    ...['Object', 'Function', 'Array', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Promise', 'Date', 'RegExp'],
    ...['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError'],
    ...['ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Number', 'String', 'Boolean', 'BigInt', 'Symbol'],
    ...['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array'],
    ...['BigInt64Array', 'BigUint64Array', 'Float16Array', 'Float32Array', 'Float64Array', 'FinalizationRegistry'],
  ]) {
    const builtin = kernel.global[name];
    if (typeof builtin === 'function') learn(builtin.prototype, name);
  }
  const AsyncPrototype = prototypeOf(async () => undefined) as object;
  const GeneratorPrototype = prototypeOf(function* () {
    yield 0;
  }) as object;
  const AsyncGeneratorPrototype = prototypeOf(async function* () {
    yield 0;
  }) as object;
  learn(AsyncPrototype, 'AsyncFunction');
  learn(GeneratorPrototype, 'GeneratorFunction');
  learn(AsyncGeneratorPrototype, 'AsyncGeneratorFunction');
  for (const [flag, name] of [
    ...[['d', 'hasIndices'] as const, ['g', 'global'] as const, ['i', 'ignoreCase'] as const],
    ...[['m', 'multiline'] as const, ['s', 'dotAll'] as const, ['u', 'unicode'] as const],
    ...[['v', 'unicodeSets'] as const, ['y', 'sticky'] as const],
  ]) {
    push(flagNames, flag);
    push(flagGetters, getterOf(RegExpPrototype, name));
  }

  // Each throws where the value lacks the internal slot. They are tried on what claims, by its prototypes, to be one.
  const brands = {
    __proto__: null,
    Map: mapSize,
    Set: setSize,
    Date: getTime,
    RegExp: (value: unknown) => {
      if (value === RegExpPrototype) throw new TypeError('not a RegExp');
      return regExpSource(value);
    },
    ArrayBuffer: bufferLength,
    SharedArrayBuffer: sharedLength ?? bufferLength,
    WeakMap: (value: unknown) => weakMapHas(value, value),
    WeakSet: (value: unknown) => weakSetHas(value, value),
    Number: uncurryThis(Number.prototype.valueOf as (this: unknown) => unknown),
    String: uncurryThis(String.prototype.valueOf as (this: unknown) => unknown),
    Boolean: uncurryThis(Boolean.prototype.valueOf as (this: unknown) => unknown),
    BigInt: uncurryThis(BigInt.prototype.valueOf as (this: unknown) => unknown),
    Symbol: uncurryThis(Symbol.prototype.valueOf as (this: unknown) => unknown),
  } as unknown as Record<string, ((value: unknown) => unknown) | undefined>;
  const brandNames = objectKeys(brands);
  const hasBrand = (value: object, kind: string): boolean => {
    const check = brands[kind];
    if (check === undefined) return false;
    try {
      check(value);
      return true;
    } catch {
      return false;
    }
  };

  const isWide = (code: number): boolean =>
    code >= 0x1100 &&
    (code <= 0x115f ||
      (code >= 0x2e80 && code <= 0xa4c6 && code !== 0x303f && code !== 0x3248) ||
      (code >= 0xa960 && code <= 0xa97c) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6b) ||
      (code >= 0xff01 && code <= 0xff60) ||
      (code >= 0xffe0 && code <= 0xffe6));
  const isZeroWidth = (code: number): boolean =>
    code <= 0x1f ||
    (code >= 0x7f && code <= 0x9f) ||
    (code >= 0x300 && code <= 0x36f) ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x20d0 && code <= 0x20ff) ||
    (code >= 0xfe00 && code <= 0xfe0f);
  const width = (text: string): number => {
    let columns = 0;
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      // Characters beyond the basic plane are, but for rare scripts, emoji and ideographs: a surrogate is one column each.
      columns += isWide(code) ? 2 : isZeroWidth(code) ? 0 : 1;
    }
    return columns;
  };

  /** The escape of a control character, a quote or a backslash, as Node spells it. */
  const escapeCode = (code: number): string => {
    if (code === 39) return "\\'";
    if (code === 92) return '\\\\';
    if (code === 8) return '\\b';
    if (code === 9) return '\\t';
    if (code === 10) return '\\n';
    if (code === 12) return '\\f';
    if (code === 13) return '\\r';
    if (code > 255) return `\\u${numberToString(code, 16)}`;
    const digits = '0123456789ABCDEF';
    return `\\x${slice(digits, code >> 4, (code >> 4) + 1)}${slice(digits, code & 15, (code & 15) + 1)}`;
  };
  const escapeText = (text: string, quoteCode: number): string => {
    let result = '';
    let last = 0;
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      if (code >= 0xd800 && code <= 0xdfff) {
        const next = code <= 0xdbff && i + 1 < text.length ? charCodeAt(text, i + 1) : 0;
        if (next >= 0xdc00 && next <= 0xdfff) {
          i += 1;
          continue;
        }
      } else if (!(code < 32 || code === 92 || code === quoteCode || (code > 126 && code < 160))) {
        continue;
      }
      result += slice(text, last, i) + escapeCode(code);
      last = i + 1;
    }
    return last === 0 ? text : result + slice(text, last);
  };
  const quote = (text: string): string => {
    if (!includes(text, "'")) return `'${escapeText(text, 39)}'`;
    if (!includes(text, '"')) return `"${escapeText(text, -1)}"`;
    if (!includes(text, '`') && !includes(text, '${')) return `\`${escapeText(text, -1)}\``;
    return `'${escapeText(text, 39)}'`;
  };

  const formatNumber = (value: number): string => (is(value, -0) ? '-0' : `${value}`);
  const formatBigInt = (value: bigint): string =>
    value > BIGINT_MAX || value < -BIGINT_MAX ? '[BigInt of more than 32,768 bits]' : `${value}n`;
  const formatString = (run: Run, value: string): string => {
    let text = value;
    let trailer = '';
    if (text.length > run.stringMax) {
      trailer = `... ${plural(text.length - run.stringMax, 'more character')}`;
      text = slice(text, 0, run.stringMax);
    }
    if (text.length > run.left) {
      text = slice(text, 0, run.left + 1);
      run.cut = true;
    }
    if (text.length <= 16 || text.length <= run.breakLength - run.indent - 4) return quote(text) + trailer;
    const lines = list<string>();
    for (let start = 0; start < text.length; ) {
      const newline = indexOf(text, '\n', start);
      const end = newline === -1 ? text.length : newline + 1;
      push(lines, quote(slice(text, start, end)));
      start = end;
    }
    return join(lines, ` +\n${repeat(' ', run.indent + 2)}`) + trailer;
  };
  const formatPrimitive = (run: Run, value: unknown): string => {
    switch (typeof value) {
      case 'string':
        return formatString(run, value);
      case 'number':
        return formatNumber(value);
      case 'bigint':
        return formatBigInt(value);
      case 'symbol':
        return symbolToString(value);
      default:
        return `${value as undefined}`;
    }
  };

  /** A data property of an object or of its prototypes, without invoking a getter; undefined where there is none. */
  const readData = (value: object, key: PropertyKey): unknown => {
    let holder: object | null = value;
    for (let hops = 0; holder !== null && hops < CHAIN_MAX; hops++) {
      const descriptor = describe(holder, key);
      if (descriptor !== undefined) return hasOwn(descriptor, 'value') ? descriptor.value : undefined;
      holder = prototypeOf(holder) as object | null;
    }
    return undefined;
  };
  const ownName = (fn: object): string => {
    const descriptor = describe(fn, 'name');
    const name: unknown = descriptor !== undefined && hasOwn(descriptor, 'value') ? descriptor.value : '';
    return typeof name === 'string' ? slice(name, 0, 256) : '';
  };
  /** The name of the class whose own `prototype` the holder is, '' where it has no such class. */
  const className = (holder: object): string => {
    const descriptor = describe(holder, 'constructor');
    if (descriptor === undefined || !hasOwn(descriptor, 'value') || typeof descriptor.value !== 'function') return '';
    const prototype = describe(descriptor.value, 'prototype');
    if (prototype === undefined || !hasOwn(prototype, 'value') || prototype.value !== holder) return '';
    return ownName(descriptor.value);
  };
  const ownTag = (holder: object, value: object): string | undefined => {
    const descriptor = describe(holder, TAG);
    if (descriptor === undefined) return undefined;
    // An enumerable tag of the value's own is listed among its properties.
    if (!hasOwn(descriptor, 'value') || (holder === value && descriptor.enumerable === true)) return '';
    return typeof descriptor.value === 'string' ? slice(descriptor.value, 0, 256) : '';
  };
  const identify = (value: object): Identity => {
    let name = '';
    let tag: string | undefined;
    let native = '';
    let holder: object | null = value;
    let hops = 0;
    for (; holder !== null && hops < CHAIN_MAX; hops++) {
      const record = mapGet(known, holder) as Known | undefined;
      if (record === undefined) {
        tag ??= ownTag(holder, value);
        if (name === '' && holder !== value) name = className(holder);
      } else {
        if (record.tag !== '') tag ??= record.tag;
        if (holder !== value) {
          if (name === '') name = record.name;
          native = record.error ? 'Error' : record.name;
          if (native !== 'Function' || typeof value === 'function') break;
        }
      }
      holder = prototypeOf(holder) as object | null;
    }
    if (name !== '') return { name, tag: tag ?? '', native };
    if (holder === null && hops === 1) return { name: null, tag: tag ?? '', native };
    const shallow = holder === null && hops === 2;
    return {
      name: `Object <${shallow ? '[Object: null prototype] {}' : 'Complex prototype'}>`,
      tag: tag ?? '',
      native,
    };
  };

  const kindOf = (run: Run, value: object, identity: Identity): string => {
    if (typeof value === 'function') return 'Function';
    if (typedTag(value) !== undefined) return 'TypedArray';
    if (isView(value)) return 'DataView';
    if (identity.native === 'Error' || isErrorBrand(value)) return 'Error';
    if (identity.native === 'Promise' || hasBrand(value, identity.native)) return identity.native;
    if (identity.native === 'Object') {
      return identity.name === 'Object' && !(TAG in value) && builtinTag(value) === '[object Arguments]'
        ? 'Arguments'
        : 'Object';
    }
    // Nothing says what it is: its prototype was replaced or removed. Failed checks are slow, so they are counted.
    run.probes += 1;
    for (let i = 0; run.probes <= PROBES_MAX && i < brandNames.length; i++) {
      if (hasBrand(value, brandNames[i] as string)) return brandNames[i] as string;
    }
    return 'Object';
  };

  const prefixOf = (identity: Identity, fallback: string, size = ''): string => {
    const { name, tag } = identity;
    if (name === null) {
      return tag !== '' && fallback !== tag
        ? `[${fallback}${size}: null prototype] [${tag}] `
        : `[${fallback}${size}: null prototype] `;
    }
    if (tag === '') return `${name}${size} `;
    const dot = lastIndexOf(tag, '.');
    return name === (dot >= 1 ? slice(tag, dot + 1) : tag) ? `${tag}${size} ` : `${name}${size} [${tag}] `;
  };

  const isIndex = (key: string): boolean => {
    if (key.length === 0 || key.length > 10) return false;
    for (let i = 0; i < key.length; i++) {
      const code = charCodeAt(key, i);
      if (code < 48 || code > 57 || (code === 48 && i === 0 && key.length > 1)) return false;
    }
    return toNumber(key) < 2 ** 32 - 1;
  };
  const pushSymbols = (keys: List<PropertyKey>, value: object): void => {
    const symbols = objectSymbols(value);
    for (let i = 0; i < symbols.length; i++) {
      if (describe(value, symbols[i] as symbol)?.enumerable === true) push(keys, symbols[i] as symbol);
    }
  };
  /** The enumerable own keys, no more of them than could still be printed. */
  const enumerableKeys = (run: Run, value: object): List<PropertyKey> => {
    const keys = list<PropertyKey>();
    const names = objectKeys(value);
    const limit = min(names.length, max(run.left, 0) + 1);
    for (let i = 0; i < limit; i++) push(keys, names[i] as string);
    pushSymbols(keys, value);
    return keys;
  };
  /** The keys that are not indexes. They come last, so a long array is not searched from its start. */
  const extraKeys = (value: object, names: readonly string[]): List<PropertyKey> => {
    const keys = list<PropertyKey>();
    let start = names.length;
    while (start > 0 && !isIndex(names[start - 1] as string)) start -= 1;
    for (let i = start; i < names.length; i++) push(keys, names[i] as string);
    pushSymbols(keys, value);
    return keys;
  };
  /**
   * The keys of an array, or null where listing them would cost more memory than the array: a long one that is not
   * nearly empty. Its extra properties are then not shown.
   */
  const listedNames = (value: object, length: number): readonly string[] | null => {
    if (length > LISTABLE_MAX) {
      for (let sample = 0; sample < 256; sample++) if (hasOwn(value, floor((length * sample) / 256))) return null;
    }
    return objectKeys(value);
  };

  const keyText = (key: PropertyKey): string => {
    if (typeof key === 'symbol') return `[${escapeText(symbolToString(key), 39)}]`;
    const text = `${key}`;
    let plain = text.length > 0;
    for (let i = 0; plain && i < text.length; i++) {
      const code = charCodeAt(text, i);
      const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
      plain = letter || (i > 0 && code >= 48 && code <= 57);
    }
    if (!plain) return quote(text);
    return text === '__proto__' ? "['__proto__']" : text;
  };
  const formatSlot = (run: Run, descriptor: PropertyDescriptor, level: number): string => {
    if (hasOwn(descriptor, 'value')) {
      run.indent += 2;
      const text = formatValue(run, descriptor.value, level);
      run.indent -= 2;
      return text;
    }
    if (descriptor.get === undefined) return descriptor.set === undefined ? 'undefined' : '[Setter]';
    return descriptor.set === undefined ? '[Getter]' : '[Getter/Setter]';
  };
  const formatProperty = (run: Run, value: object, key: PropertyKey, level: number): string => {
    const long = typeof key === 'string' && key.length > run.left;
    if (long) run.cut = true;
    let name = keyText(long ? slice(key, 0, max(run.left, 0)) : key);
    run.left -= name.length + 2;
    try {
      const descriptor = describe(value, key);
      if (descriptor === undefined) return `${name}: undefined`;
      if (descriptor.enumerable === false && typeof key !== 'symbol') name = `[${name}]`;
      return `${name}: ${formatSlot(run, descriptor, level)}`;
    } catch {
      return `${name}: ${UNPRINTABLE}`;
    }
  };

  /** Where the next element is, at or after `index`; `length` where there is none. */
  const nextIndex = (value: object, index: number, length: number, names: readonly string[] | null): number => {
    if (names === null) {
      const end = min(length, index + SCAN_MAX);
      for (let i = index; i < end; i++) if (hasOwn(value, i)) return i;
      return end;
    }
    for (let i = 0; i < names.length && isIndex(names[i] as string); i++) {
      const found = toNumber(names[i] as string);
      if (found > index) return min(found, length);
    }
    return length;
  };
  const arrayItems = (run: Run, outline: Outline, value: object, length: number, names: readonly string[] | null) => {
    return (level: number): List<string> => {
      const output = list<string>();
      outline.numeric = outline.keys.length === 0;
      let index = 0;
      const limit = min(run.arrayMax, length);
      while (index < length && output.length < limit && !exhausted(run)) {
        const descriptor = describe(value, index);
        if (descriptor === undefined) {
          const next = nextIndex(value, index, length, names);
          push(output, `<${plural(next - index, 'empty item')}>`);
          outline.numeric = false;
          index = next;
          continue;
        }
        const type = hasOwn(descriptor, 'value') ? typeof descriptor.value : 'undefined';
        if (type !== 'number' && type !== 'bigint') outline.numeric = false;
        push(output, formatSlot(run, descriptor, level));
        index += 1;
      }
      if (index < length) push(output, `... ${plural(length - index, 'more item')}`);
      return output;
    };
  };
  const exhausted = (run: Run): boolean => {
    if (run.left >= 0) return false;
    run.cut = true;
    return true;
  };
  const collectionItems = (run: Run, value: object, size: number, isMap: boolean) => {
    return (level: number): List<string> => {
      const output = list<string>();
      const iterator = isMap ? mapEntries(value) : setValues(value);
      const limit = min(run.arrayMax, size);
      run.indent += 2;
      for (let i = 0; i < limit && !exhausted(run); i++) {
        const step = isMap ? mapNext(iterator) : setNext(iterator);
        if (step.done === true) break;
        if (isMap) {
          const pair = step.value as [unknown, unknown];
          const key = formatValue(run, pair[0], level);
          push(output, `${key} => ${formatValue(run, pair[1], level)}`);
        } else {
          push(output, formatValue(run, step.value, level));
        }
      }
      run.indent -= 2;
      if (size > limit) push(output, `... ${plural(size - limit, 'more item')}`);
      return output;
    };
  };
  const typedItems = (run: Run, outline: Outline, value: object, length: number) => {
    return (): List<string> => {
      const output = list<string>();
      outline.numeric = outline.keys.length === 0;
      const limit = min(run.arrayMax, length);
      for (let i = 0; i < limit && !exhausted(run); i++) {
        const item = (value as Record<number, number | bigint>)[i];
        const text = typeof item === 'bigint' ? formatBigInt(item) : formatNumber(item as number);
        run.left -= text.length + 2;
        push(output, text);
      }
      if (length > limit) push(output, `... ${plural(length - limit, 'more item')}`);
      return output;
    };
  };
  const bufferItems = (run: Run, value: object, length: number) => {
    return (): List<string> => {
      const output = list<string>();
      let text = '';
      try {
        const bytes = new Bytes(value as ArrayBuffer);
        const limit = min(run.arrayMax, length);
        for (let i = 0; i < limit; i++) {
          const byte = bytes[i] as number;
          text += `${i === 0 ? '' : ' '}${byte < 16 ? '0' : ''}${numberToString(byte, 16)}`;
        }
        if (length > limit) text += ` ... ${plural(length - limit, 'more byte')}`;
        push(output, `[Uint8Contents]: <${text}>`);
      } catch {
        push(output, '(detached)');
      }
      run.left -= text.length;
      push(output, `byteLength: ${length}`);
      return output;
    };
  };
  const viewItems = (run: Run, value: object) => {
    return (level: number): List<string> => {
      const output = list<string>();
      run.indent += 2;
      for (let i = 0; i < 3; i++) {
        const name = i === 0 ? 'byteLength' : i === 1 ? 'byteOffset' : 'buffer';
        try {
          const slot = i === 0 ? viewLength(value) : i === 1 ? viewOffset(value) : viewBuffer(value);
          push(output, `${name}: ${formatValue(run, slot, level)}`);
        } catch {
          push(output, `${name}: (detached)`);
        }
      }
      run.indent -= 2;
      return output;
    };
  };

  const functionBase = (value: object, identity: Identity): string => {
    const { name: kind, tag } = identity;
    const name = ownName(value);
    const prototype = describe(value, 'prototype');
    const sealed = prototype !== undefined && hasOwn(prototype, 'value') && prototype.writable === false;
    if (sealed && slice(functionToString(value as () => void), 0, 5) === 'class') {
      let base = `class ${name === '' ? '(anonymous)' : name}`;
      if (kind !== 'Function' && kind !== null) base += ` [${kind}]`;
      if (tag !== '' && kind !== tag) base += ` [${tag}]`;
      if (kind === null) return `[${base} extends [null prototype]]`;
      const parent = prototypeOf(value) as object | null;
      const parentName = parent === null || parent === FunctionPrototype ? '' : ownName(parent);
      return `[${base}${parentName === '' ? '' : ` extends ${parentName}`}]`;
    }
    const parent = prototypeOf(value) as object | null;
    let type = 'Function';
    if (parent === AsyncPrototype) type = 'AsyncFunction';
    if (parent === GeneratorPrototype) type = 'GeneratorFunction';
    if (parent === AsyncGeneratorPrototype) type = 'AsyncGeneratorFunction';
    let base = `[${type}${kind === null ? ' (null prototype)' : ''}${name === '' ? ' (anonymous)' : `: ${name}`}]`;
    if (kind !== type && kind !== null) base += ` ${kind}`;
    if (tag !== '' && kind !== tag) base += ` [${tag}]`;
    return base;
  };
  const regExpBase = (value: object): string => {
    let text = `/${regExpSource(value)}/`;
    for (let i = 0; i < flagNames.length; i++) if (flagGetters[i]?.(value) === true) text += flagNames[i];
    return text;
  };
  const dateBase = (value: object): string => (isNotANumber(getTime(value)) ? 'Invalid Date' : toISOString(value));
  const boxedBase = (run: Run, value: object, kind: string, identity: Identity): string => {
    let base = `[${kind}`;
    if (identity.name === null) base += ' (null prototype)';
    else if (identity.name !== kind) base += ` (${identity.name})`;
    base += `: ${formatPrimitive(run, (brands[kind] as (value: unknown) => unknown)(value))}]`;
    return identity.tag !== '' && identity.tag !== identity.name ? `${base} [${identity.tag}]` : base;
  };

  /** The stack of an error, from the engine's own accessor or a plain property: no getter of the guest's is invoked. */
  const stackOf = (error: object, name: unknown, message: unknown): string => {
    const descriptor = describe(error, 'stack');
    if (descriptor !== undefined) {
      const own = hasOwn(descriptor, 'value');
      if (own || (engineStackGetter !== undefined && descriptor.get === engineStackGetter)) {
        const stack: unknown = own ? descriptor.value : (error as { stack?: unknown }).stack;
        if (typeof stack === 'string' && stack !== '') return stack;
      }
    }
    const title = typeof name === 'string' ? name : 'Error';
    if (typeof message !== 'string' || message === '') return title;
    return title === '' ? message : `${title}: ${message}`;
  };
  /** Puts the name of the class where the stack says only `Error`. */
  const namedStack = (stack: string, name: string, identity: Identity): string => {
    if (identity.name === null)
      return startsWith(stack, name) ? `[${name}: null prototype]${slice(stack, name.length)}` : stack;
    if (slice(name, -5) !== 'Error' || !startsWith(stack, name)) return stack;
    const after = slice(stack, name.length, name.length + 1);
    if (after !== '' && after !== ':' && after !== '\n') return stack;
    const prefix = slice(prefixOf(identity, 'Error'), 0, -1);
    if (name === prefix) return stack;
    return (includes(prefix, name) ? prefix : `${prefix} [${name}]`) + slice(stack, name.length);
  };
  const errorBase = (run: Run, value: object, identity: Identity, keys: List<PropertyKey>): string => {
    const rawMessage = readData(value, 'message');
    const rawName = readData(value, 'name');
    const limit = max(run.left, 0) + 1;
    const message = typeof rawMessage === 'string' ? slice(rawMessage, 0, limit) : '';
    const name = typeof rawName === 'string' ? slice(rawName, 0, 256) : 'Error';
    let stack = slice(stackOf(value, name, message), 0, limit);
    let kept = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as PropertyKey;
      const shown = key === 'message' ? rawMessage : key === 'name' ? rawName : undefined;
      const redundant =
        key === 'stack' ||
        ((key === 'message' || key === 'name') && (typeof shown !== 'string' || includes(stack, shown)));
      if (!redundant) keys[kept++] = key;
    }
    keys.length = kept;
    if (hasOwn(value, 'cause') && indexIn(keys, 'cause') === -1) push(keys, 'cause');
    if (indexIn(keys, 'errors') === -1) {
      const errors = describe(value, 'errors');
      if (errors !== undefined && hasOwn(errors, 'value') && isArray(errors.value)) push(keys, 'errors');
    }
    stack = namedStack(stack, name, identity);
    const at = message === '' ? -1 : indexOf(stack, message);
    const frames = indexOf(stack, '\n    at', at === -1 ? 0 : at + message.length);
    const own = frames === -1 ? '' : kernel.compute('stack.frames', slice(stack, frames));
    if (own !== null && frames !== -1) stack = slice(stack, 0, frames) + own;
    if (own === '') stack = `[${stack}]`;
    return run.indent === 0 ? stack : indentLines(stack, repeat(' ', run.indent));
  };
  const indentLines = (text: string, indentation: string): string => {
    let result = '';
    let start = 0;
    for (let newline = indexOf(text, '\n'); newline !== -1; newline = indexOf(text, '\n', start)) {
      result += `${slice(text, start, newline + 1)}${indentation}`;
      start = newline + 1;
    }
    return start === 0 ? text : result + slice(text, start);
  };

  const outlineArray = (run: Run, value: object, identity: Identity, outline: Outline): void => {
    const stated: unknown = describe(value, 'length')?.value;
    const length = typeof stated === 'number' && stated > 0 ? stated : 0;
    const names = listedNames(value, length);
    const ordinary = identity.name === 'Array' && identity.tag === '';
    outline.keys = names === null ? list() : extraKeys(value, names);
    outline.open = `${ordinary ? '' : prefixOf(identity, 'Array', `(${length})`)}[`;
    outline.close = ']';
    outline.grouped = true;
    if (length === 0 && outline.keys.length === 0) outline.whole = `${outline.open}]`;
    outline.items = arrayItems(run, outline, value, length, names);
  };
  const outlineTyped = (run: Run, value: object, identity: Identity, outline: Outline): void => {
    const type = typedTag(value) as string;
    const length = typedLength(value);
    outline.keys = length > LISTABLE_MAX ? list() : extraKeys(value, objectKeys(value));
    outline.open = `${prefixOf({ ...identity, tag: type }, type, `(${length})`)}[`;
    outline.close = ']';
    outline.grouped = true;
    if (length === 0 && outline.keys.length === 0) outline.whole = `${outline.open}]`;
    outline.items = typedItems(run, outline, value, length);
  };
  const outlineCollection = (run: Run, value: object, kind: string, identity: Identity, outline: Outline): void => {
    const size = kind === 'Map' ? mapSize(value) : setSize(value);
    outline.open = `${prefixOf(identity, kind, `(${size})`)}{`;
    if (size === 0 && outline.keys.length === 0) outline.whole = `${outline.open}}`;
    outline.items = collectionItems(run, value, size, kind === 'Map');
  };
  const outlineNamed = (run: Run, value: object, kind: string, identity: Identity, outline: Outline): void => {
    outline.open = `${prefixOf(identity, kind)}{`;
    if (kind === 'ArrayBuffer') outline.items = bufferItems(run, value, bufferLength(value));
    else if (kind === 'SharedArrayBuffer')
      outline.items = bufferItems(run, value, (sharedLength ?? bufferLength)(value));
    else if (kind === 'DataView') outline.items = viewItems(run, value);
    else if (kind === 'Promise') {
      if (outline.keys.length === 0) outline.whole = `${outline.open}}`;
    } else {
      outline.items = () => {
        const output = list<string>();
        push(output, '<items unknown>');
        return output;
      };
    }
  };
  /** A value that is told by a text of its own; its properties, if any, follow in braces. */
  const outlineBased = (run: Run, value: object, kind: string, identity: Identity, outline: Outline): void => {
    if (kind === 'Function') outline.base = functionBase(value, identity);
    else if (kind === 'Error') outline.base = errorBase(run, value, identity, outline.keys);
    else if (kind === 'RegExp' || kind === 'Date') {
      const prefix = prefixOf(identity, kind);
      outline.base = (prefix === `${kind} ` ? '' : prefix) + (kind === 'Date' ? dateBase(value) : regExpBase(value));
    } else {
      if (kind === 'String') {
        const length = ((brands.String as (value: unknown) => unknown)(value) as string).length;
        outline.keys = length > LISTABLE_MAX ? list() : extraKeys(value, objectKeys(value));
      }
      outline.base = boxedBase(run, value, kind, identity);
    }
    run.left -= outline.base.length;
    if (outline.keys.length === 0) outline.whole = outline.base;
  };
  const outlineOf = (run: Run, value: object, array: boolean, identity: Identity): Outline => {
    const outline: Outline = {
      open: '{',
      close: '}',
      base: '',
      whole: null,
      grouped: false,
      numeric: false,
      keys: list(),
      items: null,
    };
    const kind = array ? 'Array' : kindOf(run, value, identity);
    if (kind !== 'Array' && kind !== 'TypedArray' && kind !== 'String') outline.keys = enumerableKeys(run, value);
    switch (kind) {
      case 'Array':
        outlineArray(run, value, identity, outline);
        break;
      case 'TypedArray':
        outlineTyped(run, value, identity, outline);
        break;
      case 'Map':
      case 'Set':
        outlineCollection(run, value, kind, identity, outline);
        break;
      case 'ArrayBuffer':
      case 'SharedArrayBuffer':
      case 'DataView':
      case 'Promise':
      case 'WeakMap':
      case 'WeakSet':
        outlineNamed(run, value, kind, identity, outline);
        break;
      case 'Arguments':
        outline.open = '[Arguments] {';
        if (outline.keys.length === 0) outline.whole = '[Arguments] {}';
        break;
      case 'Object': {
        const ordinary = identity.name === 'Object' && identity.tag === '';
        if (!ordinary) outline.open = `${prefixOf(identity, 'Object')}{`;
        if (outline.keys.length === 0) outline.whole = `${outline.open}}`;
        break;
      }
      default:
        outlineBased(run, value, kind, identity, outline);
    }
    return outline;
  };

  /** Node's layout of long arrays in columns; the same list where they would not fit. */
  const groupItems = (run: Run, output: List<string>, numeric: boolean): List<string> => {
    const count = run.arrayMax < output.length ? output.length - 1 : output.length;
    const widths = list<number>();
    let total = 0;
    let widest = 0;
    for (let i = 0; i < count; i++) {
      const columns = width(output[i] as string);
      push(widths, columns);
      total += columns + 2;
      widest = max(widest, columns);
    }
    const cell = widest + 2;
    if (cell * 3 + run.indent >= run.breakLength || (total / cell <= 5 && widest > 6)) return output;
    const biased = max(cell - 3 - sqrt(cell - total / output.length), 1);
    const square = round(sqrt(2.5 * biased * count) / biased);
    const columns = min(min(square, floor((run.breakLength - run.indent) / cell)), min(run.compact * 4, 15));
    if (columns <= 1) return output;
    const rows = list<string>();
    for (let start = 0; start < count; start += columns) {
      const end = min(start + columns, count);
      let row = '';
      for (let i = start; i < end; i++) {
        let columnWidth = 0;
        for (let j = i - start; j < count; j += columns) columnWidth = max(columnWidth, widths[j] as number);
        const text = i < end - 1 ? `${output[i]}, ` : (output[i] as string);
        const padding = repeat(' ', columnWidth - (widths[i] as number));
        if (numeric) row += padding + text;
        else row += i < end - 1 ? text + padding : text;
      }
      push(rows, row);
    }
    if (count < output.length) push(rows, output[count] as string);
    return rows;
  };
  const fitsOnLine = (run: Run, output: List<string>, start: number, base: string): boolean => {
    let total = output.length + start;
    if (total + output.length > run.breakLength) return false;
    for (let i = 0; i < output.length; i++) {
      total += (output[i] as string).length;
      if (total > run.breakLength) return false;
    }
    return base === '' || !includes(base, '\n');
  };
  const layOut = (run: Run, entries: List<string>, outline: Outline, base: string, level: number): string => {
    const before = base === '' ? '' : `${base} `;
    let output = entries;
    if (run.compact >= 1) {
      if (outline.grouped && entries.length > 6) output = groupItems(run, entries, outline.numeric);
      if (run.deepest - level < run.compact && output === entries) {
        const start = output.length + run.indent + outline.open.length + base.length + 10;
        if (fitsOnLine(run, output, start, base)) {
          const line = join(output, ', ');
          if (!includes(line, '\n')) return `${before}${outline.open} ${line} ${outline.close}`;
        }
      }
    }
    const indentation = `\n${repeat(' ', run.indent)}`;
    return `${before}${outline.open}${indentation}  ${join(output, `,${indentation}  `)}${indentation}${outline.close}`;
  };

  const formatObject = (run: Run, value: object, level: number): string => {
    if (indexIn(run.seen, value) !== -1) {
      if (indexIn(run.circular, value) === -1) push(run.circular, value);
      return `[Circular *${indexIn(run.circular, value) + 1}]`;
    }
    let array = false;
    try {
      array = isArray(value);
    } catch {
      return '<Revoked Proxy>';
    }
    const identity = identify(value);
    const outline = outlineOf(run, value, array, identity);
    run.left -= outline.open.length + 3;
    if (outline.whole !== null) return outline.whole;
    if (level > run.depthMax) {
      const title = slice(prefixOf(identity, array ? 'Array' : 'Object'), 0, -1);
      return identity.name === null ? title : `[${title}]`;
    }
    push(run.seen, value);
    run.deepest = level + 1;
    const output = outline.items === null ? list<string>() : outline.items(level + 1);
    for (let i = 0; i < outline.keys.length && !exhausted(run); i++) {
      push(output, formatProperty(run, value, outline.keys[i] as PropertyKey, level + 1));
    }
    run.seen.length -= 1;
    const reference = indexIn(run.circular, value);
    let base = outline.base;
    if (reference !== -1) base = base === '' ? `<ref *${reference + 1}>` : `<ref *${reference + 1}> ${base}`;
    return layOut(run, output, outline, base, level + 1);
  };
  const formatValue = (run: Run, value: unknown, level: number): string => {
    if (exhausted(run)) return '…';
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
      const text = formatPrimitive(run, value);
      run.left -= text.length + 2;
      return text;
    }
    const { indent } = run;
    const depth = run.seen.length;
    try {
      return formatObject(run, value, level);
    } catch {
      run.indent = indent;
      run.seen.length = depth;
      return UNPRINTABLE;
    }
  };

  /** A text of at most `length` characters that does not end in half a surrogate pair. */
  const cutAt = (text: string, length: number): string => {
    const last = length > 0 ? charCodeAt(text, length - 1) : 0;
    return slice(text, 0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
  };
  const option = (options: InspectOptions | undefined, name: keyof InspectOptions, otherwise: number): number => {
    if (options === undefined || options === null || !hasOwn(options, name)) return otherwise;
    const value = options[name];
    if (value === null) return 2 ** 30;
    return typeof value === 'number' && !isNotANumber(value) ? value : otherwise;
  };
  const newRun = (options: InspectOptions | undefined, maxLength: number): Run => {
    const plainest =
      options !== undefined && options !== null && hasOwn(options, 'compact') && options.compact === false;
    return {
      depthMax: min(option(options, 'depth', 2), DEPTH_MAX),
      breakLength: option(options, 'breakLength', 80),
      compact: plainest ? 0 : option(options, 'compact', 3),
      arrayMax: max(0, option(options, 'maxArrayLength', 100)),
      stringMax: max(0, option(options, 'maxStringLength', 10_000)),
      left: maxLength,
      cut: false,
      indent: 0,
      deepest: 0,
      probes: 0,
      seen: list(),
      circular: list(),
    };
  };
  const inspect = (value: unknown, options?: InspectOptions): string => {
    try {
      const maxLength = min(max(0, option(options, 'maxLength', 65_536)), FORMAT_MAX);
      const run = newRun(options, maxLength);
      const text = formatValue(run, value, 0);
      if (text.length > maxLength) return cutAt(text, maxLength) + TRUNCATED;
      return run.cut ? text + TRUNCATED : text;
    } catch {
      return UNPRINTABLE;
    }
  };

  /** Whether %s shows the object's structure: it does unless the guest's code says how it becomes a string. */
  const hasBuiltInText = (value: object): boolean => {
    let holder: object | null = value;
    for (let hops = 0; holder !== null && hops < CHAIN_MAX; hops++) {
      if (mapGet(known, holder) !== undefined) return true;
      if (hasOwn(holder, 'toString') || hasOwn(holder, TO_PRIMITIVE)) return false;
      holder = prototypeOf(holder) as object | null;
    }
    return true;
  };
  const formatText = (value: unknown): string => {
    if (typeof value === 'number') return formatNumber(value);
    if (typeof value === 'bigint') return formatBigInt(value);
    if (typeof value !== 'object' || value === null) return toText(value);
    return hasBuiltInText(value) ? inspect(value, { depth: 0 }) : toText(value);
  };
  const formatJson = (value: unknown): string => {
    try {
      return `${stringify(value)}`;
    } catch (error) {
      const message = isErrorBrand(error) ? readData(error as object, 'message') : '';
      const cyclic = typeof message === 'string' && startsWith(message, 'Converting circular structure to JSON');
      return cyclic ? '[Circular]' : UNPRINTABLE;
    }
  };
  const formatConverted = (value: unknown, convert: (value: never) => number, keepsBigInt: boolean): string => {
    if (typeof value === 'symbol') return 'NaN';
    if (typeof value === 'bigint' && keepsBigInt) return formatBigInt(value);
    return formatNumber(convert(value as never));
  };
  /** What a placeholder becomes; null where the letter is none. */
  const formatPlaceholder = (code: number, value: unknown): string | null => {
    try {
      switch (code) {
        case 115: // s
          return formatText(value);
        case 100: // d
          return formatConverted(value, toNumber, true);
        case 105: // i
          return formatConverted(value, toInteger, true);
        case 102: // f
          return formatConverted(value, toFloat, false);
        case 106: // j
          return formatJson(value);
        case 79: // O
          return inspect(value);
        case 111: // o
          return inspect(value, { depth: 4 });
        case 99: // c
          return '';
        default:
          return null;
      }
    } catch {
      return UNPRINTABLE;
    }
  };
  const capped = (text: string, left: number): string => (text.length > left ? cutAt(text, max(left, 0)) : text);
  const formatAll = (args: ArrayLike<unknown>): string => {
    const first = args.length > 0 ? args[0] : '';
    let text = '';
    let used = 0;
    if (typeof first === 'string') {
      if (args.length < 2) return first;
      let last = 0;
      for (let i = 0; i < first.length - 1; i++) {
        if (charCodeAt(first, i) !== 37) continue;
        i += 1;
        const code = charCodeAt(first, i);
        if (code === 37) {
          text += slice(first, last, i);
          last = i + 1;
          continue;
        }
        if (used + 1 === args.length) continue;
        const replacement = formatPlaceholder(code, args[used + 1]);
        if (replacement === null) continue;
        used += 1;
        text += slice(first, last, i - 1) + capped(replacement, FORMAT_MAX - text.length);
        last = i + 1;
      }
      if (last > 0) {
        used += 1;
        text += slice(first, last);
      }
    }
    for (let i = used; i < args.length && text.length < FORMAT_MAX; i++) {
      const value = args[i];
      if (i > 0) text += ' ';
      text += capped(typeof value === 'string' ? value : inspect(value), FORMAT_MAX - text.length);
    }
    return text;
  };
  const format = (args: ArrayLike<unknown>): string => {
    try {
      const text = formatAll(args);
      return text.length >= FORMAT_MAX ? cutAt(text, FORMAT_MAX) + TRUNCATED : text;
    } catch {
      return UNPRINTABLE;
    }
  };

  return { inspect, format, width };
}
