/**
 * The SDK's own networks to a Resonate server, made fit for a daemon that has to outlive the server's troubles.
 *
 * I1: no request waits for ever.
 * I2: no lost connection ends the process, and none is sought again after the end.
 * I3: what is deaf can still say what it has to, and takes no message away from others.
 * I4: nothing is read from the environment: the SDK takes tokens, timeouts and addresses from there where it is given none.
 */
import { HttpNetwork, PollMessageSource } from '@resonatehq/sdk';
import { PostgresNetwork } from '@resonatehq/sdk/postgres';
import type { Network, SdkLogger } from './sdk.ts';

/** How often a database is asked for what it did not notify us of. */
const POSTGRES_TICK_MS = 250;

export interface RemoteNetworkParts {
  readonly url: URL;
  readonly group: string;
  readonly pid: string;
  readonly token: string | null;
  readonly answerMsMax: number;
  readonly logger: SdkLogger;
}

export interface RemoteNetwork extends Network {
  /** Takes no more messages; before sessions are handed over, which are announced to whoever listens. */
  deafen(): void;
}

export function remoteNetwork(parts: RemoteNetworkParts): RemoteNetwork {
  const network = parts.url.protocol.startsWith('http') ? httpNetwork(parts) : postgresNetwork(parts);
  return withTimeLimit(network, parts.answerMsMax);
}

/** Without the final slash. */
export const addressOf = (url: URL): string => url.href.replace(/\/$/, '');

function httpNetwork({ url, group, pid, token, answerMsMax, logger }: RemoteNetworkParts): RemoteNetwork {
  const address = addressOf(url);
  const source = new PollMessageSource({ url: `${address}/poll/${group}/${pid}`, token: token ?? '', logger });
  const network = new HttpNetwork({
    url: address,
    timeout: answerMsMax,
    headers: {},
    token: token ?? '',
    logger,
    adapter: source,
  });
  // The source connects again some time after an error, also when it was stopped meanwhile.
  const inner = source as unknown as { connect: () => unknown; readonly eventSource: { readonly close: () => void } };
  return Object.assign(network, {
    deafen: () => {
      inner.connect = () => inner.eventSource;
      inner.eventSource.close();
    },
  });
}

function postgresNetwork({ url, group, pid, logger }: RemoteNetworkParts): RemoteNetwork {
  const network = new PostgresNetwork({ connectionString: url.href, group, pid, tickMs: POSTGRES_TICK_MS, logger });
  // An idle connection that breaks is an event that nobody in the SDK listens to, and would end the process.
  const inner = network as unknown as {
    stopped: boolean;
    getPool: () => Promise<{ on: (event: 'error', listener: (error: Error) => void) => void }>;
  };
  void inner
    .getPool()
    .then((pool) =>
      pool.on('error', (error) => logger.warn({ error: error.message }, 'a connection to the database broke')),
    );
  return Object.assign(network, {
    deafen: () => {
      inner.stopped = true;
    },
  });
}

function withTimeLimit(network: RemoteNetwork, answerMsMax: number): RemoteNetwork {
  const send = async (request: Parameters<Network['send']>[0]): Promise<unknown> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`no answer within ${answerMsMax} ms`)), answerMsMax);
    try {
      return await Promise.race([network.send(request), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    unicast: network.unicast,
    anycast: network.anycast,
    match: (target) => network.match(target),
    init: () => network.init(),
    deafen: () => network.deafen(),
    stop: () => {
      network.deafen();
      return network.stop();
    },
    recv: (callback) => network.recv(callback),
    send: send as Network['send'],
  };
}
