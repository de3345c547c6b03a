/**
 * Where a request goes: one WHATWG parse, whose result is what is checked, what is connected to and what is sent. Pure.
 */
import { hostRuleAllows } from '../../policies/host-rule.ts';
import { unreachableByPolicy } from './network-fault.ts';

export interface Target {
  readonly url: URL;
  /** As it is looked up and compared: lower case, without brackets or a trailing dot. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'ws:': 80, 'wss:': 443 };

export const NOT_A_URL = 'what is to be reached must be a whole URL, such as https://example.com/';

/**
 * The parts of a URL; null for what is none.
 *
 * @param base what a relative one is relative to
 */
export function parseTarget(text: string, base?: URL): Target | null {
  const url = URL.parse(text, base);
  if (url === null) return null;
  // A name with its trailing dot is the same name; servers and certificates know it without.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  url.hash = '';
  return {
    url,
    host: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
    port: url.port === '' ? (PORTS[url.protocol] ?? 0) : Number(url.port),
    isSecure: url.protocol === 'https:' || url.protocol === 'wss:',
  };
}

/** Why the policy does not let a request go to a URL, as far as that can be told without looking its host up. */
export function targetProblem(
  { url, host, port }: Target,
  schemes: readonly string[],
  hosts: readonly string[],
): string | null {
  if (!schemes.includes(url.protocol)) return `Only URLs whose scheme is ${schemes.join(' or ')} can be reached.`;
  if (url.username !== '' || url.password !== '') {
    return 'A user name or password in a URL is not sent; use a header of the request.';
  }
  return hosts.some((rule) => hostRuleAllows(rule, { host: url.hostname, port, path: url.pathname }))
    ? null
    : unreachableByPolicy(host, port);
}

/** A URL as logs show it: whole, but for a user name and password. */
export function loggedUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) return text;
  url.username = '';
  url.password = '';
  return url.href;
}
