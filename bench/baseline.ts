/** What a session is held against: bare isolated-vm, plain V8, and Pyodide as it comes. Each lives in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export type BareRequest =
  /** New isolate, new context, `1+1`; samples in milliseconds. */
  | { readonly ask: 'new-session'; readonly count: number }
  /** `context.eval('1+1')`, one at a time; samples in milliseconds. */
  | { readonly ask: 'round-trip'; readonly count: number }
  /** `context.eval('1+1')` in 64 contexts of 64 isolates; one sample, evaluations a second. */
  | { readonly ask: 'rate'; readonly count: number }
  /** A callback out of the isolate and a second entry that settles the promise; samples in milliseconds. */
  | { readonly ask: 'call'; readonly count: number }
  /** Evaluates `source` in a fresh isolate; no sample, as its CPU time is read from outside. */
  | { readonly ask: 'evaluate'; readonly source: string; readonly heapMiB: number };

/** A child process that answers one question at a time, and ends with this object or with this process. */
class Baseline implements AsyncDisposable {
  readonly #child: ChildProcess;
  #asked: { resolve(answer: unknown): void; reject(error: Error): void } | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (answer) => this.#asked?.resolve(answer));
    child.on('exit', () => this.#asked?.reject(new Error('the baseline process ended before it had answered')));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  protected request(question: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.#child.send(question);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

export class BareIsolates extends Baseline {
  constructor() {
    const entry = fileURLToPath(import.meta.resolve('./bare-isolates-process.ts'));
    super(fork(entry, [], { execArgv: ['--no-node-snapshot'] }));
  }

  ask(request: BareRequest): Promise<readonly number[]> {
    return this.request(request) as Promise<readonly number[]>;
  }
}

/**
 * Plain V8: a Node process that runs each source as a script in a new context of its own, whose global is an ordinary object.
 */
export class PlainV8 extends Baseline {
  constructor(nodeArguments: readonly string[] = []) {
    const entry = fileURLToPath(import.meta.resolve('./plain-v8-process.ts'));
    super(fork(entry, [], { execArgv: [...nodeArguments] }));
  }

  /** Resolves to the value of the script. */
  run(source: string): Promise<unknown> {
    return this.request({ source });
  }
}

/** Pyodide: a Node process with one interpreter, in whose global namespace each source is run. */
export class PlainPyodide extends Baseline {
  constructor() {
    super(fork(fileURLToPath(import.meta.resolve('./pyodide-process.ts'))));
  }

  /** Resolves to the value of the source. */
  run(source: string): Promise<unknown> {
    return this.request({ source });
  }
}
