/**
 * Runs one program to its end, with nothing of the daemon's: no shell, no environment, no descriptor, no working
 * directory.
 *
 * I1: when it settles, the program and everything that it left in its process group has been killed, and its directory
 *     removed. A process that moves to a group of its own gets away; only programs that do not do so belong into a
 *     policy.
 * I2: not more than `outputBytesMax` of its output is kept, and a program that writes more is ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../fault.ts';

export interface ProgramRun {
  /** What guest code calls it. */
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly stdin: Buffer | null;
  readonly timeMs: number;
  readonly outputBytesMax: number;
  /** Where its working directory is made. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

export interface ProgramResult {
  /** Null where a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It wrote more than may be kept, and was ended. */
  readonly truncated: boolean;
}

/**
 * Programs need a locale to write UTF-8; everything else of an environment is somebody's. Node hands NODE_V8_COVERAGE on by itself
 * unless it is named here.
 */
const ENVIRONMENT = { LANG: 'C.UTF-8', NODE_V8_COVERAGE: undefined };
/** How long pipes may stay open after the program and its group are gone: somebody outside of the group holds them. */
const PIPES_MS_MAX = 1000;

/** Rejects with EFFECT_FAILED where it cannot be started, TIMED_OUT, or INTERRUPTED by the signal. */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  const cwd = await mkdtemp(join(run.folder, 'exec-'));
  try {
    if (run.signal.aborted) throw interrupted();
    return await runToItsEnd(run, cwd);
  } finally {
    // What cannot be removed, such as a directory without permissions, stays until the daemon's state directory goes.
    await rm(cwd, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function runToItsEnd(run: ProgramRun, cwd: string): Promise<ProgramResult> {
  const child = start(run, cwd);
  const output = new Output(child, run.outputBytesMax);
  let stopped: Fault | null = null;
  const stop = (why: Fault): void => {
    stopped ??= why;
    killGroup(child);
  };
  const onAbort = (): void => stop(interrupted());
  run.signal.addEventListener('abort', onAbort, { once: true });
  if (running.size === 0) process.once('exit', killRunning);
  running.add(child);
  const deadline = setTimeout(() => {
    stop(
      new Fault('TIMED_OUT', `${run.name} ran for more than ${run.timeMs} ms and was ended.`, { timeMs: run.timeMs }),
    );
  }, run.timeMs);
  try {
    await started(child, run.name);
    if (child.pid !== undefined) lowerPriority(child.pid);
    feed(child, run.stdin);
    const [status, signal] = await ended(child);
    if (stopped !== null) throw stopped;
    return { status, signal, ...output.texts() };
  } finally {
    clearTimeout(deadline);
    run.signal.removeEventListener('abort', onAbort);
    running.delete(child);
    if (running.size === 0) process.off('exit', killRunning);
  }
}

const running = new Set<ChildProcess>();

/** A daemon that ends while programs run does not leave them behind. */
function killRunning(): void {
  for (const child of running) killGroup(child);
}

function start({ name, path, args, stdin }: ProgramRun, cwd: string): ChildProcess {
  try {
    return spawn(path, args, {
      cwd,
      env: ENVIRONMENT,
      shell: false,
      // The leader of a session and process group of its own, which can be killed as one.
      detached: true,
      stdio: [stdin === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
  } catch {
    throw notStarted(name);
  }
}

async function started(child: ChildProcess, name: string): Promise<void> {
  if (child.pid !== undefined) {
    // Later errors, of signals or pipes, are followed by the end of the process, which tells.
    child.on('error', () => undefined);
    return;
  }
  await once(child, 'error');
  throw notStarted(name);
}

function feed(child: ChildProcess, stdin: Buffer | null): void {
  // A program need not read what it is given.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(stdin);
}

async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  let pipes: NodeJS.Timeout | undefined;
  child.once('exit', () => {
    killGroup(child);
    pipes = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, PIPES_MS_MAX);
  });
  const [status, signal] = await once(child, 'close');
  clearTimeout(pipes);
  return [status, signal];
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

/** What a program writes, up to so many bytes in all. */
class Output {
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #bytesLeft: number;
  #truncated = false;

  constructor(child: ChildProcess, bytesMax: number) {
    this.#bytesLeft = bytesMax;
    child.stdout?.on('data', (piece: Buffer) => this.#take(piece, this.#stdout, child));
    child.stderr?.on('data', (piece: Buffer) => this.#take(piece, this.#stderr, child));
  }

  texts(): Pick<ProgramResult, 'stdout' | 'stderr' | 'truncated'> {
    const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString('utf8');
    return { stdout: text(this.#stdout), stderr: text(this.#stderr), truncated: this.#truncated };
  }

  #take(piece: Buffer, pieces: Buffer[], child: ChildProcess): void {
    pieces.push(piece.subarray(0, this.#bytesLeft));
    if (piece.length > this.#bytesLeft) {
      this.#truncated = true;
      killGroup(child);
    }
    this.#bytesLeft = Math.max(0, this.#bytesLeft - piece.length);
  }
}

/** The same whatever is wrong with it: where the program is, is the administrator's business. */
function notStarted(name: string): Fault {
  return new Fault('EFFECT_FAILED', `The program ${JSON.stringify(name)} cannot be started.`, { reason: 'not-found' });
}

function interrupted(): Fault {
  return new Fault('INTERRUPTED', 'The session ended meanwhile.');
}
