/**
 * The capabilities that a policy can grant, and the constraints that each grant takes. A new capability is one
 * entry here; everything else about it (its effect, its signature) is the daemon's.
 */
import * as v from 'valibot';
import { TIMER_MS_MAX } from './limits.ts';

/** What bounds a grant: plain data, read by the capability itself. */
export type Constraints = Readonly<Record<string, unknown>>;

const none = v.strictObject({});

const WAIT_EXPECTED = `a whole number from 1 to ${TIMER_MS_MAX} (ms)`;
const waitMs = v.pipe(
  v.number(WAIT_EXPECTED),
  v.check((ms) => Number.isSafeInteger(ms) && ms >= 1 && ms <= TIMER_MS_MAX, WAIT_EXPECTED),
);

const source = v.strictObject({ mode: v.picklist(['seeded', 'live'], '"seeded" or "live"') });
const input = v.strictObject({ waitMsMax: waitMs });

/** The schema of each capability's constraints; a key that is not in it is refused. */
export const CONSTRAINT_SCHEMAS = {
  print: none,
  console: none,
  display: none,
  log: none,
  /** Whether the clock stands still between I/O (`seeded`) or runs (`live`). */
  time: source,
  /** Whether randomness comes from the session's seed or from the operating system. */
  random: source,
  /** How long one question may wait for its answer. */
  input,
  /** `WebAssembly`. */
  web_assembly: none,
  /** `SharedArrayBuffer` and `Atomics`. */
  shared_memory: none,
  /** Resizable and growable buffers. */
  resizable_buffers: none,
} as const;

export type CapabilityName = keyof typeof CONSTRAINT_SCHEMAS;

/** The constraints of a grant by the capability's name; plain data for names that the policy does not know. */
export type ConstraintsOf<K extends string> = K extends CapabilityName
  ? Readonly<v.InferOutput<(typeof CONSTRAINT_SCHEMAS)[K]>>
  : Constraints;

export const CAPABILITY_NAMES = Object.keys(CONSTRAINT_SCHEMAS) as readonly CapabilityName[];

type Narrowing<K extends CapabilityName> = (inherited: ConstraintsOf<K>, own: ConstraintsOf<K>) => string | null;

const noNarrowing = (): null => null;

const modeNarrowing: Narrowing<'time' | 'random'> = (inherited, own) =>
  inherited.mode === 'live' && own.mode === 'seeded' ? 'mode "seeded" is less than the inherited "live"' : null;

/** Says in words how a grant allows less than the one it replaces; null when it does not. */
export const NARROWINGS: { readonly [K in CapabilityName]: Narrowing<K> } = {
  print: noNarrowing,
  console: noNarrowing,
  display: noNarrowing,
  log: noNarrowing,
  time: modeNarrowing,
  random: modeNarrowing,
  input: (inherited, own) =>
    own.waitMsMax < inherited.waitMsMax
      ? `waitMsMax ${own.waitMsMax} is less than the inherited ${inherited.waitMsMax}`
      : null,
  web_assembly: noNarrowing,
  shared_memory: noNarrowing,
  resizable_buffers: noNarrowing,
};
