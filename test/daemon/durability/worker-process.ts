/** Starts `remote-worker.ts` and talks to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const PROGRAM = fileURLToPath(import.meta.resolve('./remote-worker.ts'));

export type Said = Readonly<Record<string, unknown>>;

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly said: Said[] = [];
  #waiting: (() => void)[] = [];
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.said.push(JSON.parse(line));
      for (const look of this.#waiting.splice(0)) look();
    });
  }

  static async start(t: ExecutionContext, url: string, group: string, pid: string, leaseMs: number) {
    const child = spawn(process.execPath, [PROGRAM, url, group, pid, String(leaseMs)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const worker = new WorkerProcess(child);
    await worker.heard({ event: 'ready' });
    return worker;
  }

  /** The first thing said that has these fields, now or later. */
  async heard(fields: Said): Promise<Said> {
    for (;;) {
      const found = this.said.find((said) => Object.entries(fields).every(([name, value]) => said[name] === value));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async ask(act: string, key: string, value?: unknown): Promise<unknown> {
    const number = ++this.#asked;
    this.#child.stdin?.write(`${JSON.stringify({ number, act, key, value })}\n`);
    return (await this.heard({ event: 'answer', number }))['answer'];
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }
}
