/** The SDK's state machine as a server that fails when it is told to: before it has done what it was asked, or after. */
import { newStateMachine, type Request } from '../../../daemon/durability/sdk.ts';
import { Fault } from '../../../daemon/fault.ts';

export type Failure = 'before' | 'after';

export class FailingServer {
  /** What comes of the next requests, in their order; what is not planned succeeds. */
  readonly planned: (Failure | null)[] = [];
  /** How many requests have arrived. */
  requests = 0;
  readonly parts: { readonly network: { send: never }; readonly group: string };

  /** @param pass lets a request through to the server, or its answer back; at once unless given */
  constructor(pass: () => Promise<void> = async () => undefined) {
    const machine = newStateMachine();
    const send = async (request: Request) => {
      this.requests++;
      const failure = this.planned.shift();
      await pass();
      if (failure === 'before') throw unavailable();
      const { response } = machine.apply(1000, request);
      await pass();
      if (failure === 'after') throw unavailable();
      return structuredClone(response);
    };
    this.parts = { network: { send: send as never }, group: 'g' };
  }
}

const unavailable = (): Fault => new Fault('UNAVAILABLE', 'The server does not answer.');
