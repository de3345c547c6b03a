/**
 * The append-only record of what was decided and done, one JSON object a line.
 *
 * I1: a decision is handed to the operating system before `append` returns, so it survives SIGKILL of the daemon; every other
 *     record is, before this turn of the event loop sends anything to a host or a client.
 * I2: while records cannot be written, `append` throws UNAVAILABLE, and what it was about does not happen.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { Fault } from '../fault.ts';

export interface AuditRecords {
  'daemon.started': { readonly version: string; readonly pid: number };
  'daemon.stopped': { readonly reason: string };
  'session.created': {
    readonly sessionId: string;
    readonly principal: string;
    readonly level: string;
    readonly language: string;
    readonly capabilities: readonly string[];
  };
  'session.level': { readonly sessionId: string; readonly from: string; readonly to: string };
  'session.lost': { readonly sessionId: string; readonly code: string; readonly message: string };
  'session.closed': { readonly sessionId: string; readonly reason: string };
  'execution.started': { readonly sessionId: string; readonly executionId: string; readonly sourceSha256: string };
  'execution.finished': {
    readonly sessionId: string;
    readonly executionId: string;
    readonly status: string;
    readonly code?: string;
  };
  'capability.decision': {
    readonly sessionId: string;
    readonly executionId: string | null;
    readonly level: string;
    readonly capability: string;
    /** The arguments as JSON, cut at 2,048 characters. */
    readonly args: string;
    readonly verdict: 'allow' | 'deny';
    readonly ruleId?: string;
    readonly code?: string;
    readonly reason?: string;
  };
  'capability.outcome': {
    readonly sessionId: string;
    readonly capability: string;
    readonly outcome: 'done' | 'failed';
    readonly code?: string;
  };
  'level.denied': { readonly principal: string; readonly asked: string; readonly ceiling: string };
  'host.ended': { readonly pid: number; readonly cordon: string | null; readonly reason: string };
}

export interface Audit {
  /** Records what is about to happen. Throws UNAVAILABLE where it cannot be recorded; then it must not happen. */
  append<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void;
  /** Records what has happened already. Never throws; a record that cannot be written now is written first when one can. */
  note<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void;
}

/** Records that must be written before the next statement runs; the others are written before anything leaves the process. */
const IMMEDIATE: ReadonlySet<keyof AuditRecords> = new Set(['capability.decision', 'daemon.started']);

export class AuditLog implements Audit {
  readonly #descriptor: number;
  readonly #nowMs: () => number;
  #seq = 0;
  #pending = '';
  #failure: Fault | undefined;

  /** @param file created with mode 0600; an existing one is continued */
  constructor(file: string, nowMs: () => number) {
    this.#nowMs = nowMs;
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    this.#descriptor = openSync(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    const { seq, torn } = lastRecord(this.#descriptor);
    this.#seq = seq;
    // The end of a line that a crash has cut off is put on a line of its own, so that it spoils no other record.
    if (torn) this.#pending = '\n';
  }

  append<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void {
    if (this.#failure !== undefined) this.#write();
    this.#assertWritable();
    this.#add(kind, fields);
    if (!IMMEDIATE.has(kind)) return;
    this.#write();
    this.#assertWritable();
  }

  note<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void {
    this.#add(kind, fields);
  }

  #add(kind: string, fields: object): void {
    if (this.#pending === '') process.nextTick(() => this.#write());
    // While nothing can be written nothing new starts, so what has still to be noted is bounded by what was running.
    this.#pending += `${JSON.stringify({ seq: ++this.#seq, at: new Date(this.#nowMs()).toISOString(), kind, ...fields })}\n`;
  }

  #assertWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Whole lines in one write to a file opened for appending: a crash can tear the last line only. */
  #write(): void {
    const bytes = Buffer.from(this.#pending);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
      this.#failure = undefined;
      this.#pending = '';
    } catch (error) {
      // What is still unwritten stays first in line; nothing new is let through until it has been written.
      this.#pending = bytes.subarray(written).toString();
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      this.#failure = new Fault(
        'UNAVAILABLE',
        `The audit log cannot be written (${code}); nothing is done that cannot be recorded.`,
        undefined,
        { cause: error },
      );
    }
  }

  close(): void {
    this.#write();
    closeSync(this.#descriptor);
  }
}

/** How much of the end of the file is looked at: more than any record has. */
const TAIL_BYTES = 64 * 1024;

/** The number of the last whole record of a log that is continued, and whether an unfinished line follows it. */
function lastRecord(descriptor: number): { readonly seq: number; readonly torn: boolean } {
  const { size } = fstatSync(descriptor);
  const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
  readSync(descriptor, tail, 0, tail.length, size - tail.length);
  const lines = tail.toString().split('\n');
  const torn = lines.pop() !== '';
  for (const line of lines.reverse()) {
    const seq = sequenceOf(line);
    if (seq !== undefined) return { seq, torn };
  }
  return { seq: 0, torn };
}

function sequenceOf(line: string): number | undefined {
  try {
    const { seq } = JSON.parse(line);
    return Number.isSafeInteger(seq) ? seq : undefined;
  } catch {
    return undefined;
  }
}
