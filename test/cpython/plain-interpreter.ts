/** Pyodide in a Node process, with nothing of ours: what fails there as well is not our doing. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Interpreter } from './module-run.ts';

const MAIN = fileURLToPath(new URL('./plain-interpreter-main.js', import.meta.url));
/** What a session of the daemon may take too. */
const ANSWER_MS_MAX = 180_000;

export async function plainInterpreter(): Promise<Interpreter> {
  const child = fork(MAIN, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const ended = once(child, 'exit').then(() => ({ error: 'the process has ended' }));
  return {
    async run(source) {
      child.send(source);
      const deadline = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS_MAX);
      const answered = once(child, 'message').then(([answer]) => answer as { value?: unknown; error?: string });
      const { value, error } = (await Promise.race([answered, ended])) as { value?: unknown; error?: string };
      clearTimeout(deadline);
      if (error !== undefined) throw new Error(error);
      return value;
    },
    close() {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
