import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { piecewise, refuseTooLarge } from './piecewise.ts';
import { byteLengthOf, bytesOf, type WireData, wireData } from './wire-data.ts';

type KeyArg = { secret: string } | { base64: string };
type EncryptArgs = [verb: 'encrypt' | 'decrypt', data: WireData, key: KeyArg];

// AES-256-GCM (NIST SP 800-38D). A sealed text is: version, nonce, ciphertext, tag; the version is authenticated with
// it.
const ALGORITHM = 'aes-256-gcm';
const VERSION = Buffer.of(1);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const SEALED_BYTES_MIN = VERSION.length + NONCE_BYTES + TAG_BYTES;

const KEY_EXPECTED = "the key must be {secret: 'name'} or 32 bytes";
const keyBytes = v.check((text: string) => byteLengthOf({ base64: text }) === KEY_BYTES, KEY_EXPECTED);
const args = v.strictTuple(
  [
    v.picklist(['encrypt', 'decrypt'], 'the first argument must be "encrypt" or "decrypt"'),
    wireData('the data'),
    v.union(
      [
        v.strictObject({ secret: v.pipe(v.string(), v.maxLength(64)) }),
        v.pipe(v.strictObject({ base64: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{43}=$/), keyBytes) })),
      ],
      KEY_EXPECTED,
    ),
  ],
  'there must be data and a key',
);

/**
 * `encrypt(data, key)` and `decrypt(bytes, key)`; the key is 32 bytes, or derived from a named secret that code never
 * sees.
 */
export class EncryptCapability extends Capability<'encrypt', EncryptArgs> {
  override readonly name = 'encrypt';
  override readonly summary = 'Encrypts and decrypts with AES-256-GCM, under a named secret or a key of one’s own.';
  override readonly signature = `/**
 * AES-256-GCM under 32 bytes, or under a key derived from a named secret of the policy.
 * Decrypting fails with EFFECT_FAILED (details.reason 'authentication') under another key or when the bytes were
 * changed; both fail with CAPABILITY_DENIED for a secret that is not granted, TOO_LARGE beyond the level's size.
 */
declare function encrypt(data: string | Uint8Array, key: { secret: string } | Uint8Array): Promise<Uint8Array>;
declare function decrypt(data: Uint8Array, key: { secret: string } | Uint8Array): Promise<Uint8Array>;`;
  override readonly stub =
    `async def encrypt(data: str | bytes, *, secret: str | None = None, key: bytes | None = None) -> bytes: ...
async def decrypt(data: bytes, *, secret: str | None = None, key: bytes | None = None) -> bytes: ...`;
  /** Another nonce each time, and each result opens to the same text. */
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;
  readonly #secrets: Pick<SecretStore, 'secretBytes'>;

  constructor(secrets: Pick<SecretStore, 'secretBytes'>) {
    super();
    this.#secrets = secrets;
  }

  override get globals(): readonly string[] {
    return ['encrypt', 'decrypt'];
  }

  override refuse([verb, , key]: EncryptArgs, { secrets }: ConstraintsOf<'encrypt'>): string | null {
    if (!('secret' in key) || secrets.includes(key.secret)) return null;
    return `${verb}() may not use the secret ${JSON.stringify(key.secret)} in this session.`;
  }

  override audited([verb, data, key]: EncryptArgs): unknown {
    return [verb, { bytes: byteLengthOf(data) }, 'secret' in key ? key : { bytes: KEY_BYTES }];
  }

  override async invoke(call: AllowedCall<'encrypt', EncryptArgs>, { signal }: CallContext): Promise<WireData> {
    const [verb, data, key] = call.args;
    const overhead = verb === 'decrypt' ? SEALED_BYTES_MIN : 0;
    refuseTooLarge(verb, byteLengthOf(data), call.constraints.bytesMax + overhead);
    const rawKey = 'secret' in key ? this.#derived(key.secret) : Buffer.from(key.base64, 'base64');
    const bytes = await (verb === 'encrypt' ? seal : open)(bytesOf(data), rawKey, signal);
    return { base64: bytes.toString('base64') };
  }

  /** HKDF with SHA-256 (RFC 5869): a secret may have any length, and its use here says nothing about its other uses. */
  #derived(name: string): Buffer {
    const secret = this.#secrets.secretBytes(name);
    if (secret === null)
      throw new Fault('EFFECT_FAILED', `The secret ${JSON.stringify(name)} has no value.`, { reason: 'not-found' });
    return Buffer.from(hkdfSync('sha256', secret, '', 'pyrepl3 encrypt 1', KEY_BYTES));
  }
}

async function seal(text: Buffer, key: Buffer, signal: AbortSignal): Promise<Buffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(VERSION);
  const pieces: Buffer[] = [VERSION, nonce];
  await piecewise(text, (piece) => pieces.push(cipher.update(piece)), signal);
  pieces.push(cipher.final(), cipher.getAuthTag());
  return Buffer.concat(pieces);
}

async function open(sealed: Buffer, key: Buffer, signal: AbortSignal): Promise<Buffer> {
  if (sealed.length < SEALED_BYTES_MIN || !sealed.subarray(0, VERSION.length).equals(VERSION)) throw unauthentic();
  const nonceEnd = VERSION.length + NONCE_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(VERSION.length, nonceEnd))
    .setAAD(VERSION)
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  const pieces: Buffer[] = [];
  await piecewise(sealed.subarray(nonceEnd, -TAG_BYTES), (piece) => pieces.push(decipher.update(piece)), signal);
  try {
    decipher.final();
  } catch {
    throw unauthentic();
  }
  return Buffer.concat(pieces);
}

/** One failure for every cause: which one it was would help only somebody who guesses. */
function unauthentic(): Fault {
  const message = 'The data was not encrypted with this key, or was changed since.';
  return new Fault('EFFECT_FAILED', message, { reason: 'authentication' });
}
