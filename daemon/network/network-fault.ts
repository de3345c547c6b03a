/** How the failures of the network are told to guest code: in our words, never in the system's. */
import { Fault } from '../fault.ts';

export type NetworkReason =
  | 'unreachable'
  | 'tls'
  | 'timed-out'
  | 'protocol'
  | 'too-many-redirects'
  | 'redirected'
  | 'not-found'
  | 'refused';

export function networkFault(reason: NetworkReason, message: string, cause?: unknown): Fault {
  return new Fault('EFFECT_FAILED', message, { reason }, cause === undefined ? undefined : { cause });
}

/**
 * What a policy does not let through, in one wording for all of it: whether a host is unlisted or stands at a private
 * address is not told apart.
 */
export function unreachableByPolicy(host: string, port: number): string {
  const remedy =
    'An administrator can list it in the grant: under hosts, and a private address under addresses as well.';
  return `The policy does not let this session reach ${host}:${port}. ${remedy}`;
}

export function deniedFault(capability: string, message: string): Fault {
  return new Fault('CAPABILITY_DENIED', message, { capability });
}

/** What went wrong, where it is known; `reason` and `message` for what came from a library or the system. */
export function asFault(error: unknown, reason: NetworkReason, message: string): Fault {
  return error instanceof Fault ? error : networkFault(reason, message, error);
}
