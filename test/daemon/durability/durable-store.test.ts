import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';
import { Fault } from '../../../daemon/fault.ts';
import { until } from '../../harness/processes.ts';
import { openStore, storeFile } from './store-file.ts';

const cellsOf = (store: DurableStore): number[] =>
  (store.prepare('SELECT number FROM log ORDER BY number').all() as { number: number }[]).map(({ number }) => number);

const INSERT = "INSERT INTO log (number, session, previous, row) VALUES (?, 1, 0, '')";

/** A store whose commits can be made to fail at their last statement. */
function fallible(t: ExecutionContext) {
  const said: string[] = [];
  const store = openStore(t, null, (line) => said.push(line));
  const insert = store.prepare(INSERT);
  const disk = { refuses: false };
  const applied: number[] = [];
  const write = (cell: number): void =>
    store.write(() => {
      insert.run(cell);
      applied.push(cell);
      if (disk.refuses) throw new Error('database or disk is full');
    });
  return { store, said, disk, applied, write };
}

test('writes are applied in their order, and what waits for them follows in its own', async (t) => {
  const { store, applied, write } = fallible(t);
  const followed: string[] = [];
  write(3);
  store.whenCommitted(() => followed.push(`after 3: ${cellsOf(store)}`));
  write(1);
  write(2);
  t.deepEqual(cellsOf(store), [], 'nothing is written in the turn itself');
  await new Promise<void>((resolve) => store.whenCommitted(resolve));
  t.deepEqual(applied, [3, 1, 2]);
  t.deepEqual(followed, ['after 3: 1,2,3']);
});

test('what nobody waits for is committed a moment later, or together with what somebody waits for, in order', async (t) => {
  const { store } = fallible(t);
  const insert = store.prepare(INSERT);
  store.write(() => void insert.run(1), false);
  await new Promise<void>((resolve) => store.whenCommitted(resolve, false));
  t.deepEqual(cellsOf(store), [1]);
  const followed: string[] = [];
  store.write(() => void insert.run(2), false);
  store.whenCommitted(() => followed.push('patient'), false);
  store.write(() => void insert.run(3));
  await new Promise<void>((resolve) => store.whenCommitted(resolve));
  t.deepEqual(followed, ['patient']);
  t.deepEqual(cellsOf(store), [1, 2, 3]);
});

test('what follows a commit may write, and that is another commit', async (t) => {
  const { store, write } = fallible(t);
  write(1);
  await new Promise<void>((resolve) =>
    store.whenCommitted(() => {
      write(2);
      t.deepEqual(cellsOf(store), [1]);
      store.whenCommitted(resolve);
    }),
  );
  t.deepEqual(cellsOf(store), [1, 2]);
});

test('of a commit that the disk refuses there is nothing, new work is refused, and later there is all of it', async (t) => {
  const { store, said, disk, write } = fallible(t);
  const followed: number[] = [];
  write(1);
  store.commitNow();
  disk.refuses = true;
  write(2);
  store.whenCommitted(() => followed.push(2));
  const refused = t.throws(() => store.commitNow(), { instanceOf: Fault, message: /disk is full/ });
  t.is((refused as Fault).code, 'UNAVAILABLE');
  write(3);
  store.whenCommitted(() => followed.push(3));
  t.throws(() => store.commitNow());
  t.throws(() => store.assertWritable());
  t.deepEqual(cellsOf(store), [1]);
  t.deepEqual(followed, []);
  disk.refuses = false;
  await until(() => followed.length === 2);
  t.deepEqual(followed, [2, 3]);
  t.deepEqual(cellsOf(store), [1, 2, 3]);
  t.notThrows(() => store.assertWritable());
  t.is(said.length, 2, 'and the operator is told once of each');
});

test('more than can wait is refused, and what waits is not lost', (t) => {
  const { store, disk, write } = fallible(t);
  disk.refuses = true;
  write(1);
  t.throws(() => store.commitNow());
  let waiting = 1;
  const refused = t.throws(() => {
    for (; waiting < 300_000; waiting++) store.whenCommitted(() => undefined);
  });
  t.true(refused instanceof Fault);
  t.is(waiting, 200_000);
  disk.refuses = false;
  store.commitNow();
  t.deepEqual(cellsOf(store), [1]);
});

test('closing commits what waits, and nothing is taken after it', (t) => {
  const file = storeFile(t);
  const store = openStore(t, file);
  const insert = store.prepare(INSERT);
  store.write(() => void insert.run(1));
  store.close();
  store.close();
  store.write(() => t.fail());
  t.deepEqual(cellsOf(openStore(t, file)), [1]);
});

test('a backup that is taken during use holds what was written before it', async (t) => {
  const store = openStore(t, storeFile(t));
  const insert = store.prepare(INSERT);
  store.write(() => void insert.run(1));
  const copy = storeFile(t);
  await store.backUpTo(copy);
  store.write(() => void insert.run(2));
  store.commitNow();
  t.deepEqual(cellsOf(openStore(t, copy)), [1]);
  t.deepEqual(cellsOf(store), [1, 2]);
  await t.throwsAsync(() => store.backUpTo(copy), undefined, 'and nothing that exists is written over');
});

/** Makes a file that is not to be opened, and holds the store to leaving it alone. */
function refuses(t: ExecutionContext, file: string, message: RegExp): void {
  const before = readFileSync(file);
  const refused = t.throws(() => DurableStore.open({ file, log: () => undefined }), { instanceOf: Fault, message });
  t.is((refused as Fault).code, 'UNAVAILABLE');
  t.regex((refused as Fault).message, /Restore the file from a backup/);
  t.deepEqual(readFileSync(file), before);
}

function changed(t: ExecutionContext, statement: string): string {
  const file = storeFile(t);
  DurableStore.open({ file, log: () => undefined }).close();
  const database = new DatabaseSync(file);
  database.exec(statement);
  database.close();
  return file;
}

test('a file of a newer version is refused and left as it was', (t) => {
  refuses(t, changed(t, 'PRAGMA user_version = 99'), /newer version of pyrepl3 wrote it \(its schema is 99/);
});

test('a database of another program is refused and left as it was', (t) => {
  const file = storeFile(t);
  const database = new DatabaseSync(file);
  database.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
  database.close();
  refuses(t, file, /database of another program/);
  refuses(t, changed(t, 'PRAGMA application_id = 7'), /database of another program/);
});

test('a file that is no database, or was cut off, or holds damaged pages is refused and left as it was', (t) => {
  const text = storeFile(t);
  writeFileSync(text, 'not a database, but long enough to be taken for one by its size'.repeat(100));
  refuses(t, text, /cannot be used/);
  const filled = changed(
    t,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
     INSERT INTO log SELECT i, 1, 0, hex(randomblob(200)) FROM n`,
  );
  const bytes = readFileSync(filled);
  const damaged = Buffer.from(bytes);
  damaged.fill(0xff, bytes.length - 5 * 4096, bytes.length - 4096);
  writeFileSync(filled, damaged);
  refuses(t, filled, /damaged|malformed/);
  writeFileSync(filled, bytes.subarray(0, bytes.length - 3 * 4096));
  refuses(t, filled, /damaged|malformed/);
});

/** A process that writes until it is ended; what it said was committed has to be there. */
function writingProcess(t: ExecutionContext, file: string, limits = '') {
  const program = fileURLToPath(import.meta.resolve('./writing-process.ts'));
  // A limit holds for every file of the process, so it must not be made to write any other, such as its coverage.
  const command = `unset NODE_V8_COVERAGE; ${limits} exec "$0" "$@"`;
  const child = spawn('bash', ['-c', command, process.execPath, program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const ended = Promise.all([once(child, 'close'), once(output, 'close')]);
  const committed = (): number =>
    Number(lines.findLast((line) => line.startsWith('committed '))?.slice('committed '.length) ?? 0);
  return { child, lines, ended, committed };
}

/** Everything that was said to be committed is there, and of everything both rows. */
function holdsAll(t: ExecutionContext, file: string, committed: number): void {
  const cells = cellsOf(openStore(t, file));
  const last = Math.max(0, ...cells);
  t.true(last >= committed, `${committed} were committed, ${last} are there`);
  t.deepEqual(
    cells,
    Array.from({ length: 2 * last + 1 }, (_, index) => index - last).filter((cell) => cell !== 0),
  );
}

test('a process that is killed while it writes loses nothing that was committed, and leaves no commit in part', async (t) => {
  const file = storeFile(t);
  for (const target of [1, 50, 200]) {
    const { child, ended, committed } = writingProcess(t, file);
    const start = committed();
    await until(() => committed() >= start + target);
    child.kill('SIGKILL');
    await ended;
    const store = DurableStore.open({ file, log: () => undefined });
    store.close();
    holdsAll(t, file, committed());
  }
});

test('on a full disk new work is refused, and what was accepted is committed once there is room', async (t) => {
  const file = storeFile(t);
  // A soft limit, in blocks of a KiB, so that it can be taken away from outside while the process runs.
  const { child, lines, ended, committed } = writingProcess(t, file, 'ulimit -S -f 300;');
  await until(() => lines.some((line) => line.startsWith('refused ')));
  t.regex(lines.find((line) => line.startsWith('refused ')) ?? '', /Nothing new can be begun.*disk/);
  const before = committed();
  t.true(before > 0);
  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
  await until(() => committed() > before + 10);
  child.stdin.end();
  await ended;
  holdsAll(t, file, committed());
  const complaints = lines.filter((line) => line.startsWith('log '));
  t.regex(complaints[0] ?? '', /cannot be recorded/);
  t.regex(complaints[1] ?? '', /recorded again; nothing was lost/);
});
