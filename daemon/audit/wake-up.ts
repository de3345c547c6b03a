/** Lets callers wait for the next time that something happens. */
export class WakeUp {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next call of `all`, after `waitMs`, or when the signal is aborted. */
  async wait(waitMs: number, signal?: AbortSignal): Promise<void> {
    if (waitMs <= 0 || signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = (): void => resolve();
    const timer = setTimeout(done, waitMs);
    signal?.addEventListener('abort', done, { once: true });
    this.#waiting.add(done);
    await promise;
    this.#waiting.delete(done);
    signal?.removeEventListener('abort', done);
    clearTimeout(timer);
  }

  all(): void {
    for (const done of this.#waiting) done();
  }
}
