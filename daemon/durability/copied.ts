/**
 * What the store has committed and a copy elsewhere has to have too, before anybody is told.
 *
 * I1: what follows a commit does so in the order of the commits, once all that they changed is in the copy.
 * I2: while the copy cannot be reached nothing is lost: it is tried again, and new work is refused.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../fault.ts';
import type { JournalChange } from './journal-records.ts';

/** Keeps elsewhere what others have to be able to read. */
export interface Copy {
  /** What a commit has changed, in order. */
  add(change: JournalChange): void;
  /** Resolves once all that was added is there. Fails where it cannot be now, and is called again then. */
  flush(): Promise<void>;
}

const RETRY_MS = 500;

export class Copied {
  readonly #copy: Copy;
  readonly #log: (line: string) => void;
  readonly #follow: (thens: readonly (() => void)[]) => void;
  #changed = false;
  #thens: (() => void)[] = [];
  #copying = false;
  #trouble: string | undefined;
  #stopped = false;

  constructor(copy: Copy, log: (line: string) => void, follow: (thens: readonly (() => void)[]) => void) {
    this.#copy = copy;
    this.#log = log;
    this.#follow = follow;
  }

  take(changes: readonly JournalChange[], thens: readonly (() => void)[]): void {
    for (const change of changes) this.#copy.add(change);
    this.#changed ||= changes.length > 0;
    if (!this.#changed && !this.#copying) {
      this.#follow(thens);
      return;
    }
    this.#thens.push(...thens);
    if (!this.#copying) void this.#run();
  }

  /** Whether something that was taken is not in the copy yet. */
  get isBehind(): boolean {
    return this.#copying;
  }

  /** Resolves once all that was taken is in the copy. */
  async complete(): Promise<void> {
    if (this.#copying) await new Promise<void>((resolve) => this.#thens.push(resolve));
  }

  /** Fails with UNAVAILABLE while the copy cannot be reached. */
  assertReached(): void {
    if (this.#trouble === undefined) return;
    throw new Fault(
      'UNAVAILABLE',
      `Nothing new can be begun, because other daemons could not go on with it: ${this.#trouble} What was begun waits, and goes on once the server answers. An administrator has to look at the Resonate server.`,
    );
  }

  stop(): void {
    this.#stopped = true;
  }

  /** What is taken meanwhile goes together in the next round. */
  async #run(): Promise<void> {
    this.#copying = true;
    while ((this.#changed || this.#thens.length > 0) && !this.#stopped) {
      const thens = this.#thens;
      this.#thens = [];
      this.#changed = false;
      await this.#flush();
      if (!this.#stopped) this.#follow(thens);
    }
    this.#copying = false;
  }

  async #flush(): Promise<void> {
    for (;;) {
      try {
        await this.#copy.flush();
        if (this.#trouble !== undefined)
          this.#log('sessions are shared again with the other daemons; nothing was lost');
        this.#trouble = undefined;
        return;
      } catch (error) {
        if (this.#stopped) return;
        const { message } = error as Error;
        if (this.#trouble === undefined)
          this.#log(`sessions cannot be shared: ${message}; new executions are refused until they can`);
        this.#trouble = message;
        await sleep(RETRY_MS);
      }
    }
  }
}
