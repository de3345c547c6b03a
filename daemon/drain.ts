/**
 * Ends the daemon in good order: nothing new is taken, what runs may finish, and then it stops.
 *
 * I1: it ends at the latest when the shortest grace that was asked for is over, whatever still runs.
 * I2: what only waits for a person or a timer is not waited for: it goes on in the next daemon.
 */
import type { Audit } from './audit/audit-log.ts';

export interface DrainPowers {
  readonly audit: Pick<Audit, 'note'>;
  readonly monotonicMs: () => number;
  /** Sessions that are in the middle of something which the next daemon would have to do again. */
  readonly busy: () => number;
  /** Nothing new is taken from now on; clients are told the message. */
  readonly refuseNew: (message: string) => void;
  readonly stop: (reason: string) => Promise<void>;
}

const LOOK_MS = 20;

export class Drain {
  readonly #powers: DrainPowers;
  #endsAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(powers: DrainPowers) {
    this.#powers = powers;
  }

  get draining(): boolean {
    return this.#endsAtMs !== undefined;
  }

  /**
   * @param by who wants it: a principal or a signal
   * @param graceMs how long what runs may go on; once draining, it can only be made shorter
   */
  begin(by: string, graceMs: number): void {
    const { audit, monotonicMs, refuseNew } = this.#powers;
    audit.note('daemon.draining', { by, graceMs });
    refuseNew(
      'The daemon is draining: it takes nothing new and ends soon. Ask again once it, or another one, is back.',
    );
    this.#endsAtMs = Math.min(this.#endsAtMs ?? Number.POSITIVE_INFINITY, monotonicMs() + graceMs);
    this.#look(by);
  }

  /** Nothing is looked at any more: the daemon stops by itself. */
  cancel(): void {
    clearTimeout(this.#timer);
  }

  #look(by: string): void {
    const { busy, monotonicMs, stop } = this.#powers;
    clearTimeout(this.#timer);
    const isOver = monotonicMs() >= (this.#endsAtMs ?? 0);
    if (!isOver && busy() > 0) this.#timer = setTimeout(() => this.#look(by), LOOK_MS);
    // Not before whoever asked has been answered.
    else this.#timer = setTimeout(() => void stop(`${by}, drained`), 0);
  }
}
