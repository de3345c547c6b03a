/** A client that provides functions for its sessions, and answers their calls as a test says. */
import type { Params } from '../../client/protocol.ts';
import type { DaemonRequest, RawClient } from '../harness/daemon-process.ts';

export type Answerer = (request: DaemonRequest, client: RawClient) => void;

/** The calls that have arrived, for as long as the connection lives. */
export class ClientFunctions {
  readonly calls: DaemonRequest[] = [];
  readonly #answerers = new Map<string, Answerer>();
  readonly #client: RawClient;
  #arrived: () => void = () => undefined;

  constructor(client: RawClient) {
    this.#client = client;
    client.onRequest = (request) => {
      this.calls.push(request);
      this.#answerers.get(String(request.params['name']))?.(request, client);
      this.#arrived();
    };
  }

  /** Provides a function for the session; it takes any arguments unless `offer` says otherwise. */
  async provide(
    sessionId: string,
    name: string,
    answer: Answerer,
    offer: Partial<Params<'capability.provide'>> = {},
  ): Promise<void> {
    this.#answerers.set(name, answer);
    await this.#client.call('capability.provide', {
      ...{ sessionId, name, summary: `What ${name} does.`, parameters: true },
      ...offer,
    });
  }

  /** The first call of that name, arrived or yet to. */
  async call(name: string): Promise<DaemonRequest> {
    for (;;) {
      const found = this.calls.find(({ params }) => params['name'] === name);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}

/** Answers with the result of a function of the arguments. */
export function answering(compute: (...args: never[]) => unknown): Answerer {
  return ({ id, params }, client) => client.send({ id, result: compute(...(params['args'] as never[])) });
}

/** The arguments and the client are none of its business. */
export const silent: Answerer = () => undefined;
