/**
 * One sandbox host: a hardened child process, spoken to over IPC.
 *
 * I1: SIGKILL is the only way a host is ended, because a spinning isolate makes every other way hang.
 * I2: `onExit` is called exactly once, whatever ended the process; nothing is delivered after it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromHost, ToHost } from '../../sandbox/protocol.ts';
import { parseHostMessages } from './host-messages.ts';

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
}

const STDERR_KEPT = 8 * 1024;

/** @param modulesFolder the `node_modules` that holds isolated-vm */
export function hostLaunch(modulesFolder: string): HostLaunch {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const sandbox = fileURLToPath(new URL('../../sandbox/', import.meta.url));
  return { entry: `${sandbox}main.${extension}`, execPath: process.execPath, readable: [sandbox, modulesFolder] };
}

export class HostProcess {
  readonly #child: ChildProcess;
  readonly #listener: HostListener;
  #batch: ToHost[] = [];
  #killedFor: string | null = null;
  #exited = false;
  #breached = false;
  #stderr = '';

  constructor(launch: HostLaunch, listener: HostListener) {
    this.#listener = listener;
    this.#child = fork(launch.entry, [], {
      execPath: launch.execPath,
      execArgv: [
        '--no-node-snapshot',
        '--permission',
        // isolated-vm is an addon; --permission still denies the network, child processes, workers and every other file.
        '--allow-addons',
        ...launch.readable.map((folder) => `--allow-fs-read=${folder}`),
        '--disable-sigusr1',
        '--disable-warning=PERM0001',
        '--disable-warning=ExperimentalWarning',
      ],
      // isolated-vm's loader cannot look at the system under --permission, so it is told what libc this is. A fixed time zone
      // and locale keep the machine's own out of reach.
      env: { LIBC: 'glibc', TZ: 'UTC', LC_ALL: 'en_US.UTF-8' },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#child.on('message', (batch) => this.#receive(batch));
    this.#child.on('error', (error) => this.#exit(null, error.message));
    this.#child.on('exit', (code, signal) => this.#exit(code, signal));
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
    // A host that has just died is reported by its exit; the error of a write to it says nothing more.
    if (this.#child.connected) this.#child.send(batch, () => undefined);
  }

  #receive(batch: unknown): void {
    if (this.#exited || this.#killedFor !== null) return;
    let messages: readonly FromHost[];
    try {
      messages = parseHostMessages(batch);
    } catch (error) {
      this.#breached = true;
      this.kill(error instanceof Error ? error.message : String(error));
      return;
    }
    for (const message of messages) this.#listener.onMessage(message);
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
