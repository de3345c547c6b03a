import { mock } from 'node:test';
import test from 'ava';
import { WallTimer } from '../../../daemon/durability/wall-timer.ts';

const DAY_MS = 24 * 3_600_000;

test.before(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.after.always(() => mock.timers.reset());

/** A timer, and a clock that runs with the timers of Node unless it is set. */
function timer() {
  const clock = { nowMs: 0 };
  const calls: number[] = [];
  const wall = new WallTimer(
    () => clock.nowMs,
    () => calls.push(clock.nowMs),
  );
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 60_000) {
      clock.nowMs += Math.min(left, 60_000);
      mock.timers.tick(Math.min(left, 60_000));
    }
  };
  return { clock, calls, wall, pass };
}

test.serial('a time further away than a timer of Node can be is reached, and not before', (t) => {
  const { calls, wall, pass } = timer();
  wall.set(30 * DAY_MS);
  pass(30 * DAY_MS - 1);
  t.deepEqual(calls, []);
  pass(1);
  t.deepEqual(calls, [30 * DAY_MS]);
  pass(DAY_MS);
  t.is(calls.length, 1);
});

test.serial('a clock that was set is followed within a minute, in either direction', (t) => {
  const { clock, calls, wall, pass } = timer();
  wall.set(DAY_MS);
  clock.nowMs += DAY_MS;
  pass(60_000);
  t.is(calls.length, 1);
  wall.set(clock.nowMs + 30_000);
  clock.nowMs -= 100_000;
  pass(60_000);
  t.is(calls.length, 1, 'not before the time on the clock');
  pass(70_000);
  t.is(calls.length, 2);
});

test.serial('a later time replaces an earlier one, and null takes it back', (t) => {
  const { calls, wall, pass } = timer();
  wall.set(1000);
  wall.set(5000);
  pass(2000);
  t.deepEqual(calls, []);
  wall.set(null);
  pass(10_000);
  t.deepEqual(calls, []);
  wall.set(0);
  mock.timers.tick(1);
  t.is(calls.length, 1, 'and what is past is called back for at once');
});
