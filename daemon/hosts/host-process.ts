/**
 * One sandbox host: a hardened child process, spoken to over a socket pair, in batches of messages, each a line of JSON. The IPC
 * channel of Node is not used: what a host writes there is read by Node's own code, which throws past us on what is malformed,
 * and would end the daemon.
 *
 * I1: SIGKILL is the only way a host is ended, because a spinning isolate makes every other way hang.
 * I2: `onExit` is called exactly once, whatever ended the process; nothing is delivered after it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { FromHost, ToHost } from '../../sandbox/protocol.ts';
import { LineReader } from '../line-reader.ts';
import { HOST_LIMITS } from './host-limits.ts';
import { parseHostLine } from './host-messages.ts';

export interface HostExit {
  /** Why we ended it, or null where it died by itself. */
  readonly killedFor: string | null;
  /** It sent what no host sends. */
  readonly breached: boolean;
  readonly code: number | null;
  readonly signal: string | null;
  /** The last of what it wrote to stderr, for the log; V8 says there why it gave up. */
  readonly stderr: string;
}

export interface HostListener {
  onMessage(message: FromHost): void;
  onExit(exit: HostExit): void;
}

export interface HostLaunch {
  /** Path of `sandbox/main`. */
  readonly entry: string;
  readonly execPath: string;
  /** Folders that hold nothing but code that a host loads. */
  readonly readable: readonly string[];
  /** Path of `sandbox/python/snapshot-main`, and the folder of what it makes; null where nothing is kept. */
  readonly snapshots: { readonly entry: string; readonly folder: string | null };
}

const STDERR_KEPT = 8 * 1024;
/** The descriptor of the channel, as `sandbox/main.ts` knows it too. */
const CHANNEL = 3;

/**
 * @param modulesFolder the `node_modules` that holds isolated-vm and pyodide
 * @param snapshotFolder where snapshots of CPython are kept; null where they are not
 */
export function hostLaunch(modulesFolder: string, snapshotFolder: string | null): HostLaunch {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const sandbox = fileURLToPath(new URL('../../sandbox/', import.meta.url));
  return {
    entry: `${sandbox}main.${extension}`,
    execPath: process.execPath,
    readable: [sandbox, modulesFolder],
    snapshots: { entry: `${sandbox}python/snapshot-main.${extension}`, folder: snapshotFolder },
  };
}

/** Starts the process of a host. It has nothing to do, and what it says is kept, until a `HostProcess` takes it over. */
export function startHost(launch: HostLaunch): ChildProcess {
  const { folder } = launch.snapshots;
  const readable = folder === null ? launch.readable : [...launch.readable, folder];
  return startHardened(launch, readable, [launch.entry, ...(folder === null ? [] : [folder])]);
}

/** Starts the process that makes a snapshot of CPython: it is as hardened as a host, though it runs nobody's code. */
export function startSnapshot(launch: HostLaunch): ChildProcess {
  return startHardened(launch, launch.readable, [launch.snapshots.entry]);
}

function startHardened(launch: HostLaunch, readable: readonly string[], command: readonly string[]): ChildProcess {
  const flags = [
    '--no-node-snapshot',
    '--permission',
    // isolated-vm is an addon; --permission still denies the network, child processes, workers and every other file.
    '--allow-addons',
    ...readable.map((folder) => `--allow-fs-read=${folder}`),
    '--disable-sigusr1',
    '--disable-warning=PERM0001',
    '--disable-warning=ExperimentalWarning',
  ];
  const child = spawn(launch.execPath, [...flags, ...command], {
    // isolated-vm's loader cannot look at the system under --permission, so it is told what libc this is. A fixed time zone
    // and locale keep the machine's own out of reach. Node hands NODE_V8_COVERAGE on by itself unless it is named here.
    env: { LIBC: 'glibc', TZ: 'UTC', LC_ALL: 'en_US.UTF-8', NODE_V8_COVERAGE: undefined },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  // Without listeners, one that cannot be started, or dies before it is taken over, would end us.
  child.stdio[CHANNEL]?.on('error', () => undefined);
  return child.on('error', () => undefined);
}

export class HostProcess {
  readonly #child: ChildProcess;
  readonly #channel: Duplex;
  readonly #lines = new LineReader(HOST_LIMITS.lineBytesMax);
  readonly #listener: HostListener;
  #batch: ToHost[] = [];
  #killedFor: string | null = null;
  #exited = false;
  #breached = false;
  #stderr = '';

  /** @param child as `startHost` made it; it may have ended by now */
  constructor(child: ChildProcess, listener: HostListener) {
    this.#listener = listener;
    this.#child = child;
    // Safe: a pipe is a socket pair, and Node makes its end even where the process cannot be started.
    this.#channel = this.#child.stdio[CHANNEL] as Duplex;
    this.#channel.on('data', (chunk: Buffer) => this.#read(chunk));
    // The end of a host is told by its exit; the error of a write to one that has just died says nothing more.
    this.#channel.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#child.on('error', (error) => this.#exit(null, error.message));
    this.#child.on('exit', (code, signal) => this.#exit(code, signal));
    const { pid, exitCode, signalCode } = child;
    if (pid === undefined || exitCode !== null || signalCode !== null)
      setImmediate(() => this.#exit(exitCode, signalCode ?? 'it could not be started'));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether it can still be given work; one that has been killed may take a moment to end. */
  get alive(): boolean {
    return !this.#exited && this.#killedFor === null;
  }

  /** Messages of one turn of the event loop leave as one batch, because a write costs more than what is in it. */
  send(message: ToHost): void {
    if (this.#batch.push(message) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    if (this.alive) this.#channel.write(`${JSON.stringify(batch)}\n`);
  }

  #read(chunk: Buffer): void {
    const lines = this.alive ? this.#lines.take(chunk) : [];
    if (lines === null) this.#breach('A host sent a line without an end.');
    else for (const line of lines) this.#receive(line);
  }

  #receive(line: string): void {
    if (!this.alive) return;
    let messages: readonly FromHost[];
    try {
      messages = parseHostLine(line);
    } catch (error) {
      this.#breach(error instanceof Error ? error.message : String(error));
      return;
    }
    for (const message of messages) this.#listener.onMessage(message);
  }

  #breach(reason: string): void {
    this.#breached = true;
    this.kill(reason);
  }

  kill(reason: string): void {
    this.#killedFor ??= reason;
    this.#child.kill('SIGKILL');
  }

  #exit(code: number | null, signal: string | null): void {
    if (this.#exited) return;
    this.#exited = true;
    this.#listener.onExit({ killedFor: this.#killedFor, breached: this.#breached, code, signal, stderr: this.#stderr });
  }
}
