import type { GuestBuiltins } from '../builtins.ts';
import type { CapabilityCalls } from '../capability-calls.ts';

export interface GuestData {
  /** The JSON of a text or of bytes, `{"text":…}` or `{"base64":…}`; undefined for any other value. */
  json(value: unknown): string | undefined;
  /** The same as an argument of a call; `what` names it where it is neither. @throws TypeError */
  argument(value: unknown, what: string): object;
  /** The reverse of `json`. @throws where the answer is neither */
  read(answer: unknown): string | Uint8Array<ArrayBuffer>;
  /** @throws where the answer is no bytes */
  readBytes(answer: unknown): Uint8Array<ArrayBuffer>;
  /** An options object as an argument, in which the member `key` is a text or bytes. @throws TypeError */
  options(value: unknown, key: string, what: string): unknown;
}

/** Text and bytes on their way to the daemon and back. Whatever is passed is read once, and copied by that. */
export function makeData(builtins: GuestBuiltins, calls: CapabilityCalls): GuestData {
  const { TypeError, quote, own, encoding, toBase64, fromBase64, ownKeys, describe, prototypeOf } = builtins;

  function json(value: unknown): string | undefined {
    if (typeof value === 'string') return `{"text":${quote(value)}}`;
    const bytes = typeof value === 'object' && value !== null ? encoding.bytesOf(value) : undefined;
    return bytes === undefined ? undefined : `{"base64":"${toBase64(bytes)}"}`;
  }
  function required(value: unknown, what: string): string {
    const text = json(value);
    if (text !== undefined) return text;
    throw new TypeError(`${what} must be a string, an ArrayBuffer or a view of one.`);
  }
  function readBytes(answer: unknown): Uint8Array<ArrayBuffer> {
    const base64 = own(answer, 'base64');
    if (typeof base64 !== 'string') throw new TypeError('The answer holds no bytes.');
    return fromBase64(base64);
  }

  return {
    json,
    argument: (value, what) => calls.encoded(required(value, what)),
    read(answer) {
      const text = own(answer, 'text');
      return typeof text === 'string' ? text : readBytes(answer);
    },
    readBytes,
    options(value, key, what) {
      if (typeof value !== 'object' || value === null) return value;
      const prototype = prototypeOf(value);
      if (prototype !== null && prototype !== builtins.objectPrototype)
        throw new TypeError(`The options of ${what} must be a plain object.`);
      const keys = ownKeys(value);
      let text = '{';
      for (let i = 0; i < keys.length; i++) {
        const name = keys[i] as string;
        const property = describe(value, name);
        if (typeof name !== 'string' || property === undefined) continue;
        // An accessor has no own `value`, and is refused as what is no data.
        const member = own(property, 'value');
        if (member === undefined && own(property, 'get') === undefined) continue;
        const where = `The option ${name} of ${what}`;
        const memberJson = name === key ? required(member, where) : calls.json(member, where);
        text += `${text === '{' ? '' : ','}${quote(name)}:${memberJson}`;
      }
      return calls.encoded(`${text}}`);
    },
  };
}
