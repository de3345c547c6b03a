/** The open `input()` requests of one session. Each is settled once: answered, timed out or cancelled. */
import type { EventBody } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export interface InputRequest {
  /** Always the same for the same call. */
  readonly requestId: string;
  readonly prompt: string;
  readonly executionId: string | null;
  /** Milliseconds from now. */
  readonly waitMs: number;
  readonly asked: boolean;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Called before anybody is told of the answer. */
  readonly onAnswer: (text: string | null) => void;
}

export class Inputs {
  readonly #emit: (event: EventBody) => void;
  readonly #open = new Map<string, (outcome: 'answered' | 'timed-out' | 'cancelled', text: string | null) => void>();

  constructor(emit: (event: EventBody) => void) {
    this.#emit = emit;
  }

  /** @param asked whether the client was told of it before */
  request({ requestId, prompt, executionId, waitMs, asked, signal, onAnswer }: InputRequest): Promise<string | null> {
    if (this.#open.size >= SESSION_LIMITS.inputsMax) {
      return Promise.reject(
        new Fault('BUSY', `At most ${SESSION_LIMITS.inputsMax} questions can wait for an answer at once.`),
      );
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle('timed-out', null), Math.max(1, waitMs));
      const cancel = (): void => settle('cancelled', null);
      const settle = (outcome: 'answered' | 'timed-out' | 'cancelled', text: string | null): void => {
        if (!this.#open.delete(requestId)) return;
        clearTimeout(timer);
        signal.removeEventListener('abort', cancel);
        if (outcome === 'answered') onAnswer(text);
        this.#emit({ kind: 'input.settled', requestId, outcome });
        if (outcome === 'answered') resolve(text);
        else if (outcome === 'timed-out')
          reject(new Fault('TIMED_OUT', `Nobody answered input() within ${waitMs} ms.`));
        else reject(new Fault('INTERRUPTED', 'The session ended before input() was answered.'));
      };
      this.#open.set(requestId, settle);
      signal.addEventListener('abort', cancel, { once: true });
      if (!asked) this.#emit({ kind: 'input.requested', executionId, requestId, prompt });
    });
  }

  answer(requestId: string, text: string | null): void {
    const settle = this.#open.get(requestId);
    if (settle === undefined)
      throw new Fault(
        'UNKNOWN_INPUT',
        'No question of that id waits for an answer; it may have been answered already.',
        { requestId },
      );
    if (text !== null && Buffer.byteLength(text) > SESSION_LIMITS.inputTextBytesMax) {
      throw new Fault('TOO_LARGE', `An answer may have at most ${SESSION_LIMITS.inputTextBytesMax} bytes.`);
    }
    settle('answered', text);
  }

  cancelAll(): void {
    for (const settle of [...this.#open.values()]) settle('cancelled', null);
  }
}
