import vm from 'node:vm';
import test from 'ava';
import { installClock } from '../../../../sandbox/javascript/guest/clock.ts';
import { makeLiveClock } from '../../../../sandbox/javascript/guest/live-clock.ts';
import { cleanAndPoisoned, installInRealm, makeKernel, startMs } from './_guest-realm.ts';

const nowMs = startMs + 1234;

/** A realm whose built-ins are changed from this side, so that coverage sees the module. */
function installOver(live: boolean) {
  const realm = vm.runInNewContext('globalThis');
  const made = makeKernel(realm);
  installClock(made.kernel, live ? makeLiveClock(() => undefined) : null);
  return { ...made, realm };
}

test('every way to read the time gives the kernel clock in whole milliseconds', (t) => {
  const { realm, clock } = installOver(false);
  const zoned = new Date(nowMs).toISOString().slice(0, -1);
  t.is(realm.Date.now(), nowMs);
  t.is(new realm.Date().getTime(), nowMs);
  t.is(realm.Date(1, 2), new Date(nowMs).toString());
  t.is(realm.Temporal.Now.instant().epochNanoseconds, BigInt(nowMs) * 1_000_000n);
  t.is(realm.Temporal.Now.zonedDateTimeISO().toString(), `${zoned}+00:00[UTC]`);
  t.is(realm.Temporal.Now.zonedDateTimeISO('Asia/Tokyo').hour, (new Date(nowMs).getUTCHours() + 9) % 24);
  t.is(realm.Temporal.Now.plainDateTimeISO().toString(), zoned);
  t.is(realm.Temporal.Now.plainDateISO().toString(), zoned.slice(0, 10));
  t.is(realm.Temporal.Now.plainTimeISO().toString(), zoned.slice(11));
  t.is(realm.Temporal.Now.timeZoneId(), 'UTC');
  const formatter = new realm.Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'full', timeZone: 'UTC' });
  t.is(formatter.format(), formatter.format(nowMs));
  t.is(formatter.format, formatter.format);
  t.is(formatter.format.name, '');
  t.deepEqual(JSON.stringify(formatter.formatToParts()), JSON.stringify(formatter.formatToParts(nowMs)));
  t.is(realm.performance.now(), 1234.75);
  t.is(realm.performance.timeOrigin, startMs);
  t.is(JSON.stringify(realm.performance), `{"timeOrigin":${startMs}}`);
  clock.nowMs += 5;
  t.is(realm.Date.now(), nowMs + 5);
});

test('Date is otherwise the Date of the language', (t) => {
  const { realm } = installOver(false);
  const { Date: GuestDate } = realm;
  t.is(GuestDate.name, 'Date');
  t.is(GuestDate.length, 7);
  t.is(GuestDate.prototype.constructor, GuestDate);
  t.is(new GuestDate(2020, 1, 2, 3).getTime(), new Date(2020, 1, 2, 3).getTime());
  t.is(new GuestDate('2020-01-01').toISOString(), '2020-01-01T00:00:00.000Z');
  t.true(Number.isNaN(new GuestDate(undefined).getTime()));
  t.is(GuestDate.UTC(2020), Date.UTC(2020));
  t.is(GuestDate.parse('2020'), Date.parse('2020'));
  class Late extends GuestDate {}
  const late = new Late();
  t.true(late instanceof Late && late instanceof GuestDate);
  t.is((late as unknown as Date).getTime(), nowMs);
  t.deepEqual(Object.getOwnPropertyNames(GuestDate).sort(), Object.getOwnPropertyNames(Date).sort());
  t.deepEqual(Object.keys(GuestDate), []);
  t.throws(() => new GuestDate.now(), { name: 'TypeError' });
});

test('no path leads back to the machine clock', (t) => {
  const { run } = installInRealm();
  const paths = [
    'new (Object.getPrototypeOf(new Date(0)).constructor)().getTime()',
    'new (Date.prototype.constructor)().getTime()',
    'Reflect.construct(Date, []).getTime()',
    'Reflect.construct(Date, [], Object).getTime?.() ?? Date.now()',
    'new (class extends Date {})().getTime()',
    'Date.parse(Date())',
    'Temporal.Now.instant().epochMilliseconds',
    'Date.parse(Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, "format").get.call(new Intl.DateTimeFormat("en", { year: "numeric" }))())',
    'performance.timeOrigin + performance.now()',
    'new Event("x").timeStamp + performance.timeOrigin',
  ];
  for (const path of paths) t.is(new Date(Number(run(path))).getUTCFullYear(), 2026, path);
  for (const path of paths.slice(0, 7)) t.true(Math.abs((run(path) as number) - nowMs) < 1000, path);
});

test('a live clock follows the machine in whole milliseconds', (t) => {
  const { realm } = installOver(true);
  const before = Date.now();
  const read = realm.Date.now();
  t.true(read >= before && read <= Date.now());
  t.true(Number.isInteger(realm.performance.now()));
  t.true(new realm.Date().getTime() >= before);
  t.true(realm.Temporal.Now.instant().epochMilliseconds >= before);
});

test('the clock works in a poisoned realm', (t) => {
  const { clean, poisoned } = cleanAndPoisoned(
    `const D = Date; const { now, parse } = Date; const clock = performance; const { instant, plainDateISO } = Temporal.Now;
     const f = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'full', timeZone: 'UTC' });
     const { get } = Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, 'format');
     const kept = Function.prototype.call.bind(get); const time = Function.prototype.call.bind(Date.prototype.getTime);
     const ms = Function.prototype.call.bind(Object.getOwnPropertyDescriptor(Temporal.Instant.prototype, 'epochMilliseconds').get);
     const day = Function.prototype.call.bind(Temporal.PlainDate.prototype.toString); const zone = instant;`,
    `\`\${now()} \${D()} \${time(new D())} \${time(new D(5))} \${clock.now()} \${ms(zone())} \${day(plainDateISO())} \${kept(f)()}\``,
  );
  t.is(typeof clean, 'string');
  t.is(poisoned, clean);
});
