import { Client, type ConnectOptions } from '../client.ts';
import { PyreplError } from '../errors.ts';
import { defaultStateDirectory } from '../state-directory.ts';
import type { CliContext } from './cli-context.ts';
import { CliError, EXIT } from './cli-error.ts';
import { startDaemon, startPrivateDaemon } from './daemon-process.ts';

export interface ReachOptions {
  readonly stateDir?: string | undefined;
  readonly role?: 'client' | 'admin';
  /** What to do where no daemon listens: fail, start one for this command alone, or start the one of the directory. */
  readonly otherwise: 'fail' | 'private' | 'start';
  /** False: a lost connection stays lost. */
  readonly reconnect?: false;
}

export interface Reached extends AsyncDisposable {
  readonly client: Client;
  /** Whether the daemon was started for this command. */
  readonly started: boolean;
  readonly stateDir: string;
}

/** Whoever answers with these is no daemon: nobody is there. */
const NOBODY: readonly unknown[] = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR'];

const OWN_DAEMON_BACK_MS_MAX = 3_000;

/** A client of the daemon at the state directory. Fails as unreachable. */
export async function reachDaemon(context: CliContext, options: ReachOptions): Promise<Reached> {
  const stateDir = options.stateDir ?? defaultStateDirectory(context.env);
  const connectOptions: ConnectOptions = {
    role: options.role ?? 'client',
    client: { name: 'pyrepl3', version: context.version },
    ...(options.reconnect === false && { reconnect: false }),
  };
  try {
    const client = await Client.connect(connectOptions, stateDir);
    return { client, started: false, stateDir, [Symbol.asyncDispose]: () => client.close() };
  } catch (error) {
    if (!(error instanceof PyreplError)) throw error;
    if (options.otherwise === 'fail' || !NOBODY.includes(error.details['errno'])) throw unreachable(error);
  }
  const daemon =
    options.otherwise === 'private' ? await startPrivateDaemon(context) : await startDaemon(context, stateDir);
  try {
    // A connection may be lost to a stalled terminal; a daemon of our own that is gone does not come back.
    const reconnect = { totalMs: OWN_DAEMON_BACK_MS_MAX };
    const client = await Client.connect({ ...connectOptions, reconnect }, daemon.stateDir);
    const end = async (): Promise<void> => {
      await client.close();
      await daemon[Symbol.asyncDispose]();
    };
    return { client, started: true, stateDir: daemon.stateDir, [Symbol.asyncDispose]: end };
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error instanceof PyreplError ? unreachable(error) : error;
  }
}

function unreachable(error: PyreplError): CliError {
  const hint = NOBODY.includes(error.details['errno']) ? '; start one with "pyrepl3 serve"' : '';
  return new CliError(`${error.message}${hint}`, { status: EXIT.unreachable, cause: error });
}
