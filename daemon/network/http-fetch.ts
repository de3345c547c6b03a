/**
 * A request with its redirects, each of which is checked like the first: scheme, host rules, method, addresses.
 *
 * I1: what the policy does not allow as a first request, it does not allow as a redirect.
 * I2: after a redirect to another origin, neither the daemon's credentials nor the guest's own Authorization go along
 * any more, not even on the way back.
 */
import type { Redactor } from '../capabilities/redactor.ts';
import { Fault } from '../fault.ts';
import type { HttpAnswer } from './http-exchange.ts';
import type { Network } from './network.ts';
import { deniedFault, networkFault } from './network-fault.ts';
import { forbiddenHeader, type HeaderList } from './request-headers.ts';
import { NOT_A_URL, parseTarget, type Target, targetProblem } from './target.ts';

export interface FetchRequest {
  readonly url: string;
  /** In upper case. */
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: Buffer | null;
  readonly redirect: 'follow' | 'manual' | 'error';
}

export interface FetchRules {
  readonly hosts: readonly string[];
  readonly methods: readonly string[];
  readonly addresses: readonly string[];
  /** Names of credentials. */
  readonly credentials: readonly string[];
  readonly redirectsMax: number;
}

export interface FetchAnswer extends HttpAnswer {
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  readonly isRedirected: boolean;
  /** The method of the last request. */
  readonly method: string;
}

type CheckedRequest = Pick<FetchRequest, 'url' | 'method' | 'headers'>;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const NOTHING: ReadonlyMap<string, string> = new Map();
const DEFAULT_HEADERS: HeaderList = [
  ['accept', '*/*'],
  ['accept-encoding', 'gzip, br'],
  ['user-agent', 'pyrepl3'],
];

/** Why the policy does not let a request through, as far as that can be told without looking its host up. */
export function requestProblem({ url, method, headers }: CheckedRequest, rules: FetchRules): string | null {
  const target = parseTarget(url);
  return target === null ? NOT_A_URL : (hopProblem(target, method, rules) ?? forbiddenHeader(headers));
}

/** The answer to a request, its body unread. Fails with a Fault, or with the signal's reason. */
export async function fetchHttp(
  network: Network,
  request: FetchRequest,
  rules: FetchRules,
  redactor: Redactor,
  signal: AbortSignal,
): Promise<FetchAnswer> {
  const first = parseTarget(request.url);
  if (first === null) throw new Fault('INVALID_PARAMS', NOT_A_URL);
  // Loaded by the first fetch: it takes longer than most of the daemon, and a restart is waited for. Before there is a socket.
  const { exchange } = await import('./http-exchange.ts');
  let hop: Hop = { ...request, target: first, takesCredentials: true };
  for (let redirects = 0; ; redirects++) {
    const { target, method, body } = hop;
    const problem = hopProblem(target, method, rules);
    if (problem !== null) throw deniedFault('fetch', problem);
    const added = hop.takesCredentials ? network.credentialsFor(target, rules.credentials, redactor) : NOTHING;
    const socket = await network.connect(target, { capability: 'fetch', addresses: rules.addresses }, signal);
    const answer = await exchange(socket, { url: target.url, method, headers: sent(hop.headers, added), body }, signal);
    const location = REDIRECTS.has(answer.status) ? headerOf(answer.headers, 'location') : null;
    if (location === null || request.redirect === 'manual') {
      return { ...answer, url: target.url, isRedirected: redirects > 0, method };
    }
    answer.body.destroy();
    if (request.redirect === 'error') throw networkFault('redirected', 'The server answered with a redirect.');
    if (redirects >= rules.redirectsMax) {
      throw networkFault('too-many-redirects', `The server redirected more than ${rules.redirectsMax} times.`);
    }
    hop = redirectedHop(hop, target, location, answer.status, [...added.keys()]);
  }
}

interface Hop extends Pick<FetchRequest, 'method' | 'headers' | 'body'> {
  readonly target: Target;
  readonly takesCredentials: boolean;
}

function hopProblem(target: Target, method: string, { hosts, methods }: FetchRules): string | null {
  const problem = targetProblem(target, ['http:', 'https:'], hosts);
  if (problem !== null || methods.includes(method)) return problem;
  return `The method ${method} is not allowed in this session; it may use ${methods.join(', ') || 'none'}.`;
}

/** The next request, as https://fetch.spec.whatwg.org/#http-redirect-fetch has it. */
function redirectedHop(hop: Hop, from: Target, location: string, status: number, added: readonly string[]): Hop {
  const target = parseTarget(location, from.url);
  if (target === null) throw networkFault('protocol', 'The server redirected to what is no URL.');
  const isPost = hop.method === 'POST' && (status === 301 || status === 302);
  const becomesGet = isPost || (status === 303 && hop.method !== 'GET' && hop.method !== 'HEAD');
  const takesCredentials = hop.takesCredentials && target.url.origin === from.url.origin;
  const dropped = new Set(takesCredentials ? [] : ['authorization', ...added]);
  const headers = hop.headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !dropped.has(lower) && !(becomesGet && lower.startsWith('content-'));
  });
  return {
    target,
    takesCredentials,
    headers,
    ...(becomesGet ? { method: 'GET', body: null } : { method: hop.method, body: hop.body }),
  };
}

/** The guest's headers with the daemon's in place of those of the same name. */
function sent(headers: HeaderList, added: ReadonlyMap<string, string>): HeaderList {
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  return [
    ...headers.filter(([name]) => !added.has(name.toLowerCase())),
    ...DEFAULT_HEADERS.filter(([name]) => !names.has(name) && !added.has(name)),
    ...added,
  ];
}

export function headerOf(headers: HeaderList, name: string): string | null {
  return headers.find(([each]) => each === name)?.[1] ?? null;
}
