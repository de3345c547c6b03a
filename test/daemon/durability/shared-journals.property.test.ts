/** What a daemon that takes a session over finds of it, whatever was written before, in which commits, and with which failures. */
import test from 'ava';
import fc from 'fast-check';
import type { JournalChange, StoredImage, StoredSession } from '../../../daemon/durability/journal-records.ts';
import { SharedJournals } from '../../../daemon/durability/shared-journals.ts';
import { FailingServer, type Failure } from './_failing-server.ts';

const SESSION = 'ses_one';

/** What was written, as it is to be found. */
class Model {
  state = { cells: 0 };
  asleepMs: number | null = null;
  rows: string[] = [];
  images: StoredImage[] = [];
  #written = 0;

  write(step: Step): JournalChange {
    const number = ++this.#written;
    const sessionId = SESSION;
    switch (step.kind) {
      case 'state':
        this.state = { cells: number };
        this.asleepMs = step.asleep ? number : null;
        return { sessionId, kind: 'state', state: this.state as unknown as StoredSession, asleepMs: this.asleepMs };
      case 'row':
        this.rows.push(`row ${number}`);
        return { sessionId, kind: 'row', row: `row ${number}` };
      case 'whole':
        this.rows = [`whole ${number}`];
        return { sessionId, kind: 'whole', row: `whole ${number}`, images: [...this.images] };
      case 'image': {
        const added = { number, image: 'x'.repeat(step.length) };
        this.images = [...this.images.filter((_, index) => step.keeps[index % step.keeps.length]), added];
        const kept = this.images.map((image) => image.number).filter((each) => each !== number);
        return { sessionId, kind: 'images', kept, added };
      }
      case 'forget':
        this.images = this.images.slice(1);
        return { sessionId, kind: 'images', kept: this.images.map((image) => image.number) };
    }
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('state' as const), asleep: fc.boolean() }),
  fc.record({ kind: fc.constant('row' as const) }),
  fc.record({ kind: fc.constant('whole' as const) }),
  fc.record({
    kind: fc.constant('image' as const),
    // Some are longer than one entry.
    length: fc.constantFrom(1, 100, 600_000),
    keeps: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('forget' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const life = fc.array(
  fc.record({
    commits: fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 5 }),
    failures: fc.integer({ min: 0, max: 3 }),
  }),
  { maxLength: 4 },
);

test('whoever takes a session over finds its state, its rows and its images', async (t) => {
  await fc.assert(
    fc.asyncProperty(life, async (owners) => {
      const server = new FailingServer();
      const parts = { ...server.parts, log: () => undefined };
      const model = new Model();
      let journals = new SharedJournals(parts);
      journals.begin(SESSION);
      journals.add(model.write({ kind: 'state', asleep: false }));
      await journals.flush();
      for (const { commits, failures } of owners) {
        for (const commit of commits) {
          for (const each of commit) journals.add(model.write(each));
          server.planned.push(...Array<Failure>(failures).fill('before'));
          while (
            !(await journals.flush().then(
              () => true,
              () => false,
            ))
          );
          server.planned.length = 0;
        }
        journals = new SharedJournals(parts);
        const { state, asleepMs, rows, images } = model;
        t.deepEqual((await journals.takeOver(SESSION)) as unknown, { state, asleepMs, rows, images });
      }
    }),
    { numRuns: 150 },
  );
});
