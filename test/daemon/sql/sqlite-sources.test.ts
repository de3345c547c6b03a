import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import { Fault } from '../../../daemon/fault.ts';
import type { SqlCaps, SqlMode, SqlParam } from '../../../daemon/sql/sql-call.ts';
import { SQL_LIMITS } from '../../../daemon/sql/sql-limits.ts';
import { SqlSources } from '../../../daemon/sql/sql-sources.ts';
import type { SourceSpec } from '../../../policies/resources.ts';
import { childrenOf, isAlive, until } from '../../harness/processes.ts';

const CAPS: SqlCaps = { rowsMax: 100, bytesMax: 100_000, timeMsMax: 60_000 };
const ENDLESS = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c';

interface Setup {
  readonly folder: string;
  readonly sources: SqlSources;
  run(sql: string, options?: RunOptions): Promise<readonly unknown[]>;
}

interface RunOptions {
  readonly source?: string;
  readonly session?: string;
  readonly mode?: SqlMode;
  readonly params?: readonly SqlParam[];
  readonly caps?: Partial<SqlCaps>;
  readonly signal?: AbortSignal;
}

function setUp(t: ExecutionContext, more: Record<string, SourceSpec> = {}): Setup {
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-sql-'));
  const path = join(folder, 'sales.sqlite');
  makeDatabase(path);
  const sources = new SqlSources({
    sources: new Map<string, SourceSpec>([
      ['scratch', { kind: 'private' }],
      ['sales', { kind: 'sqlite', path }],
      ...Object.entries(more),
    ]),
    privateFolder: join(folder, 'databases'),
    forbidden: [join(folder, 'state')],
    secret: () => null,
  });
  t.teardown(async () => {
    await sources.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const never = new AbortController().signal;
  return {
    folder,
    sources,
    run: async (sql, { source = 'sales', session = 'ses_1', mode = 'read', params = [], caps, signal = never } = {}) =>
      (await sources.run(source, session, mode, [{ sql, params }], { ...CAPS, ...caps }, signal))[0]?.rows ?? [],
  };
}

function makeDatabase(path: string): void {
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t(x) VALUES ('a'), ('b')");
  database.close();
}

const faultOf = async (t: ExecutionContext, call: Promise<unknown>) =>
  (await t.throwsAsync(call, { instanceOf: Fault })) as Fault;

test('reads what there is and writes what is committed', async (t) => {
  const { run } = setUp(t);
  t.deepEqual(await run('SELECT x FROM t WHERE id = ?', { params: [2] }), [{ x: 'b' }]);
  await run("INSERT INTO t(x) VALUES ('c')", { mode: 'write' });
  t.deepEqual(await run('SELECT count(*) n FROM t'), [{ n: 3 }]);
});

test('a list of statements is done as a whole or not at all', async (t) => {
  const { sources, run } = setUp(t);
  const insert = { sql: 'INSERT INTO t(x) VALUES (?) RETURNING id', params: ['c'] };
  const signal = new AbortController().signal;
  const results = await sources.run(
    'sales',
    'ses_1',
    'write',
    [insert, { sql: 'DELETE FROM t WHERE id = 1', params: [] }],
    CAPS,
    signal,
  );
  t.deepEqual(results, [
    { columns: ['id'], rows: [{ id: 3 }], changes: 1, lastId: 3 },
    { columns: [], rows: [], changes: 1, lastId: null },
  ]);
  const wrong = { sql: 'INSERT INTO nowhere VALUES (1)', params: [] };
  const fault = await faultOf(t, sources.run('sales', 'ses_1', 'write', [insert, wrong], CAPS, signal));
  t.is(fault.code, 'EFFECT_FAILED');
  t.deepEqual(fault.details, { reason: 'sql' });
  t.is(fault.message, 'no such table: nowhere');
  t.deepEqual(await run('SELECT count(*) n FROM t'), [{ n: 2 }]);
});

test('C06: an endless query is ended at its time, and the next call works', async (t) => {
  const { run } = setUp(t);
  const fault = await faultOf(t, run(ENDLESS, { caps: { timeMsMax: 300 } }));
  t.is(fault.code, 'TIMED_OUT');
  t.deepEqual(fault.details, { timeMsMax: 300 });
  t.deepEqual(await run('SELECT 1 AS one'), [{ one: 1 }]);
});

test('C06: an endless write changes nothing, and a reader after it is not kept out by what it left', async (t) => {
  const { run } = setUp(t);
  // More than SQLite keeps in memory, so that pages are written and a journal stays behind.
  const sql =
    'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO t(x) SELECT zeroblob(10000) FROM c';
  t.is((await faultOf(t, run(sql, { mode: 'write', caps: { timeMsMax: 1500 } }))).code, 'TIMED_OUT');
  t.deepEqual(await run('SELECT count(*) n FROM t'), [{ n: 2 }]);
});

test('C06: a call waits for the lock of another writer no longer than its time', async (t) => {
  const { folder, run } = setUp(t);
  const other = new DatabaseSync(join(folder, 'sales.sqlite'));
  other.exec('BEGIN IMMEDIATE');
  const fault = await faultOf(t, run('DELETE FROM t', { mode: 'write', caps: { timeMsMax: 300 } }));
  t.true(fault.code === 'TIMED_OUT' || fault.message === 'database is locked');
  other.close();
  t.deepEqual(await run('DELETE FROM t RETURNING id', { mode: 'write' }), [{ id: 1 }, { id: 2 }]);
});

test('a session that ends takes its statements along', async (t) => {
  const { sources, run } = setUp(t);
  const controller = new AbortController();
  const endless = run(ENDLESS, { signal: controller.signal });
  await until(() => sources.processIds.length === 1);
  const [pid = 0] = sources.processIds;
  controller.abort();
  t.is((await faultOf(t, endless)).code, 'INTERRUPTED');
  await until(() => !isAlive(pid));
  t.is((await faultOf(t, run('SELECT 1', { signal: controller.signal }))).code, 'INTERRUPTED');
});

test('D13: a statement that takes all memory is ended before the machine is', async (t) => {
  const { run } = setUp(t);
  const greedy = `WITH RECURSIVE c(x, y) AS (SELECT 1, randomblob(100000) UNION SELECT x + 1, randomblob(100000) FROM c)
    SELECT count(*) FROM c`;
  t.is((await faultOf(t, run(greedy))).code, 'MEMORY_EXCEEDED');
  t.deepEqual(await run('SELECT 1 AS one'), [{ one: 1 }]);
});

test('caps are named in the refusal', async (t) => {
  const { run } = setUp(t);
  t.is((await run('SELECT * FROM t', { caps: { rowsMax: 2 } })).length, 2);
  const rows = await faultOf(t, run('SELECT * FROM t', { caps: { rowsMax: 1 } }));
  t.is(rows.code, 'TOO_LARGE');
  t.deepEqual(rows.details, { rowsMax: 1 });
  const bytes = await faultOf(t, run('SELECT zeroblob(100)', { caps: { bytesMax: 100 } }));
  t.is(bytes.code, 'TOO_LARGE');
  t.deepEqual(bytes.details, { bytesMax: 100 });
});

test('each session has a private database of its own, which goes with it', async (t) => {
  const { folder, sources, run } = setUp(t);
  t.deepEqual(await run('SELECT count(*) n FROM sqlite_schema', { source: 'scratch' }), [{ n: 0 }]);
  const write = { source: 'scratch', mode: 'write' } as const;
  await run('CREATE TABLE mine(a)', write);
  await run('CREATE TABLE theirs(a)', { ...write, session: 'ses_2' });
  t.deepEqual(await run('SELECT name FROM sqlite_schema', { source: 'scratch' }), [{ name: 'mine' }]);
  t.deepEqual(readdirSync(join(folder, 'databases')).sort(), ['ses_1', 'ses_2']);
  await sources.removeSession('ses_1');
  t.deepEqual(readdirSync(join(folder, 'databases')), ['ses_2']);
  t.is(sources.processIds.length, 1);
  t.deepEqual(await run('SELECT name FROM sqlite_schema', { source: 'scratch' }), []);
  await sources.removeSession('ses_3');
});

for (const session of ['..', '../ses_2', 'a/b', '', '.', 'ses\0']) {
  test(`a session named ${JSON.stringify(session)} has no private database`, async (t) => {
    const { folder, run } = setUp(t);
    await t.throwsAsync(run('SELECT 1', { source: 'scratch', session }));
    t.false(existsSync(join(folder, 'databases')));
  });
}

test('a source that does not exist is denied in the words of one that is not granted', async (t) => {
  const fault = await faultOf(t, setUp(t).run('SELECT 1', { source: 'nowhere' }));
  t.is(fault.code, 'CAPABILITY_DENIED');
  t.is(fault.message, 'The data source "nowhere" is not one that this session may use.');
});

test('a file that is missing or broken is unreachable, without its path', async (t) => {
  const missing = join(tmpdir(), 'pyrepl3-no-such-folder', 'secret-place.sqlite');
  const { run } = setUp(t, {
    gone: { kind: 'sqlite', path: missing },
    broken: { kind: 'sqlite', path: import.meta.filename },
  });
  for (const source of ['gone', 'broken']) {
    const fault = await faultOf(t, run('SELECT 1', { source, mode: 'write' }));
    t.like(fault, { code: 'EFFECT_FAILED', details: { reason: 'unreachable', source } });
    t.notRegex(fault.message, /\/|secret-place/);
  }
  t.false(existsSync(missing));
});

test("F09: no source is a file of the daemon's own, by whatever name", async (t) => {
  const { folder, sources, run } = setUp(t);
  const state = join(folder, 'state');
  mkdirSync(state);
  makeDatabase(join(state, 'kv.sqlite'));
  symlinkSync(state, join(folder, 'link'));
  const wrong = [
    join(state, 'kv.sqlite'),
    join(state, 'yet-to-come.sqlite'),
    join(folder, 'link', 'kv.sqlite'),
    `${folder}/other/../state/kv.sqlite`,
    join(folder, 'databases', 'ses_1', 'scratch.sqlite'),
  ];
  for (const path of wrong)
    t.throws(() => sources.replace(new Map([['own', { kind: 'sqlite', path }]])), undefined, path);
  t.deepEqual(await run('SELECT 1 AS one'), [{ one: 1 }], 'what was before is still in force');
  // A symlink that is turned later does not help either.
  const turned = join(folder, 'turned.sqlite');
  sources.replace(new Map([['turned', { kind: 'sqlite', path: turned }]]));
  symlinkSync(join(state, 'kv.sqlite'), turned);
  t.like(await faultOf(t, run('SELECT * FROM t', { source: 'turned' })), { details: { reason: 'unreachable' } });
});

test('a policy that is loaded again takes sources away and ends their processes', async (t) => {
  const { sources, run } = setUp(t);
  await run('SELECT 1');
  sources.replace(new Map([['scratch', { kind: 'private' }]]));
  await until(() => sources.processIds.length === 0);
  t.is((await faultOf(t, run('SELECT 1'))).code, 'CAPABILITY_DENIED');
  t.deepEqual(await run('SELECT 1 AS one', { source: 'scratch' }), [{ one: 1 }]);
});

test('D14: however many sessions there are, so many processes run and no more, and none stays', async (t) => {
  const { sources, run } = setUp(t);
  const most = SQL_LIMITS.sqliteRunningMax;
  const calls = Array.from({ length: most + 3 }, (_, index) =>
    run('SELECT 1 AS one', { source: 'scratch', session: `ses_${index}` }),
  );
  t.deepEqual(new Set((await Promise.all(calls)).map((rows) => JSON.stringify(rows))), new Set(['[{"one":1}]']));
  // One that makes room takes a moment to end.
  await until(() => sources.processIds.length <= most);
  const pids = sources.processIds;
  await sources.close();
  t.deepEqual(pids.filter(isAlive), []);
});

test('a process ends with a daemon that was killed, even in the middle of an endless statement', async (t) => {
  const { folder } = setUp(t);
  const engine = new URL('../../../daemon/sql/sql-sources.ts', import.meta.url).href;
  const script = `const { SqlSources } = await import(${JSON.stringify(engine)});
    const sources = new SqlSources({ sources: new Map([['a', { kind: 'sqlite', path: ${JSON.stringify(join(folder, 'sales.sqlite'))} }]]),
      privateFolder: ${JSON.stringify(join(folder, 'databases'))}, forbidden: [], secret: () => null });
    const caps = ${JSON.stringify(CAPS)};
    const run = (sql) => sources.run('a', 'ses_1', 'read', [{ sql, params: [] }], caps, new AbortController().signal);
    await run('SELECT 1');
    run(${JSON.stringify(ENDLESS)});
    setImmediate(() => console.log('runs'));`;
  const daemon: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => daemon.kill('SIGKILL'));
  await once(daemon.stdout as NodeJS.ReadableStream, 'data');
  const children = childrenOf(daemon.pid ?? 0);
  t.is(children.length, 1);
  daemon.kill('SIGKILL');
  await until(() => children.every((pid) => !isAlive(pid)));
});
