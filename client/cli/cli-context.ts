import type { Readable, Writable } from 'node:stream';
import type { TextSink } from '../terminal/guest-output.ts';

/** All that the commands know of the process they run in; only main.ts makes a real one. */
export interface CliContext {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** What a line editor echoes to. */
  readonly terminal: Writable;
  readonly out: TextSink;
  readonly err: TextSink;
  /** The daemon's program, beside this one. */
  readonly daemonMain: string;
  /** Becomes the program, where the platform can; else runs it and resolves to its exit status. */
  replaceProcess(args: readonly string[]): Promise<number>;
  /** Called for SIGINT in place of the end of the process, until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
  /** Runs, synchronously, should the process end before the returned function is called. */
  onExit(cleanup: () => void): () => void;
  /** Ends the process at once, after the clean-ups. */
  exit(status: number): void;
}
