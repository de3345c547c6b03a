import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { Fault } from '../fault.ts';
import { GuestSocket, type Received } from '../network/guest-socket.ts';
import type { Network } from '../network/network.ts';
import { URL_CHARS_MAX } from '../network/network-limits.ts';
import { TOKEN } from '../network/request-headers.ts';
import { loggedUrl, NOT_A_URL, parseTarget, targetProblem } from '../network/target.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';
import { bytesOf, type WireData, wireData } from './wire-data.ts';

const HANDLE_KIND = 'websocket';
const SCHEMES: readonly string[] = ['ws:', 'wss:'];
const REASON_BYTES_MAX = 123;
/**
 * What a socket that is not there any more ended with, as far as that is still known: no status (RFC 6455, section
 * 7.4.1).
 */
const GONE: Received = { closed: { code: 1005, reason: '' } };

const url = v.pipe(
  v.string(NOT_A_URL),
  v.maxLength(URL_CHARS_MAX, `a URL may have at most ${URL_CHARS_MAX} characters`),
  v.check((text) => URL.canParse(text), NOT_A_URL),
);
const options = v.strictObject({
  protocols: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.maxLength(64), v.regex(TOKEN, 'a protocol is a word without spaces'))),
      v.maxLength(16, 'there may be at most 16 protocols'),
      v.check((protocols) => new Set(protocols).size === protocols.length, 'each protocol may be named once'),
    ),
  ),
});
const handle = v.pipe(v.string(), v.maxLength(64));
const code = v.pipe(
  v.number(),
  v.check(
    (value) => value === 1000 || (Number.isInteger(value) && value >= 3000 && value <= 4999),
    'the code must be 1000, or from 3000 to 4999',
  ),
);
const reason = v.pipe(
  v.string(),
  v.check(
    (text) => Buffer.byteLength(text) <= REASON_BYTES_MAX,
    `the reason may have at most ${REASON_BYTES_MAX} bytes`,
  ),
);
const ARGS = {
  open: v.strictTuple([v.literal('open'), url, v.nullish(options)]),
  send: v.strictTuple([v.literal('send'), handle, wireData('the message')]),
  receive: v.strictTuple([v.literal('receive'), handle]),
  close: v.strictTuple([v.literal('close'), handle, v.nullish(code), v.nullish(reason)]),
} as const;

type Operation = keyof typeof ARGS;
type WebSocketArgs = { [O in Operation]: v.InferOutput<(typeof ARGS)[O]> }[Operation];
type WebSocketCall = AllowedCall<'websocket', WebSocketArgs>;

/** `websocket(url, {protocols?})`: a connection on which both sides send messages. */
export class WebSocketCapability extends Capability<'websocket', WebSocketArgs> {
  override readonly name = 'websocket';
  override readonly summary = 'Opens a WebSocket to a host that the level lists.';
  override readonly signature = `/**
 * Opens a connection over ws: or wss:. \`receive\` answers the next message, or null once the connection is closed;
 * one may wait at a time, and what nobody receives makes the server wait. A connection on which nothing was sent or
 * received for as long as the level allows is closed with 1001. Fails with CAPABILITY_DENIED for a host, port, path
 * or address that the level does not list, TOO_LARGE beyond its sizes, BUSY for more sockets than it allows or a
 * second receive, EFFECT_FAILED with details.reason "unreachable", "tls", "timed-out", "protocol" or "closed".
 */
declare function websocket(url: string | URL, options?: { protocols?: string[] }): Promise<{
  readonly url: string;
  readonly protocol: string;
  readonly closed: { readonly code: number; readonly reason: string } | null;
  send(data: string | Uint8Array): Promise<void>;
  receive(): Promise<string | Uint8Array | null>;
  close(code?: number, reason?: string): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<string | Uint8Array>;
}>;`;
  override readonly stub =
    'async def websocket(url: str, *, protocols: list[str] | None = None) -> WebSocketConnection: ...';
  override readonly idempotent = false;
  override readonly patient = false;
  override readonly args: v.GenericSchema<unknown, WebSocketArgs> = v.lazy((input) => ARGS[operationOf(input)]);
  readonly #network: Network;

  constructor(network: Network) {
    super();
    this.#network = network;
  }

  override continues([operation]: WebSocketArgs): boolean {
    return operation !== 'open';
  }

  override refuse(args: WebSocketArgs, { hosts }: ConstraintsOf<'websocket'>): string | null {
    if (args[0] !== 'open') return null;
    const target = parseTarget(args[1]);
    return target === null ? NOT_A_URL : targetProblem(target, SCHEMES, hosts);
  }

  override audited(args: WebSocketArgs): unknown {
    switch (args[0]) {
      case 'open':
        return { operation: 'open', url: loggedUrl(args[1]), protocols: args[2]?.protocols ?? [] };
      case 'send': {
        const bytes = bytesOf(args[2]);
        return {
          operation: 'send',
          bytes: bytes.length,
          sha256: createHash('sha256').update(bytes).digest('hex'),
        };
      }
      case 'receive':
      case 'close':
        return { operation: args[0] };
    }
  }

  override async invoke({ args, constraints }: WebSocketCall, context: CallContext): Promise<unknown> {
    switch (args[0]) {
      case 'open':
        return this.#open(args[1], args[2]?.protocols ?? [], constraints, context);
      case 'send':
        await send(args[1], args[2], context);
        return null;
      case 'receive':
        return receive(args[1], context);
      case 'close':
        await close(args[1], args[2] ?? 1000, args[3] ?? '', context);
        return null;
    }
  }

  async #open(
    url: string,
    protocols: readonly string[],
    constraints: ConstraintsOf<'websocket'>,
    { handles, redactor, signal }: CallContext,
  ) {
    const target = parseTarget(url);
    if (target === null) throw new Fault('INVALID_PARAMS', NOT_A_URL);
    // It counts from before it is connected, so that many opened at once are not more than one after another.
    const socket = new GuestSocket(constraints, signal);
    const handle = handles.open(HANDLE_KIND, socket, () => socket.dispose());
    try {
      if (handles.count(HANDLE_KIND) > constraints.openMax) {
        throw new Fault('BUSY', `At most ${constraints.openMax} sockets may be open in this session; close some.`);
      }
      const protocol = await socket.open(this.#network, {
        target,
        protocols,
        headers: this.#network.credentialsFor(target, constraints.credentials, redactor),
        connect: { capability: 'websocket', addresses: constraints.addresses },
      });
      return { handle, url: target.url.href, protocol };
    } catch (error) {
      handles.close(HANDLE_KIND, handle);
      throw error;
    }
  }
}

/** What is none of them is reported as a malformed opening. */
function operationOf(input: unknown): Operation {
  const first: unknown = Array.isArray(input) ? input[0] : undefined;
  return first === 'send' || first === 'receive' || first === 'close' ? first : 'open';
}

async function send(handle: string, data: WireData, { handles }: CallContext): Promise<void> {
  const socket = handles.get<GuestSocket>(HANDLE_KIND, handle);
  if (socket === undefined) throw new Fault('EFFECT_FAILED', 'The socket is closed.', { reason: 'closed' });
  await socket.send('text' in data ? data.text : bytesOf(data));
}

async function receive(handle: string, { handles }: CallContext): Promise<Received> {
  const socket = handles.get<GuestSocket>(HANDLE_KIND, handle);
  if (socket === undefined) return GONE;
  try {
    const received = await socket.receive();
    if ('closed' in received) handles.close(HANDLE_KIND, handle);
    return received;
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'BUSY')) handles.close(HANDLE_KIND, handle);
    throw error;
  }
}

async function close(handle: string, code: number, reason: string, { handles }: CallContext): Promise<void> {
  await handles.get<GuestSocket>(HANDLE_KIND, handle)?.close(code, reason);
  handles.close(HANDLE_KIND, handle);
}
