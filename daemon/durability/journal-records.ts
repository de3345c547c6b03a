/** What the journal of a session holds. The isolate of a session is rebuilt from these, in their order. */
import type { EventBody, ExecutionResult, Language, Role, SessionInfo } from '../../client/protocol.ts';
import type { Grant } from '../../policies/policy.ts';
import type { CapabilityGrant, IsolateSpec, LifeRecord, Question } from '../../sandbox/protocol.ts';

/** What a session was made with, and what of it has been changed since. */
export interface StoredSession {
  readonly sessionId: string;
  readonly principal: string;
  readonly name: string | null;
  readonly language: Language;
  readonly labels: Readonly<Record<string, string>>;
  readonly argv?: readonly string[];
  readonly createdAt: string;
  readonly level: string;
  readonly asked: {
    readonly limits: Readonly<Record<string, number>>;
    readonly capabilities: readonly string[] | null;
  };
  /** What it may do, as it was given: a later policy can only narrow it. */
  readonly grants: readonly (readonly [name: string, grant: Grant])[];
  /** How it stood when it went to sleep; null while it is awake. */
  readonly info: SessionInfo | null;
  /** What an administrator is asked for. */
  readonly raises: readonly StoredRaise[];
}

/** A higher level that a session is to have once an administrator agrees. */
export interface StoredRaise {
  /** Unguessable, and of this request alone. */
  readonly id: string;
  readonly level: string;
  /** Who has asked, and over which socket: the session is raised only where they may have it there by then. */
  readonly principal: string;
  readonly role: Role;
  /** Milliseconds since the epoch. */
  readonly askedMs: number;
}

/** Characters and pieces that guest code has written since its isolate was opened: a replay writes them again, to nobody. */
export interface Said {
  readonly stdout: number;
  readonly stderr: number;
  readonly displays: number;
  readonly logs: number;
  /** Times that it was told that a cell's output was cut. */
  readonly cuts: number;
}

export type JournalRecord =
  /** A fresh isolate; what came before is of no use any more. `number` counts the isolates of the session. */
  | ({ readonly r: 'life'; readonly number: number; readonly spec: IsolateSpec } & KeptOverLives)
  | {
      readonly r: 'cell';
      readonly cell: number;
      readonly executionId: string;
      readonly source: string;
      readonly wallMs: number;
      /** Where it fails, the session is to be as it was before it. */
      readonly rollback: boolean;
    }
  | { readonly r: 'lived'; readonly records: readonly LifeRecord[] }
  | { readonly r: 'said'; readonly said: Said }
  | RecordedCall
  /** Its effect begins now, and doing it twice is not the same as doing it once. */
  | { readonly r: 'begun'; readonly call: number }
  /** A person was asked because of the call; `about` tells the questions of one call apart. */
  | { readonly r: 'asked'; readonly call: number; readonly about: string; readonly atMs: number }
  /** A person's answer, before anything was done because of it: JSON data. */
  | { readonly r: 'decided'; readonly call: number; readonly about: string; readonly settlement: unknown }
  | { readonly r: 'outcome'; readonly call: number; readonly ok: boolean; readonly json: string }
  | { readonly r: 'grant'; readonly number: number; readonly grant: CapabilityGrant }
  | { readonly r: 'ask'; readonly id: number; readonly question: Question }
  /** What counts against the budget of a grant; with `call`, that this call was let through and is not counted again. */
  | { readonly r: 'used'; readonly call: number | null; readonly used: UsedBudget }
  /** An approval that counts for all later calls. */
  | { readonly r: 'once'; readonly capability: string }
  /** `pending`: timers and calls that it has left behind, and which may go on by themselves. `cpuMs`: what it takes to run it again. */
  | { readonly r: 'ended'; readonly cell: number; readonly pending?: number; readonly cpuMs?: number }
  /** Its client wants it ended, and knows that it will be. */
  | { readonly r: 'stop'; readonly cell: number }
  /** Its start is in the audit log. */
  | { readonly r: 'audited'; readonly cell: number }
  /** A text that is not to leave the session as it is, from now on. */
  | { readonly r: 'secret'; readonly name: string; readonly value: string }
  /** A place that the session can be taken back to. */
  | MarkRecord
  /** The session is as it was at the mark. */
  | { readonly r: 'return'; readonly name: string }
  /** An image was taken of the isolate, of that number, which the next one goes on from. */
  | { readonly r: 'image'; readonly number: number }
  /** The isolate is gone for good, with all that it held. */
  | { readonly r: 'gone' }
  /** What the cell did is as if it had never begun: it ended with its isolate. */
  | { readonly r: 'cut'; readonly cell: number };

export interface MarkRecord {
  readonly r: 'mark';
  readonly name: string;
  readonly atMs: number;
  /** The newest cell then. */
  readonly cell: number;
}

export interface RecordedCall {
  readonly r: 'call';
  readonly call: number;
  /** Names the call for good: an idempotency key. */
  readonly key: string;
  readonly executionId: string | null;
  /** The cell that the code goes back to which made it; of an earlier one than was running, it had left it behind. */
  readonly origin: number;
  readonly name: string;
  readonly argsJson: string;
  readonly position: string | null;
  /** When it was made, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** What does not end with an isolate. */
export interface KeptOverLives {
  readonly used: readonly UsedBudget[];
  /** Capabilities that a person has agreed to once for all. */
  readonly once: readonly string[];
  readonly secrets: readonly (readonly [name: string, value: string])[];
}

export type UsedBudget = readonly [capability: string, calls: number, bytes: number];

/** The result of an ended execution, kept to be given again. */
export interface StoredAnswer {
  readonly cell: number;
  readonly executionId: string;
  readonly source: string;
  readonly result: ExecutionResult;
}

export interface StoredEvents {
  readonly firstSeq: number;
  readonly bodies: readonly EventBody[];
}

/** Of an isolate: `image` in base64. */
export interface StoredImage {
  readonly number: number;
  readonly image: string;
}

/** What a commit has changed of a session's journal, for whoever keeps a copy of it. Rows are JSON. */
export type JournalChange = { readonly sessionId: string } & (
  | { readonly kind: 'state'; readonly state: StoredSession; readonly asleepMs: number | null }
  | { readonly kind: 'row'; readonly row: string }
  /** A row, and images, in place of all before it. */
  | { readonly kind: 'whole'; readonly row: string; readonly images: readonly StoredImage[] }
  /** Of the images that there are only the listed ones are of use, and the one that is new. */
  | { readonly kind: 'images'; readonly kept: readonly number[]; readonly added?: StoredImage }
  | { readonly kind: 'removed' }
);
