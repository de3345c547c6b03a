/** Reads the level files of a folder. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeProblem, parsePolicy } from '../policies/parse.ts';
import type { Policy } from '../policies/policy.ts';
import { Fault } from './fault.ts';

const PROBLEMS_SHOWN = 20;

/** Fails with UNAVAILABLE, saying where each problem stands; a daemon without a whole policy does not start. */
export function loadPolicy(folder: string): Policy {
  const parsed = parsePolicy(readLevelFiles(folder));
  if (parsed.ok) return parsed.policy;
  const shown = parsed.problems.slice(0, PROBLEMS_SHOWN).map(describeProblem);
  const more = parsed.problems.length > PROBLEMS_SHOWN ? `\n(${parsed.problems.length - PROBLEMS_SHOWN} more)` : '';
  throw new Fault('UNAVAILABLE', `The policy in ${folder} cannot be used:\n${shown.join('\n')}${more}`);
}

function readLevelFiles(folder: string): { name: string; text: string }[] {
  try {
    const names = readdirSync(folder)
      .filter((name) => name.endsWith('.yaml'))
      .sort();
    return names.map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
  } catch (error) {
    throw new Fault(
      'UNAVAILABLE',
      `The level files in ${folder} cannot be read: ${(error as Error).message}`,
      undefined,
      { cause: error },
    );
  }
}
