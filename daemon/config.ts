/** What the daemon is started with. Parsed from the command line and from nothing else. */
import { parseArgs } from 'node:util';
import { levelFromName } from '../policies/evaluate.ts';
import type { LevelName } from '../policies/policy.ts';

export interface Config {
  readonly stateDir: string;
  /** The highest level that a connection to `client.sock` may open a session at. */
  readonly clientCeiling: LevelName;
  /** A folder of level files instead of those that come with the package. */
  readonly policiesDir: string | null;
  /** End when the standard input ends: whoever started this daemon is gone. */
  readonly untilStdinCloses: boolean;
  /** Remove the state directory at the end: this daemon is somebody's for one purpose only. */
  readonly removeStateDir: boolean;
  /** Say that the sockets are open as one line of JSON. */
  readonly readyJson: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const USAGE =
  'usage: main serve --state-dir DIR [--client-ceiling LEVEL] [--policies DIR] [--until-stdin-closes] [--remove-state-dir] [--ready-json]';

/** Throws a UsageError that says what is wrong with the arguments. */
export function parseConfig(args: readonly string[]): Config {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1 || positionals[0] !== 'serve') throw new UsageError(USAGE);
  const stateDir = values['state-dir'];
  if (stateDir === undefined || stateDir === '')
    throw new UsageError('--state-dir DIR is needed: the folder of the sockets and of everything that is kept.');
  const clientCeiling = levelFromName(values['client-ceiling'] ?? 'trusted');
  if (clientCeiling === null)
    throw new UsageError(
      `--client-ceiling: there is no level ${JSON.stringify(values['client-ceiling'])}; it is one of sandbox, restricted, standard, trusted, unrestricted.`,
    );
  return {
    stateDir,
    clientCeiling,
    policiesDir: values.policies ?? null,
    untilStdinCloses: values['until-stdin-closes'] ?? false,
    removeStateDir: values['remove-state-dir'] ?? false,
    readyJson: values['ready-json'] ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'state-dir': { type: 'string' },
        'client-ceiling': { type: 'string' },
        policies: { type: 'string' },
        'until-stdin-closes': { type: 'boolean' },
        'remove-state-dir': { type: 'boolean' },
        'ready-json': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
