/**
 * What every guest module is given. Guest modules run INSIDE the isolate, beside code nobody has vetted, and their text gets
 * there through `Function.prototype.toString`: each file exports one function that refers to nothing but its parameters and
 * the built-ins, which it captures while it is being installed, before any guest code has run. After that moment a guest may
 * have replaced or poisoned every built-in and every prototype, so installed code uses only what it captured.
 */
export interface GuestKernel {
  /** The isolate's global object. */
  readonly global: Record<string, unknown>;
  /** `uncurryThis(Array.prototype.push)(array, 1)`: a method that no longer depends on anything a guest can reach. */
  readonly uncurryThis: <T, A extends unknown[], R>(method: (this: T, ...args: A) => R) => (self: T, ...args: A) => R;
  /** Defines a global the way built-ins are: writable, configurable, not enumerable. */
  readonly define: (name: string, value: unknown) => void;
  /** The clock that guest code sees, in milliseconds since the epoch. The host sets it at every entry; it stands still between. */
  readonly clock: { nowMs: number; readonly startMs: number };
  /** The next 32 random bits (an integer, 0 to 2^32 - 1) of the session's generator. */
  readonly random32: () => number;
  /** Asks the host for a pure computation, synchronously. Answers `null` where the host refuses the input. */
  readonly compute: (operation: HostComputation, ...args: string[]) => string | null;
  /** The cell that what runs now goes back to: itself, or the one whose timer or call has led to it. 0 where it is none's. */
  readonly origin: () => number;
  /** Schedules `enter('timer', id)` by the host, once (`repeat` false) or repeatedly, or cancels it. Delays are in milliseconds. */
  readonly startTimer: (id: number, delayMs: number, repeat: boolean) => void;
  readonly stopTimer: (id: number) => void;
  /** Writes to one of the session's streams. Accounting and truncation happen behind it. */
  readonly write: (stream: 'stdout' | 'stderr', text: string) => void;
}

/**
 * Pure functions of their arguments that the host computes for the guest because the platform has a better implementation
 * than an isolate could carry.
 * - `url.parse` (input, base or ''): JSON of the components of the parsed URL, or null when it is invalid.
 * - `url.set` (href, component, value): the same JSON after `url[component] = value`.
 *
 * - `streams.source`: the text of the library that `ReadableStream` is made with, which few sessions need.
 *
 * And because only the host knows a cell as it was typed:
 * - `stack.frames` (stack): the frames of cells, each as `\n    at f (cell:2:1:7)`; '' where there are none.
 * - `function.shape` (text of a function): JSON of how it can be made of that text alone, or null where it cannot.
 */
export type HostComputation = 'url.parse' | 'url.set' | 'stack.frames' | 'streams.source' | 'function.shape';
