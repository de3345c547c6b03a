/**
 * The Ed25519 key that signs the heads of the log. The private half is in a file that only the daemon's user can read, outside
 * every root that a policy can name; the public half is beside it, for whoever verifies.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { lstatSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../fault.ts';
import { replaceFileSync } from './replace-file.ts';

const PRIVATE_KEY_FILE = 'signing-key.pem';
export const PUBLIC_KEY_FILE = 'public-key.pem';
const KEY_ID_LENGTH = 16;

export interface SigningKey {
  readonly keyId: string;
  readonly publicKey: KeyObject;
  /** Whether this start made it, and the key there was before. */
  readonly made: { readonly previousKeyId: string | null } | null;
  sign(statement: string): string;
}

/** The key of the folder, made where there is none. Fails with UNAVAILABLE. */
export function openSigningKey(folder: string): SigningKey {
  const privateFile = join(folder, PRIVATE_KEY_FILE);
  const publicFile = join(folder, PUBLIC_KEY_FILE);
  const previous = readPublicKey(publicFile);
  let privateKey = readPrivateKey(privateFile);
  const made = privateKey === null;
  if (privateKey === null) {
    privateKey = generateKeyPairSync('ed25519').privateKey;
    replaceFileSync(privateFile, String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  }
  const publicKey = createPublicKey(privateKey);
  const keyId = keyIdOf(publicKey);
  const previousKeyId = previous === null ? null : keyIdOf(previous);
  if (previousKeyId !== keyId) {
    // Whoever verifies what the other key signed still needs it.
    if (previousKeyId !== null) renameSync(publicFile, join(folder, `public-key-${previousKeyId}.pem`));
    replaceFileSync(publicFile, String(publicKey.export({ type: 'spki', format: 'pem' })));
  }
  const key = privateKey;
  return {
    keyId,
    publicKey,
    made: made ? { previousKeyId } : null,
    sign: (statement) => sign(null, Buffer.from(statement), key).toString('hex'),
  };
}

/** Which key it is: the first half of the SHA-256 of its DER form, in hexadecimal. */
export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, KEY_ID_LENGTH);
}

/** Whether the signature, in hexadecimal, is the key's over the statement. */
export function isSignedBy(publicKey: KeyObject, statement: string, signature: string): boolean {
  // One signature has one spelling: hexadecimal has no spare bits, as the end of base64 has.
  return (
    /^[0-9a-f]{128}$/.test(signature) && verify(null, Buffer.from(statement), publicKey, Buffer.from(signature, 'hex'))
  );
}

/** The key in a PEM file, or null where it is none of ours. */
export function parsePublicKey(pem: string): KeyObject | null {
  try {
    const key = createPublicKey(pem);
    // A private key would be read as well, and nobody who verifies should hold one.
    return key.asymmetricKeyType === 'ed25519' && pem.includes('PUBLIC KEY') ? key : null;
  } catch {
    return null;
  }
}

function readPublicKey(file: string): KeyObject | null {
  return lstatSync(file, { throwIfNoEntry: false })?.isFile() ? parsePublicKey(readFileSync(file, 'utf8')) : null;
}

function readPrivateKey(file: string): KeyObject | null {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  if (!stats.isFile() || stats.uid !== process.getuid?.() || (stats.mode & 0o077) !== 0) {
    throw new Fault('UNAVAILABLE', `${file} must be a plain file that only the daemon's user can read: chmod 600 it.`);
  }
  try {
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below.
  }
  throw new Fault(
    'UNAVAILABLE',
    `${file} is not an Ed25519 key. Put the right one back, or move it away: then a new one is made, and the log says so.`,
  );
}
