import * as v from 'valibot';
import { PyreplError } from './errors.ts';
import { FAULTS, type FaultCode, LANGUAGES, type MethodName, type Results, type SessionEvent } from './protocol.ts';

// The edge where what the daemon says comes in. Members that this client does not know are let through, so that a newer
// daemon can say more; members that it relies on must be what the protocol says they are.

const text = v.string();
const number = v.number();
const sequence = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const faultCode = v.picklist(Object.keys(FAULTS) as FaultCode[]);
const nothing = v.looseObject({});
const value = v.variant('kind', [
  v.looseObject({ kind: v.literal('json'), json: v.unknown() }),
  v.looseObject({ kind: v.literal('preview'), text, type: text }),
]);
const sessionInfo = v.looseObject({
  sessionId: text,
  name: v.nullable(text),
  language: v.picklist(LANGUAGES),
  level: text,
  state: v.picklist(['idle', 'running', 'closed']),
  createdAt: text,
  cells: number,
  queued: number,
  seq: sequence,
  capabilities: v.array(text),
  limits: nothing,
  labels: v.record(text, text),
});
const executionResult = v.looseObject({
  executionId: text,
  cell: number,
  status: v.picklist(['ok', 'error']),
  value: v.optional(value),
  error: v.optional(v.looseObject({ code: faultCode, name: v.nullable(text), message: text, stack: text })),
  output: v.looseObject({ stdout: text, stderr: text, truncated: v.boolean() }),
  durationMs: number,
  cpuMs: number,
  heapBytes: number,
  capabilityCalls: number,
});

const capability = v.looseObject({ name: text, granted: v.boolean() });
const approval = v.looseObject({
  approvalId: text,
  hash: text,
  kind: text,
  status: text,
  sessionId: text,
  level: text,
  argsBytes: number,
  createdAt: text,
  deadline: text,
});
const problems = v.array(v.looseObject({ file: text, line: number, column: number, message: text, path: text }));
const policyLevel = v.looseObject({ level: text, rank: number, description: text });
const policyChanges = v.array(v.looseObject({ level: text, allows: text, words: text }));
const auditRecords = v.array(v.looseObject({ seq: sequence, at: text, kind: text }));

const checkpoint = v.looseObject({ name: text, cell: number, createdAt: text });

const ANSWERS = {
  'daemon.hello': v.looseObject({
    protocol: number,
    version: text,
    role: v.picklist(['client', 'admin']),
    token: text,
    levels: v.array(text),
    levelCeiling: text,
    defaultLevel: text,
    languages: v.array(text),
    limits: v.looseObject({ frameBytesMax: number, sourceBytesMax: number }),
  }),
  'daemon.backup': v.looseObject({ file: text, bytes: number }),
  'daemon.drain': v.looseObject({ graceMs: number, busy: number }),
  'daemon.stats': v.looseObject({ version: text, pid: number, hosts: v.array(nothing) }),
  'session.create': sessionInfo,
  'session.attach': sessionInfo,
  'session.detach': nothing,
  'session.list': v.looseObject({ sessions: v.array(sessionInfo) }),
  'session.show': sessionInfo,
  'session.setLevel': sessionInfo,
  'session.interrupt': v.looseObject({ interrupted: v.boolean() }),
  'session.reset': sessionInfo,
  'session.hibernate': v.looseObject({ hibernated: v.boolean() }),
  'session.close': nothing,
  'session.execute': executionResult,
  'session.complete': v.looseObject({ matches: v.array(text), start: number, end: number }),
  'session.inspect': v.looseObject({ found: v.boolean(), text }),
  'session.isComplete': v.looseObject({ status: v.picklist(['complete', 'incomplete', 'invalid']) }),
  'namespace.list': v.looseObject({
    names: v.array(v.looseObject({ name: text, kind: text, type: text, preview: text })),
  }),
  'namespace.get': v.looseObject({ value }),
  'namespace.set': v.looseObject({ set: v.array(text) }),
  'namespace.delete': v.looseObject({ deleted: v.array(text) }),
  'checkpoint.create': checkpoint,
  'checkpoint.list': v.looseObject({ checkpoints: v.array(checkpoint) }),
  'checkpoint.restore': sessionInfo,
  'capability.list': v.looseObject({ capabilities: v.array(capability) }),
  'capability.provide': capability,
  'capability.withdraw': nothing,
  'input.answer': nothing,
  'approval.list': v.looseObject({ change: number, approvals: v.array(approval) }),
  'approval.show': approval,
  'approval.settle': approval,
  'policy.list': v.looseObject({ hash: text, source: text, levels: v.array(policyLevel) }),
  'policy.show': v.looseObject({ ...policyLevel.entries, grants: v.array(nothing), packages: v.array(nothing), text }),
  'policy.validate': v.looseObject({ ok: v.boolean(), problems }),
  'policy.diff': v.looseObject({ changes: policyChanges, decidedOtherwise: v.array(nothing), callsConsidered: number }),
  'policy.explain': v.looseObject({ verdict: text, reason: text, ruleId: text }),
  'policy.test': v.looseObject({ passed: number, failed: number, rows: v.array(nothing) }),
  'policy.apply': v.looseObject({ hash: text, previousHash: text, changes: policyChanges }),
  'policy.learn': v.looseObject({ yaml: text, denied: number }),
  'audit.query': v.looseObject({ records: auditRecords, cursor: v.nullable(text) }),
  'audit.tail': v.looseObject({ records: auditRecords, lastSeq: sequence }),
  'audit.verify': v.looseObject({ ok: v.boolean(), records: number, lastSeq: sequence, problems: v.array(nothing) }),
} as const satisfies Record<MethodName, v.GenericSchema>;

/** Holds an answer against its method's shape. Throws INTERNAL naming the first member that is wrong. */
export function parseAnswer<M extends MethodName>(method: M, answer: unknown): Results[M] {
  const parsed = v.safeParse(ANSWERS[method] as v.GenericSchema, answer, { abortEarly: true });
  if (parsed.success) return answer as Results[M];
  const [issue] = parsed.issues;
  const where = v.getDotPath(issue);
  throw new PyreplError(
    'INTERNAL',
    `the daemon answered ${method} with something else: ${where ?? 'the answer'}: ${issue.message}`,
  );
}

const numbered = { sessionId: text, seq: v.pipe(sequence, v.minValue(1)) };
const ofExecution = { ...numbered, executionId: v.nullable(text) };
const EVENTS: Readonly<Record<string, v.GenericSchema>> = {
  'execution.started': v.looseObject({ ...numbered, executionId: text, cell: number }),
  'execution.finished': v.looseObject({ ...numbered, executionId: text, status: v.picklist(['ok', 'error']) }),
  output: v.looseObject({ ...ofExecution, stream: v.picklist(['stdout', 'stderr']), text }),
  'output.truncated': v.looseObject({ ...ofExecution, limitBytes: number }),
  display: v.looseObject({ ...ofExecution, data: v.record(text, v.unknown()) }),
  log: v.looseObject({ ...ofExecution, level: text, text }),
  'input.requested': v.looseObject({ ...ofExecution, requestId: text, prompt: text }),
  'input.settled': v.looseObject({ ...numbered, requestId: text, outcome: text }),
  'session.level': v.looseObject({ ...numbered, level: text }),
  'capabilities.changed': v.looseObject({ ...numbered, capabilities: v.array(text) }),
  'approval.requested': v.looseObject({ ...ofExecution, approvalId: text, capability: v.nullable(text) }),
  'approval.settled': v.looseObject({ ...numbered, approvalId: text, outcome: text }),
  'session.lost': v.looseObject({ ...numbered, code: faultCode, message: text }),
  'session.reset': v.looseObject(numbered),
  'session.detached': v.looseObject({ ...numbered, role: v.picklist(['client', 'admin']), reason: text }),
  'session.closed': v.looseObject({ ...numbered, reason: text }),
} satisfies Record<SessionEvent['kind'], v.GenericSchema>;
const anyEvent = v.looseObject({ ...numbered, kind: text });

/**
 * Holds an event against its kind's shape. An event of a kind that this client does not know is let through: its number
 * counts, and a reader may know it. Throws INTERNAL where the daemon sent something that is no event.
 */
export function parseEvent(params: unknown): SessionEvent {
  const base = v.safeParse(anyEvent, params);
  const schema = base.success && Object.hasOwn(EVENTS, base.output.kind) ? EVENTS[base.output.kind] : anyEvent;
  if (base.success && schema && v.is(schema, params)) return params as SessionEvent;
  const kind = base.success ? ` of kind ${base.output.kind}` : '';
  throw new PyreplError('INTERNAL', `the daemon sent an event${kind} that the protocol does not have`);
}
