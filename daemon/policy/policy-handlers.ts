/** The methods with which administrators look at the policy, try another one, and put it in force. */
import type {
  PolicyChange as PolicyChangeInfo,
  PolicyExplanation,
  PolicyGrantInfo,
  PolicyLevelInfo,
} from '../../client/protocol.ts';
import { readDecisionTable, testDecisions } from '../../policies/decision-table.ts';
import { diffPolicies } from '../../policies/diff.ts';
import { levelFromName, levelOf } from '../../policies/evaluate.ts';
import { explain, type Refuse, redecide } from '../../policies/explain.ts';
import { learn } from '../../policies/learn.ts';
import { LIMIT_NAMES } from '../../policies/limits.ts';
import { suggestion } from '../../policies/nearest-name.ts';
import { describePackage } from '../../policies/packages.ts';
import type { PolicyFile } from '../../policies/parse.ts';
import type { Grant, Level, LevelName, Policy } from '../../policies/policy.ts';
import { describeRate } from '../../policies/terms.ts';
import { Fault } from '../fault.ts';
import type { Wheel } from '../packages/wheel.ts';
import type { Handlers } from '../transport/handlers.ts';
import { codeArguments } from './code-arguments.ts';
import { type AuditReader, type RecordedCall, recordedCalls } from './past-calls.ts';
import { boundedProblems, describeProblems } from './policy-problems.ts';
import type { PolicyStore } from './policy-store.ts';

export interface PolicyHandlerParts {
  readonly store: PolicyStore;
  readonly audit: AuditReader;
  /** Why a capability's own constraints refuse a call. */
  readonly refuse: Refuse;
  readonly nowMs: () => number;
}

type PolicyMethod = Extract<keyof Handlers, `policy.${string}`>;

const SINCE_HOURS = 24;
/** A century: beyond it a time is no time. */
const SINCE_HOURS_MAX = 876_000;
const EFFECTS_MAX = 1000;
/** The file of a table has no name here: its client has one. */
const TABLE = 'table';

export function policyHandlers(parts: PolicyHandlerParts): Pick<Handlers, PolicyMethod> {
  return { ...readingHandlers(parts), ...questionHandlers(parts), ...changingHandlers(parts) };
}

function readingHandlers({ store }: PolicyHandlerParts): Pick<Handlers, 'policy.list' | 'policy.show'> {
  return {
    'policy.list': () => ({
      hash: store.hash,
      source: store.folder,
      levels: [...store.current.levels.values()].map(({ name, rank, description, extends: parent }) => ({
        level: name,
        rank,
        description,
        extends: parent,
      })),
    }),
    'policy.show': ({ level }) => {
      const found = levelOf(store.current, levelNamed(store.current, level));
      const text = store.files.find(({ name }) => name === found.origin.file)?.text ?? '';
      return { ...levelInfo(found, store.packages.wheels.get(found.name) ?? [], text), hash: store.hash };
    },
  };
}

function questionHandlers({
  store,
  audit,
  refuse,
}: PolicyHandlerParts): Pick<Handlers, 'policy.explain' | 'policy.test' | 'policy.learn'> {
  const refuseAsWritten: Refuse = (capability, args, constraints) =>
    refuse(capability, codeArguments(capability, args), constraints);
  const policyOf = (files: readonly PolicyFile[] | undefined): Policy =>
    files === undefined ? store.current : store.parse(files);
  return {
    'policy.explain': ({ level, capability, args, files }) => {
      const policy = policyOf(files);
      if (!store.catalogue.has(capability)) {
        const known = suggestion(capability, [...store.catalogue.keys()]);
        throw new Fault('INVALID_PARAMS', `There is no capability ${JSON.stringify(capability)}; ${known}`);
      }
      return explanation(policy, levelNamed(policy, level), capability, args ?? null, refuseAsWritten);
    },
    'policy.test': ({ table, files }) => {
      const policy = policyOf(files);
      const reading = readDecisionTable(TABLE, table);
      if (!reading.ok) {
        const { problems } = reading;
        throw new Fault('POLICY_INVALID', `The table cannot be read:\n${describeProblems(problems)}`, {
          problems: boundedProblems(problems),
        });
      }
      const rows = testDecisions(policy, reading.rows, store.catalogue, refuseAsWritten);
      const passed = rows.filter(({ ok }) => ok).length;
      return { passed, failed: rows.length - passed, rows };
    },
    'policy.learn': async ({ sessionId }) => {
      const denied = await recordedCalls(audit, { sessionId, verdict: 'deny' });
      // In the order in which they were made; a session that was moved is at the level of its last call.
      const level = denied[0]?.level ?? '';
      return learn(denied.toReversed(), store.current, level, store.catalogue);
    },
  };
}

function changingHandlers({
  store,
  audit,
  refuse,
  nowMs,
}: PolicyHandlerParts): Pick<Handlers, 'policy.validate' | 'policy.diff' | 'policy.apply'> {
  return {
    'policy.validate': ({ files }) => {
      const problems = store.problemsOf(files);
      return { ok: problems.length === 0, problems: boundedProblems(problems) };
    },
    'policy.diff': async ({ from: fromFiles, to: toFiles, sinceHours = SINCE_HOURS }) => {
      const from = fromFiles === undefined ? store.current : store.parse(fromFiles);
      const to = toFiles === undefined ? store.current : store.parse(toFiles);
      const since = new Date(nowMs() - Math.min(sinceHours, SINCE_HOURS_MAX) * 3_600_000).toISOString();
      const calls = await recordedCalls(audit, { since });
      const changes: readonly PolicyChangeInfo[] = diffPolicies(from, to, store.catalogue);
      const decidedOtherwise = calls.flatMap((call) => effectOn(call, from, to, refuse)).slice(0, EFFECTS_MAX);
      return { changes, decidedOtherwise, callsConsidered: calls.length };
    },
    'policy.apply': ({ files, widenRunning, dryRun }, caller) =>
      store.apply(files, { by: caller.principal, widenRunning, dryRun }),
  };
}

function effectOn(call: RecordedCall, from: Policy, to: Policy, refuse: Refuse) {
  const otherwise = redecide(call, from, to, refuse);
  if (otherwise === null) return [];
  const { seq, at, level, capability, verdict: was } = call;
  return [{ seq, at, level, capability, was, becomes: otherwise.verdict, reason: otherwise.reason }];
}

function explanation(
  policy: Policy,
  level: LevelName,
  capability: string,
  args: readonly unknown[] | null,
  refuse: Refuse,
): PolicyExplanation {
  const { verdict, reason, ruleId, origin, lowestLevel, grant } = explain(policy, level, capability, args, refuse);
  return {
    verdict,
    reason,
    ruleId,
    file: origin?.file ?? null,
    line: origin?.line ?? null,
    lowestLevel,
    grant: grant === null ? null : grantInfo(grant),
  };
}

function levelNamed(policy: Policy, name: string): LevelName {
  const level = levelFromName(policy, name);
  if (level !== null) return level;
  const known = suggestion(name, [...policy.levels.keys()]);
  throw new Fault('INVALID_PARAMS', `There is no level ${JSON.stringify(name)}; ${known}`);
}

function levelInfo(level: Level, wheels: readonly Wheel[], text: string): PolicyLevelInfo {
  const { name, rank, description, extends: parent, auditSync, grants, limits, limitOrigins } = level;
  return {
    level: name,
    rank,
    description,
    extends: parent,
    auditSync,
    grants: [...grants.values()].map(grantInfo),
    packages: [...level.packages.values()].map((rule) => {
      const wheel = wheels.find(({ name: each }) => each === rule.name);
      return {
        package: describePackage(rule),
        version: wheel?.version ?? null,
        sha256: wheel?.sha256 ?? null,
        file: rule.origin.file,
        line: rule.origin.line,
      };
    }),
    limits: Object.fromEntries(
      LIMIT_NAMES.map((limit) => {
        const { file, line } = limitOrigins.get(limit) ?? level.origin;
        return [limit, { value: limits[limit], file, line }];
      }),
    ),
    text,
  };
}

function grantInfo({ capability, constraints, terms, ruleId, origin }: Grant): PolicyGrantInfo {
  const { approval, rate, budget } = terms;
  return {
    capability,
    constraints,
    approval,
    rate: rate === null ? null : describeRate(rate),
    budget,
    ruleId,
    file: origin.file,
    line: origin.line,
  };
}
