import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { defaultCacheDirectory } from '../state-directory.ts';
import type { CliContext } from './cli-context.ts';
import { CliError, EXIT } from './cli-error.ts';

const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 5_000;
/** Of what a daemon says on stderr, the end is what tells why it failed. */
const COMPLAINT_LENGTH_MAX = 4096;

/** A daemon that lives as long as this process: its stdin is a pipe from here, and it ends when that closes. */
export interface DaemonProcess extends AsyncDisposable {
  readonly stateDir: string;
}

type Context = Pick<CliContext, 'daemonMain' | 'env' | 'onExit'>;

/** A daemon of its own in a fresh directory, which is removed with it. Levels are its user's choice: no ceiling. */
export async function startPrivateDaemon(context: Context, signal?: AbortSignal): Promise<DaemonProcess> {
  const stateDir = await mkdtemp(join(tmpdir(), 'pyrepl3-'));
  const keep = context.onExit(() => rmSync(stateDir, { recursive: true, force: true }));
  const remove = async (): Promise<void> => {
    await rm(stateDir, { recursive: true, force: true, maxRetries: 3 });
    keep();
  };
  try {
    const daemon = await startDaemon(
      context,
      stateDir,
      ['--client-ceiling', 'unrestricted', '--ephemeral', '--remove-state-dir'],
      signal,
    );
    return {
      stateDir,
      [Symbol.asyncDispose]: async () => {
        await daemon[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A daemon on the given directory. Rejects as unreachable where it does not come up, saying what it complained of. */
export async function startDaemon(
  context: Context,
  stateDir: string,
  args: readonly string[] = [],
  signal?: AbortSignal,
): Promise<DaemonProcess> {
  const command = [
    context.daemonMain,
    'serve',
    '--state-dir',
    stateDir,
    '--cache-dir',
    defaultCacheDirectory(context.env),
    '--until-stdin-closes',
    '--ready-json',
    ...args,
  ];
  // Detached: a Ctrl-C at the terminal is for the cell that runs, not for the daemon.
  const child = spawn(process.execPath, command, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...context.env },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_LENGTH_MAX);
  });
  // A daemon that is gone closes its pipes under our hands; its exit is what counts.
  child.stdin.on('error', () => undefined);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await exited;
    clearTimeout(timer);
  };
  try {
    await untilReady(child, signal);
  } catch (error) {
    await stop();
    const last = complaint.trim().split('\n').at(-1) ?? '';
    const why = last === '' ? (error as Error).message : last;
    throw new CliError(`the daemon could not be started: ${why}`, { status: EXIT.unreachable, cause: error });
  }
  return { stateDir, [Symbol.asyncDispose]: stop };
}

/** Resolves at the line `{"ready":true,…}` on the daemon's stdout. */
async function untilReady(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  signal?: AbortSignal,
): Promise<void> {
  const settled = new AbortController();
  const limits = [settled.signal, AbortSignal.timeout(READY_MS_MAX), ...(signal ? [signal] : [])];
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (isReadyLine(line)) resolve();
    });
  });
  const failed = once(child, 'close', { signal: AbortSignal.any(limits) }).then(([status, endSignal]) => {
    throw new Error(`it ended with ${endSignal ?? `status ${status}`} before it was ready`);
  });
  try {
    await Promise.race([ready, failed]);
  } finally {
    settled.abort();
    failed.catch(() => undefined);
    // Read on, so that whatever else it says never fills the pipe.
    lines.close();
    child.stdout.resume();
  }
}

function isReadyLine(line: string): boolean {
  try {
    return JSON.parse(line)?.ready === true;
  } catch {
    return false;
  }
}
