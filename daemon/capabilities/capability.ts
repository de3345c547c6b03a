/**
 * The base of everything guest code can do. An *effect* is a function whose calls the daemon answers, one at a time, each let
 * through by the gate. An *output* writes to the session's own event stream and runs inside the isolate; a *platform* feature is
 * a built-in that is there or not. The last two are granted and audited when a session is given them.
 */
import type * as v from 'valibot';
import type { CapabilityName, ConstraintsOf } from '../../policies/capabilities.ts';
import type { AllowedCall } from './gate.ts';

/** What an effect may use of the session that calls it. */
export interface CallContext {
  /** Asks the session's client; null where it ended its input. Rejects with a Fault when nobody answers within `waitMs`. */
  requestInput(prompt: string, waitMs: number): Promise<string | null>;
  /** Aborted when the session ends or is reset. */
  readonly signal: AbortSignal;
}

interface Described {
  readonly name: CapabilityName;
  /** One sentence, for people. */
  readonly summary: string;
  /** As it would stand in a `.d.ts`. */
  readonly signature: string;
}

export interface GrantedFeature extends Described {
  readonly kind: 'output' | 'platform';
  /** The globals it stands for, where they are not called like it. */
  readonly globals: readonly string[];
}

/** @typeParam K its name in the policy, which gives it the type of its constraints */
export abstract class Capability<K extends CapabilityName = CapabilityName, A = unknown> implements Described {
  readonly kind = 'effect';
  abstract readonly name: K;
  abstract readonly summary: string;
  abstract readonly signature: string;
  /** Whether doing it twice is the same as doing it once. */
  abstract readonly idempotent: boolean;
  /** Whether it waits for a person; a cell's wall clock stands still meanwhile. */
  abstract readonly patient: boolean;
  /** The arguments, as the array that guest code passed. What does not fit never reaches `invoke`. */
  abstract readonly args: v.GenericSchema<unknown, A>;

  /** A hook for rules about arguments that the constraints hold: why this call is refused, or null. */
  refuse(_args: A, _constraints: ConstraintsOf<K>): string | null {
    return null;
  }

  /** The effect. Answers plain JSON data; fails with a Fault, or with an Error whose message guest code may read. */
  abstract invoke(call: AllowedCall<K, A>, context: CallContext): Promise<unknown>;
}
