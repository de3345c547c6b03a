import test from 'ava';
import { DenialNotes } from '../../../daemon/session/denial-notes.ts';
import { SESSION_LIMITS } from '../../../daemon/session/session-limits.ts';

test('a name is noted once in each cell, and what runs on after a cell counts to it', (t) => {
  const notes = new DenialNotes();
  t.true(notes.isFirst('hash', 'exe_1'));
  t.false(notes.isFirst('hash', 'exe_1'));
  t.true(notes.isFirst('fetch', 'exe_1'));
  t.false(notes.isFirst('hash', null));
  t.true(notes.isFirst('kv', null));
  t.true(notes.isFirst('hash', 'exe_2'));
});

test('no more names are noted in one cell than there are capabilities, whatever a host says', (t) => {
  const notes = new DenialNotes();
  const noted = (executionId: string): number =>
    Array.from({ length: 10_000 }, (_, index) => notes.isFirst(`name${index}`, executionId)).filter(Boolean).length;
  t.is(noted('exe_1'), SESSION_LIMITS.denialsNotedMax);
  t.is(noted('exe_2'), SESSION_LIMITS.denialsNotedMax);
});
