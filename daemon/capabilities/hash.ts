import { createHash, createHmac, hash as digestOf } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { piecewise, refuseTooLarge } from './piecewise.ts';
import { byteLengthOf, bytesOf, type WireData, wireData } from './wire-data.ts';

type HashArgs = [algorithm: string, data: WireData, options?: { key?: WireData | undefined } | undefined];

const args = v.strictTuple(
  [
    v.pipe(v.string('the algorithm must be a string'), v.maxLength(32, 'the algorithm must be a short name')),
    wireData('the data'),
    v.optional(v.strictObject({ key: v.optional(wireData('the key')) }, 'the options may hold a key and nothing else')),
  ],
  'there must be an algorithm and data, and perhaps options',
);

const AT_ONCE_BYTES = 64 * 1024;

/** `hash(algorithm, data, {key?})`: a digest, or with a key an HMAC (RFC 2104). */
export class HashCapability extends Capability<'hash', HashArgs> {
  override readonly name = 'hash';
  override readonly summary = 'Computes the digest of a text or bytes; with a key, their HMAC.';
  override readonly signature = `/**
 * The digest in hexadecimal; with a key, the HMAC. A string is hashed as UTF-8.
 * Fails with CAPABILITY_DENIED for an algorithm that the level does not list, TOO_LARGE beyond its size.
 */
declare function hash(
  algorithm: 'sha256' | 'sha384' | 'sha512' | 'sha3-256' | 'blake2b512' | 'sha1' | 'md5',
  data: string | Uint8Array,
  options?: { key?: string | Uint8Array },
): Promise<string>;`;
  override readonly stub =
    'async def hash(algorithm: str, data: str | bytes, *, key: str | bytes | None = None) -> str: ...';
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;

  override refuse([algorithm]: HashArgs, { algorithms }: ConstraintsOf<'hash'>): string | null {
    if (algorithms.includes(algorithm)) return null;
    return `hash() may not use ${JSON.stringify(algorithm)} in this session; it may use ${algorithms.join(', ') || 'none'}.`;
  }

  override audited([algorithm, data, options]: HashArgs): unknown {
    return [algorithm, { bytes: byteLengthOf(data) }, { keyed: options?.key !== undefined }];
  }

  override async invoke(call: AllowedCall<'hash', HashArgs>, { signal }: CallContext): Promise<string> {
    const [algorithm, data, options] = call.args;
    const key = options?.key;
    refuseTooLarge('hash', byteLengthOf(data) + (key ? byteLengthOf(key) : 0), call.constraints.bytesMax);
    // Twice as fast for what is short, and it blocks nobody.
    if (key === undefined && byteLengthOf(data) <= AT_ONCE_BYTES) return digestOf(algorithm, bytesOf(data), 'hex');
    const digest = key ? createHmac(algorithm, bytesOf(key)) : createHash(algorithm);
    await piecewise(bytesOf(data), (piece) => digest.update(piece), signal);
    return digest.digest('hex');
  }
}
