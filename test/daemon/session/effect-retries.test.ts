import test from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import { withRetries } from '../../../daemon/session/effect-retries.ts';

const unreachable = () => new Fault('EFFECT_FAILED', 'It cannot be reached.', { reason: 'unreachable' });

/** An effect that fails so many times, and what was said of its attempts. */
function failing(times: number, fault: () => Error = unreachable) {
  const attempts: number[] = [];
  const ending = new AbortController();
  let done = 0;
  const effect = async (): Promise<string> => {
    done += 1;
    if (done <= times) throw fault();
    return 'done';
  };
  const retries = {
    worthwhile: ({ details }: Fault) => details?.['reason'] === 'unreachable',
    again: (attempt: number) => void attempts.push(attempt),
    signal: ending.signal,
  };
  return { effect, retries, attempts, ending, count: () => done };
}

test('an effect that fails for a moment is tried again, and each further attempt is told', async (t) => {
  const { effect, retries, attempts } = failing(2);
  t.is(await withRetries(effect, retries), 'done');
  t.deepEqual(attempts, [2, 3]);
});

test('after three attempts the last failure is told', async (t) => {
  const { effect, retries, count } = failing(3);
  await t.throwsAsync(withRetries(effect, retries), { message: 'It cannot be reached.' });
  t.is(count(), 3);
});

test('what will fail again is not tried again', async (t) => {
  for (const fault of [() => new Fault('CONFLICT', 'no'), () => new Error('broken')]) {
    const { effect, retries, count } = failing(1, fault);
    await t.throwsAsync(withRetries(effect, retries));
    t.is(count(), 1);
  }
});

test('nothing is tried again for a session that has ended, nor where there is to be no further attempt', async (t) => {
  const ended = failing(2);
  const waiting = withRetries(ended.effect, ended.retries);
  ended.ending.abort();
  await t.throwsAsync(waiting, { message: 'It cannot be reached.' });
  t.is(ended.count(), 1);
  const moved = failing(2);
  const again = (): never => {
    throw new Fault('SESSION_MOVED', 'moved');
  };
  await t.throwsAsync(withRetries(moved.effect, { ...moved.retries, again }), { message: 'moved' });
  t.is(moved.count(), 1);
});
