/** A cell on its way through a session of a host. */
import type { CellLimits } from '../protocol.ts';
import type { CellClock } from './cell-clock.ts';

export interface QueuedCell {
  readonly cell: number;
  readonly source: string;
  readonly limits: CellLimits;
  /** Where it is run again: the limits that hold once it goes on. */
  readonly ownLimits?: CellLimits;
}

export interface RunningCell {
  readonly cell: number;
  limits: CellLimits;
  readonly ownLimits: CellLimits;
  readonly clock: CellClock;
  readonly startedMs: number;
  cpuMsAtStart: number;
  stoppedBy: 'cpu' | 'wall' | 'request' | undefined;
  /** Its scripts have run and it waits for what they have begun. */
  awaiting: boolean;
  /** What an awaited cell came to; it ends with the entry that brought it there, for that entry may have more to say. */
  done: string | undefined;
  /** Its end is being reported; nothing that happens now changes it. */
  ending: boolean;
}
