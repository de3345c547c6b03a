import { defaultCacheDirectory, defaultStateDirectory } from '../state-directory.ts';
import type { CliContext } from './cli-context.ts';

export interface ServeOptions {
  readonly stateDir?: string;
  readonly clientCeiling?: string;
  readonly policies?: string;
  readonly capabilities?: string;
  /** Keep sessions in memory: they end with the daemon. */
  readonly ephemeral?: boolean;
  /** The Resonate server that a group of daemons shares. */
  readonly resonate?: string;
  readonly resonateSecretFile?: string;
  readonly group?: string;
  readonly name?: string;
  readonly leaseMs?: string;
  /** How long what runs may go on once the daemon is told to end. */
  readonly drainMs?: number;
}

/** `pyrepl3 serve`: becomes the daemon, which says on its own stdout where it listens. */
export function serve(context: CliContext, options: ServeOptions): Promise<number> {
  return context.replaceProcess([
    context.daemonMain,
    'serve',
    '--state-dir',
    options.stateDir ?? defaultStateDirectory(context.env),
    '--cache-dir',
    defaultCacheDirectory(context.env),
    ...given('--client-ceiling', options.clientCeiling),
    ...given('--policies', options.policies),
    ...given('--capabilities', options.capabilities),
    ...(options.ephemeral ? ['--ephemeral'] : []),
    ...given('--resonate', options.resonate),
    ...given('--resonate-secret-file', options.resonateSecretFile),
    ...given('--group', options.group),
    ...given('--name', options.name),
    ...given('--lease-ms', options.leaseMs),
    ...given('--drain-ms', options.drainMs),
  ]);
}

const given = (option: string, value: string | number | undefined): readonly string[] =>
  value === undefined ? [] : [option, String(value)];
