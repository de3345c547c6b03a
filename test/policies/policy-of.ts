import { describeProblem, type PolicyFile, parsePolicy } from '../../policies/parse.ts';
import type { LevelName, Policy } from '../../policies/policy.ts';
import { editedFiles } from './shipped-files.ts';

/** The files as a policy; throws with what is wrong with them. */
export function policyOf(files: readonly PolicyFile[]): Policy {
  const parse = parsePolicy(files);
  if (!parse.ok) throw new Error(parse.problems.map(describeProblem).join('\n'));
  return parse.policy;
}

export function problemsOf(files: readonly PolicyFile[]): string[] {
  const parse = parsePolicy(files);
  return parse.ok ? [] : parse.problems.map(describeProblem);
}

/** The shipped files with these lines at the head of a level's grants. */
export function withGrants(level: LevelName, ...lines: string[]): PolicyFile[] {
  return editedFiles(level, (text) =>
    text.replace('grants:', ['grants:', ...lines.map((line) => `  ${line}`)].join('\n')),
  );
}

/** A level of a policy's own. */
export function ownLevel(name: string, rank: number, ...lines: string[]): PolicyFile {
  const text = [`level: ${name}`, `rank: ${rank}`, 'description: Of our own.', ...lines].join('\n');
  return { name: `${name}.yaml`, text };
}
