/** A Python session of a real daemon. */
import type { RawClient } from '../harness/daemon-process.ts';
import { Guest } from '../harness/shared-daemon.ts';
import type { Interpreter } from './module-run.ts';

/** What the daemon is started with, so that its clients may open such sessions. */
export const DAEMON_ARGS = ['--client-ceiling', 'unrestricted'];

export async function sessionInterpreter(client: RawClient): Promise<Interpreter> {
  // The level with the largest limits: the tests of one module take some seconds of CPU time.
  const guest = await Guest.open(client, { language: 'python', level: 'unrestricted' });
  return {
    async run(source) {
      const { value, error } = await guest.run(source);
      if (error !== undefined) throw new Error(`${error.code} ${error.message}`);
      return value?.kind === 'json' ? value.json : undefined;
    },
    close: () => guest.close().catch(() => undefined),
  };
}
