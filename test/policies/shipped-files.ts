/** The level files of the project as texts, and edits of them for tests. */
import { readFileSync } from 'node:fs';
import { type PolicyFile, parsePolicy } from '../../policies/parse.ts';
import { LEVELS, type LevelName, type Policy } from '../../policies/policy.ts';

export function shippedFiles(): PolicyFile[] {
  return [...LEVELS, 'policy'].map((name) => ({
    name: `${name}.yaml`,
    text: readFileSync(new URL(`../../policies/levels/${name}.yaml`, import.meta.url), 'utf8'),
  }));
}

export function shippedPolicy(): Policy {
  const parse = parsePolicy(shippedFiles());
  if (!parse.ok) throw new Error(JSON.stringify(parse.problems));
  return parse.policy;
}

/** The shipped files with the text of one level, or of `policy`, put through `edit`, which must change it. */
export function editedFiles(level: LevelName | 'policy', edit: (text: string) => string): PolicyFile[] {
  return shippedFiles().map((file) => {
    if (file.name !== `${level}.yaml`) return file;
    const text = edit(file.text);
    if (text === file.text) throw new Error(`the edit of ${file.name} changed nothing`);
    return { name: file.name, text };
  });
}
