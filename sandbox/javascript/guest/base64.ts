import type { DomExceptionConstructor } from './dom-exception.ts';
import type { GuestKernel } from './kernel.ts';

/** Installs `atob` and `btoa` (HTML Standard §8.3, forgiving-base64 of the Infra Standard). */
export function installBase64(kernel: GuestKernel, DOMException: DomExceptionConstructor): void {
  const NativeTypeError = TypeError;
  const { fromCharCode } = String;
  const codeAt = kernel.uncurryThis(String.prototype.charCodeAt);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  // From character code to value: 64 for ASCII whitespace, 65 for `=`, 255 for what is not allowed.
  const values = new Uint8Array(128).fill(255);
  const digits = new Uint8Array(64);
  for (let value = 0; value < 64; value += 1) {
    digits[value] = alphabet.charCodeAt(value);
    values[digits[value] as number] = value;
  }
  for (const space of [9, 10, 12, 13, 32]) values[space] = 64;
  values[61] = 65;

  const functions = {
    btoa(...data: string[]): string {
      if (data.length === 0) throw new NativeTypeError('btoa needs one argument');
      const text = `${data[0]}`;
      const { length } = text;
      const byteAt = (position: number): number => {
        if (position >= length) return 0;
        const code = codeAt(text, position);
        if (code > 255)
          throw new DOMException('The string has characters outside of the Latin1 range', 'InvalidCharacterError');
        return code;
      };
      let out = '';
      for (let position = 0; position < length; position += 3) {
        const bits = (byteAt(position) << 16) | (byteAt(position + 1) << 8) | byteAt(position + 2);
        out += fromCharCode(
          digits[bits >> 18] as number,
          digits[(bits >> 12) & 63] as number,
          position + 1 < length ? (digits[(bits >> 6) & 63] as number) : 61,
          position + 2 < length ? (digits[bits & 63] as number) : 61,
        );
      }
      return out;
    },

    atob(...data: string[]): string {
      if (data.length === 0) throw new NativeTypeError('atob needs one argument');
      const text = `${data[0]}`;
      let out = '';
      let bits = 0;
      let count = 0;
      let padding = 0;
      for (let position = 0; position < text.length; position += 1) {
        const code = codeAt(text, position);
        const value = code < 128 ? (values[code] as number) : 255;
        if (value < 64 && padding === 0) {
          bits = ((bits << 6) | value) & 0xffffff;
          count += 1;
          // Every digit but the first of four completes a byte.
          if (count % 4 !== 1) out += fromCharCode((bits >> (6 - 2 * ((count - 1) % 4))) & 255);
        } else if (value === 65) padding += 1;
        else if (value !== 64) padding = 9;
      }
      // Padding is optional, but where there is any, it completes a group of four.
      if (count % 4 === 1 || padding > 2 || (padding > 0 && (count + padding) % 4 !== 0)) {
        throw new DOMException('The string to be decoded is not correctly encoded.', 'InvalidCharacterError');
      }
      return out;
    },
  };
  for (const name of ['atob', 'btoa'] as const) {
    Object.defineProperty(functions[name], 'length', { value: 1 });
    kernel.define(name, functions[name]);
  }
}
