import type { GuestBuiltins } from '../builtins.ts';
import type { CapabilityCalls } from '../capability-calls.ts';
import type { GuestKernel } from '../kernel.ts';
import type { makeBodies } from './bodies.ts';
import type { GuestData, makeData } from './data.ts';
import type { makeHeaders } from './headers.ts';
import type { makeMessages } from './messages.ts';
import type { makeStreams } from './streams.ts';

/** Global names and what stands behind them. */
export type ShapeGlobals = Readonly<Record<string, unknown>>;

/**
 * What a shape is made of. Shapes may be evaluated after guest code has run, so unlike the other guest modules they capture
 * nothing themselves: `builtins` was captured in time.
 */
export interface ShapeParts {
  readonly kernel: GuestKernel;
  readonly calls: CapabilityCalls;
  readonly builtins: GuestBuiltins;
  readonly data: GuestData;
  readonly shared: GuestShapes['shared'];
}

/**
 * A shape is the face of one or more capabilities where that differs from the wire: it turns arguments into what the daemon takes,
 * and answers into what a user expects. It checks nothing for safety's sake, because guest code could do without it; the daemon
 * does. Gives, by capability, its globals.
 */
export type Shape = (parts: ShapeParts) => Record<string, ShapeGlobals>;

export interface GuestShapes {
  readonly makeData: typeof makeData;
  readonly shared: {
    readonly makeBodies: typeof makeBodies;
    readonly makeHeaders: typeof makeHeaders;
    readonly makeMessages: typeof makeMessages;
    readonly makeStreams: typeof makeStreams;
  };
  readonly families: Readonly<
    Record<'crypto' | 'exec' | 'fetch' | 'files' | 'kv' | 'sleep' | 'sql' | 'webSocket', Shape>
  >;
}
