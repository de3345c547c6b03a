/**
 * The append-only record of what was decided and done, one JSON object a line.
 *
 * I1: `append` returns only after the record has been handed to the operating system, so it survives SIGKILL of the daemon.
 * I2: when a record cannot be written, `append` throws UNAVAILABLE, and what it was about does not happen.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
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
  append<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void;
}

export class AuditLog implements Audit {
  readonly #descriptor: number;
  readonly #nowMs: () => number;
  #seq = 0;

  /** @param file created with mode 0600; an existing one is continued */
  constructor(file: string, nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#descriptor = openSync(
      file,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
      0o600,
    );
  }

  append<K extends keyof AuditRecords>(kind: K, fields: AuditRecords[K]): void {
    const line = `${JSON.stringify({ seq: ++this.#seq, at: new Date(this.#nowMs()).toISOString(), kind, ...fields })}\n`;
    try {
      // One write of a whole line to a file opened for appending: a crash can tear the last line only.
      writeSync(this.#descriptor, line);
    } catch (error) {
      this.#seq--;
      throw new Fault(
        'UNAVAILABLE',
        `The audit log cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}); nothing is done that cannot be recorded.`,
      );
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
