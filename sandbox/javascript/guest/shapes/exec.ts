import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `exec` takes a string or bytes for the program's standard input. */
export function shapeExec({ calls, data }: ShapeParts): Record<string, ShapeGlobals> {
  return {
    exec: {
      exec: (program: unknown, args: unknown = [], options: unknown = undefined): Promise<unknown> =>
        calls.call('exec', [program, args, data.options(options, 'stdin', 'exec()')]),
    },
  };
}
