/** The two things a session is held against: bare isolated-vm, and plain V8. Each lives in a process of its own. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export type BareRequest =
  /** New isolate, new context, `1+1`; samples in milliseconds. */
  | { readonly ask: 'new-session'; readonly count: number }
  /** `context.eval('1+1')`, one at a time; samples in milliseconds. */
  | { readonly ask: 'round-trip'; readonly count: number }
  /** `context.eval('1+1')` in 64 contexts of 64 isolates; one sample, evaluations a second. */
  | { readonly ask: 'rate'; readonly count: number }
  /** A callback out of the isolate and a second entry that settles the promise; samples in milliseconds. */
  | { readonly ask: 'call'; readonly count: number }
  /** CPU milliseconds of `source` in a fresh isolate; one sample. */
  | { readonly ask: 'cpu'; readonly source: string; readonly heapMiB: number };

export class BareIsolates implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor() {
    const entry = fileURLToPath(import.meta.resolve('./bare-isolates-process.ts'));
    this.#child = fork(entry, [], { execArgv: ['--no-node-snapshot'] });
  }

  /** One request at a time. */
  async ask(request: BareRequest): Promise<readonly number[]> {
    const answered = once(this.#child, 'message');
    const died = once(this.#child, 'exit').then(() => Promise.reject(new Error('the bare isolates died')));
    died.catch(() => undefined);
    this.#child.send(request);
    const [samples] = await Promise.race([answered, died]);
    return samples as readonly number[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

const PLAIN = `const { runInThisContext } = require('node:vm');
const source = process.argv[1];
const before = process.threadCpuUsage();
const value = runInThisContext(source);
const { user, system } = process.threadCpuUsage(before);
console.log(JSON.stringify({ value, cpuMs: (user + system) / 1000 }));`;

/** CPU milliseconds that the main thread of a fresh Node process needs for `source`, run as a script. */
export async function plainV8(
  source: string,
  nodeArguments: readonly string[] = [],
): Promise<{ value: unknown; cpuMs: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeArguments, '-e', PLAIN, source]);
  return JSON.parse(stdout);
}
