/**
 * The base of everything guest code can do. An *effect* is a function whose calls the daemon answers, one at a time, each let
 * through by the gate. An *output* writes to the session's own event stream and runs inside the isolate; a *platform* feature is
 * a built-in that is there or not. The last two are granted and audited when a session is given them.
 */
import type * as v from 'valibot';
import type { CapabilityName, ConstraintsOf } from '../../policies/capabilities.ts';
import type { Fault } from '../fault.ts';
import type { AllowedCall } from './gate.ts';
import type { Handles } from './handles.ts';
import type { Redactor } from './redactor.ts';

/** What a person is asked on behalf of guest code; everything in it was written by that code. */
export interface DecisionRequest {
  readonly kind: 'approve' | 'review';
  readonly title: string;
  /** JSON data. */
  readonly details: unknown;
  readonly waitMs: number;
  /** Of what a reviewer may put in place of the details, as JSON. */
  readonly valueBytesMax?: number;
}

export type Decision =
  /** `value` is what a reviewer put in place of the details. */
  | { readonly outcome: 'approved'; readonly value?: unknown; readonly comment: string | null }
  | { readonly outcome: 'denied' | 'timed-out' | 'cancelled'; readonly comment: string | null };

/** What an effect may use of the session that calls it. */
export interface CallContext {
  readonly sessionId: string;
  /** Stable for this call, also when it is made again after a crash: an idempotency key for those effects that can use one. */
  readonly callKey: string;
  /** When the call was made first, in milliseconds since the epoch: what it waits for is counted from then. */
  readonly madeAtMs: number;
  /** Aborted when the session ends or is reset, or the capability is withdrawn. */
  readonly signal: AbortSignal;
  /** What the session holds open between calls, such as response bodies and sockets. */
  readonly handles: Handles;
  /** Texts that are not to be printed, logged or returned as they are. */
  readonly redactor: Redactor;
  /** Asks the session's client; null where it ended its input. Rejects with a Fault when nobody answers within `waitMs`. */
  requestInput(prompt: string, waitMs: number): Promise<string | null>;
  /** Puts a question of the guest's into the approval inbox. */
  requestDecision(request: DecisionRequest): Promise<Decision>;
}

/** What a name is, for people and for tools. */
export interface Described {
  readonly name: string;
  /** One sentence, for people. */
  readonly summary: string;
  /** As it would stand in a `.d.ts`, with a doc comment where parameters, result or faults need one. */
  readonly signature: string;
  /** As it would stand in a Python stub file. */
  readonly stub: string;
  /** The globals it stands for in the isolate. */
  readonly globals: readonly string[];
}

export interface GrantedFeature extends Described {
  readonly kind: 'output' | 'platform';
  readonly name: CapabilityName;
}

/**
 * @typeParam K its name in the policy, which gives it the type of its constraints
 * @typeParam A its arguments once they have been parsed
 */
export abstract class Capability<K extends string = string, A = unknown> implements Described {
  readonly kind = 'effect';
  abstract readonly name: K;
  abstract readonly summary: string;
  abstract readonly signature: string;
  abstract readonly stub: string;
  /** Whether doing it twice is the same as doing it once. */
  abstract readonly idempotent: boolean;
  /** Whether it changes nothing outside the session. Of any other it is in the journal that it is called before it is done. */
  readonly readOnly: boolean = false;
  /** Whether it waits for a person or a timer; a cell's wall clock stands still meanwhile. */
  abstract readonly patient: boolean;
  /** The arguments, as the array that guest code passed. What does not fit never reaches `invoke`. */
  abstract readonly args: v.GenericSchema<unknown, A>;

  get globals(): readonly string[] {
    return [this.name];
  }

  /**
   * Whether this call goes on with what an earlier one opened, such as reading on in a response: it is let through and audited like
   * any other, but neither counted against a rate nor put to a person again.
   */
  continues(_args: A): boolean {
    return false;
  }

  /**
   * Whether the call is simply made again where it was under way when the daemon died: because doing it twice is doing it once, or
   * because it finds what it had begun. Any other call is then in doubt, and a person decides.
   */
  repeatable(args: A): boolean {
    return this.idempotent || this.continues(args);
  }

  /**
   * Whether a failure may be over in a moment: a repeatable call is then tried again, twice at most, before guest code is told of it.
   */
  isTransient(fault: Fault): boolean {
    return fault.details?.['reason'] === 'unreachable';
  }

  /** A hook for rules about arguments that the constraints hold: why this call is refused, or null. Pure. */
  refuse(_args: A, _constraints: ConstraintsOf<K>): string | null {
    return null;
  }

  /** What the audit log and approval requests show of the arguments: JSON data without contents or secrets. */
  audited(args: A): unknown {
    return args;
  }

  /**
   * The effect. Answers plain JSON data, or nothing. Fails with a Fault, whose message guest code may read; anything else that it
   * throws is told to guest code as a failure without its text.
   */
  abstract invoke(call: AllowedCall<K, A>, context: CallContext): Promise<unknown>;
}
