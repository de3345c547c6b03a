/**
 * What one isolate holds open between its calls: response bodies, sockets. Guest code knows each by an unguessable text.
 *
 * I1: a value is disposed of exactly once: when it is closed, or with the isolate.
 */
import { randomBytes } from 'node:crypto';
import { Fault } from '../fault.ts';

/** Each costs a descriptor at most; a program that needs more at once forgets to close them. */
const HANDLES_MAX = 256;

interface Held {
  readonly kind: string;
  readonly value: unknown;
  readonly dispose: () => void;
}

export class Handles {
  readonly #held = new Map<string, Held>();
  #disposed = false;

  /** Fails with BUSY at the cap, and with INTERRUPTED once the isolate is gone; the value is disposed of then. */
  open<T>(kind: string, value: T, dispose: () => void): string {
    if (this.#disposed || this.#held.size >= HANDLES_MAX) {
      dispose();
      throw this.#disposed
        ? new Fault('INTERRUPTED', 'The session ended meanwhile.')
        : new Fault(
            'BUSY',
            `A session may hold at most ${HANDLES_MAX} responses and sockets open; read or close some.`,
          );
    }
    const handle = randomBytes(16).toString('base64url');
    this.#held.set(handle, { kind, value, dispose });
    return handle;
  }

  /** The caller names the type that it opened this kind with. */
  get<T>(kind: string, handle: string): T | undefined {
    const held = this.#held.get(handle);
    return held?.kind === kind ? (held.value as T) : undefined;
  }

  close(kind: string, handle: string): void {
    const held = this.#held.get(handle);
    if (held?.kind !== kind) return;
    this.#held.delete(handle);
    held.dispose();
  }

  get size(): number {
    return this.#held.size;
  }

  count(kind: string): number {
    let count = 0;
    for (const held of this.#held.values()) if (held.kind === kind) count++;
    return count;
  }

  disposeAll(): void {
    this.#disposed = true;
    for (const [handle, { kind }] of [...this.#held]) this.close(kind, handle);
  }
}
