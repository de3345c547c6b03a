/**
 * The boundary between clients and the daemon: JSON-RPC 2.0, one message per WebSocket text frame, subprotocol
 * {@link SUBPROTOCOL}, over the Unix sockets in the daemon's state directory. Both sides take their types from here; the
 * daemon parses what arrives with the schemas of {@link METHODS}.
 */
import * as v from 'valibot';

export type * from './administration.ts';
export { DRAIN_MS_MAX } from './administration.ts';
export { type Blame, FAULTS, type FaultCode, type FaultData } from './faults.ts';

import { ADMINISTRATION_METHODS, type AdministrationResults, type ApprovalStatus } from './administration.ts';
import type { FaultCode } from './faults.ts';

export const SUBPROTOCOL = 'pyrepl3.v1';
export const PROTOCOL_VERSION = 1;
export const CLIENT_SOCKET = 'client.sock';
export const ADMIN_SOCKET = 'admin.sock';

/** The largest WebSocket message either side accepts, in bytes. A source of 1 MiB whose every character is escaped fits. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export const LANGUAGES = ['javascript', 'typescript', 'python'] as const;
export type Language = (typeof LANGUAGES)[number];
export type Role = 'client' | 'admin';

// ---------------------------------------------------------------------------------------------------------------------
// Requests

const sessionId = v.pipe(v.string(), v.maxLength(64));
const executionId = v.pipe(
  v.string(),
  v.regex(/^[\w.:-]{1,128}$/, 'must be 1 to 128 letters, digits or any of _ . : -'),
);
const milliseconds = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400_000));
const source = v.string();
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const label = v.pipe(v.string(), v.maxLength(256));
const checkpoint = v.pipe(
  v.string(),
  v.regex(/^[\w.-]{1,64}$/, 'a name of up to 64 letters, digits, "_", "-" and "."'),
);
const cursor = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const sequence = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 40));
/** Asked-for limits; the daemon holds them against the level's, which they can only narrow. */
const limits = v.strictObject({
  heapMiBMax: v.optional(count),
  cellCpuMsMax: v.optional(milliseconds),
  cellWallMsMax: v.optional(milliseconds),
  cellOutputBytesMax: v.optional(count),
  queueLengthMax: v.optional(count),
});

/** Words of a command line. Together no longer than a source may be at the lowest level. */
const argv = v.pipe(
  v.array(v.string()),
  v.maxLength(1000),
  v.check((words) => words.reduce((sum, word) => sum + word.length, 0) <= 1_048_576, 'at most 1 MiB of text'),
);

/** A level's name is checked against the policy in force, which may hold levels of its own. */
const level = v.string();
const none = v.strictObject({});
/** An object, or true or false, as JSON Schema has it; the daemon looks at the rest. */
const jsonSchema = v.union([v.boolean(), v.record(v.string(), v.unknown())]);
const ofSession = v.strictObject({ sessionId });

/** Every method: the schema of its parameters and the least role that may call it. */
export const METHODS = {
  'daemon.hello': {
    role: 'client',
    params: v.strictObject({
      client: v.optional(v.strictObject({ name: label, version: label })),
      token: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{22,128}$/, 'must be a token that daemon.hello gave'))),
    }),
  },
  'daemon.stats': { role: 'admin', params: none },
  'session.create': {
    role: 'client',
    params: v.strictObject({
      language: v.optional(v.picklist(LANGUAGES)),
      level: v.optional(level),
      name: v.optional(label),
      limits: v.optional(limits),
      capabilities: v.optional(v.pipe(v.array(name), v.maxLength(256))),
      argv: v.optional(argv),
      labels: v.optional(v.pipe(v.record(name, label), v.maxEntries(32))),
    }),
  },
  'session.attach': { role: 'client', params: v.strictObject({ sessionId, afterSeq: v.optional(sequence) }) },
  'session.detach': { role: 'client', params: ofSession },
  'session.list': { role: 'client', params: none },
  'session.show': { role: 'client', params: ofSession },
  'session.setLevel': { role: 'client', params: v.strictObject({ sessionId, level }) },
  'session.interrupt': { role: 'client', params: v.strictObject({ sessionId, executionId: v.optional(executionId) }) },
  'session.reset': { role: 'client', params: ofSession },
  'session.hibernate': { role: 'client', params: ofSession },
  'session.close': { role: 'client', params: ofSession },
  'session.execute': {
    role: 'client',
    params: v.strictObject({
      sessionId,
      source,
      executionId: v.optional(executionId),
      timeoutMs: v.optional(milliseconds),
      rollbackOnError: v.optional(v.boolean()),
    }),
  },
  'session.complete': { role: 'client', params: v.strictObject({ sessionId, source, cursor }) },
  'session.inspect': { role: 'client', params: v.strictObject({ sessionId, source, cursor }) },
  'session.isComplete': { role: 'client', params: v.strictObject({ sessionId, source }) },
  'namespace.list': { role: 'client', params: ofSession },
  'namespace.get': { role: 'client', params: v.strictObject({ sessionId, name }) },
  'namespace.set': { role: 'client', params: v.strictObject({ sessionId, values: v.record(name, v.unknown()) }) },
  'namespace.delete': {
    role: 'client',
    params: v.strictObject({ sessionId, names: v.pipe(v.array(name), v.maxLength(1000)) }),
  },
  'checkpoint.create': { role: 'client', params: v.strictObject({ sessionId, name: v.optional(checkpoint) }) },
  'checkpoint.list': { role: 'client', params: ofSession },
  'checkpoint.restore': { role: 'client', params: v.strictObject({ sessionId, name: checkpoint }) },
  'capability.list': { role: 'client', params: ofSession },
  'capability.provide': {
    role: 'client',
    params: v.strictObject({
      sessionId,
      name,
      summary: v.pipe(v.string(), v.minLength(1), v.maxLength(500)),
      parameters: jsonSchema,
      result: v.optional(jsonSchema),
      timeoutMs: v.optional(milliseconds),
    }),
  },
  'capability.withdraw': { role: 'client', params: v.strictObject({ sessionId, name }) },
  'input.answer': {
    role: 'client',
    params: v.strictObject({ sessionId, requestId: v.pipe(v.string(), v.maxLength(64)), text: v.nullable(v.string()) }),
  },
  ...ADMINISTRATION_METHODS,
} as const satisfies Record<string, { role: Role; params: v.GenericSchema }>;

export type MethodName = keyof typeof METHODS;
/** What a caller writes. */
export type Params<M extends MethodName> = v.InferInput<(typeof METHODS)[M]['params']>;

// ---------------------------------------------------------------------------------------------------------------------
// Answers

/** A result: JSON where it is JSON, otherwise its preview as text and its type (`undefined`, `function`, `Map`, `Foo`, …). */
export type Value =
  /** `text`: its repr, of a number of Python that JSON does not tell from another (`1.0`). */
  | { readonly kind: 'json'; readonly json: unknown; readonly text?: string }
  | { readonly kind: 'preview'; readonly text: string; readonly type: string };

/** A place that a session can be taken back to. */
export interface CheckpointInfo {
  readonly name: string;
  /** The newest cell when it was made. */
  readonly cell: number;
  /** ISO 8601. */
  readonly createdAt: string;
}

/** What ended a cell that did not end well. Lines and columns are the user's own, counted from 1. */
export interface ExecutionError {
  readonly code: FaultCode;
  /** The error's `name`; `null` where something that is no error was thrown; `Timeout` for TIMED_OUT. */
  readonly name: string | null;
  readonly message: string;
  /** Frames of guest code only, as `at f (cell:2:1:7)`; empty where there are none. */
  readonly stack: string;
  /** `typeof` of what was thrown, where guest code threw it. */
  readonly thrownType?: string;
  readonly line?: number;
  readonly column?: number;
  /** The line at fault with a caret under the column. */
  readonly frame?: string;
  /** What the program asked to end with, by an uncaught `SystemExit` of a whole number. */
  readonly exitStatus?: number;
  readonly cause?: ExecutionError;
  /** The cause was being handled when this happened, and is not what this was raised from (Python). */
  readonly whileHandling?: boolean;
  readonly errors?: readonly ExecutionError[];
  /** Facts a program may act on, such as `{capability: 'input', lowestLevel: 'restricted'}`. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ExecutionResult {
  readonly executionId: string;
  /** The cell's number in its session, counted from 1. */
  readonly cell: number;
  readonly status: 'ok' | 'error';
  readonly value?: Value;
  readonly error?: ExecutionError;
  /** What the cell wrote up to its end, the last 64 KiB of each stream. `truncated` where the level's limit dropped some of it. */
  readonly output: { readonly stdout: string; readonly stderr: string; readonly truncated: boolean };
  readonly durationMs: number;
  readonly cpuMs: number;
  readonly heapBytes: number;
  readonly capabilityCalls: number;
}

export type SessionState = 'idle' | 'running' | 'closed';

export interface SessionLimits {
  readonly heapMiBMax: number;
  readonly cellCpuMsMax: number;
  readonly cellWallMsMax: number;
  readonly cellOutputBytesMax: number;
  readonly queueLengthMax: number;
}

export interface SessionInfo {
  readonly sessionId: string;
  readonly name: string | null;
  readonly language: Language;
  readonly level: string;
  readonly state: SessionState;
  readonly createdAt: string;
  readonly cells: number;
  readonly queued: number;
  /** The number of the last event. */
  readonly seq: number;
  readonly capabilities: readonly string[];
  readonly limits: SessionLimits;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NamespaceEntry {
  readonly name: string;
  /** `let`, `const`, `class`, `var`, `function` as declared; `value` where it was set from outside or assigned without a declaration. */
  readonly kind: string;
  readonly type: string;
  readonly preview: string;
}

export interface CapabilityInfo {
  readonly name: string;
  readonly granted: boolean;
  readonly lowestLevel: string | null;
  readonly summary: string;
  /** As it would stand in a `.d.ts`. */
  readonly signature: string;
  /** As it would stand in a Python stub file. */
  readonly stub: string;
  /** The names that it puts into the session. */
  readonly globals: readonly string[];
  /** Whether a person must agree to its calls; null where it is not granted. */
  readonly approval: 'never' | 'once' | 'always' | null;
}

export interface DaemonStats {
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly nodeVersion: string;
  readonly v8Version: string;
  readonly connections: number;
  readonly sessions: number;
  readonly running: number;
  readonly executions: number;
  /** It takes nothing new and ends soon. */
  readonly draining: boolean;
  readonly rssBytes: number;
  readonly hosts: readonly {
    readonly pid: number;
    readonly cordon: string | null;
    readonly isolates: number;
    readonly rssBytes: number;
  }[];
}

export interface Results extends AdministrationResults {
  'daemon.hello': {
    readonly protocol: number;
    readonly version: string;
    readonly nodeVersion: string;
    readonly v8Version: string;
    readonly role: Role;
    /** Presenting it in a later hello makes the new connection the same client, owner of the same sessions. */
    readonly token: string;
    readonly levels: readonly string[];
    readonly levelCeiling: string;
    readonly defaultLevel: string;
    readonly languages: readonly Language[];
    readonly limits: { readonly frameBytesMax: number; readonly sourceBytesMax: number };
  };
  'daemon.stats': DaemonStats;
  'session.create': SessionInfo;
  /** Events after `afterSeq` follow this answer; without it only new ones do. */
  'session.attach': SessionInfo;
  'session.detach': Record<string, never>;
  'session.list': { readonly sessions: readonly SessionInfo[] };
  'session.show': SessionInfo;
  'session.setLevel': SessionInfo;
  'session.interrupt': { readonly interrupted: boolean };
  'session.reset': SessionInfo;
  /** False where the session has something to do, and stays awake. */
  'session.hibernate': { readonly hibernated: boolean };
  'session.close': Record<string, never>;
  'session.execute': ExecutionResult;
  /** `matches` replace the source between `start` and `end`. */
  'session.complete': { readonly matches: readonly string[]; readonly start: number; readonly end: number };
  'session.inspect': { readonly found: boolean; readonly text: string };
  'session.isComplete': { readonly status: 'complete' | 'incomplete' | 'invalid' };
  'namespace.list': { readonly names: readonly NamespaceEntry[] };
  'namespace.get': { readonly value: Value };
  'namespace.set': { readonly set: readonly string[] };
  'namespace.delete': { readonly deleted: readonly string[] };
  'checkpoint.create': CheckpointInfo;
  'checkpoint.list': { readonly checkpoints: readonly CheckpointInfo[] };
  'checkpoint.restore': SessionInfo;
  'capability.list': { readonly capabilities: readonly CapabilityInfo[] };
  'input.answer': Record<string, never>;
  'capability.provide': CapabilityInfo;
  'capability.withdraw': Record<string, never>;
}

/** What the daemon asks of a client: requests in the other direction, over the same connection. */
export const CLIENT_METHODS = {
  /** A call of a capability that the client provides; answered with JSON data, or an error whose message guest code may read. */
  'capability.invoke': v.strictObject({
    sessionId,
    callId: v.pipe(v.string(), v.maxLength(64)),
    name,
    args: v.array(v.unknown()),
  }),
} as const;

// ---------------------------------------------------------------------------------------------------------------------
// Events

/** What happens in a session, numbered from 1 without gaps. `executionId` is null for what happens after its cell has ended. */
export type EventBody =
  | { readonly kind: 'execution.started'; readonly executionId: string; readonly cell: number }
  | {
      readonly kind: 'execution.finished';
      readonly executionId: string;
      readonly status: 'ok' | 'error';
      readonly code?: FaultCode;
    }
  | {
      readonly kind: 'output';
      readonly executionId: string | null;
      readonly stream: 'stdout' | 'stderr';
      readonly text: string;
    }
  | { readonly kind: 'output.truncated'; readonly executionId: string | null; readonly limitBytes: number }
  | {
      readonly kind: 'display';
      readonly executionId: string | null;
      /** MIME type to content; always has `text/plain`. Binary content is base64. */
      readonly data: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'log'; readonly executionId: string | null; readonly level: string; readonly text: string }
  | {
      readonly kind: 'input.requested';
      readonly executionId: string | null;
      readonly requestId: string;
      readonly prompt: string;
    }
  | {
      readonly kind: 'input.settled';
      readonly requestId: string;
      readonly outcome: 'answered' | 'timed-out' | 'cancelled';
    }
  | { readonly kind: 'session.level'; readonly level: string }
  /** What the session may use has changed: its level was edited, or its client provided or withdrew something. */
  | { readonly kind: 'capabilities.changed'; readonly capabilities: readonly string[] }
  /** A call waits for a person. */
  | {
      readonly kind: 'approval.requested';
      readonly executionId: string | null;
      readonly approvalId: string;
      readonly capability: string | null;
    }
  | {
      readonly kind: 'approval.settled';
      readonly approvalId: string;
      readonly outcome: Exclude<ApprovalStatus, 'pending'>;
    }
  /** The isolate and the namespace are gone; the session goes on with a fresh one. */
  | { readonly kind: 'session.lost'; readonly code: FaultCode; readonly message: string }
  | { readonly kind: 'session.reset' }
  /** The level is above the ceiling of that role's connections: this is the last event that they get. */
  | { readonly kind: 'session.detached'; readonly role: Role; readonly reason: string }
  | { readonly kind: 'session.closed'; readonly reason: string };

/** The parameters of the `event` notification. */
export type SessionEvent = EventBody & { readonly sessionId: string; readonly seq: number };

/** Close codes of the WebSocket beyond RFC 6455's own. The close reason is a sentence. */
export const CLOSE = {
  slowReader: 4001,
  heartbeatMissed: 4002,
  drained: 4003,
  tooManyConnections: 4004,
  sessionMoved: 4005,
} as const;
