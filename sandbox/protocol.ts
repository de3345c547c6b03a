/**
 * The boundary between the daemon and a sandbox host, a tagged union per direction. Messages travel in batches: one IPC
 * message is an array of these. A host runs code nobody has vetted beside it, so the daemon parses what arrives from one
 * like any other untrusted input (see `daemon/hosts/host-messages.ts`).
 */
export type HostLanguage = 'javascript' | 'typescript';

/** What of the engine's own an isolate has; spare isolates of a cordon are made with it already. */
export interface PlatformSpec {
  /** Whether the clock moves while code runs; otherwise it stands still between entries. */
  readonly liveClock: boolean;
  readonly webAssembly: boolean;
  readonly sharedMemory: boolean;
  readonly resizableBuffers: boolean;
}

/** What one isolate is made with. Names that are not listed in `capabilities` do not exist in it. */
export interface IsolateSpec {
  /** 128 bits in hexadecimal: the seed of the session's random generator. */
  readonly seed: string;
  readonly heapMiB: number;
  readonly platform: PlatformSpec;
  /** Whether fresh entropy is mixed into the generator at every entry. */
  readonly liveRandom: boolean;
  /** The built-in output functions that are granted: `print`, `console`, `display`, `log`. */
  readonly outputs: readonly string[];
  /** Functions whose calls the daemon answers. */
  readonly capabilities: readonly string[];
  /** Those of them that wait for a person: while such a call is open, a cell's wall clock stands still. */
  readonly patient: readonly string[];
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

/** What can be asked about an isolate between cells. */
export type Question =
  | { readonly about: 'namespace.list' }
  | { readonly about: 'namespace.get'; readonly name: string }
  | { readonly about: 'namespace.set'; readonly valuesJson: string }
  | { readonly about: 'namespace.delete'; readonly names: readonly string[] }
  | { readonly about: 'complete'; readonly source: string; readonly cursor: number }
  | { readonly about: 'inspect'; readonly source: string; readonly cursor: number }
  | { readonly about: 'isComplete'; readonly source: string };

export type ToHost =
  /** The host joins a cordon: from now on it keeps `spares` isolates of this kind ready. */
  | {
      readonly kind: 'host.join';
      readonly language: HostLanguage;
      readonly heapMiB: number;
      readonly platform: PlatformSpec;
      readonly spares: number;
    }
  | { readonly kind: 'host.ping'; readonly id: number }
  | { readonly kind: 'isolate.open'; readonly isolate: string; readonly spec: IsolateSpec }
  | { readonly kind: 'isolate.dispose'; readonly isolate: string }
  | { readonly kind: 'capabilities.set'; readonly isolate: string; readonly capabilities: readonly string[] }
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
  | { readonly status: 'value'; readonly json: string }
  | { readonly status: 'preview'; readonly type: string; readonly text: string }
  | { readonly status: 'error'; readonly error: GuestErrorReport }
  | { readonly status: 'stopped'; readonly by: 'cpu' | 'wall' | 'request' };

export interface GuestErrorReport {
  readonly code: 'SYNTAX_ERROR' | 'RUNTIME_ERROR' | 'CAPABILITY_DENIED' | 'TOO_LARGE';
  readonly name: string | null;
  readonly message: string;
  readonly stack: string;
  readonly thrownType?: string;
  readonly line?: number;
  readonly column?: number;
  readonly frame?: string;
  /** The capability of an error that a capability's rejection carried, or the undefined name of an uncaught ReferenceError. */
  readonly capability?: string;
  readonly cause?: GuestErrorReport;
  readonly errors?: readonly GuestErrorReport[];
}

export interface CellUsage {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly heapBytes: number;
  /** Whether the isolate now holds anything a user would miss: names, timers, open calls. */
  readonly stateful: boolean;
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
  | { readonly about: 'isComplete'; readonly status: 'complete' | 'incomplete' | 'invalid' };

/** `cell` is null for what code does after the cell that left it behind has ended. */
export type FromHost =
  | { readonly kind: 'host.ready'; readonly v8: string }
  | { readonly kind: 'host.pong'; readonly id: number }
  /** The host's engine is beyond repair; `isolate` is the one in which it happened, where that is known. */
  | { readonly kind: 'host.doomed'; readonly isolate: string | null; readonly message: string }
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
      readonly call: number;
      readonly name: string;
      readonly argsJson: string;
    }
  | { readonly kind: 'answer'; readonly isolate: string; readonly id: number; readonly answer: Answer }
  | {
      readonly kind: 'refusal';
      readonly isolate: string;
      readonly id: number;
      readonly code: 'TIMED_OUT' | 'TOO_LARGE' | 'RUNTIME_ERROR' | 'SESSION_LOST';
      readonly message: string;
    };
