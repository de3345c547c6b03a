import type {
  PolicyChange,
  PolicyDiff,
  PolicyEffect,
  PolicyExplanation,
  PolicyGrantInfo,
  PolicyLevelInfo,
  PolicyPackageInfo,
  PolicyProblem,
} from '../protocol.ts';
import { renderTable } from './render.ts';

/** A line of a file beside a message: enough to find it by. */
const LINE_CHARS_MAX = 120;

/** Where the texts of the files are that problems speak of. */
export interface ProblemFiles {
  /** The name by which a person finds the file. */
  pathOf(file: string): string;
  textOf(file: string): string | undefined;
}

/** Each problem as `path:line:column: what`, then the line with a caret under the place. */
export function renderProblems(problems: readonly PolicyProblem[], files: ProblemFiles): string {
  return problems.map((problem) => renderProblem(problem, files)).join('\n');
}

function renderProblem({ file, line, column, path, message }: PolicyProblem, files: ProblemFiles): string {
  const head = `${files.pathOf(file)}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
  const text = files.textOf(file)?.split('\n')[line - 1];
  if (text === undefined || text.trim() === '' || column > LINE_CHARS_MAX) return head;
  const margin = `${line} | `;
  // A tab stays one, so that the caret stands under its column.
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return `${head}\n  ${margin}${text.slice(0, LINE_CHARS_MAX)}\n  ${' '.repeat(margin.length)}${indent}^`;
}

const SIGNS = { more: '+', less: '-', other: '~' } as const;

/** Changes that are the same at several levels stand on one line. */
export function renderChanges(changes: readonly PolicyChange[]): string {
  if (changes.length === 0) return 'no rule changes';
  const levels = new Map<string, string[]>();
  for (const { level, allows, words } of changes) {
    const key = `${SIGNS[allows]} ${words}`;
    levels.set(key, [...(levels.get(key) ?? []), level === '*' ? 'the policy' : level]);
  }
  return [...levels].map(([key, names]) => `${key.slice(0, 2)}${names.join(', ')}: ${key.slice(2)}`).join('\n');
}

/** What an edit changes, and what it would have meant for the calls of the last hours. */
export function renderDiff({ changes, decidedOtherwise, callsConsidered }: PolicyDiff, hours: number): string {
  const past = `the ${callsConsidered} calls of the last ${hours} hours that were looked at`;
  if (decidedOtherwise.length === 0) {
    return `${renderChanges(changes)}\n\nNone of ${past} would be decided differently.`;
  }
  const head = `${decidedOtherwise.length} of ${past} would be decided differently:`;
  return `${renderChanges(changes)}\n\n${head}\n${renderEffects(decidedOtherwise)}`;
}

/** Calls that are alike are counted, with the last of them to look up in the audit log. */
function renderEffects(effects: readonly PolicyEffect[]): string {
  const alike = Map.groupBy(effects, (effect) => {
    const { level, capability, was, becomes, reason } = effect;
    return `${level} ${capability}: ${was} becomes ${becomes}: ${reason}`;
  });
  return [...alike]
    .map(
      ([words, calls]) =>
        `${String(calls.length).padStart(5)} × ${words} (audit record ${calls[0]?.seq}, ${calls[0]?.at})`,
    )
    .join('\n');
}

export function renderExplanation(explanation: PolicyExplanation): string {
  const { verdict, reason, ruleId, file, line, lowestLevel, grant } = explanation;
  const place = file === null ? 'written nowhere: what no rule grants is denied' : `${file}:${line}`;
  const rows = [
    ['rule', ruleId],
    ['written', place],
    ['lowest level', lowestLevel ?? 'none'],
    ...(grant === null ? [] : [['grant', flowOf(grant)]]),
  ];
  return `${verdict}: ${reason}\n${renderTable(rows)}`;
}

/** A level with all that it inherits, as a level file could state it; each rule with the place that it comes from. */
export function renderEffectiveLevel(info: PolicyLevelInfo): string {
  const { level, rank, description, extends: parent, auditSync, grants, packages, limits } = info;
  const inherits = parent === null ? '' : ` What it inherits from ${parent} is written out.`;
  return [
    `# Level ${level} as it is in force.${inherits}`,
    `level: ${level}`,
    `rank: ${rank}`,
    `description: ${JSON.stringify(description)}`,
    `audit: ${auditSync}`,
    'grants:',
    ...grants.map((grant) => `  ${grant.capability}: ${flowOf(grant)} # ${grant.file}:${grant.line}`),
    ...(packages.length === 0 ? [] : ['packages:', ...packages.map(packageLine)]),
    'limits:',
    ...Object.entries(limits).map(([name, { value, file, line }]) => `  ${name}: ${value} # ${file}:${line}`),
  ].join('\n');
}

/** With the wheel that it stands for, of which the lock of a session tells the same. */
function packageLine({ package: stated, version, sha256, file, line }: PolicyPackageInfo): string {
  return `  - ${stated} # ${file}:${line}, version ${version}, sha256 ${sha256}`;
}

/** JSON is YAML: values are written as they are; `true` where nothing is stated. */
function flowOf({ constraints, approval, rate, budget }: PolicyGrantInfo): string {
  const stated: Record<string, unknown> = { ...constraints };
  if (approval !== 'never') stated['approval'] = approval;
  if (rate !== null) stated['rate'] = rate;
  if (budget !== null) {
    stated['budget'] = Object.fromEntries(Object.entries(budget).filter(([, amount]) => amount !== null));
  }
  const entries = Object.entries(stated);
  return entries.length === 0
    ? 'true'
    : `{ ${entries.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ')} }`;
}
