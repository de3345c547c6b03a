// Makes `npm start` and `npm test` the only command a fresh clone needs: installs what the lock file asks for when it
// is not there, and does nothing otherwise. Plain JavaScript without dependencies, for any Node from 20 on, because it
// runs before anything is installed. It writes to stderr only: stdout belongs to the command that follows.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const nodeBinary = join(root, 'node_modules/node/bin/node');

/** Says why an install is needed, or undefined when node_modules is what package-lock.json asks for. */
function whyInstall() {
  // npm writes this file last, so an install that was interrupted has none.
  const installedPath = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return 'node_modules is missing';
  if (!existsSync(nodeBinary)) return 'Node 26 is missing from node_modules';
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(installedPath);
  if (!wanted || !installed) return 'a lock file cannot be read';
  for (const [path, entry] of Object.entries(wanted)) {
    // The empty path is the project itself; optional packages may be for another platform.
    if (path === '' || (entry.optional && !installed[path])) continue;
    const found = installed[path];
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) {
      return `node_modules is not what package-lock.json asks for (${path})`;
    }
  }
  return undefined;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function install() {
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  // Under `npm start` npm names itself here, which also finds it when it is not on the PATH.
  const npmScript = process.env.npm_execpath;
  const [command, commandArgs] = npmScript?.endsWith('.js') ? [process.execPath, [npmScript, ...args]] : ['npm', args];
  // npm's own stdout goes to stderr (2), where every message about installing belongs.
  const { status, signal, error } = spawnSync(command, commandArgs, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0 && existsSync(nodeBinary)) return 0;
  const cause = error?.message ?? (status === 0 ? 'Node 26 was not installed' : (signal ?? `status ${status}`));
  process.stderr.write(`pyrepl3: npm ci failed (${cause}); run "npm ci" by hand to see why\n`);
  return status || 1;
}

const reason = whyInstall();
if (reason) {
  process.stderr.write(`pyrepl3: ${reason}; running npm ci\n`);
  process.exitCode = install();
}
