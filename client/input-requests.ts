import type { SessionEvent } from './protocol.ts';

export interface InputRequest {
  readonly requestId: string;
  readonly executionId: string | null;
  /** Written by the guest. */
  readonly prompt: string;
  /** Aborted when no answer is wanted any more. */
  readonly signal: AbortSignal;
}

export type InputHandler = (request: InputRequest) => Promise<string | null> | string | null;

/** Requests that nobody answers are the guest's own doing; beyond this many the oldest is forgotten here. */
const REQUESTS_MAX = 64;

/** The `input()` calls of one session that wait for an answer, and whoever answers them. */
export class InputRequests {
  readonly #answer: (requestId: string, text: string | null) => Promise<void>;
  readonly #waiting = new Map<string, { readonly request: InputRequest; readonly ending: AbortController }>();
  #handler: InputHandler | null = null;

  constructor(answer: (requestId: string, text: string | null) => Promise<void>) {
    this.#answer = answer;
  }

  handle(handler: InputHandler): () => void {
    this.#handler = handler;
    for (const { request } of this.#waiting.values()) void this.#ask(handler, request);
    return () => {
      if (this.#handler === handler) this.#handler = null;
    };
  }

  requested(event: Extract<SessionEvent, { kind: 'input.requested' }>): void {
    const ending = new AbortController();
    const { requestId, executionId, prompt } = event;
    const request = { requestId, executionId, prompt, signal: ending.signal };
    this.#waiting.set(requestId, { request, ending });
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= REQUESTS_MAX) break;
      this.settled(oldest);
    }
    if (this.#handler) void this.#ask(this.#handler, request);
  }

  settled(requestId: string): void {
    this.#waiting.get(requestId)?.ending.abort();
    this.#waiting.delete(requestId);
  }

  cancel(): void {
    for (const requestId of [...this.#waiting.keys()]) this.settled(requestId);
  }

  /** Never rejects: a failing handler is the end of input, a late answer is nobody's concern. */
  async #ask(handler: InputHandler, request: InputRequest): Promise<void> {
    let text: string | null;
    try {
      text = await handler(request);
    } catch {
      text = null;
    }
    if (!this.#waiting.delete(request.requestId)) return;
    await this.#answer(request.requestId, text).catch(() => undefined);
  }
}
