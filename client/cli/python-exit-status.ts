import type { ExecutionResult } from '../protocol.ts';
import { EXIT } from './cli-error.ts';

/** The exit status that Python would give a program that ended like the last of these. */
export function pythonExitStatus(results: readonly ExecutionResult[]): number {
  const error = results.at(-1)?.error;
  if (error === undefined) return EXIT.ok;
  // As the system cuts it off.
  if (error.exitStatus !== undefined) return ((error.exitStatus % 256) + 256) % 256;
  return error.code === 'INTERRUPTED' || error.name === 'KeyboardInterrupt' ? EXIT.interrupted : EXIT.failed;
}
