import { defaultStateDirectory } from '../state-directory.ts';
import type { CliContext } from './cli-context.ts';

export interface ServeOptions {
  readonly stateDir?: string;
  readonly clientCeiling?: string;
  readonly policies?: string;
}

/** `pyrepl3 serve`: becomes the daemon, which says on its own stdout where it listens. */
export function serve(context: CliContext, options: ServeOptions): Promise<number> {
  const ceiling = options.clientCeiling === undefined ? [] : ['--client-ceiling', options.clientCeiling];
  const policies = options.policies === undefined ? [] : ['--policies', options.policies];
  return context.replaceProcess([
    context.daemonMain,
    'serve',
    '--state-dir',
    options.stateDir ?? defaultStateDirectory(context.env),
    ...ceiling,
    ...policies,
  ]);
}
