import test from 'ava';
import * as v from 'valibot';
import { SleepCapability } from '../../../daemon/capabilities/sleep.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';

const sleep = new SleepCapability(systemClock);
const parse = (...args: unknown[]): number | undefined => {
  const parsed = v.safeParse(sleep.args, args);
  return parsed.success ? parsed.output[0] : undefined;
};

test('takes milliseconds, or a number with a unit', (t) => {
  t.deepEqual(
    [0, 1.2, '250ms', '90s', '1.5m', '2h', '3d', '0s'].map((time) => parse(time)),
    [0, 2, 250, 90_000, 90_000, 7_200_000, 259_200_000, 0],
  );
});

test('F07: takes nothing else', (t) => {
  for (const args of [
    [],
    [-1],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [null],
    [true],
    ['1'],
    ['1 s'],
    ['s'],
    ['1w'],
  ]) {
    t.is(parse(...args), undefined, JSON.stringify(args));
  }
  for (const args of [
    ['-1s'],
    ['1e3s'],
    ['٣s'],
    [`${'9'.repeat(13)}d`],
    [[1]],
    [{ ms: 1 }],
    [1, 2],
    ['1s1s'],
    ['1.0001s'],
  ]) {
    t.is(parse(...args), undefined, JSON.stringify(args));
  }
});

test('sleeps as long as the level allows, and not a millisecond longer', (t) => {
  t.is(sleep.refuse([1000], { msMax: 1000 }), null);
  t.regex(sleep.refuse([1001], { msMax: 1000 }) ?? '', /at most 1000 ms/);
});

test('waits the whole time, by a clock that never goes back', async (t) => {
  const from = performance.now();
  // Its call was made in whole milliseconds of another clock, of which none has passed.
  const context = fakeContext({ madeAtMs: Date.now() + 1 });
  t.is(await sleep.invoke(allowed('sleep', [30], { msMax: 30 }), context), undefined);
  t.true(performance.now() - from >= 30);
});

test('a sleep that is longer than a timer can be takes several timers', async (t) => {
  const patient = new SleepCapability(systemClock, 2);
  const from = performance.now();
  await patient.invoke(allowed('sleep', [25], { msMax: 25 }), fakeContext({ madeAtMs: Date.now() + 1 }));
  t.true(performance.now() - from >= 25);
});

test('ends with the session', async (t) => {
  const ending = new AbortController();
  const sleeping = sleep.invoke(allowed('sleep', [60_000], { msMax: 60_000 }), fakeContext({ signal: ending.signal }));
  ending.abort();
  t.is((await t.throwsAsync(sleeping, { instanceOf: Fault })).code, 'INTERRUPTED');
  const late = sleep.invoke(allowed('sleep', [0], { msMax: 1 }), fakeContext({ signal: ending.signal }));
  t.is((await t.throwsAsync(late, { instanceOf: Fault })).code, 'INTERRUPTED');
});
