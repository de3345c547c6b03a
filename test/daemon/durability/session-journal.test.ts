import test from 'ava';
import fc from 'fast-check';
import type { EventBody, ExecutionResult } from '../../../client/protocol.ts';
import type { DurableStore } from '../../../daemon/durability/durable-store.ts';
import type { JournalRecord, StoredAnswer } from '../../../daemon/durability/journal-records.ts';
import type { SessionJournal } from '../../../daemon/durability/session-journal.ts';
import { SessionStore } from '../../../daemon/durability/session-store.ts';
import { SPEC } from '../../sandbox/_hosted.ts';
import { foundIn, STATE, Stores } from './_stores.ts';

const stores = new Stores();
test.after.always(() => stores.close());

const life = (number: number): JournalRecord => ({ r: 'life', number, spec: SPEC, used: [], once: [], secrets: [] });
const record = (cell: number): JournalRecord => ({ r: 'ended', cell, pending: 0 });
const event = (n: number): EventBody => ({ kind: 'output', executionId: null, stream: 'stdout', text: String(n) });
const answer = (cell: number): StoredAnswer => ({
  ...{ cell, executionId: `exe_${cell}`, source: String(cell) },
  result: { executionId: `exe_${cell}`, cell, status: 'ok' } as unknown as ExecutionResult,
});

/** What a journal is to hold: plain arrays. */
class Model {
  records: JournalRecord[] = [];
  events: EventBody[] = [];
  answers: StoredAnswer[] = [];
  firstKeptSeq = 1;
  readonly forgotten = new Set<string>();

  copy(): Model {
    const copy = new Model();
    copy.records = [...this.records];
    copy.events = [...this.events];
    copy.answers = [...this.answers];
    copy.firstKeptSeq = this.firstKeptSeq;
    for (const id of this.forgotten) copy.forgotten.add(id);
    return copy;
  }
}

type Step =
  | { readonly do: 'append' | 'event' | 'answer'; readonly times: number; readonly together: boolean }
  | { readonly do: 'life' | 'commit' | 'fail' | 'kill' | 'forget' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('append' as const, 'event' as const, 'answer' as const),
    times: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(600)),
    together: fc.boolean(),
  }),
  fc.record({
    do: fc.constantFrom('life' as const, 'commit' as const, 'fail' as const, 'kill' as const, 'forget' as const),
  }),
);

function found(store: DurableStore, model: () => Model): SessionJournal {
  const [session] = foundIn(new SessionStore(store));
  const journal = session?.journal as SessionJournal;
  keep(journal, model);
  return journal;
}

function keep(journal: SessionJournal, model: () => Model): void {
  journal.kept = {
    firstKeptSeq: () => model().firstKeptSeq,
    hasAnswer: (executionId) => !model().forgotten.has(executionId),
  };
}

function check(t: { deepEqual: (one: unknown, other: unknown) => void }, journal: SessionJournal, model: Model): void {
  const read = journal.read();
  t.deepEqual(read.records, model.records);
  const first = read.events[0]?.firstSeq ?? model.events.length + 1;
  t.deepEqual(
    read.events.flatMap(({ bodies }) => bodies),
    model.events.slice(first - 1),
  );
  t.deepEqual(first <= model.firstKeptSeq || model.events.length === 0, true);
  const kept = read.answers.filter(({ executionId }) => !model.forgotten.has(executionId));
  t.deepEqual(
    kept,
    model.answers.filter(({ executionId }) => !model.forgotten.has(executionId)),
  );
}

test('a journal reads back what was written, compacted or not, over kills and failed commits', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let store = stores.open();
      let journal = new SessionStore(store).create(STATE);
      let model = new Model();
      const now = (): Model => model;
      keep(journal, now);
      journal.append(life(1));
      model.records.push(life(1));
      store.commitNow();
      let committed = model.copy();
      const commit = (): void => {
        store.commitNow();
        committed = model.copy();
      };
      for (const [index, one] of steps.entries()) {
        switch (one.do) {
          case 'append':
          case 'event':
          case 'answer':
            for (let i = 0; i < one.times; i++) {
              if (one.do === 'append') {
                journal.append(record(i));
                model.records.push(record(i));
              } else if (one.do === 'event') {
                model.events.push(event(model.events.length));
                journal.event(model.events.length, model.events.at(-1) as EventBody);
              } else {
                model.answers.push(answer(model.answers.length));
                journal.answer(model.answers.at(-1) as StoredAnswer);
              }
              if (!one.together) commit();
            }
            break;
          case 'life':
            journal.append(life(index));
            model.records = [life(index)];
            break;
          case 'forget':
            model.firstKeptSeq = Math.max(1, model.events.length);
            for (const { executionId } of model.answers.slice(0, -1)) model.forgotten.add(executionId);
            break;
          case 'fail': {
            let failing = true;
            store.write(() => {
              if (failing) throw new Error('disk full');
            });
            t.throws(() => store.commitNow(), { message: /disk full/ });
            failing = false;
            break;
          }
          case 'commit':
            commit();
            break;
          case 'kill':
            store = stores.killed(store);
            model = committed.copy();
            journal = found(store, now);
            check(t, journal, model);
        }
      }
      check(t, journal, model);
      committed = model.copy();
      store = stores.killed(store);
      check(t, found(store, now), committed);
      store.close();
    }),
    { numRuns: 60 },
  );
});

test('what is to stand at the end of a row is asked for once, however often the row has to be written', (t) => {
  const store = stores.open();
  const journal = new SessionStore(store).create(STATE);
  let asked = 0;
  journal.lastly = () => (++asked > 1 ? undefined : record(99));
  journal.append(life(1));
  let failing = true;
  store.write(() => {
    if (failing) throw new Error('disk full');
  });
  t.throws(() => store.commitNow());
  journal.append(record(1));
  failing = false;
  store.commitNow();
  t.deepEqual(journal.read().records, [life(1), record(99), record(1)]);
  store.close();
});

test('nothing is written of a session that was removed', (t) => {
  const store = stores.open();
  const journal = new SessionStore(store).create(STATE);
  journal.append(life(1));
  store.commitNow();
  journal.remove();
  journal.event(1, event(1));
  store.commitNow();
  t.is(store.prepare('SELECT count(*) AS rows FROM log').get()?.['rows'], 0);
  t.deepEqual(foundIn(new SessionStore(store)), []);
  store.close();
});
