/** Stops an interpreter by a signal that it looks for itself, because V8 would tear it apart in the middle of its work. */
import { setTimeout as sleep } from 'node:timers/promises';

const INTERRUPT_MS = 10;
/** The number of the signal that CPython makes KeyboardInterrupt of. */
const SIGINT = 2;

/** Made where it is read, which is the only place from where WebAssembly can do so, and left to the guest side as `assets.interrupt`. */
const MEMORY = '(assets.interrupt = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })).buffer';

/** One byte that a context and its host share, for the number of a signal. The context has run nobody's code yet. */
export function makeSignal(context: { evalSync(source: string, options: { copy: true }): unknown }): Uint8Array {
  return new Uint8Array(context.evalSync(MEMORY, { copy: true }) as SharedArrayBuffer, 0, 1);
}

export interface Interrupted {
  /** Whether what ran when this began has ended. */
  over(): boolean;
  /** CPU time that it has used so far. */
  cpuMs(): number;
}

/**
 * Raises KeyboardInterrupt in what runs now, as often as it is caught, until it ends. False where it goes on computing all the same
 * for `cpuMs`, or is in code that never looks at signals, or nothing is heard of it for `wallMs`.
 */
export async function interrupt(
  signal: Uint8Array,
  running: Interrupted,
  { cpuMs, wallMs }: { readonly cpuMs: number; readonly wallMs: number },
): Promise<boolean> {
  const startCpuMs = running.cpuMs();
  const startMs = performance.now();
  while (!running.over()) {
    if (running.cpuMs() - startCpuMs > cpuMs || performance.now() - startMs > wallMs) return false;
    signal[0] = SIGINT;
    await sleep(INTERRUPT_MS);
  }
  signal[0] = 0;
  return true;
}
