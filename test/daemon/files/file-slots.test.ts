import test from 'ava';
import { FileSlots } from '../../../daemon/files/file-slots.ts';
import { outcome } from './_file-tree.ts';

const limits = { operationsAtOnceMax: 3, operationsPerRootMax: 2, operationsWaitingMax: 2, operationMsMax: 60_000 };
const never = new AbortController().signal;

/** Work that goes on until it is told to end, as on a disk that does not answer. */
function hanging() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = { begun: false, ended: false, end: resolve, run: () => Promise.resolve(), onEnd: () => {} };
  work.run = () => {
    work.begun = true;
    return promise;
  };
  work.onEnd = () => {
    work.ended = true;
  };
  return work;
}

test('a root that does not answer leaves a slot to the others', async (t) => {
  const slots = new FileSlots(limits);
  const dead = [hanging(), hanging(), hanging()];
  const ends = dead.map((work) => slots.run('dead', never, work.run, work.onEnd));
  t.deepEqual(
    dead.map(({ begun }) => begun),
    [true, true, false],
  );
  t.is(
    await slots.run(
      'alive',
      never,
      () => Promise.resolve('answered'),
      () => {},
    ),
    'answered',
  );
  for (const work of dead) work.end();
  await Promise.all(ends);
});

test('what waits is bounded', async (t) => {
  const slots = new FileSlots(limits);
  const works = Array.from({ length: 5 }, hanging);
  const ends = works.slice(0, 4).map((work) => slots.run('dead', never, work.run, work.onEnd));
  const refused = works[4] ?? hanging();
  t.is(await outcome(slots.run('alive', never, refused.run, refused.onEnd)), 'BUSY');
  t.true(refused.ended);
  t.false(refused.begun);
  for (const work of works) work.end();
  await Promise.all(ends);
});

test('who waits too long is told, and the slot stays taken until the work really ends', async (t) => {
  const slots = new FileSlots({ ...limits, operationsPerRootMax: 1, operationMsMax: 20 });
  const first = hanging();
  t.is(await outcome(slots.run('dead', never, first.run, first.onEnd)), 'TIMED_OUT');
  t.false(first.ended);
  const second = hanging();
  t.is(await outcome(slots.run('dead', never, second.run, second.onEnd)), 'TIMED_OUT');
  t.false(second.begun);
  t.true(second.ended);
  first.end();
  // The slot is free again once the first has ended.
  let result: string;
  do {
    result = await outcome(
      slots.run(
        'dead',
        never,
        () => Promise.resolve(),
        () => {},
      ),
    );
  } while (result !== 'none');
  t.true(first.ended);
});

test('work is stopped at its next step when its session ends', async (t) => {
  const slots = new FileSlots(limits);
  const session = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let steps = 0;
  const run = slots.run(
    'data',
    session.signal,
    async (step) => {
      step();
      steps++;
      await promise;
      step();
      steps++;
    },
    ended.resolve,
  );
  session.abort();
  t.is(await outcome(run), 'INTERRUPTED');
  resolve();
  await ended.promise;
  t.is(steps, 1);
  t.is(
    await outcome(
      slots.run(
        'data',
        session.signal,
        () => Promise.resolve(),
        () => {},
      ),
    ),
    'INTERRUPTED',
  );
});
