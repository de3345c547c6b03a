import type { GuestKernel } from './kernel.ts';

/** `null`: the value is not JSON. 'too-large': it may be, but its text would exceed the limit. */
export type JsonValue = { json: string } | null | 'too-large';

/** The objects around the one being written, innermost first. */
interface Ancestors {
  readonly value: object;
  readonly depth: number;
  readonly outer: Ancestors | null;
}

/**
 * Writes a value as JSON text where the value IS JSON, so that reading the text back gives an equal value: null, booleans,
 * finite numbers other than -0, strings, arrays and plain objects that have nothing but such elements and properties.
 * `maxBytes` is the most the text may take in UTF-8; a value that is referred to twice counts twice. No guest code runs but
 * the traps of Proxies: `toJSON` is a property like any other.
 */
export function makeJsonValue(kernel: GuestKernel): (value: unknown, maxBytes: number) => JsonValue {
  // biome-ignore lint/suspicious/noRedundantUseStrict: the text is evaluated in a script, where strictness is not implied
  'use strict';
  const DEPTH_MAX = 200;

  const charCodeAt = kernel.uncurryThis(String.prototype.charCodeAt);
  // Of a string, JSON.stringify looks up nothing that a guest could have replaced.
  const quote = JSON.stringify as (text: string) => string;
  const isArray = Array.isArray;
  const prototypeOf = Object.getPrototypeOf;
  const describe = Object.getOwnPropertyDescriptor;
  const hasOwn = Object.hasOwn;
  const ownKeys = Reflect.ownKeys;
  const ArrayPrototype = Array.prototype;
  const ObjectPrototype = Object.prototype;

  const byteLength = (text: string): number => {
    let bytes = text.length;
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      // Both halves of a surrogate pair come by here; together they take four bytes.
      if (code > 0x7f) bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
    }
    return bytes;
  };

  /** The text of a value that is no object; undefined where it has none. */
  const writePrimitive = (value: unknown): string | undefined => {
    switch (typeof value) {
      case 'string':
        return quote(value);
      case 'number':
        return value - value === 0 && (value !== 0 || 1 / value > 0) ? `${value}` : undefined;
      case 'boolean':
        return value ? 'true' : 'false';
      default:
        return value === null ? 'null' : undefined;
    }
  };

  /** Writes one value after another, keeping count of the bytes that are left. */
  const makeWriter = (maxBytes: number) => {
    let left = maxBytes;
    const take = (text: string): string | null => {
      left -= byteLength(text);
      return left < 0 ? null : text;
    };
    const writeArray = (value: object, around: Ancestors): string | null => {
      const stated = describe(value, 'length');
      const length = stated !== undefined && hasOwn(stated, 'value') ? (stated.value as number) : -1;
      let text = '[';
      for (let i = 0; i < length; i++) {
        const element = describe(value, i);
        if (element === undefined || !hasOwn(element, 'value') || element.enumerable !== true) return null;
        if (i > 0) left -= 1;
        const part = write(element.value, around);
        if (part === null) return null;
        text += i > 0 ? `,${part}` : part;
      }
      return length >= 0 && ownKeys(value).length === length + 1 ? `${text}]` : null;
    };
    const writeObject = (value: object, around: Ancestors): string | null => {
      const keys = ownKeys(value);
      let text = '{';
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i] as PropertyKey;
        if (typeof key !== 'string') return null;
        const property = describe(value, key);
        if (property === undefined || !hasOwn(property, 'value') || property.enumerable !== true) return null;
        const name = key.length > left ? null : take(quote(key));
        if (name === null) return tooLarge();
        left -= i > 0 ? 2 : 1;
        const part = write(property.value, around);
        if (part === null) return null;
        text += i > 0 ? `,${name}:${part}` : `${name}:${part}`;
      }
      return `${text}}`;
    };
    const tooLarge = (): null => {
      left = -1;
      return null;
    };
    /** Null where the value is not JSON, and also, with `left` below zero, where it is too large. */
    const write = (value: unknown, around: Ancestors | null): string | null => {
      if (left < 0) return null;
      if (typeof value !== 'object' || value === null) {
        if (typeof value === 'string' && value.length > left) return tooLarge();
        const text = writePrimitive(value);
        return text === undefined ? null : take(text);
      }
      for (let outer = around; outer !== null; outer = outer.outer) if (outer.value === value) return null;
      const depth = around === null ? 1 : around.depth + 1;
      if (depth > DEPTH_MAX) return null;
      left -= 2;
      const array = isArray(value);
      const prototype: unknown = prototypeOf(value);
      if (array ? prototype !== ArrayPrototype : prototype !== ObjectPrototype && prototype !== null) return null;
      const here = { value, depth, outer: around };
      return array ? writeArray(value, here) : writeObject(value, here);
    };
    return {
      write,
      isFull: () => left < 0,
    };
  };

  return (value, maxBytes) => {
    try {
      if (typeof value !== 'object' || value === null) {
        if (typeof value === 'string' && value.length + 2 > maxBytes) return 'too-large';
        const json = writePrimitive(value);
        if (json === undefined) return null;
        return json.length > maxBytes || (json.length * 3 > maxBytes && byteLength(json) > maxBytes)
          ? 'too-large'
          : { json };
      }
      const writer = makeWriter(maxBytes);
      const json = writer.write(value, null);
      if (writer.isFull()) return 'too-large';
      return json === null ? null : { json };
    } catch {
      return null;
    }
  };
}
