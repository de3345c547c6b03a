/**
 * Lets tasks start a few at a time: after a crash all of them are announced at once.
 *
 * I1: at most a fixed number is starting; the others wait in the order in which they came, each once.
 */
import type { Message } from './sdk.ts';

const STARTING_MAX = 64;
/** What does not fit is announced again by the server. */
const WAITING_MAX = 100_000;

type ExecuteMessage = Extract<Message, { kind: 'execute' }>;

export class StartGate {
  readonly #start: (message: ExecuteMessage) => void;
  readonly #starting = new Set<string>();
  readonly #waiting = new Map<string, ExecuteMessage>();
  #stopped = false;

  constructor(start: (message: ExecuteMessage) => void) {
    this.#start = start;
  }

  take(message: ExecuteMessage): void {
    const { id, version } = message.data.task;
    // Whoever sends it may not be who we think.
    if (typeof id !== 'string' || !Number.isSafeInteger(version)) return;
    if (this.#waiting.size < WAITING_MAX) this.#waiting.set(id, message);
    this.#pump();
  }

  started(id: string): void {
    if (this.#starting.delete(id)) this.#pump();
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  #pump(): void {
    for (const [id, message] of this.#waiting) {
      if (this.#stopped || this.#starting.size >= STARTING_MAX) return;
      if (this.#starting.has(id)) continue;
      this.#waiting.delete(id);
      this.#starting.add(id);
      this.#start(message);
    }
  }
}
