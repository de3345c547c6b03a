import test, { type ExecutionContext } from 'ava';
import type { Copy } from '../../../daemon/durability/copied.ts';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';
import { Fault } from '../../../daemon/fault.ts';
import { until } from '../../harness/processes.ts';

/** A store with a copy elsewhere that can be kept waiting, and that can be out of reach. */
function copied(t: ExecutionContext) {
  const there: string[] = [];
  const added: string[] = [];
  const said: string[] = [];
  const reach = { isBroken: false, gate: Promise.resolve() };
  const copy: Copy = {
    add: ({ sessionId }) => void added.push(sessionId),
    flush: async () => {
      const going = added.length;
      await reach.gate;
      if (reach.isBroken) throw new Fault('UNAVAILABLE', 'The server does not answer.');
      there.push(...added.splice(0, going));
    },
  };
  const store = DurableStore.open({ file: null, log: (line) => said.push(line), copy });
  t.teardown(() => store.close());
  const insert = store.prepare("INSERT INTO log (number, session, previous, row) VALUES (?, 1, 0, '')");
  const write = (number: number): void =>
    store.write(() => {
      insert.run(number);
      return { sessionId: `s${number}`, kind: 'removed' };
    });
  return { store, write, there, said, reach };
}

test('what waits for a commit waits for its copy as well, and follows in its order', async (t) => {
  const { store, write, there, reach } = copied(t);
  const arrived = Promise.withResolvers<void>();
  reach.gate = arrived.promise;
  const followed: string[] = [];
  write(1);
  store.whenCommitted(() => followed.push(`1 with ${there}`));
  store.commitNow();
  t.false(store.secure());
  write(2);
  store.whenCommitted(() => followed.push(`2 with ${there}`));
  store.commitNow();
  t.deepEqual(followed, []);
  arrived.resolve();
  await store.copied();
  t.deepEqual(followed, ['1 with s1', '2 with s1,s2']);
  t.true(store.secure());
});

test('what changes nothing follows at once where nothing is on its way', (t) => {
  const { store } = copied(t);
  let isFollowed = false;
  store.whenCommitted(() => {
    isFollowed = true;
  });
  store.commitNow();
  t.true(isFollowed);
});

test('while the copy is out of reach new work is refused, and later everything is there, once', async (t) => {
  const { store, write, there, said, reach } = copied(t);
  reach.isBroken = true;
  const followed: number[] = [];
  write(1);
  store.whenCommitted(() => followed.push(1));
  store.commitNow();
  await until(() => said.length > 0);
  const refused = t.throws(() => store.assertWritable(), { instanceOf: Fault, message: /server does not answer/ });
  t.is((refused as Fault).code, 'UNAVAILABLE');
  t.notThrows(() => store.commitNow(), 'the disk is fine');
  write(2);
  store.whenCommitted(() => followed.push(2));
  store.commitNow();
  t.deepEqual(followed, []);
  reach.isBroken = false;
  await store.copied();
  t.deepEqual(there, ['s1', 's2']);
  t.deepEqual(followed, [1, 2]);
  t.notThrows(() => store.assertWritable());
  t.is(said.length, 2, 'and the operator is told once of each');
});

test('after the end nothing that waits for a copy happens', async (t) => {
  const { store, write, reach } = copied(t);
  reach.isBroken = true;
  write(1);
  store.whenCommitted(() => t.fail());
  store.close();
  store.stopCopying();
  reach.isBroken = false;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.pass();
});
