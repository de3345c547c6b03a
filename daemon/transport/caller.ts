import type { CLIENT_METHODS, Role } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import type { ClientRequests } from './client-requests.ts';
import type { EventSink } from './event-queue.ts';
import { newToken, type Principal, principalOf } from './principal.ts';

/**
 * Who is calling, as every handler sees it: one for each connection.
 *
 * I1: the principal changes only by {@link hello}, and never after the connection's first other call; what was created
 * under one principal cannot come to belong to another.
 */
export class Caller {
  readonly connectionId: string;
  readonly role: Role;
  /** Where this connection's events go; `EventQueue.subscribe` takes it. */
  readonly events: EventSink;
  /** Aborted when the connection is over, whichever side ended it. */
  readonly signal: AbortSignal;
  readonly #requests: Pick<ClientRequests, 'invoke'>;
  #token: string;
  #principal: Principal;
  #sealed = false;

  constructor(connectionId: string, role: Role, events: EventSink, requests: Pick<ClientRequests, 'invoke'>) {
    this.connectionId = connectionId;
    this.role = role;
    this.events = events;
    this.signal = events.signal;
    this.#requests = requests;
    this.#token = newToken();
    this.#principal = principalOf(this.#token) as Principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  /**
   * Says who the client is and returns the token that names it. Without a token the connection keeps the principal it was
   * born with. Fails with INVALID_PARAMS where the token is malformed, and with INVALID_REQUEST where another principal is
   * asked for after the first other call.
   */
  hello(token?: string): string {
    if (token === undefined || token === this.#token) return this.#token;
    const principal = principalOf(token);
    if (principal === null) throw new Fault('INVALID_PARAMS', 'daemon.hello: token must be one that daemon.hello gave');
    if (this.#sealed) {
      throw new Fault(
        'INVALID_REQUEST',
        'daemon.hello can name another client only as the first call of a connection; open a new connection for it.',
      );
    }
    this.#token = token;
    this.#principal = principal;
    return token;
  }

  /** Asks the client itself: see {@link ClientRequests.invoke}. */
  ask(method: keyof typeof CLIENT_METHODS, params: object, signal: AbortSignal): Promise<unknown> {
    return this.#requests.invoke(method, params, signal);
  }

  /** From now on the principal is fixed. */
  seal(): void {
    this.#sealed = true;
  }
}
