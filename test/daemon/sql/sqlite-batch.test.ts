import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import type { SqlCaps, SqlMode, SqlParam, SqlResult } from '../../../daemon/sql/sql-call.ts';
import { SQL_LIMITS } from '../../../daemon/sql/sql-limits.ts';
import { BatchError, SqliteBatch } from '../../../daemon/sql/sqlite-batch.ts';

const CAPS: SqlCaps = { rowsMax: 100, bytesMax: 10_000, timeMsMax: 5000 };

function makeFile(t: ExecutionContext, schema = 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)'): string {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-sql-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'a.sqlite');
  const database = new DatabaseSync(path);
  database.exec(schema);
  database.close();
  return path;
}

interface Options {
  readonly mode?: SqlMode;
  readonly params?: readonly SqlParam[];
  readonly caps?: Partial<SqlCaps>;
  readonly bytesMax?: number;
}

/** One statement, committed where it writes. */
function run(path: string, sql: string, { mode = 'read', params = [], caps, bytesMax }: Options = {}): SqlResult {
  using batch = new SqliteBatch({ path, bytesMax: bytesMax ?? null }, mode, 1000);
  const [result] = batch.run([{ sql, params }], { ...CAPS, ...caps });
  if (mode === 'write') batch.commit();
  if (result === undefined) throw new Error('no result');
  return result;
}

function failure(t: ExecutionContext, path: string, sql: string, options?: Options) {
  return t.throws(() => run(path, sql, options), { instanceOf: BatchError }, sql)?.failure;
}

test('answers every type of SQLite as JSON data without loss', (t) => {
  const sql = `SELECT 1 AS one, 1.5 AS float, 'text' AS text, x'00ff' AS bytes, NULL AS missing, 9007199254740991 AS most,
    9007199254740992 AS more, -9007199254740993 AS less, 9e999 AS infinite`;
  t.deepEqual(run(makeFile(t), sql).rows, [
    {
      one: 1,
      float: 1.5,
      text: 'text',
      bytes: { base64: 'AP8=' },
      missing: null,
      most: 9007199254740991,
      more: '9007199254740992',
      less: '-9007199254740993',
      infinite: 'Infinity',
    },
  ]);
});

test('binds parameters by position and as the types they look like', (t) => {
  const { rows } = run(makeFile(t), 'SELECT typeof(?) a, typeof(?) b, typeof(?) c, typeof(?) d, typeof(?) e, ? f', {
    params: [1, 1.5, true, 'x', { base64: 'AAE=' }, null],
  });
  t.deepEqual(rows, [{ a: 'integer', b: 'real', c: 'integer', d: 'text', e: 'blob', f: null }]);
});

test('columns of one name keep their values under distinct names', (t) => {
  const { columns, rows } = run(makeFile(t), 'SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a, 5 AS "__proto__"');
  t.deepEqual(columns, ['a', 'a_3', 'a_2', 'a_4', '__proto__']);
  t.is(JSON.stringify(rows), '[{"a":1,"a_3":2,"a_2":3,"a_4":4,"__proto__":5}]');
});

test('F07: refuses a parameter too few and a parameter too many', (t) => {
  const path = makeFile(t);
  for (const params of [[], [1], [1, 2, 3]]) t.is(failure(t, path, 'SELECT ?, ?', { params })?.kind, 'refused');
  t.deepEqual(run(path, 'SELECT ?, ?', { params: [1, 2] }).rows.length, 1);
  t.is(failure(t, path, 'SELECT 1', { params: [1] })?.kind, 'refused');
});

test('says how many rows changed, and the last id only where the statement inserted', (t) => {
  const path = makeFile(t);
  const write = (sql: string) => run(path, sql, { mode: 'write' });
  t.like(write("INSERT INTO t(x) VALUES ('a'), ('b')"), { changes: 2, lastId: 2, columns: [], rows: [] });
  t.like(write("INSERT INTO t(x) VALUES ('c') RETURNING id, x"), { changes: 1, lastId: 3, rows: [{ id: 3, x: 'c' }] });
  t.like(write("UPDATE t SET x = 'd' WHERE id < 3"), { changes: 2, lastId: null });
  t.like(write("UPDATE t SET x = 'd' WHERE id > 30"), { changes: 0, lastId: null });
  t.like(write('INSERT INTO t(id) VALUES (9223372036854775807)'), { changes: 1, lastId: '9223372036854775807' });
  t.like(write('CREATE TABLE u(a)'), { changes: 0, lastId: null });
  t.like(write('DELETE FROM t'), { changes: 4, lastId: null });
});

test('delivers as many rows as the cap and refuses one more', (t) => {
  const path = makeFile(t);
  const series = (count: number) =>
    `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${count}) SELECT x FROM c`;
  t.is(run(path, series(7), { caps: { rowsMax: 7 } }).rows.length, 7);
  t.deepEqual(failure(t, path, series(8), { caps: { rowsMax: 7 } }), { kind: 'rows' });
});

test('delivers as many bytes as the cap and refuses one more', (t) => {
  const path = makeFile(t);
  const bytesMax = JSON.stringify({ x: 'aaaa' }).length;
  t.is(run(path, "SELECT 'aaaa' AS x", { caps: { bytesMax } }).rows.length, 1);
  t.deepEqual(failure(t, path, "SELECT 'aaaaa' AS x", { caps: { bytesMax } }), { kind: 'bytes' });
});

test('takes one statement with what may follow it, and refuses a second instead of ignoring it', (t) => {
  const path = makeFile(t);
  for (const sql of ['SELECT 1;', ' /* a */ SELECT 1 ; -- end', 'SELECT 1 ;; /* open', ';;SELECT 1'])
    t.is(run(path, sql).rows.length, 1, sql);
  for (const sql of [
    'SELECT 1; SELECT 2',
    'SELECT 1; DROP TABLE t',
    'SELECT 1 -- a\n; DROP TABLE t',
    'SELECT 1\0; DROP TABLE t',
  ])
    t.is(failure(t, path, sql)?.kind, 'refused', sql);
  for (const sql of ['', ' ', '-- nothing', '/* nothing */', ';'])
    t.deepEqual(failure(t, path, sql), { kind: 'refused', message: 'The SQL holds no statement.' });
});

const NEVER = [
  "ATTACH '%/o.sqlite' AS o",
  'DETACH main',
  'VACUUM',
  "VACUUM INTO '%/o.sqlite'",
  "SELECT load_extension('%/o')",
  "SELECT fts3_tokenizer('simple')",
  "SELECT writefile('%/o.sqlite', 'x')",
  "SELECT readfile('/etc/hostname')",
  "SELECT edit('x')",
  "SELECT sqlite_log(1, 'x')",
  'PRAGMA database_list',
  'SELECT file FROM pragma_database_list',
  'PRAGMA journal_mode = DELETE',
  'PRAGMA writable_schema = ON',
  'PRAGMA user_version = 7',
  'PRAGMA trusted_schema = ON',
  'PRAGMA max_page_count = 1000000',
  "PRAGMA temp_store_directory = '%'",
  'PRAGMA query_only = OFF',
  'BEGIN',
  'COMMIT',
  'END',
  'ROLLBACK',
  'SAVEPOINT a',
  'RELEASE a',
  'CREATE VIRTUAL TABLE v USING fts3(a)',
  'CREATE VIRTUAL TABLE v USING dbstat',
];
const READ_NEVER = [
  "INSERT INTO t(x) VALUES ('a')",
  "INSERT INTO t(x) VALUES ('a') RETURNING *",
  'WITH a AS (SELECT 1) INSERT INTO t(x) SELECT * FROM a',
  "REPLACE INTO t(id, x) VALUES (1, 'a')",
  "UPDATE t SET x = 'a'",
  'DELETE FROM t',
  'CREATE TABLE u(a)',
  'CREATE TEMP TABLE u(a)',
  'CREATE TEMP VIEW u AS SELECT 1',
  'CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END',
  'CREATE VIRTUAL TABLE v USING fts5(a)',
  'CREATE INDEX i ON t(x)',
  'ALTER TABLE t ADD COLUMN y',
  'DROP TABLE t',
  'ANALYZE',
  "EXPLAIN INSERT INTO t(x) VALUES ('a')",
];
for (const [mode, statements] of [
  ['read', [...NEVER, ...READ_NEVER]],
  ['write', NEVER],
] as const) {
  for (const text of statements) {
    test(`F09: a ${mode} refuses ${text}`, (t) => {
      const path = makeFile(t);
      const folder = join(path, '..');
      const before = readFileSync(path);
      const reason = failure(t, path, text.replace('%', folder), { mode });
      t.true(reason?.kind === 'refused' || reason?.kind === 'sql');
      t.false('message' in (reason ?? {}) && JSON.stringify(reason).includes(folder), 'no path is told');
      t.false(existsSync(join(folder, 'o.sqlite')));
      t.deepEqual(readFileSync(path), before);
      t.deepEqual(run(path, 'SELECT count(*) n FROM t').rows, [{ n: 0 }]);
    });
  }
}

test('a write may define and change what a database is made of', (t) => {
  const path = makeFile(t);
  for (const sql of [
    'CREATE TABLE u(a TEXT, b INTEGER)',
    'ALTER TABLE u ADD COLUMN c',
    'ALTER TABLE u RENAME COLUMN c TO d',
    'ALTER TABLE u DROP COLUMN d',
    'ALTER TABLE u RENAME TO w',
    'CREATE INDEX i ON w(a)',
    'CREATE VIEW x AS SELECT a FROM w',
    'CREATE TRIGGER g AFTER INSERT ON w BEGIN UPDATE w SET b = 1; END',
    "INSERT INTO w(a) VALUES ('q')",
    'CREATE VIRTUAL TABLE f USING fts5(text)',
    "INSERT INTO f VALUES ('hello world')",
    "INSERT INTO f(f) VALUES ('optimize')",
    'CREATE VIRTUAL TABLE r USING rtree(id, a, b)',
    'INSERT INTO r VALUES (1, 2, 3)',
    'ANALYZE',
    'REINDEX',
    'CREATE TEMP TABLE temporary(a)',
    'DROP VIEW x',
  ])
    t.notThrows(() => run(path, sql, { mode: 'write' }), sql);
  t.deepEqual(run(path, "SELECT highlight(f, 0, '[', ']') h FROM f WHERE f MATCH 'hello'").rows, [
    { h: '[hello] world' },
  ]);
  t.deepEqual(run(path, "SELECT name FROM pragma_table_info('w')").rows, [{ name: 'a' }, { name: 'b' }]);
  t.is(run(path, 'PRAGMA table_info(w)').rows.length, 2);
  t.deepEqual(run(path, 'SELECT key FROM json_each(\'{"a":1}\')').rows, [{ key: 'a' }]);
});

test('every function of this SQLite is allowed or known to be dangerous', (t) => {
  const database = new DatabaseSync(':memory:');
  const names = database.prepare('SELECT DISTINCT name FROM pragma_function_list ORDER BY name').all();
  const path = makeFile(t);
  const refused = names.flatMap(({ name }) => {
    for (let count = 0; count < 4; count++) {
      try {
        run(path, `SELECT "${name}"(${Array(count).fill('1').join(', ')})`);
      } catch (error) {
        if (error instanceof BatchError && 'message' in error.failure && error.failure.message.includes('not allowed'))
          return [name];
      }
    }
    return [];
  });
  const inert =
    /^(?:geopoly_|rtree|matchinfo$|offsets$|optimize$|fts5$|fts5_source_id$|sqlite_(?:compileoption|source_id))/;
  t.deepEqual(
    refused.filter((name) => !inert.test(String(name))),
    ['fts3_tokenizer', 'load_extension', 'sqlite_log'],
  );
});

test('nothing is changed before the commit, and a failed statement takes the ones before it along', (t) => {
  const path = makeFile(t);
  const insert = { sql: "INSERT INTO t(x) VALUES ('a')", params: [] };
  {
    using batch = new SqliteBatch({ path, bytesMax: null }, 'write', 1000);
    batch.run([insert, insert], CAPS);
  }
  t.throws(() => {
    using batch = new SqliteBatch({ path, bytesMax: null }, 'write', 1000);
    batch.run([insert, { sql: 'INSERT INTO nowhere VALUES (1)', params: [] }], CAPS);
  });
  t.deepEqual(run(path, 'SELECT count(*) n FROM t').rows, [{ n: 0 }]);
});

test('D13: a database of a session does not grow beyond its cap', (t) => {
  const path = makeFile(t);
  const bytesMax = 16 * 4096;
  t.is(run(path, 'INSERT INTO t(x) VALUES (zeroblob(40000))', { mode: 'write', bytesMax }).changes, 1);
  const full = failure(t, path, 'INSERT INTO t(x) VALUES (zeroblob(40000))', { mode: 'write', bytesMax });
  t.deepEqual(full, { kind: 'sql', message: 'database or disk is full' });
  t.true(statSync(path).size <= bytesMax);
});

test('D13: no value is longer than the limit', (t) => {
  const path = makeFile(t);
  const most = SQL_LIMITS.valueBytesMax;
  t.deepEqual(run(path, `SELECT length(zeroblob(${most})) n`).rows, [{ n: most }]);
  t.is(failure(t, path, `SELECT length(zeroblob(${most + 1})) n`)?.kind, 'sql');
});

test('a file that is missing or no database is unavailable, and none is made', (t) => {
  const path = makeFile(t);
  const missing = `${path}.missing`;
  for (const mode of ['read', 'write'] as const) {
    t.is(failure(t, missing, 'SELECT 1', { mode })?.kind, 'unavailable');
    t.is(failure(t, import.meta.filename, 'SELECT * FROM t', { mode })?.kind, 'unavailable');
  }
  t.false(existsSync(missing));
});

test("SQLite's own words come back for SQL that is wrong", (t) => {
  t.deepEqual(failure(t, makeFile(t), 'SELECT nope FROM t'), { kind: 'sql', message: 'no such column: nope' });
});
