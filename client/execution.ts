import { EventBuffer, type EventGap } from './event-buffer.ts';
import type { ExecutionResult, SessionEvent } from './protocol.ts';

export type ExecutionEvent = Extract<
  SessionEvent,
  { kind: 'output' | 'output.truncated' | 'display' | 'log' | 'input.requested' | 'approval.requested' }
>;

export interface ExecuteOptions {
  /** The idempotency key: the same key twice in a session is one execution and one result. Random unless given. */
  readonly executionId?: string;
  /** Wall clock; the level's own limit can only be narrowed. */
  readonly timeoutMs?: number;
  /** Where the cell fails, the session is as it was before it; what the cell did outside stays done. */
  readonly rollbackOnError?: boolean;
  /** Aborting it interrupts the cell, which then settles as INTERRUPTED. */
  readonly signal?: AbortSignal;
  /** Called for every event as it arrives, without a buffer; what it throws is what the execution rejects with. */
  readonly onOutput?: (event: ExecutionEvent | EventGap) => void;
}

/** What an execution needs of its session. */
export interface ExecutionPowers {
  send(): Promise<ExecutionResult>;
  interrupt(): Promise<boolean>;
  /** Resolves when every event that the daemon had sent out when it answered has been delivered here. */
  caughtUp(execution: Execution): Promise<void>;
}

/**
 * One cell on its way: await it for its result, iterate `output` for what it writes meanwhile.
 *
 * A cell that ends in an error is a result with `status: 'error'`, never a rejection; it rejects with a PyreplError where
 * the daemon did not run it or its answer is lost, with the signal's reason where that was aborted before it was sent.
 * When it settles, all of its output has been delivered. An execution that nobody awaits raises no unhandled rejection.
 */
export class Execution implements PromiseLike<ExecutionResult> {
  readonly executionId: string;
  /** One reader; what it is too slow for is replaced by an `events.gap`. It ends with the execution. */
  readonly output: AsyncIterable<ExecutionEvent | EventGap>;
  readonly #buffer = new EventBuffer<ExecutionEvent>();
  readonly #result: Promise<ExecutionResult>;
  readonly #powers: ExecutionPowers;
  readonly #onOutput: ExecuteOptions['onOutput'];
  #listenerFailure: { readonly error: unknown } | null = null;
  #finished = false;

  constructor(executionId: string, options: ExecuteOptions, powers: ExecutionPowers) {
    this.executionId = executionId;
    this.output = this.#buffer;
    this.#powers = powers;
    this.#onOutput = options.onOutput;
    this.#result = this.#run(options.signal);
    this.#result.catch(() => undefined);
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting the execution is how its result is had.
  then<A = ExecutionResult, B = never>(
    onResult?: ((result: ExecutionResult) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onResult, onError);
  }

  /** Resolves to whether there was anything left to interrupt. */
  interrupt(): Promise<boolean> {
    return this.#powers.interrupt();
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** For the session: an event of this execution. */
  deliver(event: ExecutionEvent | EventGap): void {
    this.#buffer.push(event);
    if (this.#listenerFailure) return;
    try {
      this.#onOutput?.(event);
    } catch (error) {
      this.#listenerFailure = { error };
    }
  }

  /** For the session: its `execution.finished` has been seen, so no event of it is still to come. */
  finish(): void {
    this.#finished = true;
  }

  async #run(signal: AbortSignal | undefined): Promise<ExecutionResult> {
    const onAbort = (): void => {
      this.#powers.interrupt().catch(() => undefined);
    };
    try {
      signal?.throwIfAborted();
      const sent = this.#powers.send();
      signal?.addEventListener('abort', onAbort, { once: true });
      const result = await sent;
      if (!this.#finished) await this.#powers.caughtUp(this);
      if (this.#listenerFailure) throw this.#listenerFailure.error;
      return result;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#buffer.end();
    }
  }
}
