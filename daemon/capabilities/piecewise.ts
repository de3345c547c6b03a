/** Long computations on bytes, in pieces, so that the daemon goes on answering meanwhile. */
import { setImmediate } from 'node:timers/promises';
import { Fault } from '../fault.ts';

/** A millisecond or so of hashing. */
const PIECE_BYTES = 512 * 1024;

/** Gives the bytes to `take` piece by piece. Rejects INTERRUPTED once the signal is aborted. */
export async function piecewise(bytes: Buffer, take: (piece: Buffer) => void, signal: AbortSignal): Promise<void> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    if (from > 0) await setImmediate();
    if (signal.aborted) throw new Fault('INTERRUPTED', 'The session ended meanwhile.');
    take(bytes.subarray(from, from + PIECE_BYTES));
  }
}

/** Fails with TOO_LARGE where a call brings more bytes than it may. */
export function refuseTooLarge(name: string, bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  throw new Fault('TOO_LARGE', `${name}() takes at most ${bytesMax} bytes in this session; these are ${bytes}.`, {
    bytes,
    bytesMax,
  });
}
