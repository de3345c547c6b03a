/**
 * The part of the protocol that is for administrators, on `admin.sock`: backups, the end, approvals, the policy, the audit log. `protocol.ts` has it
 * among its methods and types; nothing else imports this file.
 */
import * as v from 'valibot';

const sessionId = v.pipe(v.string(), v.maxLength(64));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const sequence = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const hours = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(24 * 366));
/** A level's name is checked against the policy in force, which may hold levels of its own. */
const level = v.string();
/** How long a question about what has changed may wait for a change. */
const pollMs = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(60_000));
const approvalId = v.pipe(v.string(), v.maxLength(64));
const time = v.pipe(v.string(), v.isoTimestamp('must be a time such as 2026-01-31T12:00:00Z'));
/** The longest that a daemon which takes nothing new may go on. */
export const DRAIN_MS_MAX = 3_600_000;
const policyFiles = v.pipe(
  v.array(v.strictObject({ name: name, text: v.pipe(v.string(), v.maxLength(262_144)) })),
  v.maxLength(64),
);

/** Every method for administrators, with the schema of its parameters. */
export const ADMINISTRATION_METHODS = {
  'daemon.backup': {
    role: 'admin',
    params: v.strictObject({
      file: v.pipe(v.string(), v.maxLength(4096), v.regex(/^\/[^\0]+$/, 'must be an absolute path')),
    }),
  },
  'daemon.drain': {
    role: 'admin',
    params: v.strictObject({
      graceMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(DRAIN_MS_MAX))),
    }),
  },
  'approval.list': {
    role: 'admin',
    params: v.strictObject({
      status: v.optional(v.picklist(['pending', 'settled', 'all'])),
      afterChange: v.optional(sequence),
      waitMs: v.optional(pollMs),
    }),
  },
  'approval.show': { role: 'admin', params: v.strictObject({ approvalId }) },
  'approval.settle': {
    role: 'admin',
    params: v.strictObject({
      approvalId,
      hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be the hash that approval.show gave')),
      decision: v.picklist(['approve', 'deny']),
      value: v.optional(v.unknown()),
      comment: v.optional(v.pipe(v.string(), v.maxLength(2000))),
    }),
  },
  'policy.list': { role: 'admin', params: v.strictObject({}) },
  'policy.show': { role: 'admin', params: v.strictObject({ level }) },
  'policy.validate': { role: 'admin', params: v.strictObject({ files: policyFiles }) },
  'policy.diff': {
    role: 'admin',
    params: v.strictObject({
      from: v.optional(policyFiles),
      to: v.optional(policyFiles),
      sinceHours: v.optional(hours),
    }),
  },
  'policy.explain': {
    role: 'admin',
    params: v.strictObject({
      level,
      capability: name,
      args: v.optional(v.array(v.unknown())),
      files: v.optional(policyFiles),
    }),
  },
  'policy.test': { role: 'admin', params: v.strictObject({ table: v.string(), files: v.optional(policyFiles) }) },
  'policy.apply': {
    role: 'admin',
    params: v.strictObject({
      files: policyFiles,
      widenRunning: v.optional(v.boolean()),
      dryRun: v.optional(v.boolean()),
    }),
  },
  'policy.learn': { role: 'admin', params: v.strictObject({ sessionId }) },
  'audit.query': {
    role: 'admin',
    params: v.strictObject({
      since: v.optional(time),
      until: v.optional(time),
      sessionId: v.optional(sessionId),
      level: v.optional(level),
      capability: v.optional(name),
      verdict: v.optional(v.picklist(['allow', 'deny', 'ask'])),
      kind: v.optional(name),
      limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
      cursor: v.optional(v.pipe(v.string(), v.maxLength(64))),
    }),
  },
  'audit.tail': {
    role: 'admin',
    params: v.strictObject({ afterSeq: v.optional(sequence), waitMs: v.optional(pollMs) }),
  },
  'audit.verify': { role: 'admin', params: v.strictObject({}) },
} as const;

export interface AdministrationResults {
  'daemon.backup': { readonly file: string; readonly bytes: number };
  'daemon.drain': { readonly graceMs: number; readonly busy: number };
  'approval.list': { readonly change: number; readonly approvals: readonly ApprovalInfo[] };
  'approval.show': ApprovalInfo;
  'approval.settle': ApprovalInfo;
  'policy.list': {
    readonly hash: string;
    readonly source: string;
    readonly levels: readonly Pick<PolicyLevelInfo, 'level' | 'rank' | 'description' | 'extends'>[];
  };
  'policy.show': PolicyLevelInfo & { readonly hash: string };
  'policy.validate': { readonly ok: boolean; readonly problems: readonly PolicyProblem[] };
  'policy.diff': PolicyDiff;
  'policy.explain': PolicyExplanation;
  'policy.test': { readonly passed: number; readonly failed: number; readonly rows: readonly PolicyTestRow[] };
  'policy.apply': { readonly hash: string; readonly previousHash: string; readonly changes: readonly PolicyChange[] };
  /** The smallest grants that would have let through what the session was denied. */
  'policy.learn': { readonly yaml: string; readonly denied: number };
  /** Newest first; `cursor` continues. */
  'audit.query': { readonly records: readonly AuditRecord[]; readonly cursor: string | null };
  'audit.tail': { readonly records: readonly AuditRecord[]; readonly lastSeq: number };
  'audit.verify': {
    readonly ok: boolean;
    readonly records: number;
    readonly firstSeq: number | null;
    readonly lastSeq: number;
    readonly signedSeq: number;
    readonly problems: readonly AuditProblem[];
    readonly moreProblems: number;
  };
}

export type ApprovalKind = 'call' | 'approve' | 'review' | 'level' | 'doubt';
export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'timed-out' | 'cancelled';

/** One request to a person, as the daemon renders it. */
export interface ApprovalInfo {
  readonly approvalId: string;
  /** Of exactly what would be approved; `approval.settle` has to name it. */
  readonly hash: string;
  readonly kind: ApprovalKind;
  readonly status: ApprovalStatus;
  readonly sessionId: string;
  readonly sessionName: string | null;
  readonly level: string;
  readonly language: string;
  readonly executionId: string | null;
  /** Where in the code the call stands, such as `cell:2:1:7`. */
  readonly position: string | null;
  readonly capability: string | null;
  /** The real arguments, as the capability shows them: no contents, no secrets. */
  readonly args: unknown;
  readonly argsBytes: number;
  /** Whether an approval counts for all later calls of this capability in the session. */
  readonly standing: boolean;
  /** The level that a raise would lead to. */
  readonly raisesTo: string | null;
  /** Text that guest code wrote: escaped, capped, and not to be believed. */
  readonly untrusted: { readonly title: string; readonly details: string } | null;
  readonly createdAt: string;
  readonly deadline: string;
  readonly settledAt: string | null;
  readonly comment: string | null;
  readonly settledBy: string | null;
}

export interface AuditRecord {
  /** From 1 without gaps, over restarts and rotations. This is the order; `at` is what the clock said. */
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** SHA-256 of the record before, and of this one: docs/AUDIT.md says over what. */
  readonly prev: string;
  readonly hash: string;
}

export interface AuditProblem {
  readonly file: string;
  readonly line: number;
  readonly seq: number | null;
  readonly what: string;
}

export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

export interface PolicyProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly path: string;
}

/** A rule and where it is written. */
export interface PolicyRule {
  readonly ruleId: string;
  readonly file: string | null;
  readonly line: number | null;
}

export interface PolicyGrantInfo extends PolicyRule {
  readonly capability: string;
  readonly constraints: Readonly<Record<string, unknown>>;
  readonly approval: 'never' | 'once' | 'always';
  /** `60/minute`; null without one. */
  readonly rate: string | null;
  readonly budget: { readonly calls: number | null; readonly bytes: number | null } | null;
}

/** What the level's Python sessions can import besides the standard library. */
export interface PolicyPackageInfo {
  /** As the level names it: `six`, `attrs==25.1.0`. */
  readonly package: string;
  /** Of the wheel that new sessions have. */
  readonly version: string | null;
  readonly sha256: string | null;
  readonly file: string;
  readonly line: number;
}

export interface PolicyLevelInfo {
  readonly level: string;
  readonly rank: number;
  readonly description: string;
  readonly extends: string | null;
  readonly auditSync: 'interval' | 'always';
  readonly grants: readonly PolicyGrantInfo[];
  readonly packages: readonly PolicyPackageInfo[];
  readonly limits: Readonly<Record<string, { readonly value: number; readonly file: string; readonly line: number }>>;
  /** The level's file as it stands. */
  readonly text: string;
}

export interface PolicyChange {
  readonly level: string;
  /** null for what concerns the level or the policy as a whole. */
  readonly capability: string | null;
  readonly allows: 'more' | 'less' | 'other';
  /** A sentence. */
  readonly words: string;
}

/** A call of the past that the other policy decides otherwise. */
export interface PolicyEffect {
  readonly seq: number;
  readonly at: string;
  readonly level: string;
  readonly capability: string;
  readonly was: 'allow' | 'deny' | 'ask';
  readonly becomes: 'allow' | 'deny' | 'ask';
  readonly reason: string;
}

export interface PolicyDiff {
  readonly changes: readonly PolicyChange[];
  readonly decidedOtherwise: readonly PolicyEffect[];
  /** How many calls of the past were looked at. */
  readonly callsConsidered: number;
}

export interface PolicyExplanation extends PolicyRule {
  readonly verdict: 'allow' | 'deny' | 'ask';
  readonly reason: string;
  readonly lowestLevel: string | null;
  readonly grant: PolicyGrantInfo | null;
}

export interface PolicyTestRow {
  readonly line: number;
  readonly ok: boolean;
  readonly words: string;
}
