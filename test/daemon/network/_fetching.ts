import * as v from 'valibot';
import type { CallContext } from '../../../daemon/capabilities/capability.ts';
import { FetchCapability } from '../../../daemon/capabilities/fetch.ts';
import { Fault } from '../../../daemon/fault.ts';
import { type CredentialSource, Network } from '../../../daemon/network/network.ts';
import type { ConstraintsOf } from '../../../policies/capabilities.ts';
import { allowed, fakeContext } from '../capabilities/_call-context.ts';

export const NO_CREDENTIALS: CredentialSource = { credential: () => null };

export type FetchConstraints = ConstraintsOf<'fetch'>;

/** A grant that reaches every port of 127.0.0.1, and no other address that is not public. */
export const LOOPBACK: FetchConstraints = {
  hosts: ['*:*'],
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
  addresses: ['127.0.0.1'],
  credentials: [],
  requestBytesMax: 1024,
  responseBytesMax: 1024 * 1024,
  timeMsMax: 60_000,
  redirectsMax: 5,
};

export interface Init {
  readonly method?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: { readonly text: string } | { readonly base64: string } | null;
  readonly redirect?: 'follow' | 'manual' | 'error';
}

export interface Opened {
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly redirected: boolean;
  readonly body: null | { readonly base64: string; readonly done: boolean; readonly handle?: string };
}

interface FetcherOptions {
  readonly constraints?: Partial<FetchConstraints>;
  /** Of the name server; the system's where it is not given. */
  readonly nameServer?: string;
  readonly credentials?: CredentialSource;
  readonly context?: CallContext;
}

/** `fetch` as a session has it: what the schema or the policy refuses never reaches the network. */
export class Fetcher {
  readonly context: CallContext;
  readonly #capability: FetchCapability;
  readonly #constraints: FetchConstraints;

  constructor({ constraints, nameServer, credentials = NO_CREDENTIALS, context = fakeContext() }: FetcherOptions = {}) {
    this.context = context;
    this.#constraints = { ...LOOPBACK, ...constraints };
    this.#capability = new FetchCapability(
      new Network({ ...(nameServer === undefined ? {} : { resolve: { servers: [nameServer] } }), credentials }),
    );
  }

  async open(url: string, init: Init = {}): Promise<Opened> {
    return (await this.call([
      'open',
      url,
      { method: 'GET', headers: [], body: null, redirect: 'follow', ...init },
    ])) as Opened;
  }

  async read(handle: string): Promise<{ base64: string; done: boolean }> {
    return (await this.call(['read', handle])) as { base64: string; done: boolean };
  }

  /** The whole body of a response. */
  async text(opened: Opened): Promise<string> {
    return (await this.bytes(opened)).toString();
  }

  async bytes({ body }: Opened): Promise<Buffer> {
    const pieces = [Buffer.from(body?.base64 ?? '', 'base64')];
    for (let done = body === null || body.done; !done; ) {
      const piece = await this.read(body?.handle ?? '');
      pieces.push(Buffer.from(piece.base64, 'base64'));
      done = piece.done;
    }
    return Buffer.concat(pieces);
  }

  async call(input: unknown): Promise<unknown> {
    const parsed = v.safeParse(this.#capability.args, input);
    if (!parsed.success) throw new Fault('INVALID_PARAMS', parsed.issues[0].message);
    const refusal = this.#capability.refuse(parsed.output, this.#constraints);
    if (refusal !== null) throw new Fault('CAPABILITY_DENIED', refusal);
    return this.#capability.invoke(allowed('fetch', parsed.output, this.#constraints), this.context);
  }

  audited(url: string, init: Init = {}): unknown {
    const args = v.parse(this.#capability.args, [
      'open',
      url,
      { method: 'GET', headers: [], body: null, redirect: 'follow', ...init },
    ]);
    return this.#capability.audited(args);
  }
}

/** How a call failed: its code, and its reason where it has one. */
export async function failure(call: Promise<unknown>): Promise<string> {
  const fault = await faultOf(call);
  const reason = fault.details?.['reason'];
  return reason === undefined ? fault.code : `${fault.code} ${String(reason)}`;
}

export async function faultOf(call: Promise<unknown>): Promise<Fault> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('the call did not fail');
}
