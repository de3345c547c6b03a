/** What the guest side of an isolate is told when it is opened. */
import type { IsolateSpec } from '../protocol.ts';
import type { OpenedImage } from '../session-language.ts';

/**
 * The entry that opens it. What `help()` says goes beside the rest: it is long, and most sessions never ask.
 *
 * @param image what it goes on from; undefined where that is nothing, or in the isolate already
 */
export function guestOpening(spec: IsolateSpec, nowMs: number, image?: OpenedImage): [string, ...string[]] {
  const { seed, outputs, capabilities, patient, valueBytesMax, pendingCallsMax, argv } = spec;
  const packages = spec.packages?.map(({ name, version }) => `${name} ${version}`);
  const guestSpec = { seed, nowMs, outputs, capabilities, patient, valueBytesMax, pendingCallsMax, argv, packages };
  const opening: [string, ...string[]] = ['open', JSON.stringify(guestSpec), JSON.stringify(spec.docs)];
  return image === undefined ? opening : [...opening, image.head, image.lines];
}
