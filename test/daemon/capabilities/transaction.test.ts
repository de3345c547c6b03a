import test from 'ava';
import * as v from 'valibot';
import { TransactionCapability } from '../../../daemon/capabilities/transaction.ts';
import { Fault } from '../../../daemon/fault.ts';
import { SQL_LIMITS } from '../../../daemon/sql/sql-limits.ts';
import { allowed, fakeContext } from './_call-context.ts';
import { SQL_CONSTRAINTS, sqlSources } from './_sql-sources.ts';

const constraints = { ...SQL_CONSTRAINTS, statementsMax: 3 };
type Args = Parameters<TransactionCapability['audited']>[0];
const make = (t: Parameters<typeof sqlSources>[0]) => {
  const transaction = new TransactionCapability(sqlSources(t));
  const run = async (...statements: Args[1]) =>
    transaction.invoke(allowed('transaction', ['scratch', statements] as Args, constraints), fakeContext());
  return { transaction, run };
};

test('does all statements in their order, or none', async (t) => {
  const { transaction, run } = make(t);
  const results = await run(['CREATE TABLE t(a)'], ['INSERT INTO t VALUES (?)', [7]], ['SELECT a FROM t']);
  t.deepEqual(results, [
    { columns: [], rows: [], changes: 0, lastId: null },
    { columns: [], rows: [], changes: 1, lastId: 1 },
    { columns: ['a'], rows: [{ a: 7 }], changes: 0, lastId: null },
  ]);
  const fault = (await t.throwsAsync(run(['DELETE FROM t'], ['DELETE FROM u']), { instanceOf: Fault })) as Fault;
  t.is(fault.message, 'no such table: u');
  t.deepEqual((await run(['SELECT a FROM t']))[0]?.rows, [{ a: 7 }]);
  t.false(transaction.idempotent);
});

test('F10: the caps are for all statements together', async (t) => {
  const { run } = make(t);
  const rows = (count: number): [string] => [
    `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${count}) SELECT x FROM c`,
  ];
  t.is((await run(rows(5), rows(5))).length, 2);
  const fault = (await t.throwsAsync(run(rows(5), rows(6)), { instanceOf: Fault })) as Fault;
  t.deepEqual(fault.details, { rowsMax: 10 });
});

test('takes as many statements as the level allows and refuses one more', async (t) => {
  const { run } = make(t);
  const one: [string] = ['SELECT 1'];
  t.is((await run(one, one, one)).length, 3);
  const fault = (await t.throwsAsync(run(one, one, one, one), { instanceOf: Fault })) as Fault;
  t.is(fault.code, 'TOO_LARGE');
  t.deepEqual(fault.details, { statementsMax: 3 });
});

test('is denied a source that is not granted, and audited without the values', (t) => {
  const { transaction } = make(t);
  t.is(transaction.refuse(['scratch', [['']]], constraints), null);
  t.is(
    transaction.refuse(['other', [['']]], constraints),
    'The data source "other" is not one that this session may use.',
  );
  t.deepEqual(transaction.audited(['scratch', [['SELECT 1'], ['SELECT ?', [null]]]]), {
    source: 'scratch',
    statements: [
      { sql: 'SELECT 1', params: [] },
      { sql: 'SELECT ?', params: ['null'] },
    ],
  });
});

for (const [what, args] of [
  ['no statements', ['scratch', []]],
  ['statements that are texts', ['scratch', ['SELECT 1']]],
  ['a statement without SQL', ['scratch', [[]]]],
  ['a statement of three', ['scratch', [['SELECT 1', [], 1]]]],
  ['a statement too many', ['scratch', Array(1001).fill(['SELECT 1'])]],
  ['statements that are too long together', ['scratch', [['a', ['a'.repeat(SQL_LIMITS.paramsCharsMax)]]]]],
  ['a third argument', ['scratch', [['SELECT 1']], {}]],
] as const) {
  test(`F07: refuses ${what}`, (t) => {
    t.false(v.safeParse(make(t).transaction.args, args).success);
  });
}

test('F07: takes statements with and without parameters as they are', (t) => {
  const args = ['scratch', [['SELECT 1'], ['SELECT ?', [1]]]];
  t.deepEqual(v.parse(make(t).transaction.args, args), args as never);
});
