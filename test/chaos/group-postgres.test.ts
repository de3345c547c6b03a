/** The same as over HTTP, on Resonate on a real PostgreSQL. */
import test from 'ava';
import { resonateSchema, resonateTest, testDatabase } from '../harness/postgres.ts';
import { killedInTheMiddle } from './_group-program.ts';

const database = testDatabase(test);

test.serial.before(async () => {
  const schema = resonateSchema();
  if (schema !== null) await database().query(schema);
});

for (const [title, kind, name] of [
  ['before an effect', 'before', 'd'],
  ['after an effect, before its outcome', 'after', 'd'],
] as const)
  resonateTest(`on PostgreSQL, one of two daemons is killed ${title}, and the other finishes the cell`, async (t) => {
    const { host, port, user, database: db } = database().superuser;
    await killedInTheMiddle(t, `postgres://${user}@${encodeURIComponent(host)}:${port}/${db}`, kind, name);
  });
