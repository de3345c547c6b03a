import type { GuestKernel } from './kernel.ts';
import type { LiveClock } from './live-clock.ts';

/**
 * Replaces every way to read the time (`Date`, `Temporal.Now`, `Intl.DateTimeFormat` without an argument) and adds `performance`.
 * All of them read the kernel's clock, which stands still between entries, at millisecond precision; or, where there is a live
 * one, that one, at the same precision. No path to the machine's clock remains otherwise.
 */
export function installClock(kernel: GuestKernel, live: LiveClock | null): void {
  const NativeDate = kernel.global.Date as DateConstructor;
  const intl = kernel.global.Intl as typeof Intl;
  const temporal = kernel.global.Temporal as typeof Temporal | undefined;
  const { clock, uncurryThis } = kernel;
  const { construct } = Reflect;
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const { floor } = Math;
  const dateToString = uncurryThis(NativeDate.prototype.toString);
  const readMs = (): number => (live === null ? floor(clock.nowMs) : live.nowMs());

  const builtIn = (target: object, name: PropertyKey, value: unknown): void => {
    defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  };

  const installDate = (): void => {
    // A function and not a class, because Date() may be called without `new`; seven parameters, because Date.length is 7.
    function GuestDate(...args: unknown[]): unknown {
      if (new.target === undefined) return dateToString(new NativeDate(readMs()));
      return construct(NativeDate, args.length === 0 ? [readMs()] : args, new.target);
    }
    defineProperty(GuestDate, 'name', { value: 'Date' });
    defineProperty(GuestDate, 'length', { value: 7 });
    defineProperty(GuestDate, 'prototype', { value: NativeDate.prototype, writable: false });
    builtIn(GuestDate, 'now', { now: () => readMs() }.now);
    builtIn(GuestDate, 'parse', NativeDate.parse);
    builtIn(GuestDate, 'UTC', NativeDate.UTC);
    builtIn(NativeDate.prototype, 'constructor', GuestDate);
    kernel.define('Date', GuestDate);
  };

  const installTemporal = (temporalNow: typeof Temporal.Now, Instant: typeof Temporal.Instant): void => {
    const fromMs = Instant.fromEpochMilliseconds;
    const toZoned = uncurryThis(Instant.prototype.toZonedDateTimeISO);
    const instant = (): Temporal.Instant => fromMs(readMs());
    const zoned = (zone?: Temporal.TimeZoneLike): Temporal.ZonedDateTime =>
      toZoned(instant(), zone === undefined ? 'UTC' : zone);
    const { prototype } = (temporal as typeof Temporal).ZonedDateTime;
    const toDateTime = uncurryThis(prototype.toPlainDateTime);
    const toDate = uncurryThis(prototype.toPlainDate);
    const toTime = uncurryThis(prototype.toPlainTime);
    const methods = {
      instant: () => instant(),
      timeZoneId: () => 'UTC',
      zonedDateTimeISO: (zone = undefined as Temporal.TimeZoneLike | undefined) => zoned(zone),
      plainDateTimeISO: (zone = undefined as Temporal.TimeZoneLike | undefined) => toDateTime(zoned(zone)),
      plainDateISO: (zone = undefined as Temporal.TimeZoneLike | undefined) => toDate(zoned(zone)),
      plainTimeISO: (zone = undefined as Temporal.TimeZoneLike | undefined) => toTime(zoned(zone)),
    };
    for (const name of Object.keys(methods)) builtIn(temporalNow, name, methods[name as keyof typeof methods]);
  };

  const installFormat = (prototype: Intl.DateTimeFormat): void => {
    const descriptor = getOwnPropertyDescriptor(prototype, 'format') as PropertyDescriptor;
    const nativeFormat = uncurryThis(descriptor.get as (this: unknown) => (date: unknown) => string);
    const nativeParts = uncurryThis(prototype.formatToParts as (this: unknown, date: unknown) => unknown);
    // The standard has `formatter.format === formatter.format`: one wrapper for each of V8's own bound functions.
    const wrappers = new WeakMap<object, (date: unknown) => string>();
    const wrapperOf = uncurryThis(wrappers.get);
    const setWrapper = uncurryThis(wrappers.set);
    // Returned at once and so without a name, as the standard's own bound function has none.
    const wrap = (bound: (date: unknown) => string) => (date: unknown) => bound(date === undefined ? readMs() : date);
    const methods = {
      get format() {
        const bound = nativeFormat(this);
        const known = wrapperOf(wrappers, bound);
        if (known !== undefined) return known;
        const wrapper = wrap(bound);
        setWrapper(wrappers, bound, wrapper);
        return wrapper;
      },
      formatToParts(date: unknown) {
        return nativeParts(this, date === undefined ? readMs() : date);
      },
    };
    const get = getOwnPropertyDescriptor(methods, 'format')?.get;
    defineProperty(prototype, 'format', { ...descriptor, get: get as () => unknown });
    builtIn(prototype, 'formatToParts', methods.formatToParts);
  };

  const performance = {
    now: () => (live === null ? clock.nowMs : live.nowMs()) - clock.startMs,
    get timeOrigin() {
      return clock.startMs;
    },
    toJSON: () => ({ timeOrigin: clock.startMs }),
  };
  defineProperty(performance, Symbol.toStringTag, { value: 'Performance', configurable: true });

  installDate();
  if (temporal) installTemporal(temporal.Now, temporal.Instant);
  installFormat(intl.DateTimeFormat.prototype);
  kernel.define('performance', performance);
}
