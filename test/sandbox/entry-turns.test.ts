import test from 'ava';
import { EntryTurns, type Turn } from '../../sandbox/entry-turns.ts';
import { Isolate } from '../../sandbox/isolate.ts';
import { PRELUDE } from '../../sandbox/javascript/prelude.ts';

/** Turns at two at once whose looks come when they are told to; `begun` holds the names of those that have begun. */
function twoAtOnce() {
  const looks: (() => void)[] = [];
  const turns = new EntryTurns(2, (look) => void looks.push(look));
  const begun: string[] = [];
  return {
    ...{ turns, begun },
    take: (name: string, owner: object = {}): Turn => turns.take(owner, () => begun.push(name)),
    async look(): Promise<void> {
      looks.shift()?.();
      await Promise.resolve();
    },
  };
}

test('as many as may begin at once do, and the others in their order as those end', async (t) => {
  const { turns, begun, take } = twoAtOnce();
  const [a, b] = [take('a'), take('b'), take('c'), take('d')];
  await Promise.resolve();
  t.deepEqual(begun, ['a', 'b']);
  turns.end(b as Turn);
  await Promise.resolve();
  t.deepEqual(begun, ['a', 'b', 'c']);
  turns.end(a as Turn);
  await Promise.resolve();
  t.deepEqual(begun, ['a', 'b', 'c', 'd']);
});

test('one that is not wanted any more never begins', async (t) => {
  const { turns, begun, take } = twoAtOnce();
  const [a, , c] = [take('a'), take('b'), take('c'), take('d')];
  turns.end(c as Turn);
  turns.end(a as Turn);
  await Promise.resolve();
  t.deepEqual(begun, ['a', 'b', 'd']);
});

test('nobody waits for an entry that was there at two looks', async (t) => {
  const { begun, take, look } = twoAtOnce();
  for (const name of 'abcdefgh') take(name);
  await look();
  t.is(begun.join(''), 'abcd', 'none has ended, so twice as many run');
  await look();
  t.is(begun.join(''), 'abcdefgh', 'and again');
});

test('those that begin while others end are no more at once than before', async (t) => {
  const { turns, begun, take, look } = twoAtOnce();
  const [a] = [take('a'), take('b'), take('c'), take('d'), take('e'), take('f')];
  turns.end(a as Turn);
  await look();
  t.is(begun.join(''), 'abc');
  await look();
  t.is(begun.join(''), 'abcdef', 'b and c are long');
});

test('more than may begin at once do only for as long as somebody waits', async (t) => {
  const { turns, begun, take, look } = twoAtOnce();
  const long = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => take(name));
  await look();
  await look();
  t.is(begun.join(''), 'abcdefgh');
  for (const turn of long) turns.end(turn);
  for (const name of 'ijkl') take(name);
  await Promise.resolve();
  t.is(begun.join(''), 'abcdefghij');
});

test('those of one owner begin at once where they are asked to, and nobody else does', async (t) => {
  const { turns, begun, take } = twoAtOnce();
  const owner = {};
  take('a');
  take('b');
  take('c');
  take('d', owner);
  take('e', owner);
  await Promise.resolve();
  turns.hurry(owner);
  t.deepEqual(begun, ['a', 'b', 'd', 'e']);
});

test('isolates that compute keep no other one waiting, and those that wait behind them can be ended', async (t) => {
  const SPINNING = 24;
  const isolates = Array.from({ length: SPINNING + 1 }, () => new Isolate(8, PRELUDE));
  t.teardown(() => Promise.all(isolates.map((isolate) => isolate.dispose())));
  const [quick, ...spinning] = isolates as [Isolate, ...Isolate[]];
  const ends = spinning.map((isolate) =>
    isolate.enter(60_000, ['run', 0, '', 1, 'direct', 1024, '', 'for (;;);']).then(({ end }) => end),
  );
  const answer = await quick.enter(60_000, ['run', 0, '', 1, 'direct', 1024, '', '6*7']);
  t.like(answer, { end: 'returned' });
  t.regex(JSON.stringify(answer), /42/);
  t.true((await Promise.all(spinning.map((isolate) => isolate.terminate()))).every(Boolean));
  t.deepEqual(new Set(await Promise.all(ends)), new Set(['terminated']));
});

test('what is disposed of while it waits for its turn is told so', async (t) => {
  const spin = ['run', 0, '', 1, 'direct', 1024, '', 'for (;;);'] as const;
  const isolates = Array.from({ length: 9 }, () => new Isolate(8, PRELUDE));
  t.teardown(() => Promise.all(isolates.map((isolate) => isolate.dispose())));
  const [waiting, ...spinning] = isolates as [Isolate, ...Isolate[]];
  for (const isolate of spinning) void isolate.enter(60_000, spin);
  const ended = waiting.enter(60_000, spin);
  t.true(await waiting.dispose());
  t.regex((await ended).end, /^(?:terminated|disposed)$/);
});
