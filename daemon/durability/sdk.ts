/**
 * All that is taken from the Resonate SDK, in one place, with the parts of it that its own types hide.
 *
 * I1: nothing here reads the environment; what the SDK would read from it is given explicitly by whoever makes a network.
 */
import { randomUUID } from 'node:crypto';
import { LocalNetwork, type Message, type PromiseRecord, type Request, type Response } from '@resonatehq/sdk';
import type { Resonate } from '@resonatehq/sdk/async';

export type { Message, PromiseRecord, Request, Response };

/** What carries requests to a Resonate server, and its messages back. */
export type Network = NonNullable<NonNullable<ConstructorParameters<typeof Resonate>[0]>['network']>;
export type RequestOf<K extends Request['kind']> = Extract<Request, { kind: K }>;
export type ResponseTo<K extends Request['kind']> = Extract<Response, { kind: K }>;

/** The release that our dependency is pinned to, and the protocol that it speaks. */
export const SDK_VERSION = '0.11.5';
export const PROTOCOL_VERSION = '2026-04-01';

/** The SDK's logger, as it calls it. */
export type SdkLogger = NonNullable<NonNullable<ConstructorParameters<typeof Resonate>[0]>['logger']>;

export function ask<K extends Request['kind']>(
  network: Pick<Network, 'send'>,
  kind: K,
  data: RequestOf<K>['data'],
): Promise<ResponseTo<K>> {
  const request = { kind, head: { corrId: randomUUID(), version: PROTOCOL_VERSION }, data };
  return network.send(request as unknown as RequestOf<K>) as Promise<ResponseTo<K>>;
}

// ---------------------------------------------------------------------------------------------------------------------
// The state machine

export interface MachinePromise extends PromiseRecord {
  readonly callbacks: Set<string>;
  readonly listeners: Set<string>;
}

export interface MachineTask {
  readonly id: string;
  readonly state: 'pending' | 'acquired' | 'suspended' | 'halted' | 'fulfilled';
  readonly version: number;
  readonly resumes: Set<string>;
  readonly pid?: string;
  readonly ttl?: number;
}

export interface MachineTimeout {
  readonly id: string;
  readonly timeout: number;
  /** Of tasks only. 0: it is announced again when nobody has acquired it by then. 1: the lease of who has. */
  readonly type?: 0 | 1;
}

export type MachineChange =
  | { readonly kind: 'promise.set'; readonly promise: { readonly id: string } }
  | { readonly kind: 'task.set'; readonly task: { readonly id: string } }
  | { readonly kind: 'message.send'; readonly address: string; readonly message: Message }
  | { readonly kind: `${'ptimeout' | 'ttimeout' | 'stimeout' | 'schedule'}.${'set' | 'del'}` };

/** The rules of the protocol as the SDK itself has them: a pure function of its state, the time and the request. */
export interface StateMachine {
  promises: Map<string, MachinePromise>;
  readonly tasks: Map<string, MachineTask>;
  pTimeouts: readonly MachineTimeout[];
  tTimeouts: readonly MachineTimeout[];
  setPromise(promise: MachinePromise): MachineChange;
  /** Fulfills the task of a promise that is settled, and takes it out of the callbacks of all promises. */
  triggerFulfilled(id: string): MachineChange[];
  apply(
    nowMs: number,
    request: Request,
  ): {
    readonly response: Pick<Response, 'kind' | 'data'> & { readonly head: { readonly status: number } };
    readonly changes: readonly MachineChange[];
  };
}

/** The SDK does not export its state machine, but its local network holds one; making that starts nothing. */
export function newStateMachine(): StateMachine {
  const { server } = new LocalNetwork() as unknown as {
    readonly server: { readonly constructor: new () => StateMachine };
  };
  return new server.constructor();
}
