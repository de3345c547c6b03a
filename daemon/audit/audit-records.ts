/**
 * Every kind of audit record with its fields: the one table that types, encoding, length caps and docs/AUDIT.md go by. What
 * a field is not listed for is never written.
 */

/** What one field holds, and how much of it is kept. */
export interface Field<T, O extends boolean = boolean> {
  readonly type: 'text' | 'texts' | 'number' | 'flag' | 'json';
  readonly optional: O;
  /** Of a text, in UTF-16 units; of JSON, of all its text together; of a list, of each item. */
  readonly lengthMax: number;
  /** Holds the type only; no field has it. */
  readonly holds?: T;
}

/** The fields of a kind, and whether the record must be with the operating system before the next statement runs. */
export interface RecordKind {
  readonly about: string;
  readonly immediate: boolean;
  readonly fields: Readonly<Record<string, Field<unknown>>>;
}

export const TEXT_LENGTH_MAX = 2048;
const NAME_LENGTH_MAX = 256;
const ID_LENGTH_MAX = 128;
const ARGS_LENGTH_MAX = 8192;

const sized =
  (lengthMax: number) =>
  <T extends string | null = string>(): Field<NoInfer<T>, false> => ({ type: 'text', optional: false, lengthMax });
const text = sized(TEXT_LENGTH_MAX);
const name = sized(NAME_LENGTH_MAX);
const id = sized(ID_LENGTH_MAX);
const number = <T extends number | null = number>(): Field<NoInfer<T>, false> => ({
  type: 'number',
  optional: false,
  lengthMax: 0,
});
const flag = (): Field<boolean, false> => ({ type: 'flag', optional: false, lengthMax: 0 });
const texts = (lengthMax: number): Field<readonly string[], false> => ({ type: 'texts', optional: false, lengthMax });
const json = (): Field<unknown, false> => ({ type: 'json', optional: false, lengthMax: ARGS_LENGTH_MAX });
const optional = <T>(field: Field<T>): Field<T, true> => ({ ...field, optional: true });

const kind = <F extends object>(about: string, fields: F) => ({
  about,
  immediate: false,
  fields,
});
const immediate = <F extends object>(about: string, fields: F) => ({
  about,
  immediate: true,
  fields,
});

const ofSession = { sessionId: id() };
const ofApproval = { approvalId: id(), sessionId: id() };
const ofChange = { sessionId: id(), capabilities: texts(NAME_LENGTH_MAX), reason: text() };
const ofHost = { pid: number(), cordon: name<string | null>(), reason: text() };

export const RECORD_KINDS = {
  'daemon.started': immediate('The daemon began.', { version: name(), pid: number() }),
  'daemon.stopped': kind('The daemon ended in good order.', { reason: text() }),
  'daemon.draining': kind('The daemon takes nothing new from now on, and ends when what runs has finished.', {
    by: name(),
    graceMs: number(),
  }),
  'daemon.backup': immediate('A copy of the sessions and of what they hold is written to a file.', {
    file: text(),
    by: name(),
  }),

  'client.connected': kind('A connection said hello and was taken.', { principal: name(), role: name() }),
  'client.refused': kind('A connection or its credentials were refused.', { reason: text() }),
  'level.denied': kind('A client asked for a level above its ceiling, or wanted to use a session that is above it.', {
    principal: name(),
    asked: name(),
    ceiling: name(),
    sessionId: optional(id()),
  }),

  'session.created': kind('A session began.', {
    ...ofSession,
    principal: name(),
    level: name(),
    language: name(),
    capabilities: texts(NAME_LENGTH_MAX),
  }),
  'session.packages': kind(
    'A session has a fresh isolate, made with these packages: name, version and wheel of each.',
    {
      ...ofSession,
      packages: texts(NAME_LENGTH_MAX),
    },
  ),
  'session.level': kind('A session is moved to another level.', { ...ofSession, from: name(), to: name(), by: name() }),
  'session.lost': kind('A session lost its isolate and its variables.', {
    ...ofSession,
    code: name(),
    message: text(),
  }),
  'session.taken': kind('This daemon goes on with a session that another one of its group had.', {
    sessionId: id(),
  }),
  'session.moved': kind('This daemon has lost a session to another one of its group, or is about to.', {
    sessionId: id(),
  }),
  'session.recovered': kind('A session whose isolate, host or daemon was lost is made again from its journal.', {
    ...ofSession,
    /** Why the isolate was lost; null where the daemon was. */
    code: name<string | null>(),
    entries: number(),
  }),
  'session.closed': kind('A session ended.', { ...ofSession, reason: text() }),

  'execution.started': kind('A cell is handed to the host of its session.', {
    ...ofSession,
    executionId: id(),
    sourceSha256: id(),
  }),
  'execution.finished': kind('A cell ended.', {
    ...ofSession,
    executionId: id(),
    status: name(),
    code: optional(name()),
  }),
  'limit.hit': kind('A limit ended a cell or cut what it did.', {
    ...ofSession,
    executionId: id<string | null>(),
    code: name(),
  }),
  violation: kind('A session tried to break out of its sandbox.', { ...ofSession, message: text() }),

  'capability.injected': kind('Names appear in a running session.', ofChange),
  'capability.withdrawn': kind('Names disappear from a running session.', ofChange),
  'capability.provided': kind('A client registered a capability of its own for its session.', {
    ...ofSession,
    principal: name(),
    capability: name(),
  }),
  'capability.unprovided': kind('A capability that a client had provided is gone.', {
    ...ofSession,
    capability: name(),
    reason: text(),
  }),
  'capability.decision': immediate(
    'What the policy says to one call. An allow is the intent: the effect starts after it, and a `capability.outcome` with the same callId follows.',
    {
      ...ofSession,
      executionId: id<string | null>(),
      callId: id<string | null>(),
      level: name(),
      capability: name(),
      args: json(),
      argsBytes: number(),
      policyHash: id(),
      verdict: name<'allow' | 'deny' | 'ask'>(),
      ruleId: optional(name()),
      approvalId: optional(id()),
      code: optional(name()),
      reason: optional(text()),
    },
  ),
  'capability.outcome': kind('How an allowed call ended.', {
    ...ofSession,
    callId: id(),
    capability: name(),
    outcome: name<'done' | 'failed'>(),
    code: optional(name()),
    resultBytes: optional(number()),
    durationMs: number(),
  }),

  'capability.retried': kind('An effect failed for a reason that may be over in a moment, and is tried again.', {
    ...ofSession,
    callId: id(),
    capability: name(),
    /** Of the one that begins now; 2 or more. */
    attempt: number(),
    code: name(),
  }),

  'approval.requested': immediate('A request for a decision stands in the inbox.', {
    ...ofApproval,
    hash: id(),
    approvalKind: name(),
    executionId: id<string | null>(),
    level: name(),
    capability: name<string | null>(),
    raisesTo: name<string | null>(),
    deadline: name(),
  }),
  'approval.settled': immediate('A request got its one outcome.', {
    ...ofApproval,
    outcome: name(),
    by: name<string | null>(),
    comment: text<string | null>(),
    edited: flag(),
  }),

  'policy.applied': immediate('Another policy is in force.', {
    hash: id(),
    previousHash: id<string | null>(),
    by: name(),
    changes: texts(NAME_LENGTH_MAX),
  }),
  'policy.rejected': kind('A policy was not taken, and the one before stays in force.', {
    by: name(),
    problems: texts(NAME_LENGTH_MAX),
  }),

  'host.killed': kind('The daemon killed a sandbox host.', ofHost),
  'host.ended': kind('A sandbox host is gone.', ofHost),

  'audit.key': immediate('A signing key was made; later heads are signed with it.', {
    keyId: id(),
    previousKeyId: id<string | null>(),
  }),
  'audit.head': kind('A signature over the chain up to the record before.', {
    seq: number(),
    hash: id(),
    keyId: id(),
    signature: id(),
  }),
  'audit.rotated': immediate('This file goes on where another ended.', {
    file: name(),
    lastSeq: number(),
    lastHash: id(),
  }),
  'audit.recovered': immediate(
    'The log could not be written for a time, or its end was torn by a crash and moved aside.',
    {
      atSeq: number(),
      bytes: number(),
      lost: number(),
      reason: text(),
    },
  ),
  'audit.broken': immediate('The daemon found the log changed when it started, and goes on in this new file.', {
    code: name<'AUDIT_BROKEN'>(),
    file: name<string | null>(),
    line: number<number | null>(),
    seq: number<number | null>(),
    what: text(),
  }),
  'audit.queried': kind('An administrator read the log.', { by: name() }),
} as const satisfies Record<string, RecordKind>;

type Held<F> = F extends Field<infer T> ? T : never;
type FieldsOf<F> = {
  readonly [N in keyof F as F[N] extends { readonly optional: true } ? never : N]: Held<F[N]>;
} & { readonly [N in keyof F as F[N] extends { readonly optional: true } ? N : never]?: Held<F[N]> };

/** The fields of each kind, as callers pass them. */
export type AuditRecords = {
  readonly [K in keyof typeof RECORD_KINDS]: FieldsOf<(typeof RECORD_KINDS)[K]['fields']>;
};
export type AuditKind = keyof AuditRecords;
