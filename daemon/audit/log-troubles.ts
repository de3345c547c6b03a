/** Why the log cannot be relied on at the moment. Each trouble lasts until that very thing works again. */
import { Fault } from '../fault.ts';

export type Trouble = 'write' | 'sync' | 'file';

export class LogTroubles {
  readonly #troubles = new Map<Trouble, string>();
  readonly #log: (line: string) => void;
  readonly #recovered: (reason: string) => void;

  /** @param recovered told what the last trouble was, when none is left */
  constructor(log: (line: string) => void, recovered: (reason: string) => void) {
    this.#log = log;
    this.#recovered = recovered;
  }

  get any(): boolean {
    return this.#troubles.size > 0;
  }

  has(trouble: Trouble): boolean {
    return this.#troubles.has(trouble);
  }

  fails(trouble: Trouble, what: string): void {
    if (this.#troubles.get(trouble) === what) return;
    this.#troubles.set(trouble, what);
    this.#log(`audit log: ${complaint(trouble, what)}`);
  }

  works(trouble: Trouble): void {
    const reason = this.#troubles.get(trouble);
    if (reason === undefined) return;
    this.#troubles.delete(trouble);
    if (this.any) return;
    this.#log('audit log: it can be written again');
    this.#recovered(reason);
  }

  /** Fails with UNAVAILABLE, saying what to do. */
  assertNone(): void {
    for (const [trouble, what] of this.#troubles) {
      throw new Fault('UNAVAILABLE', `The audit log is not safe: ${complaint(trouble, what)}`);
    }
  }
}

function complaint(trouble: Trouble, what: string): string {
  if (trouble === 'write') return `it cannot be written (${what}). Nothing is done until there is room for it again.`;
  if (trouble === 'sync') return `it cannot be brought to the disk (${what}). Nothing is done until that works again.`;
  return `${what}. Nothing is done until the file is back as it was, or the daemon is restarted and begins a new one.`;
}
