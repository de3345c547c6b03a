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

function recordedClock(times: readonly number[]) {
  const reported: string[] = [];
  const left = [...times];
  const native = Date.now;
  Date.now = () => left.shift() ?? -1;
  const clock = makeLiveClock((_kind, text) => void reported.push(String(text)));
  Date.now = native;
  return { clock, reported };
}

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
