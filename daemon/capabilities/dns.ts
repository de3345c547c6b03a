import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { hostRuleAllowsHost } from '../../policies/host-rule.ts';
import { isAddressAllowed } from '../network/address-policy.ts';
import { Deadline } from '../network/deadline.ts';
import type { Network } from '../network/network.ts';
import { asFault, networkFault } from '../network/network-fault.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const NAME_EXPECTED = 'the name must be the name of a host, such as example.com';
const TYPES = ['A', 'AAAA', 'MX', 'TXT', 'CNAME', 'SRV'] as const;

/** In lower-case ASCII and without a trailing dot: as rules are compared, and as it is asked for. */
const name = v.pipe(
  v.string(NAME_EXPECTED),
  v.maxLength(1024, NAME_EXPECTED),
  v.transform((text) => canonicalName(text) ?? ''),
  v.minLength(1, NAME_EXPECTED),
);
const args = v.strictTuple([name, v.nullish(v.picklist(TYPES, `the type must be one of ${TYPES.join(', ')}`))]);

type DnsArgs = v.InferOutput<typeof args>;

/** `dns(name, type?)`: looks a name up. */
export class DnsCapability extends Capability<'dns', DnsArgs> {
  override readonly name = 'dns';
  override readonly summary = 'Looks up the records of a name that the level lists.';
  override readonly signature = `/**
 * The records of a name: its addresses where no type is given. Private and reserved addresses that the level does not
 * list are left out of the answer. What is asked goes to name servers on the Internet, the name's labels included.
 * Fails with CAPABILITY_DENIED for a name that the level does not list, EFFECT_FAILED with details.reason
 * "not-found", "refused" (there are addresses, and none that may be told), "unreachable" (no name server answered) or
 * "timed-out".
 */
declare function dns(name: string, type?: 'A' | 'AAAA' | 'CNAME' | 'TXT'): Promise<string[]>;
declare function dns(name: string, type: 'MX'): Promise<{ exchange: string; priority: number }[]>;
declare function dns(
  name: string,
  type: 'SRV',
): Promise<{ name: string; port: number; priority: number; weight: number }[]>;`;
  override readonly stub =
    'async def dns(name: str, type: str | None = None) -> list[str] | list[dict[str, object]]: ...';
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = false;
  override readonly args = args;
  readonly #network: Network;

  constructor(network: Network) {
    super();
    this.#network = network;
  }

  override refuse([name]: DnsArgs, { hosts }: ConstraintsOf<'dns'>): string | null {
    return hosts.some((rule) => hostRuleAllowsHost(rule, name))
      ? null
      : `The policy does not let this session look up ${name}. An administrator can list it under hosts of the grant.`;
  }

  override async invoke({ args, constraints }: AllowedCall<'dns', DnsArgs>, context: CallContext): Promise<unknown> {
    const [name, type] = args;
    const deadline = new Deadline(constraints.timeMsMax, context.signal);
    try {
      const records = await this.#records(name, type ?? null, constraints.addresses, deadline.signal);
      if (records.length === 0) throw networkFault('not-found', `${name} has no such record.`);
      return records;
    } catch (error) {
      deadline.signal.throwIfAborted();
      throw asFault(error, 'unreachable', `No name server answered for ${name}.`);
    } finally {
      deadline.end();
    }
  }

  async #records(
    name: string,
    type: DnsArgs[1] | null,
    listed: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    const { resolver } = this.#network;
    switch (type) {
      case 'TXT':
        // A text comes in pieces of at most 255 bytes.
        return (await resolver.records(name, 'TXT', signal)).map((pieces) => pieces.join(''));
      case 'CNAME':
        return resolver.records(name, 'CNAME', signal);
      case 'MX':
        return (await resolver.records(name, 'MX', signal)).map(({ exchange, priority }) => ({ exchange, priority }));
      case 'SRV':
        return (await resolver.records(name, 'SRV', signal)).map(({ name, port, priority, weight }) => ({
          name,
          port,
          priority,
          weight,
        }));
      default:
        return allowedOf(ofType(await resolver.addresses(name, signal), type), name, listed);
    }
  }
}

function ofType(addresses: readonly string[], type: 'A' | 'AAAA' | null | undefined): readonly string[] {
  if (!type) return addresses;
  return addresses.filter((address) => isIP(address) === (type === 'A' ? 4 : 6));
}

function allowedOf(addresses: readonly string[], name: string, listed: readonly string[]): readonly string[] {
  const allowed = addresses.filter((address) => isAddressAllowed(address, listed));
  if (allowed.length > 0 || addresses.length === 0) return allowed;
  throw networkFault('refused', `${name} has no address that the policy lets this session know.`);
}

/** Null for what is no name that a name server could know. */
function canonicalName(text: string): string | null {
  const ascii = domainToASCII(text).toLowerCase();
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  const isName = name.length <= 253 && name.split('.').every((label) => /^[a-z0-9_-]{1,63}$/.test(label));
  return isName && isIP(name) === 0 ? name : null;
}
