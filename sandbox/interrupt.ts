/** Stops an interpreter by a signal that it looks for itself, because V8 would tear it apart in the middle of its work. */
import { setTimeout as sleep } from 'node:timers/promises';

const INTERRUPT_MS = 10;
/** The number of the signal that CPython makes KeyboardInterrupt of. */
const SIGINT = 2;

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
