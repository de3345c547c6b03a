import type { PreparedCell } from '../javascript/prepare.ts';

/** Python's own compiler prepares a cell, inside the isolate: it goes there as it was typed. */
export const preparePython = (source: string): { readonly ok: true; readonly cell: PreparedCell } => ({
  ok: true,
  cell: {
    mode: 'direct',
    boxed: false,
    scripts: [source],
    declared: [],
    helpers: [],
    assigns: true,
    originalPosition: (line, column) => ({ line, column }),
  },
});
