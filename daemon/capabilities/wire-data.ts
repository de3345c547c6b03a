/** Texts and bytes as they travel between an isolate and the daemon, where everything is JSON. */
import * as v from 'valibot';

export type WireData = { readonly text: string } | { readonly base64: string };

/** Canonical base64: whole groups of four, padded. */
const base64 = v.pipe(
  v.string(),
  v.check((text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)),
);

/** @param what it is, for the message: `the data` */
export function wireData(what: string): v.GenericSchema<unknown, WireData> {
  return v.union(
    [v.strictObject({ text: v.string() }), v.strictObject({ base64 })],
    `${what} must be a string or bytes`,
  );
}

export function bytesOf(data: WireData): Buffer {
  return 'text' in data ? Buffer.from(data.text) : Buffer.from(data.base64, 'base64');
}

/** The size of the bytes, without making them. */
export function byteLengthOf(data: WireData): number {
  return 'text' in data ? Buffer.byteLength(data.text) : Buffer.byteLength(data.base64, 'base64');
}
