/** Which headers guest code may set on a request. Pure. */
import {
  REQUEST_HEADER_BYTES_MAX,
  REQUEST_HEADERS_MAX,
  RESPONSE_HEADER_BYTES_MAX,
  RESPONSE_HEADERS_MAX,
} from './network-limits.ts';

/** Name and value, in order; a name may come more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/**
 * Headers by which the message itself is framed and routed, or by which proxies and servers are told who asks for what.
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'http2-settings',
  'cookie',
  'cookie2',
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  // A server that heeds these does another request than the one that was checked.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-host',
  'x-original-host',
]);
const FORBIDDEN_BEGINNINGS: readonly string[] = ['proxy-', 'sec-', 'x-forwarded-'];

/** RFC 9110, section 5.6.2. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** No control characters, so that no value can end its line (RFC 9110, section 5.5). */
export const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Why the list is too long to be sent; null where it is not. */
export function headerListProblem(headers: HeaderList): string | null {
  return isTooLong(headers, REQUEST_HEADERS_MAX, REQUEST_HEADER_BYTES_MAX)
    ? `there may be at most ${REQUEST_HEADERS_MAX} headers of ${REQUEST_HEADER_BYTES_MAX} bytes in all`
    : null;
}

export function isTooLongResponse(headers: HeaderList): boolean {
  return isTooLong(headers, RESPONSE_HEADERS_MAX, RESPONSE_HEADER_BYTES_MAX);
}

/** Why a header may not be set; null where all may. */
export function forbiddenHeader(headers: HeaderList): string | null {
  const found = headers.map(([name]) => name.toLowerCase()).find(isForbidden);
  return found === undefined ? null : `The header ${found} cannot be set by code in a session.`;
}

function isForbidden(name: string): boolean {
  return FORBIDDEN.has(name) || FORBIDDEN_BEGINNINGS.some((beginning) => name.startsWith(beginning));
}

function isTooLong(headers: HeaderList, countMax: number, bytesMax: number): boolean {
  return (
    headers.length > countMax || headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > bytesMax
  );
}
