import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `sleep` gives undefined, as a promise without a value does. */
export function shapeSleep({ calls }: ShapeParts): Record<string, ShapeGlobals> {
  return {
    sleep: { sleep: (duration: unknown): Promise<unknown> => calls.call('sleep', [duration], () => undefined) },
  };
}
