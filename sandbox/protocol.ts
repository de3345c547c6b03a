/**
 * The boundary between the daemon and a sandbox host, a tagged union per direction. Messages travel in batches: one IPC
 * message is an array of these. A host runs code nobody has vetted beside it, so the daemon parses what arrives from one
 * like any other untrusted input (see `daemon/hosts/host-messages.ts`).
 */
export type HostLanguage = 'javascript' | 'typescript' | 'python';

/** What of the engine's own an isolate has; spare isolates of a cordon are made with it already. */
export interface PlatformSpec {
  /** Whether the clock moves while code runs; otherwise it stands still between entries. */
  readonly liveClock: boolean;
  readonly webAssembly: boolean;
  readonly sharedMemory: boolean;
  readonly resizableBuffers: boolean;
}

/** What `help()` tells of a capability. */
export interface CapabilityDoc {
  readonly name: string;
  readonly summary: string;
  readonly signature: string;
  /** The globals it stands for. */
  readonly globals: readonly string[];
}

/** The functions whose calls the daemon answers. A capability may stand for several globals, or for an object of functions. */
export interface CapabilityGrant {
  readonly capabilities: readonly string[];
  /** Those of them that wait for a person: while such a call is open, a cell's wall clock stands still. */
  readonly patient: readonly string[];
  /** Of those that the isolate has not been told of before; others are ignored. */
  readonly docs: readonly CapabilityDoc[];
}

/** A package that an isolate of Python has, exactly: of which wheel. */
export interface PackageLock {
  readonly name: string;
  readonly version: string;
  /** Of the wheel. */
  readonly sha256: string;
}

/** What one isolate is made with. Names that are not listed in `capabilities` do not exist in it. */
export interface IsolateSpec extends CapabilityGrant {
  /** 128 bits in hexadecimal: the seed of the session's random generator. */
  readonly seed: string;
  readonly heapMiB: number;
  readonly platform: PlatformSpec;
  /** The command line that the session stands for: `sys.argv`, in JavaScript the variable `argv`. */
  readonly argv?: readonly string[];
  /** What Python can import besides the standard library; the host was told of each before. */
  readonly packages?: readonly PackageLock[];
  /** Whether fresh entropy is mixed into the generator at every entry. */
  readonly liveRandom: boolean;
  /** The built-in output functions that are granted: `print`, `console`, `display`, `log`. */
  readonly outputs: readonly string[];
  readonly valueBytesMax: number;
  readonly pendingCallsMax: number;
  readonly timersMax: number;
  /** CPU that code left behind by ended cells may use between two cells, in milliseconds. */
  readonly backgroundCpuMsMax: number;
}

export interface CellLimits {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly outputBytes: number;
}

/**
 * One entry into an isolate that could run guest code, as it was made. The same entries in the same order make the same state, which
 * is how a lost isolate is rebuilt. `ref` names the cell, timer, call, grant or question that it was about.
 */
export interface IsolateEntry {
  readonly op: 'open' | 'run' | 'timer' | 'settle' | 'grant' | 'ask' | 'abandon';
  readonly ref: number;
  /** The time that guest code was told, in milliseconds since the epoch. */
  readonly nowMs: number;
  /** What was mixed into the generator: empty unless the session has live randomness. */
  readonly entropy: string;
}

/**
 * What a host keeps of the life of an isolate, in order. `reads`: what a live clock said, as runs `count,delta;` of readings that were
 * alike, to the entry that was the so-manieth. `torn`: code was ended in the middle, so that no replay comes to the same state any more.
 */
export type LifeRecord =
  | IsolateEntry
  | { readonly op: 'reads'; readonly reads: string; readonly entry: number }
  | { readonly op: 'torn'; readonly why: string };

/** An entry to be made again, with what it was given. */
export type ReplayStep =
  | (EntryAs<'run'> & { readonly source: string; readonly limits: CellLimits })
  | (EntryAs<'settle'> & { readonly ok: boolean; readonly json: string })
  | (EntryAs<'grant'> & { readonly grant: CapabilityGrant })
  | (EntryAs<'ask'> & { readonly question: Question })
  | EntryAs<'timer' | 'abandon'>
  | { readonly op: 'reads'; readonly reads: string };

type EntryAs<Op extends IsolateEntry['op']> = IsolateEntry & { readonly op: Op };

/** The state of an isolate as data, and what is not in it. */
export interface IsolateImage {
  /** Made by a host of the same version, in base64. */
  readonly image: string;
  /** Entries that it had lived through. */
  readonly entries: number;
  /** The cells of last, for the stacks of errors to come. */
  readonly cells: readonly (readonly [cell: number, source: string])[];
}

/** What can be asked about an isolate between cells. */
export type Question =
  | { readonly about: 'namespace.list' }
  | { readonly about: 'namespace.get'; readonly name: string }
  | { readonly about: 'namespace.set'; readonly valuesJson: string }
  | { readonly about: 'namespace.delete'; readonly names: readonly string[] }
  | { readonly about: 'complete'; readonly source: string; readonly cursor: number }
  | { readonly about: 'inspect'; readonly source: string; readonly cursor: number }
  | { readonly about: 'isComplete'; readonly source: string }
  /** What the isolate may still do by itself. Everything that it has lived through is told before the answer. */
  | { readonly about: 'pending' }
  /** Its state as data, where nothing of it is under way. */
  | { readonly about: 'image' };

export type ToHost =
  /** The host joins a cordon: from now on it keeps `spares` isolates of this kind ready. */
  | {
      readonly kind: 'host.join';
      readonly language: HostLanguage;
      readonly heapMiB: number;
      readonly platform: PlatformSpec;
      /** What sessions of the cordon are granted, if they ask for nothing less: spare isolates are prepared for it. */
      readonly capabilities: readonly string[];
      readonly packages?: readonly PackageLock[];
      readonly spares: number;
    }
  /** A package that isolates can be made with from now on: its files with their sizes, and what is in them, one after another. */
  | {
      readonly kind: 'host.package';
      readonly sha256: string;
      readonly files: readonly (readonly [path: string, bytes: number])[];
      readonly base64: string;
    }
  | { readonly kind: 'host.ping'; readonly id: number }
  /** With `openedMs`, in place of one that was opened then and is lost: steps of its life follow. */
  | {
      readonly kind: 'isolate.open';
      readonly isolate: string;
      readonly spec: IsolateSpec;
      readonly openedMs?: number;
      /** What it goes on from; the steps are those after it. */
      readonly image?: IsolateImage;
    }
  /** The next steps of a lost isolate's life; with `last`, it is to go on by itself after them. */
  | {
      readonly kind: 'isolate.replay';
      readonly isolate: string;
      readonly steps: readonly ReplayStep[];
      readonly last: boolean;
    }
  | { readonly kind: 'isolate.dispose'; readonly isolate: string }
  /** Names that are not listed are withdrawn. */
  | ({ readonly kind: 'capabilities.set'; readonly isolate: string; readonly number: number } & CapabilityGrant)
  | {
      readonly kind: 'cell.run';
      readonly isolate: string;
      readonly cell: number;
      readonly source: string;
      readonly limits: CellLimits;
    }
  | { readonly kind: 'cell.stop'; readonly isolate: string; readonly cell: number }
  /** `json` is the value, or `{code, name, message}` of the error when `ok` is false. */
  | {
      readonly kind: 'call.settle';
      readonly isolate: string;
      readonly call: number;
      readonly ok: boolean;
      readonly json: string;
    }
  | { readonly kind: 'ask'; readonly isolate: string; readonly id: number; readonly question: Question };

/** How a cell ended. Texts are capped by the host; lines are the user's. */
export type CellOutcome =
  /** `text`: how its language writes the value, where JSON does not tell. */
  | { readonly status: 'value'; readonly json: string; readonly text?: string }
  | { readonly status: 'preview'; readonly type: string; readonly text: string }
  | { readonly status: 'error'; readonly error: GuestErrorReport }
  | { readonly status: 'stopped'; readonly by: 'cpu' | 'wall' | 'request' };

/** How a capability call can fail so that an uncaught error of it says more than that code threw. */
export const CALL_FAULTS = [
  'APPROVAL_DENIED',
  'BUDGET_EXCEEDED',
  'CAPABILITY_DENIED',
  'CONFLICT',
  'EFFECT_FAILED',
  'IN_DOUBT',
  'RATE_LIMITED',
  'TOO_LARGE',
  'UNAVAILABLE',
] as const;

export interface GuestErrorReport {
  readonly code: 'SYNTAX_ERROR' | 'RUNTIME_ERROR' | (typeof CALL_FAULTS)[number];
  readonly name: string | null;
  readonly message: string;
  readonly stack: string;
  readonly thrownType?: string;
  readonly line?: number;
  readonly column?: number;
  readonly frame?: string;
  /** The code of an uncaught `SystemExit`, where it is a whole number. */
  readonly exitStatus?: number;
  /** The capability of an error that a capability's rejection carried, or the undefined name of an uncaught ReferenceError. */
  readonly capability?: string;
  readonly cause?: GuestErrorReport;
  /** The cause was being handled when this happened, and is not what this was raised from. */
  readonly whileHandling?: boolean;
  readonly errors?: readonly GuestErrorReport[];
}

export interface CellUsage {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly heapBytes: number;
  /** Whether the isolate now holds anything a user would miss: names, timers, open calls. */
  readonly stateful: boolean;
  /** Timers and calls that code has left behind: while there are some, it may go on by itself. */
  readonly pending: number;
}

export type Answer =
  | {
      readonly about: 'namespace.list';
      readonly names: readonly { name: string; kind: string; type: string; preview: string }[];
    }
  | { readonly about: 'namespace.get'; readonly found: boolean; readonly outcome?: CellOutcome }
  | { readonly about: 'namespace.set'; readonly names: readonly string[] }
  | { readonly about: 'namespace.delete'; readonly names: readonly string[] }
  | { readonly about: 'complete'; readonly matches: readonly string[]; readonly start: number; readonly end: number }
  | { readonly about: 'inspect'; readonly found: boolean; readonly text: string }
  | { readonly about: 'isComplete'; readonly status: 'complete' | 'incomplete' | 'invalid' }
  | { readonly about: 'pending'; readonly timers: number; readonly entered: boolean }
  /** In base64, or null and why there is none. `since`: entries that were made after it, and told before this answer. */
  | { readonly about: 'image'; readonly image: string | null; readonly refused: string; readonly since: number };

/** `cell` is null for what code does after the cell that left it behind has ended. */
export type FromHost =
  | { readonly kind: 'host.ready'; readonly v8: string }
  | { readonly kind: 'host.pong'; readonly id: number }
  /** A host of Python goes on from the snapshot of that name, or has not found it and starts CPython itself. */
  | { readonly kind: 'host.snapshot'; readonly name: string; readonly found: boolean }
  /** The host's engine is beyond repair; `isolate` is the one in which it happened, where that is known. */
  | {
      readonly kind: 'host.doomed';
      readonly isolate: string | null;
      readonly by: 'memory' | 'stuck';
      readonly message: string;
    }
  | {
      readonly kind: 'isolate.lost';
      readonly isolate: string;
      readonly by: 'memory' | 'stuck';
      readonly message: string;
    }
  | {
      readonly kind: 'cell.done';
      readonly isolate: string;
      readonly cell: number;
      readonly outcome: CellOutcome;
      readonly usage: CellUsage;
    }
  | {
      readonly kind: 'output';
      readonly isolate: string;
      readonly cell: number | null;
      readonly stream: 'stdout' | 'stderr';
      readonly text: string;
    }
  | { readonly kind: 'output.truncated'; readonly isolate: string; readonly cell: number | null }
  | { readonly kind: 'display'; readonly isolate: string; readonly cell: number | null; readonly dataJson: string }
  | {
      readonly kind: 'log';
      readonly isolate: string;
      readonly cell: number | null;
      readonly level: string;
      readonly text: string;
    }
  | {
      readonly kind: 'call';
      readonly isolate: string;
      readonly cell: number | null;
      /** The cell that the code goes back to which made it: the running one, or one whose timer or call has led to it. 0: none. */
      readonly origin: number;
      readonly call: number;
      readonly name: string;
      readonly argsJson: string;
      /**
       * Where in the user's code a patient call stands, as `cell:2:1:7`, where that is known. Guest code can make its frames say
       * what it likes.
       */
      readonly position?: string;
    }
  /** What has happened in the isolate; it comes before whatever followed from it. */
  | { readonly kind: 'isolate.lived'; readonly isolate: string; readonly records: readonly LifeRecord[] }
  /** The end of a replay: `problem` is null where the isolate is as it was. */
  | { readonly kind: 'isolate.replayed'; readonly isolate: string; readonly problem: string | null }
  /** Code has called what was taken away from it. Told once for each name and cell. */
  | { readonly kind: 'denied'; readonly isolate: string; readonly cell: number | null; readonly name: string }
  /** What the isolate cannot be given because something in it has the names: to guest code it is not granted. */
  | { readonly kind: 'capabilities.refused'; readonly isolate: string; readonly names: readonly string[] }
  | { readonly kind: 'answer'; readonly isolate: string; readonly id: number; readonly answer: Answer }
  | {
      readonly kind: 'refusal';
      readonly isolate: string;
      readonly id: number;
      readonly code: 'TIMED_OUT' | 'TOO_LARGE' | 'RUNTIME_ERROR' | 'SESSION_LOST';
      readonly message: string;
    };
