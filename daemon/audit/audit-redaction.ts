/** Members and headers whose value is a credential wherever they stand, in lower case. */
const CREDENTIAL_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'password',
  'passwd',
  'passphrase',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'api_key',
  'apikey',
  'api-key',
  'x-api-key',
  'client_secret',
  'private_key',
]);
const NAME_LENGTH_MAX = 32;

export const REDACTED = '[redacted]';

/**
 * The last of several nets: what a capability shows of its arguments should hold no credential in the first place. This one
 * takes out the value of every member, and of every `[name, value]` pair, that is called like one.
 */
export function isCredentialName(name: string): boolean {
  return name.length <= NAME_LENGTH_MAX && CREDENTIAL_NAMES.has(name.toLowerCase());
}

/** Takes user names, passwords and tokens out of the URLs in a text. */
export function withoutUrlCredentials(text: string): string {
  if (!text.includes('://')) return text;
  // Each repetition stops at the characters that its start is made of, so the time is linear in the text.
  return text
    .replaceAll(/:\/\/[^/\s@?#]*@/g, `://${REDACTED}@`)
    .replaceAll(
      /([?&](?:access_token|id_token|token|api_?key|key|secret|password|sig|signature|code)=)[^&#\s"']+/gi,
      `$1${REDACTED}`,
    );
}
