import test from 'ava';
import { ExecuteCapability } from '../../../daemon/capabilities/execute.ts';
import { Fault } from '../../../daemon/fault.ts';
import { allowed, fakeContext } from './_call-context.ts';
import { SQL_CONSTRAINTS as constraints, sqlSources } from './_sql-sources.ts';

test('answers what changed, and rolls back what fails', async (t) => {
  const execute = new ExecuteCapability(sqlSources(t));
  const run = (sql: string, params: number[] = []) =>
    execute.invoke(
      allowed('execute', ['scratch', sql, params] as [string, string, number[]], constraints),
      fakeContext(),
    );
  await run('CREATE TABLE t(a INTEGER PRIMARY KEY CHECK (a < 3))');
  t.deepEqual(await run('INSERT INTO t VALUES (?), (?)', [1, 2]), { columns: [], rows: [], changes: 2, lastId: 2 });
  const fault = (await t.throwsAsync(run('UPDATE t SET a = a + 1 WHERE a = 2'), { instanceOf: Fault })) as Fault;
  t.is(fault.message, 'CHECK constraint failed: a < 3');
  t.deepEqual((await run('DELETE FROM t RETURNING a'))?.rows, [{ a: 1 }, { a: 2 }]);
  t.false(execute.idempotent);
});

test('F09: more rows than the level allows undo the statement that returned them', async (t) => {
  const execute = new ExecuteCapability(sqlSources(t));
  const run = (sql: string) =>
    execute.invoke(allowed('execute', ['scratch', sql] as [string, string], constraints), fakeContext());
  await run('CREATE TABLE t(a)');
  const insert = (count: number) =>
    `INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${count}) SELECT x FROM c RETURNING a`;
  t.is((await run(insert(10)))?.rows.length, 10);
  t.is(((await t.throwsAsync(run(insert(11)), { instanceOf: Fault })) as Fault).code, 'TOO_LARGE');
  t.deepEqual((await run('SELECT count(*) n FROM t'))?.rows, [{ n: 10 }]);
});

test('is denied a source that is not granted, and audited without the values', (t) => {
  const execute = new ExecuteCapability(sqlSources(t));
  t.is(execute.refuse(['scratch', ''], constraints), null);
  t.is(execute.refuse(['other', ''], constraints), 'The data source "other" is not one that this session may use.');
  t.deepEqual(execute.audited(['scratch', 'DELETE FROM t WHERE a = ?', ['x']]), {
    source: 'scratch',
    sql: 'DELETE FROM t WHERE a = ?',
    params: ['string'],
  });
});
