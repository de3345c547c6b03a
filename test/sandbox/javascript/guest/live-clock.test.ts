import test from 'ava';
import { makeLiveClock } from '../../../../sandbox/javascript/guest/live-clock.ts';

/** The readings that a text of runs stands for. */
function readingsOf(texts: readonly string[]): number[] {
  const readings: number[] = [];
  let value = 0;
  for (const run of texts.join('').split(';').filter(Boolean)) {
    const [count = 0, delta = 0] = run.split(',').map(Number);
    value += delta;
    for (let index = 0; index < count; index++) readings.push(value);
  }
  return readings;
}

/** Of a session that has begun. */
function recordedClock(times: readonly number[]) {
  const made = newClock(times);
  made.clock.start();
  return made;
}

function newClock(times: readonly number[]) {
  const reported: string[] = [];
  const left = [...times];
  const native = Date.now;
  Date.now = () => left.shift() ?? -1;
  const clock = makeLiveClock((_kind, text) => void reported.push(String(text)));
  Date.now = native;
  return { clock, reported };
}

test('what is read before the session begins is nobody’s', (t) => {
  const { clock, reported } = newClock([7, 8, 9]);
  t.deepEqual([clock.nowMs(), clock.nowMs()], [7, 8]);
  clock.report();
  clock.begin();
  clock.start();
  t.is(clock.nowMs(), 9);
  clock.report();
  t.deepEqual(reported, ['1,9;']);
});

test('a clock that goes on from where another was reports on from there', (t) => {
  const first = recordedClock([100, 103]);
  first.clock.begin();
  first.clock.nowMs();
  const state = first.clock.state();
  first.clock.nowMs();
  first.clock.report();
  const second = recordedClock([103]);
  second.clock.resume(state);
  t.is(second.clock.nowMs(), 103);
  second.clock.report();
  t.is(second.reported.at(-1), first.reported.at(-1)?.split(';').slice(-2).join(';'));
  const third = recordedClock([]);
  third.clock.resume(state);
  third.clock.replay(second.reported.join(''));
  t.is(third.clock.nowMs(), 103);
});

test('what was read is reported as runs, and read again it is the same', (t) => {
  const times = [5, 5, 5, 9, 9, 3, 3, 3, 3, 10.7];
  const { clock, reported } = recordedClock(times);
  const read = times.map((_, index) => {
    if (index === 4) clock.report();
    return clock.nowMs();
  });
  clock.report();
  t.deepEqual(read, times.map(Math.floor));
  t.deepEqual(readingsOf(reported), read);

  const again = recordedClock([20, 20, 21]);
  again.clock.replay(reported.join(''));
  t.deepEqual(
    times.map(() => again.clock.nowMs()),
    read,
  );
  again.clock.report();
  t.deepEqual(again.reported, [], 'what is read again is not reported again');
  t.is(again.clock.nowMs(), 20);
  t.is(again.clock.nowMs(), 20);
  t.is(again.clock.nowMs(), 21);
  again.clock.report();
  t.deepEqual(readingsOf([...reported, ...again.reported]), [...read, 20, 20, 21]);
});

test('nothing read is nothing reported, and a long record leaves by itself', (t) => {
  const { clock, reported } = recordedClock(Array.from({ length: 20_000 }, (_, index) => index));
  clock.report();
  t.deepEqual(reported, []);
  for (let count = 0; count < 20_000; count++) clock.nowMs();
  t.true(reported.length > 0);
  clock.report();
  t.is(readingsOf(reported).length, 20_000);
});
