import { type FunctionPlace, functionShape } from './function-shape.ts';
import type { HostComputation } from './guest/kernel.ts';
import { type CellSource, userStack } from './stack.ts';
import { streamSource } from './stream-source.ts';
import { computeUrl } from './url-computation.ts';

/** Beyond this a stack is not worth the host's time; the guest side shows far less of it. */
export const STACK_LENGTH_MAX = 65_536;

/** What is known of the cells of a session. */
export interface KnownCells {
  /** The source of a cell by its number, while it is kept. */
  sourceOf(cell: number): CellSource | undefined;
  /** Where a text stands in one of them; null where it is in code that is strict as a whole. Undefined where it is not found. */
  placeOf(text: string): FunctionPlace | null | undefined;
}

/** Answers a guest's computation; null where it asks for something else. All of what it sends is untrusted. */
export function computeForGuest(operation: unknown, args: readonly unknown[], cells: KnownCells): string | null {
  if (!args.every((arg) => typeof arg === 'string')) return null;
  if (operation === 'stack.frames') {
    const { frames } = userStack((args[0] ?? '').slice(0, STACK_LENGTH_MAX), cells.sourceOf);
    return frames === '' ? '' : `\n${frames.replaceAll(/^/gm, '    ')}`;
  }
  if (operation === 'streams.source') return streamSource();
  if (operation === 'function.shape') return shapeJson(args[0] ?? '', cells);
  return typeof operation === 'string' ? computeUrl(operation as HostComputation, args) : null;
}

function shapeJson(text: string, cells: KnownCells): string | null {
  const place = cells.placeOf(text);
  const shape = place === null ? null : functionShape(text, place ?? null);
  return shape && JSON.stringify(shape);
}
