import type { GuestBuiltins } from '../builtins.ts';
import type { GuestKernel } from '../kernel.ts';
import type { Body, GuestBodies } from './bodies.ts';
import type { GuestHeaders } from './headers.ts';
import type { GuestStreams } from './streams.ts';

/** What a request is, for the code that sends it. */
export interface RequestParts {
  readonly url: string;
  readonly method: string;
  readonly headers: object;
  readonly redirect: string;
  readonly signal: object | undefined;
  readonly body: Body | null;
  /** The text that the body was made of, if it was one: it need not be decoded to be sent. */
  readonly text: string | undefined;
}

/** What was received. */
export interface ResponseParts {
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  readonly redirected: boolean;
  readonly headers: object;
  readonly body: Body | null;
  readonly type: 'basic' | 'default' | 'error';
}

export interface GuestMessages {
  readonly Request: new (input: unknown, init?: unknown) => object;
  readonly Response: new (body?: unknown, init?: unknown) => object;
  readonly requestParts: (request: object) => RequestParts;
  readonly makeResponse: (parts: ResponseParts) => object;
}

/** `Request` and `Response` (Fetch Standard §5.3 to §5.5), without what only a browser has. */
export function makeMessages(
  kernel: GuestKernel,
  builtins: GuestBuiltins,
  shared: { readonly headers: GuestHeaders; readonly streams: GuestStreams; readonly bodies: GuestBodies },
): GuestMessages {
  const { Promise, TypeError, RangeError, Uint8Array, parse, stringify, own, encoding, defineProperty } = builtins;
  const { lengthOf, bufferOf, wellFormed, upperCase, codeAt, slice, quote, abort } = builtins;
  const { headers: headersModule, streams, bodies } = shared;
  const { Headers } = headersModule;
  const proof = {};
  type Init = Readonly<Record<string, unknown>>;

  /** An options object as the standard reads one: by its members, wherever they are inherited from. */
  const initOf = (init: unknown, what: string): Init => {
    if (init === undefined || init === null) return { __proto__: null } as unknown as Init;
    if (typeof init !== 'object' && typeof init !== 'function')
      throw new TypeError(`The options of ${what} must be an object.`);
    return init as Init;
  };

  interface Extracted {
    readonly body: Body;
    readonly text: string | undefined;
    readonly type: string | null;
  }
  const ofText = (text: string, type: string): Extracted => ({
    body: bodies.ofBytes(encoding.encode(text) as Uint8Array<ArrayBuffer>),
    text,
    type,
  });
  const extract = (content: unknown): Extracted | null => {
    if (content === undefined || content === null) return null;
    if (streams.isStream(content)) {
      if (streams.isLocked(content) || streams.isDisturbed(content))
        throw new TypeError('The stream that was given as a body was read already, or is being read.');
      return { body: bodies.ofStream(content), text: undefined, type: null };
    }
    const bytes = typeof content === 'object' ? encoding.bytesOf(content) : undefined;
    if (bytes !== undefined) return { body: bodies.ofBytes(new Uint8Array(bytes)), text: undefined, type: null };
    const form = builtins.paramsText(content);
    if (form !== undefined) return ofText(form, 'application/x-www-form-urlencoded;charset=UTF-8');
    return ofText(wellFormed(`${content}`), 'text/plain;charset=UTF-8');
  };

  /** Reads a whole body, and settles with what `make` makes of it. */
  const consume = (body: Body | null, make: (bytes: Uint8Array<ArrayBuffer>) => unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const done = (bytes: Uint8Array<ArrayBuffer>): void => {
        try {
          resolve(make(bytes));
        } catch (error) {
          reject(error);
        }
      };
      if (body === null) done(new Uint8Array(0));
      else body.readAll(done, reject);
    });
  const textOf = (bytes: Uint8Array): string => {
    const text = encoding.decode(bytes, lengthOf(bytes));
    return text !== '' && codeAt(text, 0) === 0xfeff ? slice(text, 1) : text;
  };

  const descriptorOf = (target: object, key: PropertyKey): PropertyDescriptor => {
    const descriptor = builtins.setPrototypeOf(builtins.describe(target, key), null) as PropertyDescriptor;
    descriptor.enumerable = false;
    return descriptor;
  };
  /** Puts what requests and responses have in common on a prototype. */
  const addBody = (prototype: object, name: string, bodyOf: (self: object) => Body | null): void => {
    const members = {
      get body(): object | null {
        return bodyOf(this)?.stream() ?? null;
      },
      get bodyUsed(): boolean {
        return bodyOf(this)?.isUsed() ?? false;
      },
      text(): Promise<unknown> {
        return consume(bodyOf(this), textOf);
      },
      json(): Promise<unknown> {
        return consume(bodyOf(this), (bytes) => parse(textOf(bytes)));
      },
      bytes(): Promise<unknown> {
        return consume(bodyOf(this), (bytes) => bytes);
      },
      arrayBuffer(): Promise<unknown> {
        return consume(bodyOf(this), (bytes) => bufferOf(bytes));
      },
    };
    const keys = builtins.ownKeys(members);
    for (let i = 0; i < keys.length; i++)
      defineProperty(prototype, keys[i] as string, descriptorOf(members, keys[i] as string));
    const tag = { __proto__: null, value: name, configurable: true } as PropertyDescriptor;
    defineProperty(prototype, builtins.toStringTag, tag);
  };

  const urlOf = (input: unknown): { readonly href: string; readonly hasCredentials: boolean } => {
    const components = kernel.compute('url.parse', wellFormed(`${input}`), '');
    if (components === null) throw new TypeError('Invalid URL');
    const parsed: unknown = parse(components);
    return {
      href: own(parsed, 'href') as string,
      hasCredentials: own(parsed, 'username') !== '' || own(parsed, 'password') !== '',
    };
  };
  const methodOf = (method: unknown): string => {
    const text = `${method}`;
    const upper = upperCase(text);
    if (upper === 'CONNECT' || upper === 'TRACE' || upper === 'TRACK')
      throw new TypeError(`The method ${upper} is not allowed.`);
    if (!headersModule.isToken(text)) throw new TypeError(`${quote(slice(text, 0, 100))} is no valid method.`);
    const isKnown =
      upper === 'DELETE' ||
      upper === 'GET' ||
      upper === 'HEAD' ||
      upper === 'OPTIONS' ||
      upper === 'POST' ||
      upper === 'PUT';
    return isKnown ? upper : text;
  };
  const redirectOf = (redirect: unknown): string => {
    const text = `${redirect}`;
    if (text === 'follow' || text === 'error' || text === 'manual') return text;
    throw new TypeError("The redirect mode is 'follow', 'error' or 'manual'.");
  };
  const signalOf = (signal: unknown): object | undefined => {
    if (signal === undefined || signal === null) return undefined;
    if (!abort.isSignal(signal)) throw new TypeError('The signal must be an AbortSignal.');
    return signal;
  };
  const buildRequest = (input: unknown, given: unknown): RequestParts => {
    const from = isRequest(input) ? requestParts(input) : undefined;
    let url = from?.url;
    if (url === undefined) {
      const { href, hasCredentials } = urlOf(input);
      if (hasCredentials) throw new TypeError('The URL of a request must not hold a name or a password.');
      url = href;
    }
    const init = initOf(given, 'a request');
    const { body: content, headers: fields, method: named, redirect, signal } = init;
    const method = named === undefined ? (from?.method ?? 'GET') : methodOf(named);
    const headers = new Headers(fields === undefined ? from?.headers : fields);
    const replaced = content !== undefined && content !== null;
    if ((replaced || (from !== undefined && from.body !== null)) && (method === 'GET' || method === 'HEAD'))
      throw new TypeError(`A request with the method ${method} has no body.`);
    const parts = {
      url,
      method,
      headers,
      redirect: redirect === undefined ? (from?.redirect ?? 'follow') : redirectOf(redirect),
      signal: signal === undefined ? from?.signal : signalOf(signal),
    };
    if (!replaced) return { ...parts, body: from?.body?.move() ?? null, text: from?.text };
    const { body, text, type } = extract(content) as Extracted;
    if (type !== null) headersModule.setDefault(headers, 'content-type', type);
    return { ...parts, body, text };
  };

  let isRequest: (value: unknown) => value is object;
  let requestParts: (request: object) => RequestParts;

  class Request {
    #parts: RequestParts;
    #signal: object | undefined;

    static {
      isRequest = (value): value is object => typeof value === 'object' && value !== null && #parts in value;
      requestParts = (request) => (request as Request).#parts;
    }

    constructor(input: unknown, init: unknown = undefined) {
      this.#parts = input === proof ? (init as RequestParts) : buildRequest(input, init);
    }

    get url(): string {
      return this.#parts.url;
    }

    get method(): string {
      return this.#parts.method;
    }

    get headers(): object {
      return this.#parts.headers;
    }

    get redirect(): string {
      return this.#parts.redirect;
    }

    get signal(): object {
      this.#signal ??= this.#parts.signal ?? builtins.signalOf(new builtins.AbortController());
      return this.#signal;
    }

    clone(): Request {
      const { body, headers } = this.#parts;
      return new Request(proof, { ...this.#parts, body: body?.clone() ?? null, headers: new Headers(headers) });
    }
  }
  addBody(Request.prototype, 'Request', (request) => requestParts(request).body);

  const checkStatusText = (text: string): string => {
    for (let i = 0; i < text.length; i++) {
      const code = codeAt(text, i);
      if ((code < 32 && code !== 9) || code === 127 || code > 255)
        throw new TypeError('The status text must be printable Latin-1 text.');
    }
    return text;
  };
  const buildResponse = (content: unknown, given: unknown, json: boolean): ResponseParts => {
    const { headers: fields, status: numbered = 200, statusText = '' } = initOf(given, 'a response');
    const status = +(numbered as number) & 0xffff;
    if (status < 200 || status > 599) throw new RangeError('The status of a response is from 200 to 599.');
    const text = checkStatusText(`${statusText}`);
    const headers = new Headers(fields);
    const extracted = json ? ofText(content as string, 'application/json') : extract(content);
    if (extracted !== null && (status === 204 || status === 205 || status === 304))
      throw new TypeError(`A response with the status ${status} has no body.`);
    const type = extracted?.type ?? null;
    if (type !== null) headersModule.setDefault(headers, 'content-type', type);
    const body = extracted?.body ?? null;
    return { url: '', status, statusText: text, redirected: false, headers, body, type: 'default' };
  };
  const bare = (type: 'default' | 'error', status: number, location: string | null): ResponseParts => {
    const headers = new Headers();
    if (location !== null) headersModule.setDefault(headers, 'location', location);
    headersModule.freeze(headers);
    return { url: '', status, statusText: '', redirected: false, headers, body: null, type };
  };
  let responseParts: (response: object) => ResponseParts;

  class Response {
    #parts: ResponseParts;

    static {
      responseParts = (response) => (response as Response).#parts;
    }

    constructor(content: unknown = undefined, init: unknown = undefined) {
      this.#parts = content === proof ? (init as ResponseParts) : buildResponse(content, init, false);
    }

    static error(): Response {
      return new Response(proof, bare('error', 0, null));
    }

    static json(value: unknown, init: unknown = undefined): Response {
      const text: unknown = stringify(value);
      if (typeof text !== 'string') throw new TypeError('The value has no JSON.');
      return new Response(proof, buildResponse(text, init, true));
    }

    static redirect(url: unknown, status: unknown = 302): Response {
      const { href } = urlOf(url);
      const code = +(status as number) & 0xffff;
      if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308)
        throw new RangeError('The status of a redirect is 301, 302, 303, 307 or 308.');
      return new Response(proof, bare('default', code, href));
    }

    get type(): string {
      return this.#parts.type;
    }

    get url(): string {
      return this.#parts.url;
    }

    get redirected(): boolean {
      return this.#parts.redirected;
    }

    get status(): number {
      return this.#parts.status;
    }

    get ok(): boolean {
      return this.#parts.status >= 200 && this.#parts.status <= 299;
    }

    get statusText(): string {
      return this.#parts.statusText;
    }

    get headers(): object {
      return this.#parts.headers;
    }

    clone(): Response {
      const { body, headers, type } = this.#parts;
      const copy = new Headers(headers);
      if (type !== 'default') headersModule.freeze(copy);
      return new Response(proof, { ...this.#parts, body: body?.clone() ?? null, headers: copy });
    }
  }
  addBody(Response.prototype, 'Response', (response) => responseParts(response).body);

  return { Request, Response, requestParts, makeResponse: (parts) => new Response(proof, parts) };
}
