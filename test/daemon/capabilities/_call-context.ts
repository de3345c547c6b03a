import type { CallContext } from '../../../daemon/capabilities/capability.ts';
import type { AllowedCall } from '../../../daemon/capabilities/gate.ts';
import { Handles } from '../../../daemon/capabilities/handles.ts';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';
import type { ConstraintsOf } from '../../../policies/capabilities.ts';

/** What an effect is given of a session in which nobody answers; handles and redaction are real. */
export function fakeContext(overrides: Partial<CallContext> = {}): CallContext {
  return {
    sessionId: 'ses_test',
    callKey: 'ses_test/1',
    madeAtMs: Date.now(),
    signal: new AbortController().signal,
    handles: new Handles(),
    redactor: new Redactor(),
    requestInput: () => Promise.resolve(null),
    requestDecision: () => Promise.resolve({ outcome: 'denied', comment: null }),
    ...overrides,
  };
}

/** A call as the gate would let it through; only tests of an effect alone may make one without the gate. */
export function allowed<K extends string, A>(capability: K, args: A, constraints: ConstraintsOf<K>): AllowedCall<K, A> {
  return { capability, args, constraints, ruleId: `test/grants/${capability}` } as unknown as AllowedCall<K, A>;
}
