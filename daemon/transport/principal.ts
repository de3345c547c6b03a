import { createHash, randomBytes } from 'node:crypto';

declare const brand: unique symbol;
/** Who owns a session: the SHA-256 of the token that its client presented, in hex. */
export type Principal = string & { readonly [brand]: 'Principal' };

const TOKEN_BYTES = 32;
const TOKEN_PATTERN = /^[\w-]{22,128}$/;

/** A new secret: 32 random bytes as base64url. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * The principal that a token names, or null where it is not a token (22 to 128 characters of base64url, so at least 128
 * bits of a random one). Any well-formed token names a principal: a client keeps its own across restarts of the daemon,
 * which therefore needs no list of them and never holds a token that it could leak.
 */
export function principalOf(token: string): Principal | null {
  return TOKEN_PATTERN.test(token) ? (createHash('sha256').update(token).digest('hex') as Principal) : null;
}
