import type { HostComputation } from './guest/kernel.ts';
import { type CellSource, userStack } from './stack.ts';
import { streamSource } from './stream-source.ts';
import { computeUrl } from './url-computation.ts';

/** Beyond this a stack is not worth the host's time; the guest side shows far less of it. */
export const STACK_LENGTH_MAX = 65_536;

/** Answers a guest's computation; null where it asks for something else. All of what it sends is untrusted. */
export function computeForGuest(
  operation: unknown,
  args: readonly unknown[],
  cellSource: (cell: number) => CellSource | undefined,
): string | null {
  if (!args.every((arg) => typeof arg === 'string')) return null;
  if (operation === 'stack.frames') {
    const { frames } = userStack((args[0] ?? '').slice(0, STACK_LENGTH_MAX), cellSource);
    return frames === '' ? '' : `\n${frames.replaceAll(/^/gm, '    ')}`;
  }
  if (operation === 'streams.source') return streamSource();
  return typeof operation === 'string' ? computeUrl(operation as HostComputation, args) : null;
}
