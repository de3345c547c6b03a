/**
 * One process that runs SQLite, as the daemon sees it.
 *
 * I1: SIGKILL is the only way it is ended, because nothing else ends a statement.
 * I2: a call that was stopped before its commit began has changed nothing; one whose commit began is waited for.
 * I3: what it says is parsed; a process that says anything else is killed.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { Fault } from '../fault.ts';
import { LineReader } from '../line-reader.ts';
import type { SqlCaps, SqlMode, SqlResult, SqlStatement } from './sql-call.ts';
import { capFault, inDoubt, interruptedCall, refusedStatement, sqlFault, timedOut, unreachable } from './sql-faults.ts';
import { SQL_LIMITS } from './sql-limits.ts';
import type { SqliteFile } from './sqlite-batch.ts';
import type { BatchFailure, ToSqlite } from './sqlite-protocol.ts';

export interface SqliteCall {
  /** As the policy names it. */
  readonly source: string;
  readonly mode: SqlMode;
  readonly statements: readonly SqlStatement[];
  readonly caps: SqlCaps;
  readonly signal: AbortSignal;
}

const result = v.object({
  columns: v.array(v.string()),
  rows: v.array(v.custom<SqlResult['rows'][number]>((row) => typeof row === 'object' && row !== null)),
  changes: v.number(),
  lastId: v.nullable(v.union([v.number(), v.string()])),
});
const failure = v.variant('kind', [
  v.object({ kind: v.picklist(['rows', 'bytes']) }),
  v.object({ kind: v.picklist(['sql', 'refused', 'unavailable']), message: v.string() }),
]);
const answer = v.variant('kind', [
  v.object({ kind: v.literal('ready') }),
  v.object({ kind: v.literal('results'), results: v.array(result) }),
  v.object({ kind: v.literal('committed') }),
  v.object({ kind: v.literal('failed'), failure }),
]);
type Answer = v.InferOutput<typeof answer>;

/** Why the process is no more, as far as we ended it ourselves. */
type Stop = 'time' | 'interrupted' | 'dropped';

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly lost: () => void;
}

const FOLDER = fileURLToPath(new URL('./', import.meta.url));
const ENTRY = `${FOLDER}sqlite-process.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;

export class SqliteChild {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines = new LineReader(SQL_LIMITS.lineBytesMax);
  readonly #ready: Promise<Answer | null>;
  readonly exited: Promise<void>;
  #waiting: Waiting | null = null;
  #stop: Stop | null = null;
  #ended = false;

  constructor(file: SqliteFile) {
    const flags = [
      // Keeps it from the network, from other programs, and from files except by SQLite, which the guard keeps to one file.
      '--permission',
      '--allow-worker',
      `--allow-fs-read=${FOLDER}`,
      `--allow-fs-read=${file.path}`,
      `--allow-fs-write=${file.path}`,
      '--max-old-space-size=256',
      '--disable-sigusr1',
      '--disable-warning=PERM0001',
      '--disable-warning=PERM0006',
      '--disable-warning=ExperimentalWarning',
    ];
    const args = [file.path, file.bytesMax === null ? '' : String(file.bytesMax), String(process.pid)];
    this.#child = spawn(process.execPath, [...flags, ENTRY, ...args], {
      // Node hands NODE_V8_COVERAGE on by itself unless it is named here.
      env: { TZ: 'UTC', LC_ALL: 'C', NODE_V8_COVERAGE: undefined },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#ready = this.#next();
    this.#child.stdout.on('data', (chunk: Buffer) => this.#read(chunk));
    // Its end is told by its exit; the error of a write to one that has just ended says nothing more.
    this.#child.stdin.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        this.#waiting?.lost();
        resolve();
      };
      this.#child.on('error', end);
      this.#child.on('exit', end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return !this.#ended && this.#stop === null;
  }

  kill(): void {
    this.#end('dropped');
  }

  #end(stop: Stop): void {
    this.#stop ??= stop;
    this.#child.kill('SIGKILL');
  }

  #read(chunk: Buffer): void {
    const lines = this.alive ? this.#lines.take(chunk) : [];
    if (lines === null) this.kill();
    else for (const line of lines) this.#receive(line);
  }

  #receive(line: string): void {
    const parsed = v.safeParse(answer, jsonOf(line));
    const waiting = this.#waiting;
    this.#waiting = null;
    if (parsed.success && waiting !== null) waiting.resolve(parsed.output);
    else {
      waiting?.lost();
      this.kill();
    }
  }

  /** What it says next; null where it ends instead. */
  #next(): Promise<Answer | null> {
    return new Promise((resolve) => {
      this.#waiting = { resolve, lost: () => resolve(null) };
      if (this.#ended) resolve(null);
    });
  }

  #ask(message: ToSqlite): Promise<Answer | null> {
    const next = this.#next();
    if (this.alive) this.#child.stdin.write(`${JSON.stringify(message)}\n`);
    return next;
  }

  /** Fails with a Fault; whether the process can be given another call, `alive` says. One call at a time. */
  async run(call: SqliteCall): Promise<readonly SqlResult[]> {
    const { source, mode, statements, caps, signal } = call;
    const onAbort = (): void => this.#end('interrupted');
    signal.addEventListener('abort', onAbort);
    try {
      if (signal.aborted) onAbort();
      const ready = await this.#within(SQL_LIMITS.startMsMax, 'dropped', this.#ready);
      if (ready?.kind !== 'ready') throw this.#lost(call, unreachable(source));
      const ran = await this.#within(caps.timeMsMax, 'time', this.#ask({ kind: 'run', mode, statements, caps }));
      if (ran?.kind !== 'results')
        throw ran?.kind === 'failed' ? faultOf(ran.failure, call) : this.#lost(call, crashed());
      // From here on it is not stopped: who stops a commit does not know what became of it.
      signal.removeEventListener('abort', onAbort);
      if (!this.alive) throw this.#lost(call, crashed());
      if (mode === 'write') await this.#commit(call);
      return ran.results;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #commit(call: SqliteCall): Promise<void> {
    const committed = await this.#within(SQL_LIMITS.commitMsMax, 'dropped', this.#ask({ kind: 'commit' }));
    if (committed?.kind === 'failed') throw faultOf(committed.failure, call);
    if (committed?.kind !== 'committed') throw inDoubt(call.source);
  }

  async #within(ms: number, stop: Stop, next: Promise<Answer | null>): Promise<Answer | null> {
    const timer = setTimeout(() => this.#end(stop), ms);
    try {
      return await next;
    } finally {
      clearTimeout(timer);
    }
  }

  /** It ended, or said what it was not asked. */
  #lost(call: SqliteCall, otherwise: Fault): Fault {
    this.kill();
    if (this.#stop === 'time') return timedOut(call.caps);
    return this.#stop === 'interrupted' ? interruptedCall() : otherwise;
  }
}

/** Undefined, which is no answer, for what is not JSON. */
function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function crashed(): Fault {
  const mib = SQL_LIMITS.processMiBMax;
  return new Fault(
    'MEMORY_EXCEEDED',
    `The statement needed more than ${mib} MiB of memory, or crashed the database; nothing was changed.`,
    { mib },
  );
}

function faultOf(failed: BatchFailure, { source, caps }: SqliteCall): Fault {
  switch (failed.kind) {
    case 'rows':
    case 'bytes':
      return capFault(failed.kind, caps);
    case 'sql':
      return sqlFault(failed.message);
    case 'refused':
      return refusedStatement(failed.message);
    case 'unavailable':
      return unreachable(source, failed.message);
  }
}
