/** An effect that failed for a reason which may be over in a moment is tried again, where trying twice is no harm. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../fault.ts';

/** Before the second attempt and before the third; each is shortened by up to a half, so that many do not come back together. */
const PAUSES_MS = [100, 500];

export interface Retries {
  /** Whether the failure is one that may be over in a moment, of an effect that may be done again. */
  readonly worthwhile: (fault: Fault) => boolean;
  /** Called before each further attempt, the second being the first of these. Fails where there is to be none. */
  readonly again: (attempt: number, fault: Fault) => void;
  /** Ends the waiting: the effect is not needed any more. */
  readonly signal: AbortSignal;
}

/** Answers what the effect does, or fails with what its last attempt failed with. */
export async function withRetries(
  effect: () => Promise<unknown>,
  { worthwhile, again, signal }: Retries,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await effect();
    } catch (error) {
      const pauseMs = PAUSES_MS[attempt - 1];
      if (pauseMs === undefined || signal.aborted || !(error instanceof Fault) || !worthwhile(error)) throw error;
      const isOver = await sleep(pauseMs * (1 - Math.random() / 2), true, { signal }).catch(() => false);
      if (!isOver) throw error;
      again(attempt + 1, error);
    }
  }
}
