/**
 * The way out for guest code. Every connection of `fetch` and `websocket` is made here, and every name that `dns` is
 * asked for is looked up here.
 *
 * I1: a connection goes to an address that was checked, from the one look-up whose every answer was allowed.
 * I2: no connection is used twice: not by another session, and not by another request of the same one.
 * I3: no proxy, no environment variable and no Unix socket has a say in where a connection goes.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { hostRuleAllows, hostRuleNamesPort } from '../../policies/host-rule.ts';
import type { Redactor } from '../capabilities/redactor.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { isAddressAllowed } from './address-policy.ts';
import { orAborted } from './deadline.ts';
import { NameResolver, type ResolverOptions } from './name-resolver.ts';
import { asFault, deniedFault, networkFault, unreachableByPolicy } from './network-fault.ts';
import { ADDRESS_ATTEMPT_MS } from './network-limits.ts';
import type { Target } from './target.ts';

/** Knows the headers that the daemon adds to requests, so that guest code never sees what is in them. */
export type CredentialSource = Pick<SecretStore, 'credential'>;

export interface NetworkOptions {
  readonly resolve?: ResolverOptions;
  readonly credentials: CredentialSource;
}

/** What bounds one connection. */
export interface ConnectRules {
  /** The capability that the denial names. */
  readonly capability: string;
  /** Addresses that are allowed although they are not public. */
  readonly addresses: readonly string[];
}

export class Network {
  readonly resolver: NameResolver;
  readonly #credentials: CredentialSource;

  constructor({ resolve, credentials }: NetworkOptions) {
    this.resolver = new NameResolver(resolve);
    this.#credentials = credentials;
  }

  /**
   * A connected socket, through TLS where the target says so; its host rules were checked before. Fails with a Fault.
   */
  async connect(target: Target, rules: ConnectRules, signal: AbortSignal): Promise<Socket> {
    const addresses = await this.#checkedAddresses(target, rules, signal);
    const socket = await openTcp(target, addresses, signal);
    return target.isSecure ? secure(socket, target.host, signal) : socket;
  }

  /**
   * The headers, by name, that the daemon adds to a request to the target. What is in them is redacted from then on.
   */
  credentialsFor(target: Target, names: readonly string[], redactor: Redactor): ReadonlyMap<string, string> {
    const headers = new Map<string, string>();
    for (const name of names) {
      const credential = this.#credentials.credential(name);
      if (credential === null || !mayReceive(target, credential.host)) continue;
      headers.set(credential.header.toLowerCase(), credential.value);
      redactor.add(credential.secret.name, credential.secret.value);
    }
    return headers;
  }

  async #checkedAddresses(target: Target, rules: ConnectRules, signal: AbortSignal): Promise<readonly string[]> {
    const addresses = await this.#addressesOf(target, signal);
    if (addresses.length === 0) throw networkFault('unreachable', unreachable(target));
    // One forbidden answer among allowed ones is what a rebinding name server gives.
    if (!addresses.every((address) => isAddressAllowed(address, rules.addresses))) {
      throw deniedFault(rules.capability, unreachableByPolicy(target.host, target.port));
    }
    return addresses;
  }

  async #addressesOf(target: Target, signal: AbortSignal): Promise<readonly string[]> {
    if (isIP(target.host) !== 0) return [target.host];
    try {
      return await this.resolver.addresses(target.host, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw networkFault('unreachable', unreachable(target), error);
    }
  }
}

/** Without TLS everyone on the way reads a credential, so a rule has to name a port for it. */
function mayReceive({ url, port, isSecure }: Target, rule: string): boolean {
  const isMeant = isSecure || hostRuleNamesPort(rule);
  return isMeant && hostRuleAllows(rule, { host: url.hostname, port, path: url.pathname });
}

/** One message for a name that is not there, a closed port and a silent one: guest code is no port scanner. */
const unreachable = ({ host, port }: Target): string => `${host}:${port} could not be reached.`;

async function openTcp(target: Target, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
  // Node asks this function instead of a name server, so it can only try what was checked.
  const checked: LookupFunction = (_host, _options, answer) =>
    answer(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    );
  signal.throwIfAborted();
  const socket = connectTcp({
    host: target.host,
    port: target.port,
    lookup: checked,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
    noDelay: true,
  });
  try {
    await orAborted(opened(socket, 'connect'), signal);
  } catch (error) {
    socket.destroy();
    throw asFault(error, 'unreachable', unreachable(target));
  }
  return socket;
}

async function secure(tcp: Socket, host: string, signal: AbortSignal): Promise<Socket> {
  const socket = connectTls({
    socket: tcp,
    // The certificate is checked against the name, not against the address.
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
  });
  try {
    await orAborted(opened(socket, 'secureConnect'), signal);
  } catch (error) {
    socket.destroy();
    tcp.destroy();
    throw asFault(error, 'tls', `No secure connection to ${host} could be made; its certificate may not be valid.`);
  }
  return socket;
}

/** What fails later fails at whoever reads or writes; without a listener it would end the daemon. */
function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once(event, () => resolve());
  });
}
