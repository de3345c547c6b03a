/** The answers of ended executions, kept for a while: the same executionId is one execution and one result. */
import type { ExecutionResult } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { SESSION_LIMITS } from './session-limits.ts';

interface Entry {
  readonly source: string;
  readonly result: Promise<ExecutionResult>;
  /** Characters kept because of it; 0 while it runs. */
  size: number;
}

export class Answers {
  readonly #entries = new Map<string, Entry>();
  #size = 0;

  has(executionId: string): boolean {
    return this.#entries.has(executionId);
  }

  /** The execution of that id. EXECUTION_CONFLICT where it had another source. */
  find(executionId: string, source: string): Promise<ExecutionResult> | undefined {
    const entry = this.#entries.get(executionId);
    if (entry !== undefined && entry.source !== source) {
      throw new Fault(
        'EXECUTION_CONFLICT',
        `The executionId ${executionId} was used for another source in this session; use a new one for every execution.`,
        { executionId },
      );
    }
    return entry?.result;
  }

  add(executionId: string, source: string, result: Promise<ExecutionResult>): void {
    this.#entries.set(executionId, { source, result, size: 0 });
  }

  ended(executionId: string, resultSize: number): void {
    const entry = this.#entries.get(executionId);
    if (entry === undefined) return;
    entry.size = entry.source.length + resultSize;
    this.#size += entry.size;
    for (const [id, oldest] of this.#entries) {
      if (this.#entries.size <= SESSION_LIMITS.answersKept && this.#size <= SESSION_LIMITS.answerBytesKept) return;
      if (oldest.size === 0) continue;
      this.#entries.delete(id);
      this.#size -= oldest.size;
    }
  }
}
