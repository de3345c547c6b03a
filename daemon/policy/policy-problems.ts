/** The problems of a policy as a person reads them. */
import { describeProblem, type PolicyProblem } from '../../policies/parse.ts';
import type { Fault } from '../fault.ts';

const PROBLEMS_SHOWN = 20;
/** An answer has to fit into a message. */
const PROBLEMS_SENT = 500;

export function describeProblems(problems: readonly PolicyProblem[]): string {
  const more = problems.length - PROBLEMS_SHOWN;
  const shown = problems.slice(0, PROBLEMS_SHOWN).map(describeProblem);
  return [...shown, ...(more > 0 ? [`(${more} more)`] : [])].join('\n');
}

export function boundedProblems(problems: readonly PolicyProblem[]): readonly PolicyProblem[] {
  return problems.slice(0, PROBLEMS_SENT);
}

/** What a refusal says, one problem a line. */
export function problemLines({ message, details }: Fault): readonly string[] {
  const problems = details?.['problems'];
  // Safe: only the policy store puts this detail there.
  return Array.isArray(problems) ? (problems as PolicyProblem[]).map(describeProblem) : [message];
}
