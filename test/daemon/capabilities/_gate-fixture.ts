/** A gate over the shipped policy, or an edit of it, with the records that it wrote. */
import * as v from 'valibot';
import type { Audit, AuditRecords } from '../../../daemon/audit/audit-log.ts';
import { Capability } from '../../../daemon/capabilities/capability.ts';
import { Entitlements } from '../../../daemon/capabilities/entitlements.ts';
import { type CallerSession, Gate, type GateVerdict } from '../../../daemon/capabilities/gate.ts';
import { InputCapability } from '../../../daemon/capabilities/input.ts';
import { Redactor } from '../../../daemon/capabilities/redactor.ts';
import { SessionUsage } from '../../../daemon/capabilities/usage.ts';
import { Fault } from '../../../daemon/fault.ts';
import { BUILT_IN } from '../../../policies/capabilities.ts';
import { levelOf } from '../../../policies/evaluate.ts';
import { type PolicyFile, parsePolicy } from '../../../policies/parse.ts';
import type { Policy } from '../../../policies/policy.ts';
import { shippedFiles } from '../../policies/shipped-files.ts';

/** A `kv` whose keys tell what it does: `forbidden` is refused, `more` goes on with an earlier call. */
class KeyCapability extends Capability<'kv', [string]> {
  override readonly name = 'kv';
  override readonly summary = 'Looks a key up.';
  override readonly signature = 'declare function kv(key: string): Promise<string>;';
  override readonly stub = 'async def kv(key: str) -> str: ...';
  override readonly idempotent = true;
  override readonly patient = false;
  override readonly args = v.strictTuple([v.string()]);

  override refuse([key]: [string]): string | null {
    return key === 'forbidden' ? 'That key is forbidden.' : null;
  }

  override continues([key]: [string]): boolean {
    return key === 'more';
  }

  override audited([key]: [string]): unknown {
    return { key };
  }

  override invoke(): Promise<string> {
    return Promise.resolve('value');
  }
}

const EFFECTS: ReadonlyMap<string, Capability> = new Map(
  [new InputCapability(), new KeyCapability()].map((capability) => [
    capability.name,
    capability as unknown as Capability,
  ]),
);

export interface Decided {
  readonly kind: string;
  readonly fields: Partial<AuditRecords['capability.decision']>;
}

export interface GateFixture {
  readonly gate: Gate;
  readonly records: Decided[];
  /** Another policy is in force from now on. */
  use(policy: Policy): void;
  session(level: string, changes?: { readonly only?: readonly string[]; readonly nowMs?: () => number }): CallerSession;
  judge(session: CallerSession, name: string, args: readonly unknown[] | string): GateVerdict;
}

export function makeGate(start: Policy, options: { readonly auditFails?: boolean } = {}): GateFixture {
  let policy = start;
  const records: Decided[] = [];
  const audit: Audit = {
    append: (kind, fields) => {
      if (options.auditFails) throw new Fault('UNAVAILABLE', 'full');
      records.push({ kind, fields: fields as never });
    },
    note: (kind, fields) => void records.push({ kind, fields: fields as never }),
  };
  const gate = new Gate(
    () => policy,
    () => 'hash',
    audit,
  );
  let calls = 0;
  return {
    gate,
    records,
    use: (next) => {
      policy = next;
    },
    session: (level, { only, nowMs } = {}) => {
      const { grants } = levelOf(policy, level);
      const given = only === undefined ? grants : new Map([...grants].filter(([name]) => only.includes(name)));
      return {
        sessionId: 'ses_1',
        executionId: 'exe_1',
        entitlements: new Entitlements(level, given, () => policy, BUILT_IN),
        usage: new SessionUsage(nowMs ?? (() => 0)),
        redactor: new Redactor(),
        approvedOnce: new Set(),
        effectNamed: (name) => {
          const capability = EFFECTS.get(name);
          return capability && { capability, grantedAs: name };
        },
      };
    },
    judge: (session, name, args) =>
      gate.judge(session, {
        callId: `ses_1/1/${++calls}`,
        name,
        argsJson: typeof args === 'string' ? args : JSON.stringify(args),
      }),
  };
}

export const codeOf = (verdict: GateVerdict): string =>
  verdict.verdict === 'deny' ? verdict.fault.code : verdict.verdict;

/** The shipped policy with one line of a level's file put in place of another. */
export function editedPolicy(level: string, line: RegExp | string, replacement: string): Policy {
  const files = shippedFiles().map((file): PolicyFile => {
    if (file.name !== `${level}.yaml`) return file;
    const text = file.text.replace(line, replacement);
    if (text === file.text) throw new Error(`nothing in ${file.name} matches`);
    return { ...file, text };
  });
  const parsed = parsePolicy(files);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.policy;
}
