/**
 * The composition root: the only place that reads the command line, and the one that makes every part and hands it what it
 * uses. `node daemon/main.ts serve --state-dir DIR`.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from './clock.ts';
import { type Config, parseConfig, UsageError } from './config.ts';
import { Daemon } from './daemon.ts';
import { Fault } from './fault.ts';
import { hostLaunch } from './hosts/host-process.ts';

const require = createRequire(import.meta.url);

/** The package's own folder, in a checkout and in `dist` alike, is the nearest one above with a package.json. */
function packageVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      if (name === 'pyrepl3') return version;
    } catch {
      // Not there: one folder further up.
    }
  }
  return '0.0.0';
}

async function serve(config: Config): Promise<void> {
  const daemon = await Daemon.start({
    config,
    version: packageVersion(),
    clock: systemClock,
    launch: hostLaunch(dirname(dirname(require.resolve('isolated-vm/package.json')))),
    policiesDir: config.policiesDir ?? fileURLToPath(new URL('../policies/levels', import.meta.url)),
    log: (line) => void process.stderr.write(`${line}\n`),
  });
  const { clientSocket, adminSocket } = daemon;
  const ready = config.readyJson
    ? JSON.stringify({ ready: true, pid: process.pid, clientSocket, adminSocket })
    : `pyrepl3 ${packageVersion()} listens on ${clientSocket} and ${adminSocket}`;
  process.stdout.write(`${ready}\n`);
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    void daemon.stop(reason).then(() => process.exit(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGHUP', () => stop('SIGHUP'));
  if (config.untilStdinCloses) {
    process.stdin
      .on('end', () => stop('its standard input ended'))
      .on('error', () => stop('its standard input failed'))
      .resume();
  }
}

try {
  await serve(parseConfig(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Fault || error instanceof UsageError)) throw error;
  process.stderr.write(`pyrepl3: ${error.message}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
