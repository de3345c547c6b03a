/**
 * Entry of the process that runs SQLite for one database file. SQLite runs a statement to its end on the thread that asked, and
 * nothing but SIGKILL stops it; so it has a process to itself.
 *
 * Lines of JSON: one in for each that is to be done, one out for each answer.
 *
 * I1: at most one call is in work; its connection is closed before the next begins.
 */
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { BatchError, SqliteBatch, type SqliteFile } from './sqlite-batch.ts';
import type { FromSqlite, ToSqlite } from './sqlite-protocol.ts';

const [path = '', bytesMax = '', daemonPid = ''] = process.argv.slice(2);
const file: SqliteFile = { path, bytesMax: bytesMax === '' ? null : Number(bytesMax) };

const watch = new URL(`./sqlite-watch${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
new Worker(watch, { workerData: { daemonPid: Number(daemonPid) } }).unref();

let uncommitted: SqliteBatch | null = null;

function run({ mode, statements, caps }: ToSqlite & { kind: 'run' }): FromSqlite {
  const batch = new SqliteBatch(file, mode, caps.timeMsMax);
  try {
    const results = batch.run(statements, caps);
    if (mode === 'write') uncommitted = batch;
    return { kind: 'results', results };
  } finally {
    if (uncommitted === null) batch[Symbol.dispose]();
  }
}

function commit(): FromSqlite {
  const batch = uncommitted;
  uncommitted = null;
  try {
    batch?.commit();
    return { kind: 'committed' };
  } finally {
    batch?.[Symbol.dispose]();
  }
}

function answer(message: ToSqlite): FromSqlite {
  try {
    return message.kind === 'run' ? run(message) : commit();
  } catch (error) {
    if (error instanceof BatchError) return { kind: 'failed', failure: error.failure };
    throw error;
  }
}

const say = (message: FromSqlite): unknown => process.stdout.write(`${JSON.stringify(message)}\n`);

createInterface({ input: process.stdin })
  .on('line', (line) => say(answer(JSON.parse(line) as ToSqlite)))
  .on('close', () => process.exit());
say({ kind: 'ready' });
