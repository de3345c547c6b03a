/** What the guest side of an isolate is told when it is opened. */
import type { IsolateSpec } from '../protocol.ts';

/** The entry that opens it. What `help()` says goes beside the rest: it is long, and most sessions never ask. */
export function guestOpening(spec: IsolateSpec, nowMs: number): [string, string, string] {
  const { seed, outputs, capabilities, patient, valueBytesMax, pendingCallsMax, argv } = spec;
  const packages = spec.packages?.map(({ name, version }) => `${name} ${version}`);
  const guestSpec = { seed, nowMs, outputs, capabilities, patient, valueBytesMax, pendingCallsMax, argv, packages };
  return ['open', JSON.stringify(guestSpec), JSON.stringify(spec.docs)];
}
