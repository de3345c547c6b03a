import test from 'ava';
import type { JournalRecord } from '../../../daemon/durability/journal-records.ts';
import { SessionStore } from '../../../daemon/durability/session-store.ts';
import { foundIn, STATE, Stores } from './_stores.ts';

const stores = new Stores();
test.after.always(() => stores.close());

const record = (cell: number): JournalRecord => ({ r: 'ended', cell });

test('the newest row of every session is found after a kill, before and after heads were written', (t) => {
  let store = stores.open();
  let journals = ['a', 'b', 'c'].map((sessionId) => new SessionStore(store).create({ ...STATE, sessionId }));
  // They share the numbers of one session store.
  store.close();
  store = stores.open();
  const sessions = new SessionStore(store);
  journals = ['a', 'b', 'c'].map((sessionId) => sessions.create({ ...STATE, sessionId }));
  const written = [0, 0, 0];
  for (let row = 0; row < 9000; row++) {
    const which = row % 7 === 0 ? 0 : row % 3 === 0 ? 1 : row < 100 ? 2 : 1;
    journals[which]?.append(record(++(written[which] as number)));
    if (which === 0 || row % 50 === 0) store.commitNow();
    else if (row % 2 === 0) store.commitNow();
    if (row % 4000 !== 3999) continue;
    store.commitNow();
    store = stores.killed(store);
    const again = new SessionStore(store);
    journals = foundIn(again).map(({ journal }) => journal);
    for (const [index, journal] of journals.entries())
      t.deepEqual(
        journal.read().records,
        Array.from({ length: written[index] as number }, (_, cell) => record(cell + 1)),
      );
  }
});

test('states are updated, and removed sessions are gone', (t) => {
  let store = stores.open();
  const sessions = new SessionStore(store);
  const kept = sessions.create({ ...STATE, sessionId: 'kept' });
  const removed = sessions.create({ ...STATE, sessionId: 'removed' });
  kept.update({ ...STATE, sessionId: 'kept', level: 'sandbox' });
  removed.append(record(1));
  removed.remove();
  store.commitNow();
  store = stores.killed(store);
  t.deepEqual(
    foundIn(new SessionStore(store)).map(({ state }) => [state.sessionId, state.level]),
    [['kept', 'sandbox']],
  );
});
