import { type Blame, FAULTS, type FaultCode, type FaultData } from '../client/protocol.ts';

/**
 * A refusal or a failure that someone outside is to be told of. The message is for people: what happened, in whose words,
 * and what to do about it; it never holds what the one who reads it may not know. `details` are facts for programs.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  /** @param options the `cause`, for the daemon's own log */
  constructor(code: FaultCode, message: string, details?: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  /** Whose act caused it. */
  get blame(): Blame {
    return FAULTS[this.code].blame;
  }

  /** What travels to the other side: no stack, no cause. */
  toData(): FaultData {
    return { code: this.code, blame: this.blame, ...(this.details === undefined ? {} : { details: this.details }) };
  }
}
