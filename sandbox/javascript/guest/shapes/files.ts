import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `read_file` gives a string or a Uint8Array, `write_file` takes either. */
export function shapeFiles({ calls, data }: ShapeParts): Record<string, ShapeGlobals> {
  return {
    read_file: {
      read_file: (path: unknown, options: unknown): Promise<unknown> =>
        calls.call('read_file', [path, options], data.read),
    },
    write_file: {
      write_file: (path: unknown, content: unknown, options: unknown): Promise<unknown> =>
        calls.call('write_file', [path, data.argument(content, 'The content for write_file()'), options]),
    },
  };
}
