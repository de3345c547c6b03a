/** What a journal comes to: all that the session's isolate is made again from. */
import type {
  CapabilityGrant,
  CellLimits,
  IsolateEntry,
  IsolateImage,
  IsolateSpec,
  ReplayStep,
} from '../../sandbox/protocol.ts';
import type { JournalRecord, KeptOverLives, MarkRecord, RecordedCall, Said } from './journal-records.ts';

/** How far a recorded call came. */
export interface RebuiltCall {
  readonly record: RecordedCall;
  /** How often its effect had begun that cannot simply be done again. */
  begun: number;
  /** What a person was asked because of it, and since when. */
  readonly asked: Map<string, number>;
  /** What a person answered, by what was asked. */
  readonly settlements: Map<string, unknown>;
  outcome: { readonly ok: boolean; readonly json: string } | undefined;
  /** Guest code was given the outcome. */
  delivered: boolean;
  /** It is in the count of its execution. */
  counted: boolean;
  /** It is in the counts of its grant, and was within them. */
  letThrough: boolean;
  /** A person has said in this daemon what to do about what had begun. */
  doubtSettled: boolean;
  /** Its cell was stopped, and nothing more is to be done for it. */
  stopped: boolean;
}

export type CellRecord = Extract<JournalRecord, { readonly r: 'cell' }>;

export interface Rebuilt {
  /** The number of the isolate among those of the session. */
  readonly life: number;
  readonly cuts: number;
  readonly spec: IsolateSpec;
  /** Undefined where the isolate was not even opened. */
  readonly openedMs: number | undefined;
  readonly entries: readonly IsolateEntry[];
  readonly reads: string;
  readonly calls: ReadonlyMap<number, RebuiltCall>;
  /** What the isolate was told last of its capabilities. */
  readonly granted: Pick<CapabilityGrant, 'capabilities' | 'patient'>;
  /** Cells that were accepted and have not ended, in their order. */
  readonly unended: readonly CellRecord[];
  /** What was written up to here, and what of that before the image. */
  readonly said: Said;
  readonly saidBefore: Said;
  readonly kept: KeptOverLives;
  /** Cells whose start is in the audit log. */
  readonly audited: ReadonlySet<number>;
  /** Cells that are to be ended. */
  readonly stops: ReadonlySet<number>;
  /** Timers and calls that ended cells have left behind. */
  readonly pending: number;
  /** Why no replay comes to the same state any more. */
  readonly torn: string | undefined;
  /** What the isolate goes on from; undefined where that is its beginning. */
  readonly image: RebuiltImage | undefined;
  /** CPU time of the cells since then, in milliseconds. */
  readonly cpuMs: number;
  /** Oldest first, each with the number of the image that is used to return there. */
  readonly marks: readonly RebuiltMark[];
  /** The highest number of a cell, a grant, a question and an image. */
  readonly last: Readonly<Record<'cell' | 'grant' | 'question' | 'image', number>>;
  steps(limits: Omit<CellLimits, 'wallMs'>): ReplayStep[];
}

export interface RebuiltImage extends Omit<IsolateImage, 'image'> {
  readonly number: number;
  readonly granted: Rebuilt['granted'];
}

export interface RebuiltMark {
  readonly mark: MarkRecord;
  readonly image: number | undefined;
}

export const NOTHING_SAID: Said = { stdout: 0, stderr: 0, displays: 0, logs: 0, cuts: 0 };

export function newCall(record: RecordedCall): RebuiltCall {
  return {
    record,
    begun: 0,
    asked: new Map(),
    settlements: new Map(),
    outcome: undefined,
    delivered: false,
    counted: false,
    letThrough: false,
    doubtSettled: false,
    stopped: false,
  };
}
