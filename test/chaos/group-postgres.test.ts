/** The same as over HTTP, on Resonate on a real PostgreSQL. */
import test from 'ava';
import { resonateDatabase, resonateTest } from '../harness/postgres.ts';
import { keptInWhateverDaemon } from './_group-keys.ts';
import { killedInTheMiddle } from './_group-program.ts';

const database = resonateDatabase(test);

const url = (): string => {
  const { host, port, user, database: db } = database().superuser;
  return `postgres://${user}@${encodeURIComponent(host)}:${port}/${db}`;
};

for (const [title, kind, name] of [
  ['before an effect', 'before', 'd'],
  ['after an effect, before its outcome', 'after', 'd'],
] as const)
  resonateTest(`on PostgreSQL, one of two daemons is killed ${title}, and the other finishes the cell`, async (t) => {
    await killedInTheMiddle(t, url(), kind, name);
  });

resonateTest('on PostgreSQL, what a session has put into its key-value store is there in whatever daemon', (t) =>
  keptInWhateverDaemon(t, url()),
);
