import test from 'ava';
import fc from 'fast-check';
import { Deadlines } from '../../../daemon/durability/deadlines.ts';

type Step = readonly ['set', string, number] | readonly ['delete', string] | readonly ['take', number];

const id = fc.constantFrom(...'abcdefgh');
const at = fc.integer({ min: 0, max: 50 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('set' as const), id, at),
  fc.tuple(fc.constant('delete' as const), id),
  fc.tuple(fc.constant('take' as const), at),
);

test('deadlines are those of a plain list, whatever is set, replaced, taken back and taken out', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const deadlines = new Deadlines();
      const model = new Map<string, number>();
      for (const each of steps) {
        if (each[0] === 'set') {
          deadlines.set(each[1], each[2]);
          model.set(each[1], each[2]);
        } else if (each[0] === 'delete') {
          deadlines.delete(each[1]);
          model.delete(each[1]);
        } else {
          const due = [...model].filter(([, atMs]) => atMs <= each[1]);
          for (const [of] of due) model.delete(of);
          const taken = deadlines.takeDue(each[1]);
          t.deepEqual(
            taken.map(({ atMs }) => atMs),
            due.map(([, atMs]) => atMs).sort((a, b) => a - b),
          );
          t.deepEqual(taken.map(({ id: of }) => of).sort(), due.map(([of]) => of).sort());
        }
        t.is(deadlines.nextMs(), model.size === 0 ? null : Math.min(...model.values()));
      }
    }),
  );
});

test('a deadline that is put off again and again leaves nothing behind', (t) => {
  const deadlines = new Deadlines();
  for (let atMs = 0; atMs < 100_000; atMs++) deadlines.set('a', atMs);
  t.is(deadlines.nextMs(), 99_999);
  t.deepEqual(deadlines.takeDue(1e9), [{ id: 'a', atMs: 99_999 }]);
});
