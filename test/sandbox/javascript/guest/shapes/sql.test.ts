import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const result = {
  columns: ['n', 'b', 'j', '__proto__'],
  rows: [{ n: '9007199254740993', b: { base64: 'AQID' }, j: { base64: 'AQID', more: 1 } }],
  changes: 1,
  lastId: 7,
};
const session = new CapabilitySession(['query', 'execute', 'transaction'], (name, [source]) => {
  if (source === 'malformed') return name === 'transaction' ? [{ rows: [1] }] : { columns: [] };
  return name === 'transaction' ? [result, { ...result, rows: [] }] : result;
});
test.after.always(() => session.close());

test.serial('bytes in rows are Uint8Arrays, and everything else is as it came', async (t) => {
  t.deepEqual(
    await session.run(
      "const q = await query('db', 'select 1'); const { b } = q.rows[0]; [b instanceof Uint8Array, [...b], q.rows[0].n, q.rows[0].j, q.columns, q.lastId]",
    ),
    [true, [1, 2, 3], '9007199254740993', { base64: 'AQID', more: 1 }, result.columns, 7],
  );
  t.deepEqual(session.calls.at(-1), ['query', 'db', 'select 1']);
  t.is(await session.run("(await execute('db', 'x')).rows[0].b.length"), 3);
  t.deepEqual(
    await session.run(
      "const done = await transaction('db', [['a'], ['b', [1]]]); [done.length, done[0].rows[0].b.length]",
    ),
    [2, 3],
  );
  t.deepEqual(session.calls.at(-1), ['transaction', 'db', [['a'], ['b', [1]]]]);
});

test.serial('parameters are JSON scalars, bytes and BigInts', async (t) => {
  await session.run(
    "await query('db', 'x', [null, true, 1.5, 'a', new Uint8Array([1, 2]), new ArrayBuffer(1), 2n ** 60n, 5n])",
  );
  t.deepEqual(session.calls.at(-1)?.[3], [
    null,
    true,
    1.5,
    'a',
    { base64: 'AQI=' },
    { base64: 'AA==' },
    '1152921504606846976',
    '5',
  ]);
  await session.run("await transaction('db', [['x', [new Uint8Array([1, 2])]]])");
  t.deepEqual(session.calls.at(-1)?.[2], [['x', [{ base64: 'AQI=' }]]]);
});

test.serial('what is no list of parameters or statements is refused in words', async (t) => {
  for (const [call, message] of [
    ["query('db', 'x', { a: 1 })", 'The parameters of query() must be an array.'],
    ["query('db', 'x', [1, undefined])", 'Parameter 2 of query() must be plain JSON data.'],
    ["execute('db', 'x', [NaN])", 'Parameter 1 of execute() must be plain JSON data.'],
    ["transaction('db', 'x')", 'transaction() takes an array of [sql, parameters] pairs.'],
    ["transaction('db', ['x'])", 'Statement 1 of transaction() must be [sql, parameters].'],
    ["transaction('db', [['x', 1]])", 'The parameters of statement 1 of transaction() must be an array.'],
  ]) {
    t.is(await session.run(`await ${call}`), `TypeError: ${message}`);
  }
});

test.serial('F08: a parameter is read once', async (t) => {
  await session.run(`
    let reads = 0;
    const list = new Proxy([0], { get: (target, key) => (key === '0' ? ++reads : target[key]) });
    await query('db', 'x', list)`);
  t.deepEqual(session.calls.at(-1)?.[3], [1]);
});

test.serial('an answer without rows rejects', async (t) => {
  t.is(await session.run("await query('malformed', 'x').catch((error) => error.code)"), 'INTERNAL');
  t.is(await session.run("await transaction('malformed', []).catch((error) => error.code)"), 'INTERNAL');
});
