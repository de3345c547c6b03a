import test from 'ava';
import * as v from 'valibot';
import { QueryCapability } from '../../../daemon/capabilities/query.ts';
import { Fault } from '../../../daemon/fault.ts';
import { SQL_LIMITS } from '../../../daemon/sql/sql-limits.ts';
import { allowed, fakeContext } from './_call-context.ts';
import { SQL_CONSTRAINTS as constraints, sqlSources } from './_sql-sources.ts';

const query = (t: Parameters<typeof sqlSources>[0]) => new QueryCapability(sqlSources(t));

test('answers columns and rows, and nothing of what a write would say', async (t) => {
  const call = allowed('query', ['scratch', 'SELECT ? AS a', [1]] as [string, string, number[]], constraints);
  t.deepEqual(await query(t).invoke(call, fakeContext()), { columns: ['a'], rows: [{ a: 1 }] });
});

test('F09: only reads', async (t) => {
  const call = allowed('query', ['scratch', 'CREATE TABLE t(a)'] as [string, string], constraints);
  const fault = (await t.throwsAsync(query(t).invoke(call, fakeContext()), { instanceOf: Fault })) as Fault;
  t.deepEqual(fault.details, { reason: 'refused' });
  t.is(fault.message, 'query() only reads; changing the schema needs execute().');
  t.true(query(t).idempotent);
});

test('a source that is not granted and one that does not exist are denied in the same words', async (t) => {
  const capability = query(t);
  const words = capability.refuse(['other', 'SELECT 1'], constraints) ?? '';
  t.is(words, 'The data source "other" is not one that this session may use.');
  t.is(capability.refuse(['nowhere', 'SELECT 1'], constraints), words.replace('other', 'nowhere'));
  t.is(capability.refuse(['scratch', 'SELECT 1'], constraints), null);
  const call = allowed('query', ['nowhere', 'SELECT 1'] as [string, string], { ...constraints, sources: ['nowhere'] });
  const fault = (await t.throwsAsync(capability.invoke(call, fakeContext()), { instanceOf: Fault })) as Fault;
  t.is(fault.code, 'CAPABILITY_DENIED');
  t.is(fault.message, words.replace('other', 'nowhere'));
});

test('the audit log is shown the SQL and the types of the parameters, not their values', (t) => {
  const capability = query(t);
  t.deepEqual(capability.audited(['scratch', 'SELECT ?', ['secret', 1, null, true, { base64: 'AA==' }]]), {
    source: 'scratch',
    sql: 'SELECT ?',
    params: ['string', 'number', 'null', 'boolean', 'bytes'],
  });
  const sql = `SELECT 1 -- ${'x'.repeat(5000)}`;
  t.deepEqual(capability.audited(['scratch', sql]), {
    source: 'scratch',
    sql: sql.slice(0, 4096),
    sqlChars: sql.length,
    params: [],
  });
});

const most = SQL_LIMITS;
for (const [what, args] of [
  ['no arguments', []],
  ['no SQL', ['scratch']],
  ['SQL that is a number', ['scratch', 1]],
  ['SQL that is an array', ['scratch', ['SELECT 1']]],
  ['an argument too many', ['scratch', 'SELECT 1', [], {}]],
  ['arguments that are an object', { 0: 'scratch', 1: 'SELECT 1', length: 2 }],
  ['named parameters', ['scratch', 'SELECT :a', { a: 1 }]],
  ['parameters that are null', ['scratch', 'SELECT 1', null]],
  ['a parameter that is an array', ['scratch', 'SELECT ?', [[1]]]],
  ['a parameter that is an object', ['scratch', 'SELECT ?', [{ a: 1 }]]],
  ['bytes with another key', ['scratch', 'SELECT ?', [{ base64: 'AA==', a: 1 }]]],
  ['bytes that are no base64', ['scratch', 'SELECT ?', [{ base64: 'A-A=' }]]],
  ['bytes that are cut', ['scratch', 'SELECT ?', [{ base64: 'AA=' }]]],
  ['text that would change on the way', ['scratch', 'SELECT ?', ['\ud800']]],
  ['SQL that would change on the way', ['scratch', "SELECT '\ud800'"]],
  ['SQL one character too long', ['scratch', ' '.repeat(most.sqlCharsMax + 1)]],
  ['a parameter too many', ['scratch', 'SELECT 1', Array(most.paramsMax + 1).fill(1)]],
  ['parameters one character too long', ['scratch', 'SELECT 1', ['a', 'a'.repeat(most.paramsCharsMax)]]],
  ['a name of a source that is too long', ['a'.repeat(65), 'SELECT 1']],
] as const) {
  test(`F07: refuses ${what}`, (t) => {
    t.false(v.safeParse(query(t).args, args).success);
  });
}

for (const [what, args] of [
  ['SQL alone', ['scratch', 'SELECT 1']],
  ['no parameters', ['scratch', 'SELECT 1', []]],
  ['parameters of every kind', ['scratch', 'SELECT 1', [null, true, 1.5, 'x', { base64: '' }, { base64: 'AA==' }]]],
  ['the longest SQL', ['a'.repeat(64), ' '.repeat(most.sqlCharsMax)]],
  ['the most parameters', ['scratch', 'SELECT 1', Array(most.paramsMax).fill(1)]],
  ['the longest parameters', ['scratch', 'SELECT 1', ['a'.repeat(most.paramsCharsMax)]]],
] as const) {
  test(`F07: takes ${what} as it is`, (t) => {
    t.deepEqual(v.parse(query(t).args, args), args as never);
  });
}
