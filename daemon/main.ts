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
import { Fault } from './fault.ts';
import { HOST_LIMITS } from './hosts/host-limits.ts';
import { hostLaunch, startHost } from './hosts/host-process.ts';
import { snapshotFolder } from './hosts/python-snapshots.ts';
import { wasLeft } from './transport/state-directory.ts';

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
  const launch = hostLaunch(
    dirname(dirname(require.resolve('isolated-vm/package.json'))),
    snapshotFolder(config.cacheDir),
  );
  // A host takes about as long to start as the rest of the daemon to load, and whoever waits for one waits for both. Sessions of
  // a daemon that was killed will want as many as they are spread over.
  const hosts = wasLeft(config.stateDir) ? HOST_LIMITS.hostsPerCordonMin : 1;
  const startedHosts = Array.from({ length: hosts }, () => startHost(launch));
  const [{ Daemon }, { loadCustomCapabilities }, { BUILT_IN }] = await Promise.all([
    import('./daemon.ts'),
    import('./capabilities/custom-capabilities.ts'),
    import('../policies/capabilities.ts'),
  ]);
  const daemon = await Daemon.start({
    config,
    version: packageVersion(),
    clock: systemClock,
    ...{ launch, startedHosts },
    shippedPolicy: fileURLToPath(new URL('../policies/levels', import.meta.url)),
    customEffects:
      config.capabilitiesDir === null
        ? []
        : await loadCustomCapabilities(config.capabilitiesDir, (name) => BUILT_IN.has(name)),
    environment: process.env,
    log: (line) => void process.stderr.write(`${line}\n`),
  });
  const { clientSocket, adminSocket } = daemon;
  const ready = config.readyJson
    ? JSON.stringify({ ready: true, pid: process.pid, clientSocket, adminSocket })
    : `pyrepl3 ${packageVersion()} listens on ${clientSocket} and ${adminSocket}`;
  process.stdout.write(`${ready}\n`);
  void daemon.ended.then(() => process.exit(0));
  const stop = (reason: string): void => void daemon.stop(reason);
  let signals = 0;
  // The first one lets what runs finish; whoever does not want to wait sends another.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => (signals++ === 0 ? daemon.drain(signal) : stop(signal)));
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
