import * as v from 'valibot';
import type { ConstraintsOf } from '../../policies/capabilities.ts';
import { TIMER_MS_MAX } from '../../policies/limits.ts';
import type { Clock } from '../clock.ts';
import { Fault } from '../fault.ts';
import { type CallContext, Capability } from './capability.ts';
import type { AllowedCall } from './gate.ts';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;
const EXPECTED = "the time must be milliseconds, or a text such as '250ms', '90s', '15m', '2h' or '3d'";

/** Milliseconds, rounded up: to sleep a little longer is right, a little shorter is not. */
const durationMs = v.union(
  [
    v.pipe(v.number(), v.finite(), v.minValue(0), v.transform(Math.ceil)),
    v.pipe(
      v.string(),
      v.regex(DURATION),
      v.transform((text) => {
        const [, amount, unit] = DURATION.exec(text) ?? [];
        return Math.ceil(Number(amount) * UNITS[unit as keyof typeof UNITS]);
      }),
    ),
  ],
  EXPECTED,
);
const args = v.strictTuple([durationMs], EXPECTED);

/** `sleep(time)`: waits, by a clock that never goes back; by the wall clock across a restart of the daemon. */
export class SleepCapability extends Capability<'sleep', [number]> {
  override readonly name = 'sleep';
  override readonly summary = 'Waits for a while, without using up the time of the cell.';
  override readonly signature =
    `/** Milliseconds, or a text such as '90s', '15m' or '3d'. Fails with CAPABILITY_DENIED beyond what the level allows. */
declare function sleep(time: number | string): Promise<void>;`;
  override readonly stub = 'async def sleep(seconds: float | str) -> None: ...';
  override readonly idempotent = true;
  override readonly readOnly = true;
  override readonly patient = true;
  override readonly args = args;
  readonly #clock: Clock;
  readonly #timerMsMax: number;

  /** @param timerMsMax what one timer can wait for; longer sleeps take several */
  constructor(clock: Clock, timerMsMax = TIMER_MS_MAX) {
    super();
    this.#clock = clock;
    this.#timerMsMax = timerMsMax;
  }

  override refuse([ms]: [number], { msMax }: ConstraintsOf<'sleep'>): string | null {
    return ms <= msMax ? null : `sleep() may last at most ${msMax} ms in this session, and this is ${ms} ms.`;
  }

  override invoke({ args: [ms] }: AllowedCall<'sleep', [number]>, { signal, madeAtMs }: CallContext): Promise<void> {
    const sleptMs = Math.max(0, this.#clock.nowMs() - madeAtMs);
    const untilMs = this.#clock.monotonicMs() + ms - sleptMs;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      const leftMs = untilMs - this.#clock.monotonicMs();
      if (leftMs <= 0) resolve();
      else timer = setTimeout(wait, Math.min(Math.ceil(leftMs), this.#timerMsMax));
    };
    const interrupt = (): void => reject(new Fault('INTERRUPTED', 'The session ended meanwhile.'));
    if (signal.aborted) interrupt();
    else wait();
    signal.addEventListener('abort', interrupt, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupt);
    });
  }
}
