import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { Deadline } from '../network/deadline.ts';
import { type FetchAnswer, fetchHttp, headerOf, requestProblem } from '../network/http-fetch.ts';
import type { Network } from '../network/network.ts';
import { INLINE_BODY_BYTES_MAX, URL_CHARS_MAX } from '../network/network-limits.ts';
import { HEADER_VALUE, headerListProblem, TOKEN } from '../network/request-headers.ts';
import { ResponseBody } from '../network/response-body.ts';
import { loggedUrl, NOT_A_URL } from '../network/target.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { refuseTooLarge } from './piecewise.ts';
import { byteLengthOf, bytesOf, wireData } from './wire-data.ts';

const HANDLE_KIND = 'fetch-body';
/** Statuses whose responses have no body (https://fetch.spec.whatwg.org/#null-body-status). */
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

const url = v.pipe(
  v.string(NOT_A_URL),
  v.maxLength(URL_CHARS_MAX, `a URL may have at most ${URL_CHARS_MAX} characters`),
  v.check((text) => URL.canParse(text), NOT_A_URL),
);
const header = v.strictTuple([
  v.pipe(v.string(), v.maxLength(256), v.regex(TOKEN, 'the name of a header holds a character that it may not')),
  v.pipe(v.string(), v.regex(HEADER_VALUE, 'the value of a header holds a character that it may not')),
]);
const init = v.pipe(
  v.strictObject({
    method: v.pipe(v.string(), v.regex(/^[A-Z][A-Z-]{0,31}$/, 'a method is a word in upper case')),
    headers: v.pipe(
      v.array(header),
      v.rawCheck(({ dataset, addIssue }) => {
        const message = dataset.typed ? headerListProblem(dataset.value) : null;
        if (message !== null) addIssue({ message });
      }),
    ),
    body: v.nullable(wireData('the body')),
    redirect: v.picklist(['follow', 'manual', 'error'], 'redirect must be "follow", "manual" or "error"'),
  }),
  v.check(({ method, body }) => body === null || (method !== 'GET' && method !== 'HEAD'), 'GET and HEAD have no body'),
);
const handle = v.pipe(v.string(), v.maxLength(64));
const openArgs = v.strictTuple([v.literal('open'), url, init]);
const handleArgs = v.strictTuple([v.picklist(['read', 'cancel']), handle]);

type FetchInit = v.InferOutput<typeof init>;
type FetchArgs = v.InferOutput<typeof openArgs> | v.InferOutput<typeof handleArgs>;
type FetchCall = AllowedCall<'fetch', FetchArgs>;

/** `fetch(url, init)`: an HTTP request; its response is read piece by piece. */
export class FetchCapability extends Capability<'fetch', FetchArgs> {
  override readonly name = 'fetch';
  override readonly summary = 'Makes an HTTP request to a host that the level lists, and answers a standard Response.';
  override readonly signature = `/**
 * As the standard fetch, over http: and https:. Redirects are followed as far as each hop is allowed like a first
 * request. Headers that frame or route the request (Host, Connection, Content-Length, Cookie, X-Forwarded-*, Proxy-*,
 * Sec-* …) cannot be set. A response compressed with gzip, deflate or br is decoded. The time that the level allows
 * runs until the body has been read. Fails with CAPABILITY_DENIED for a host, port, path, method or address that the
 * level does not list, TOO_LARGE beyond its sizes, EFFECT_FAILED with details.reason "unreachable", "tls",
 * "timed-out", "protocol", "redirected" or "too-many-redirects".
 */
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;`;
  override readonly stub =
    'async def fetch(url: str, *, method: str = "GET", headers: dict[str, str] | None = None, ' +
    'body: str | bytes | None = None, redirect: str = "follow") -> Response: ...';
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args: v.GenericSchema<unknown, FetchArgs> = v.lazy((input) =>
    Array.isArray(input) && (input[0] === 'read' || input[0] === 'cancel') ? handleArgs : openArgs,
  );
  readonly #network: Network;

  constructor(network: Network) {
    super();
    this.#network = network;
  }

  override get globals(): readonly string[] {
    return ['fetch', 'Headers', 'Request', 'Response', 'ReadableStream'];
  }

  override continues([operation]: FetchArgs): boolean {
    return operation !== 'open';
  }

  override repeatable(args: FetchArgs): boolean {
    return this.continues(args) || (args[0] === 'open' && (args[2].method === 'GET' || args[2].method === 'HEAD'));
  }

  override refuse(args: FetchArgs, constraints: ConstraintsOf<'fetch'>): string | null {
    return args[0] === 'open' ? requestProblem({ ...args[2], url: args[1] }, constraints) : null;
  }

  override audited(args: FetchArgs): unknown {
    if (args[0] !== 'open') return { operation: args[0] };
    const [operation, url, { method, headers, body, redirect }] = args;
    return {
      operation,
      method,
      url: loggedUrl(url),
      redirect,
      headers: headers.map(([name]) => name.toLowerCase()),
      body: body === null ? null : describeBytes(bytesOf(body)),
    };
  }

  override async invoke({ args, constraints }: FetchCall, context: CallContext): Promise<unknown> {
    switch (args[0]) {
      case 'open':
        return this.#open(args[1], args[2], constraints, context);
      case 'read':
        return read(args[1], context);
      case 'cancel':
        context.handles.close(HANDLE_KIND, args[1]);
        return null;
    }
  }

  async #open(url: string, init: FetchInit, constraints: ConstraintsOf<'fetch'>, context: CallContext) {
    const { headers, method, redirect } = init;
    if (init.body !== null) refuseTooLarge('fetch', byteLengthOf(init.body), constraints.requestBytesMax);
    const request = { url, method, headers, redirect, body: init.body === null ? null : bytesOf(init.body) };
    const deadline = new Deadline(constraints.timeMsMax, context.signal);
    try {
      const answer = await fetchHttp(this.#network, request, constraints, context.redactor, deadline.signal);
      return {
        url: answer.url.href,
        status: answer.status,
        statusText: answer.statusText,
        // Some servers answer with the very headers that they were sent.
        headers: answer.headers.map(([name, value]) => [name, context.redactor.redact(value)]),
        redirected: answer.isRedirected,
        body: await openBody(answer, constraints.responseBytesMax, deadline, context),
      };
    } catch (error) {
      deadline.end();
      throw error;
    }
  }
}

/** What is sent, as a log can show it. */
function describeBytes(bytes: Buffer): { readonly bytes: number; readonly sha256: string } {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function openBody(answer: FetchAnswer, bytesMax: number, deadline: Deadline, { handles }: CallContext) {
  if (answer.method === 'HEAD' || BODILESS.has(answer.status)) {
    answer.body.destroy();
    deadline.end();
    return null;
  }
  const length = Number(headerOf(answer.headers, 'content-length') ?? Number.POSITIVE_INFINITY);
  const encoding = headerOf(answer.headers, 'content-encoding');
  const body = ResponseBody.over({ body: answer.body, encoding, bytesMax, deadline });
  const handle = handles.open(HANDLE_KIND, body, () => body.dispose());
  try {
    const { bytes, done } = await body.begin(INLINE_BODY_BYTES_MAX, length <= INLINE_BODY_BYTES_MAX);
    if (done) handles.close(HANDLE_KIND, handle);
    return { base64: bytes.toString('base64'), done, ...(done ? {} : { handle }) };
  } catch (error) {
    handles.close(HANDLE_KIND, handle);
    throw error;
  }
}

async function read(handle: string, { handles }: CallContext) {
  const body = handles.get<ResponseBody>(HANDLE_KIND, handle);
  if (body === undefined) {
    throw new Fault('INVALID_PARAMS', 'This response is not open: it was read to its end, cancelled, or has failed.');
  }
  try {
    const { bytes, done } = await body.read();
    if (done) handles.close(HANDLE_KIND, handle);
    return { base64: bytes.toString('base64'), done };
  } catch (error) {
    // One read too many at a time says nothing about the one that waits.
    if (!(error instanceof Fault && error.code === 'BUSY')) handles.close(HANDLE_KIND, handle);
    throw error;
  }
}
