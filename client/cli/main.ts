import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { extname } from 'node:path';
import { WriteStream } from 'node:tty';
import { fileURLToPath } from 'node:url';
import type { TextSink } from '../terminal/guest-output.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './cli-error.ts';
import { runCommandLine } from './program.ts';

// The only file of the client that reads argv, the environment and the terminal: it wires them to the commands, and runs
// when it is imported.

const cleanups = new Set<() => void>();

/** Also for SIGTERM and SIGHUP, which would otherwise leave the temporary directory of a private daemon behind. */
function exit(status: number): never {
  for (const cleanup of cleanups) cleanup();
  process.exit(status);
}

function sinkOf(stream: NodeJS.WriteStream): TextSink {
  const isTerminal = stream.isTTY === true;
  // Node's own reading of NO_COLOR, FORCE_COLOR and TERM; only FORCE_COLOR reaches beyond a terminal.
  const forced = process.env['FORCE_COLOR'] !== undefined;
  const colours = (isTerminal || forced) && WriteStream.prototype.getColorDepth(process.env) > 1;
  // A reader that has seen enough (`| head`) ends the command, as SIGPIPE ends others.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    exit(error.code === 'EPIPE' ? 128 + constants.signals.SIGPIPE : EXIT.failed);
  });
  return { isTerminal, colours, write: (text) => stream.write(text) };
}

async function replaceProcess(args: readonly string[]): Promise<number> {
  if (process.execve && process.platform !== 'win32') {
    process.execve(process.execPath, [process.execPath, ...args], process.env);
  }
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status, signal) => resolve(signal ? 128 + constants.signals[signal] : (status ?? EXIT.failed)));
  });
}

function onInterrupt(handler: () => void): () => void {
  process.off('SIGINT', exitInterrupted).on('SIGINT', handler);
  return () => {
    process.off('SIGINT', handler).on('SIGINT', exitInterrupted);
  };
}

function exitInterrupted(): void {
  exit(EXIT.interrupted);
}

/** package.json is two levels up in a checkout, three in dist/. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    const url = new URL(path, import.meta.url);
    if (existsSync(url)) return JSON.parse(readFileSync(url, 'utf8')).version;
  }
  return 'unknown';
}

const context: CliContext = {
  version: readVersion(),
  env: process.env,
  stdin: process.stdin,
  terminal: process.stdout,
  out: sinkOf(process.stdout),
  err: sinkOf(process.stderr),
  daemonMain: fileURLToPath(new URL(`../../daemon/main${extname(import.meta.filename)}`, import.meta.url)),
  replaceProcess,
  onInterrupt,
  onExit: (cleanup) => {
    cleanups.add(cleanup);
    return () => {
      cleanups.delete(cleanup);
    };
  },
  exit,
};

process.on('SIGINT', exitInterrupted);
for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => exit(128 + constants.signals[signal]));
process.exitCode = await runCommandLine(context, process.argv.slice(2));
