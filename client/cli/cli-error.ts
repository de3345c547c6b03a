/** What the command ends with. */
export const EXIT = {
  /** Every cell is ok. */
  ok: 0,
  /** A cell failed, or the daemon refused what was asked. */
  failed: 1,
  usage: 2,
  /** The daemon could not be reached or started. */
  unreachable: 3,
  /** By a second Ctrl-C, of Python by the first: the shells' convention for SIGINT. */
  interrupted: 130,
} as const;

/** A reason to stop: one line for stderr that says what to do, and the exit status. */
export class CliError extends Error {
  readonly status: number;

  constructor(message: string, options: { readonly status: number; readonly cause?: unknown }) {
    super(message, options);
    this.status = options.status;
  }
}

export function usageError(message: string): CliError {
  return new CliError(message, { status: EXIT.usage });
}
