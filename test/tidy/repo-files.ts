import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where the code that ships lives: each folder is a trust zone of its own. */
export const zones = ['client', 'daemon', 'policies', 'sandbox'] as const;

export interface RepoFile {
  /** Relative to the root, with forward slashes. */
  path: string;
  text: string;
}

/** Every file that is in the repository or would be added to it, so that a rule also covers what is not committed. */
export const repoFiles: readonly RepoFile[] = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

/** The TypeScript and JavaScript that ships. */
export const sourceFiles: readonly RepoFile[] = repoFiles.filter(
  ({ path }) => /\.[jt]s$/.test(path) && zones.some((zone) => path.startsWith(`${zone}/`)),
);
