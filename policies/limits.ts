/**
 * The limits that a level sets: what each may be, and how they must relate. A level file, or a client that asks
 * for less, is held to this one table.
 */

/** The resource limits of a level. Units are in the names. */
export interface Limits {
  /** V8 heap of one session's isolate. */
  readonly heapMiBMax: number;
  /** CPU time of one cell. */
  readonly cellCpuMsMax: number;
  /** Wall-clock time of one cell. */
  readonly cellWallMsMax: number;
  /** Everything that one cell prints, displays and logs. */
  readonly cellOutputBytesMax: number;
  /** Cells that wait in one session. */
  readonly queueLengthMax: number;
  /** Open sessions of one client. */
  readonly sessionsMax: number;
  /** The encoded result of one cell; a larger one becomes a preview. */
  readonly valueBytesMax: number;
  /** Capability calls of one session that have no answer yet. */
  readonly pendingCallsMax: number;
  /** Timers of one session that are armed. */
  readonly timersMax: number;
  /** UTF-8 size of one cell's source. */
  readonly sourceBytesMax: number;
}

export type LimitName = keyof Limits;

interface LimitBounds {
  readonly min: number;
  readonly max: number;
  /** Read after a number: `64 MiB`, `10 cells`. */
  readonly unit: string;
}

const MIB = 1024 * 1024;
/** The longest delay that a timer of the runtime keeps; a longer one fires at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** What any policy may set. Outside these bounds a number cannot be enforced, or defeats the limit's purpose. */
export const LIMIT_BOUNDS = {
  // V8 does not start an isolate in less than 8 MiB; above 4 GiB compressed pointers end.
  heapMiBMax: { min: 8, max: 4096, unit: 'MiB' },
  cellCpuMsMax: { min: 1, max: TIMER_MS_MAX, unit: 'ms' },
  cellWallMsMax: { min: 1, max: TIMER_MS_MAX, unit: 'ms' },
  // Output is kept for replay to clients that reconnect, so it has to fit in the daemon's memory.
  cellOutputBytesMax: { min: 1, max: 256 * MIB, unit: 'bytes' },
  queueLengthMax: { min: 1, max: 10_000, unit: 'cells' },
  sessionsMax: { min: 1, max: 100_000, unit: 'sessions' },
  // A value travels in one message.
  valueBytesMax: { min: 1, max: 64 * MIB, unit: 'bytes' },
  pendingCallsMax: { min: 1, max: 100_000, unit: 'calls' },
  timersMax: { min: 1, max: 1_000_000, unit: 'timers' },
  sourceBytesMax: { min: 1, max: 64 * MIB, unit: 'bytes' },
} as const satisfies Record<LimitName, LimitBounds>;

export const LIMIT_NAMES = Object.keys(LIMIT_BOUNDS) as readonly LimitName[];

/** `limit` may not exceed `most(of)`. */
interface LimitRelation {
  readonly limit: LimitName;
  readonly of: LimitName;
  readonly most: (of: number) => number;
  readonly why: string;
}

const quarterOfHeap = (heapMiB: number): number => (heapMiB * MIB) / 4;

export const LIMIT_RELATIONS: readonly LimitRelation[] = [
  {
    limit: 'cellCpuMsMax',
    of: 'cellWallMsMax',
    most: (wallMs) => wallMs,
    why: 'a cell runs on one thread, so the wall limit would always end it first',
  },
  {
    limit: 'valueBytesMax',
    of: 'heapMiBMax',
    most: quarterOfHeap,
    why: 'a value is in the heap as objects and as two-byte text at the same time, and needs four times its size',
  },
  {
    limit: 'sourceBytesMax',
    of: 'heapMiBMax',
    most: quarterOfHeap,
    why: "a cell's source is in the heap as two-byte text beside the code made of it, and needs four times its size",
  },
];

/** `a whole number from 8 to 4096 (MiB)`: what a message says was expected. */
export function expectedLimit(name: LimitName): string {
  const { min, max, unit } = LIMIT_BOUNDS[name];
  return `a whole number from ${min} to ${max} (${unit})`;
}

export function isLimitValue(name: LimitName, value: unknown): value is number {
  const { min, max } = LIMIT_BOUNDS[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max;
}
