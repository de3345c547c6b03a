import test, { type ExecutionContext } from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import type { SqlCaps, SqlMode, SqlParam, SqlStatement } from '../../../daemon/sql/sql-call.ts';
import { SqlSources } from '../../../daemon/sql/sql-sources.ts';
import { postgresTest, testDatabase } from '../../harness/postgres.ts';
import { until } from '../../harness/processes.ts';

const CAPS: SqlCaps = { rowsMax: 100, bytesMax: 100_000, timeMsMax: 60_000 };
const database = testDatabase(test);

interface RunOptions {
  readonly source?: string;
  readonly mode?: SqlMode;
  readonly params?: readonly SqlParam[];
  readonly caps?: Partial<SqlCaps>;
  readonly signal?: AbortSignal;
}

function setUp(t: ExecutionContext, secret: string | null = null) {
  const { spec, superuser, withPassword } = database();
  const sources = new SqlSources({
    sources: new Map([
      ['crm', spec],
      ['root', superuser],
      ['locked', withPassword],
      ['gone', { ...spec, host: '/nonexistent-place' }],
    ]),
    privateFolder: '/nonexistent',
    forbidden: [],
    secret: (name) => (name === 'database_password' ? secret : null),
  });
  t.teardown(() => sources.close());
  const never = new AbortController().signal;
  const all = (
    statements: readonly SqlStatement[],
    { source = 'crm', mode = 'read', caps, signal = never }: RunOptions,
  ) => sources.run(source, 'ses_1', mode, statements, { ...CAPS, ...caps }, signal);
  return {
    sources,
    all,
    run: async (sql: string, options: RunOptions = {}) =>
      (await all([{ sql, params: options.params ?? [] }], options))[0],
  };
}

const faultOf = async (t: ExecutionContext, call: Promise<unknown>, what?: string) =>
  (await t.throwsAsync(call, { instanceOf: Fault }, what)) as Fault;

/** A table of the test's own, with one row. */
async function makeTable(run: (sql: string, options: RunOptions) => Promise<unknown>, name: string): Promise<void> {
  await run(`CREATE TABLE ${name}(id int PRIMARY KEY, x text)`, { mode: 'write' });
  await run(`INSERT INTO ${name} VALUES (1, 'a')`, { mode: 'write' });
}

postgresTest('answers the types of PostgreSQL as JSON data without loss', async (t) => {
  const { run } = setUp(t);
  const result = await run(`SELECT 1::int2 AS small, 9007199254740991::int8 AS most, 9007199254740992::int8 AS more,
    1.10::numeric AS exact, 1.5::float8 AS float, 'NaN'::float8 AS nan, true AS yes, 'text' AS text, NULL AS missing,
    '\\x00ff'::bytea AS bytes, '{"a": [1]}'::jsonb AS json, '2026-01-02 03:04:05+02'::timestamptz AS instant,
    '2026-01-02 03:04:05'::timestamp AS local, '2026-01-02'::date AS day, ARRAY[1, 2] AS list`);
  t.deepEqual(result?.rows, [
    {
      small: 1,
      most: 9007199254740991,
      more: '9007199254740992',
      exact: '1.10',
      float: 1.5,
      nan: 'NaN',
      yes: true,
      text: 'text',
      missing: null,
      bytes: { base64: 'AP8=' },
      json: { a: [1] },
      instant: '2026-01-02T01:04:05Z',
      local: '2026-01-02T03:04:05',
      day: '2026-01-02',
      list: '{1,2}',
    },
  ]);
  t.deepEqual((await run('SELECT 1 AS a, 2 AS a'))?.columns, ['a', 'a_2']);
});

postgresTest('takes parameters of every kind, and F07: neither too few nor too many', async (t) => {
  const { run } = setUp(t);
  const params = [1, true, 'x', null, { base64: 'AP8=' }, '9223372036854775807', 1.5];
  const sql = 'SELECT $1::int a, $2::bool b, $3::text c, $4::text d, $5::bytea e, $6::int8 f, $7::float8 g';
  t.deepEqual((await run(sql, { params }))?.rows, [
    { a: 1, b: true, c: 'x', d: null, e: { base64: 'AP8=' }, f: '9223372036854775807', g: 1.5 },
  ]);
  for (const wrong of [[], [1, 2]])
    t.like(await faultOf(t, run('SELECT $1::int', { params: wrong })), {
      details: { reason: 'sql', sqlState: '08P01' },
    });
});

postgresTest('writes are committed, counted, and all done or none', async (t) => {
  const { run, all } = setUp(t);
  await makeTable(run, 'whole');
  t.like(await run("INSERT INTO whole VALUES (2, 'b'), (3, 'c') RETURNING id", { mode: 'write' }), {
    changes: 2,
    rows: [{ id: 2 }, { id: 3 }],
    lastId: null,
  });
  t.like(await run('UPDATE whole SET x = $1', { mode: 'write', params: ['z'] }), { changes: 3, rows: [] });
  const remove = { sql: 'DELETE FROM whole', params: [] };
  const fault = await faultOf(t, all([remove, { sql: 'DELETE FROM nowhere', params: [] }], { mode: 'write' }));
  t.is(fault.code, 'EFFECT_FAILED');
  t.deepEqual(fault.details, { reason: 'sql', sqlState: '42P01' });
  t.is(fault.message, 'relation "nowhere" does not exist');
  t.deepEqual((await run('SELECT count(*)::int n FROM whole'))?.rows, [{ n: 3 }]);
  t.like(
    (await all([remove, remove], { mode: 'write' })).map(({ changes }) => changes),
    [3, 0],
  );
});

postgresTest('a constraint that is checked at the commit fails the call', async (t) => {
  const { run } = setUp(t);
  await run('CREATE TABLE late(id int UNIQUE DEFERRABLE INITIALLY DEFERRED)', { mode: 'write' });
  const fault = await faultOf(t, run('INSERT INTO late VALUES (1), (1)', { mode: 'write' }));
  t.deepEqual(fault.details, { reason: 'sql', sqlState: '23505' });
  t.deepEqual((await run('SELECT * FROM late'))?.rows, []);
});

postgresTest('delivers as many rows and bytes as the caps and refuses one more', async (t) => {
  const { run } = setUp(t);
  t.is((await run('SELECT generate_series(1, 7) x', { caps: { rowsMax: 7 } }))?.rows.length, 7);
  const rows = await faultOf(t, run('SELECT generate_series(1, 8) x', { caps: { rowsMax: 7 } }));
  t.is(rows.code, 'TOO_LARGE');
  t.deepEqual(rows.details, { rowsMax: 7 });
  const bytesMax = JSON.stringify({ x: 'aaaa' }).length;
  t.is((await run("SELECT 'aaaa' AS x", { caps: { bytesMax } }))?.rows.length, 1);
  const bytes = await faultOf(t, run("SELECT 'aaaaa' AS x", { caps: { bytesMax } }));
  t.is(bytes.code, 'TOO_LARGE');
  t.deepEqual(bytes.details, { bytesMax });
  t.deepEqual((await run('SELECT 1 AS one'))?.rows, [{ one: 1 }]);
});

postgresTest('D13: one value of 200 MB, and endless notices, are refused before they fill the memory', async (t) => {
  const { run } = setUp(t);
  const before = process.memoryUsage().rss;
  t.is((await faultOf(t, run("SELECT repeat('x', 200000000) AS x"))).code, 'TOO_LARGE');
  await run(
    `CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOOP RAISE WARNING '%', repeat('x', 10000); END LOOP; END $$`,
    { mode: 'write' },
  );
  t.is((await faultOf(t, run('SELECT shout()'))).code, 'TOO_LARGE');
  t.true(process.memoryUsage().rss - before < 100 * 1024 * 1024);
});

const active = async (marker: string): Promise<number> =>
  (
    await database().query(`SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${marker}%'
    AND pid <> pg_backend_pid()`)
  ).length;

postgresTest('C06: an endless query is ended at its time, on the server too, and the next call works', async (t) => {
  const { run } = setUp(t);
  const sql =
    'WITH RECURSIVE marker_c06(x) AS (SELECT 1 UNION ALL SELECT 1 FROM marker_c06) SELECT count(*) FROM marker_c06';
  const fault = await faultOf(t, run(sql, { caps: { timeMsMax: 300 } }));
  t.is(fault.code, 'TIMED_OUT');
  t.deepEqual(fault.details, { timeMsMax: 300 });
  await until(async () => (await active('marker_c06')) === 0);
  t.deepEqual((await run('SELECT 1 AS one'))?.rows, [{ one: 1 }]);
});

postgresTest('a statement cannot take its time limit away', async (t) => {
  const { all } = setUp(t);
  const fault = await faultOf(
    t,
    all(
      [
        { sql: "SELECT set_config('statement_timeout', '0', false)", params: [] },
        { sql: "SELECT pg_sleep(3600), 'marker_timeout'", params: [] },
      ],
      { mode: 'write', caps: { timeMsMax: 300 } },
    ),
  );
  t.is(fault.code, 'TIMED_OUT');
  await until(async () => (await active('marker_timeout')) === 0);
});

postgresTest('a session that ends takes its statement on the server along', async (t) => {
  const { run } = setUp(t);
  const controller = new AbortController();
  const sleeping = run("SELECT pg_sleep(3600), 'marker_abort'", { signal: controller.signal });
  await until(async () => (await active('marker_abort')) === 1);
  controller.abort();
  t.is((await faultOf(t, sleeping)).code, 'INTERRUPTED');
  await until(async () => (await active('marker_abort')) === 0);
});

postgresTest('a connection that the server ends is unreachable once, and the next call works', async (t) => {
  const { run } = setUp(t);
  const sleeping = run("SELECT pg_sleep(3600), 'marker_kill'");
  await until(async () => (await active('marker_kill')) === 1);
  await database().query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%marker_kill%'
    AND pid <> pg_backend_pid()`);
  t.deepEqual((await faultOf(t, sleeping)).details, { reason: 'unreachable', source: 'crm' });
  t.deepEqual((await run('SELECT 1 AS one'))?.rows, [{ one: 1 }]);
});

const READ_NEVER = [
  "INSERT INTO % VALUES (2, 'b')",
  "WITH a AS (INSERT INTO % VALUES (2, 'b') RETURNING *) SELECT * FROM a",
  "UPDATE % SET x = 'b'",
  'DELETE FROM %',
  'TRUNCATE %',
  'DROP TABLE %',
  'CREATE TABLE other(a int)',
  'SELECT * INTO other FROM %',
  'SELECT * FROM % FOR UPDATE',
  "EXPLAIN ANALYZE INSERT INTO % VALUES (2, 'b')",
  'SELECT 1; DROP TABLE %',
  'COMMIT; DROP TABLE %',
  "SELECT set_config('transaction_read_only', 'off', true) FROM %; DELETE FROM %",
  "SELECT set_config('transaction_read_only', 'off', true), set_config('transaction_read_only', 'off', false)",
  'DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM %; END $$',
];
const NEVER = [
  'COMMIT',
  'COMMIT AND CHAIN',
  'ROLLBACK',
  'ROLLBACK AND CHAIN',
  'END',
  'ABORT',
  'BEGIN',
  'START TRANSACTION READ WRITE',
  '/* /* */ SELECT */ COMMIT',
  "PREPARE TRANSACTION 'a'",
  'SAVEPOINT a',
  'SET TRANSACTION READ WRITE',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
  'SET default_transaction_read_only = off',
  'RESET ALL',
  'DISCARD ALL',
  "COPY % TO PROGRAM 'touch /tmp/pyrepl3-copied'",
  "COPY % TO '/tmp/pyrepl3-copied'",
  'COPY % TO STDOUT',
  'COPY % FROM STDIN',
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT lo_import('/etc/passwd')",
  "SELECT pg_ls_dir('/')",
  "LOAD 'plpgsql'",
  'LISTEN a',
  'NOTIFY a',
  'DO $$ BEGIN COMMIT; END $$',
  'PREPARE a AS SELECT 1',
  'EXECUTE a',
  'DECLARE a CURSOR WITH HOLD FOR SELECT 1',
  'VACUUM',
  'CHECKPOINT',
  "ALTER SYSTEM SET work_mem = '1MB'",
  'SELECT 1; SELECT 2',
  'SELECT 1\0',
  '',
  '-- nothing',
];
postgresTest('F09: a read changes nothing, whatever the statement', async (t) => {
  const { run } = setUp(t);
  await makeTable(run, 'read_never');
  for (const text of [...READ_NEVER, ...NEVER]) {
    const fault = await faultOf(t, run(text.replaceAll('%', 'read_never')), text);
    t.is(fault.code, 'EFFECT_FAILED', text);
    t.true(['sql', 'refused'].includes(String(fault.details?.['reason'])), text);
    t.deepEqual((await run('SELECT * FROM read_never'))?.rows, [{ id: 1, x: 'a' }], text);
  }
  t.deepEqual(await database().query("SELECT 1 FROM pg_class WHERE relname = 'other'"), []);
});

postgresTest('F09: a write is one transaction that no statement of it leaves', async (t) => {
  const { run, all } = setUp(t);
  await makeTable(run, 'write_never');
  for (const text of NEVER) {
    const insert = { sql: "INSERT INTO write_never VALUES (2, 'b')", params: [] };
    const sql = text.replaceAll('%', 'write_never');
    const fault = await faultOf(t, all([insert, { sql, params: [] }], { mode: 'write' }), text);
    t.is(fault.code, 'EFFECT_FAILED', text);
    t.deepEqual((await run('SELECT * FROM write_never'))?.rows, [{ id: 1, x: 'a' }], text);
  }
  const procedure = 'CREATE PROCEDURE leave() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$';
  await run(procedure, { mode: 'write' });
  t.like(await faultOf(t, run('CALL leave()', { mode: 'write' })), { details: { sqlState: '2D000' } });
});

postgresTest('nothing that a statement sets on its connection reaches the next call', async (t) => {
  const { run, all } = setUp(t);
  const [, , where] = await all(
    [
      `SELECT set_config('search_path', 'nowhere', false), set_config('app.mine', 'secret', false), pg_advisory_lock(7),
        set_config('default_transaction_read_only', 'on', false), set_config('bytea_output', 'escape', false)`,
      'CREATE TEMP TABLE mine(a int)',
      'SELECT pg_backend_pid() AS pid',
    ].map((sql) => ({ sql, params: [] })),
    { mode: 'write' },
  );
  const look = async () =>
    (
      await run(`SELECT pg_backend_pid() AS pid, current_setting('search_path') path, current_setting('app.mine', true) mine,
        '\\x00'::bytea bytes, to_regclass('mine') AS "table", (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) locks`)
    )?.rows[0];
  const { pid } = where?.rows[0] ?? {};
  let seen = await look();
  // A connection takes a moment to be ready again, and another is used meanwhile.
  await until(async () => {
    seen = await look();
    return seen?.['pid'] === pid;
  });
  t.deepEqual(seen, {
    pid,
    path: '"$user", public',
    mine: '',
    bytes: { base64: 'AA==' },
    table: null,
    locks: 0,
  });
  t.is((await run('CREATE TABLE after_all(a int)', { mode: 'write' }))?.changes, 0);
});

postgresTest('a role that could leave the database is not used', async (t) => {
  const { sources, run } = setUp(t);
  t.deepEqual((await faultOf(t, run('SELECT 1', { source: 'root' }))).details, { reason: 'refused' });
  for (const power of ['pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program']) {
    sources.replace(new Map([['files', await database().roleIn(power)]]));
    t.deepEqual((await faultOf(t, run('SELECT 1', { source: 'files' }), power)).details, { reason: 'refused' });
  }
  sources.replace(new Map([['monitor', await database().roleIn('pg_monitor')]]));
  t.deepEqual((await run('SELECT 1 AS one', { source: 'monitor' }))?.rows, [{ one: 1 }]);
});

postgresTest('the password is the one of the named secret, and none other is looked for', async (t) => {
  const { password } = database();
  t.deepEqual((await setUp(t, password).run('SELECT 1 AS one', { source: 'locked' }))?.rows, [{ one: 1 }]);
  process.env['PGPASSWORD'] = password;
  t.teardown(() => delete process.env['PGPASSWORD']);
  for (const secret of ['wrong', '', null]) {
    const fault = await faultOf(t, setUp(t, secret).run('SELECT 1', { source: 'locked' }));
    t.deepEqual(fault.details, { reason: 'unreachable', source: 'locked' });
    t.notRegex(fault.message, /password|pw_|secret/);
  }
});

postgresTest('a server that is not there is unreachable, without its address', async (t) => {
  const fault = await faultOf(t, setUp(t).run('SELECT 1', { source: 'gone' }));
  t.deepEqual(fault.details, { reason: 'unreachable', source: 'gone' });
  t.notRegex(fault.message, /nonexistent|5432|app_/);
});

postgresTest('F10: more calls at once than a session may run are all answered', async (t) => {
  const { run } = setUp(t);
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) => run('SELECT $1::int AS n, pg_backend_pid() AS pid', { params: [index] })),
  );
  t.deepEqual(
    results.map((result) => result?.rows[0]?.['n']),
    [...Array(12).keys()],
  );
  t.true(new Set(results.map((result) => result?.rows[0]?.['pid'])).size <= 4);
});
