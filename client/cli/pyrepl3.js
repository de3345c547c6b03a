#!/usr/bin/env node
// The `pyrepl3` command: finds the command line's code and a Node new enough to run it. Plain JavaScript for any Node
// from 20 on, because an old Node must still be able to say what is wrong. client/cli/main.ts does all the rest, and
// runs when it is imported.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const nodeMajorMin = 26;

if (Number.parseInt(process.versions.node, 10) >= nodeMajorMin) {
  runHere();
} else {
  runUnderNewerNode();
}

/** A checkout holds the source and runs that, however old its dist/ is; the published package holds dist/ only. */
function runHere() {
  const source = new URL('main.ts', import.meta.url);
  const built = new URL('../../dist/client/cli/main.js', import.meta.url);
  if (process.env.npm_lifecycle_event === 'npx') endWithParent();
  const isCheckout = existsSync(source);
  if (isCheckout) keepCompiled();
  // Not awaited: the command may go on after its module is evaluated, and its failure is its own to report.
  import(isCheckout ? source.href : built.href);
}

/** What Node makes of TypeScript is kept, for this process and the daemons that it starts: they start in half the time. */
function keepCompiled() {
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url));
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
}

/** npx passes SIGTERM only to the shell between it and this process; without this, a daemon would outlive its npx. */
function endWithParent() {
  const parentId = process.ppid;
  const check = () => process.ppid === parentId || process.kill(process.pid, 'SIGTERM');
  setInterval(check, 500).unref();
}

function runUnderNewerNode() {
  let binary;
  try {
    binary = createRequire(import.meta.url).resolve('node/bin/node');
  } catch {
    process.stderr.write(`pyrepl3: needs Node ${nodeMajorMin} or newer; this is Node ${process.versions.node}\n`);
    process.exitCode = 1;
    return;
  }
  const child = spawn(binary, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal gives Ctrl-C to the child as well; passing it on would count it twice.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on('SIGINT', () => onTerminal || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`pyrepl3: cannot start Node ${nodeMajorMin}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (status, signal) => {
    // The shells' convention for a process ended by a signal.
    process.exitCode = signal ? 128 + constants.signals[signal] : status;
  });
}
