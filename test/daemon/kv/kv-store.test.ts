import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Fault } from '../../../daemon/fault.ts';
import { KvStore } from '../../../daemon/kv/kv-store.ts';

const quota = { valueBytesMax: 100, totalBytesMax: 1000, keysMax: 10 };

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'kv-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function open(t: ExecutionContext, file = join(folderOf(t), 'kv.sqlite')) {
  const kv = new KvStore(file);
  let isOpen = true;
  const close = () => {
    if (isOpen) kv.close();
    isOpen = false;
  };
  t.teardown(close);
  let calls = 0;
  const caller = (store: string, sessionId: string) => ({ sessionId, store });
  /** Each call has a key of its own unless one is given. */
  const change = (store: string, sessionId: string, ifVersion?: number | null, callKey = `call${++calls}`) => ({
    sessionId,
    store,
    callKey,
    ifVersion,
  });
  return { kv, file, close, caller, change };
}

const faultOf = (work: () => unknown): Pick<Fault, 'code' | 'details'> | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof Fault) return { code: error.code, details: error.details };
    throw error;
  }
};

test('what was set is there after the file has been closed and opened again', (t) => {
  const { kv, file, close, caller, change } = open(t);
  t.is(kv.set(change('session', 'ses_1'), 'k', '{"a":1}', quota), 1);
  t.is(kv.set(change('session', 'ses_1'), 'k', '2', quota), 2);
  close();
  const later = open(t, file).kv;
  t.deepEqual(later.get(caller('session', 'ses_1'), 'k'), { value: '2', version: 2 });
  t.is(statSync(file).mode & 0o777, 0o600);
});

test('what was answered is there after the process was killed', async (t) => {
  const file = join(folderOf(t), 'kv.sqlite');
  const source = `
    import { writeSync } from 'node:fs';
    const { KvStore } = await import(${JSON.stringify(new URL('../../../daemon/kv/kv-store', import.meta.url).href)} + '.ts');
    const kv = new KvStore(${JSON.stringify(file)});
    for (let i = 0; ; i++) {
      kv.set({ sessionId: 's', store: 'session', callKey: 'c' + i, ifVersion: undefined }, 'k', String(i), ${JSON.stringify(quota)});
      writeSync(1, i + '\\n');
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
    if (said.length > 2000) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const last = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
  const { kv, caller } = open(t, file);
  t.true(Number(kv.get(caller('session', 's'), 'k')?.value) >= last);
});

test('a session has a store of its own, and every other store is shared by its name', (t) => {
  const { kv, caller, change } = open(t);
  kv.set(change('session', 'ses_1'), 'k', '"own"', quota);
  kv.set(change('team', 'ses_1'), 'k', '"shared"', quota);
  t.is(kv.get(caller('session', 'ses_2'), 'k'), null);
  t.is(kv.get(caller('team', 'ses_2'), 'k')?.value, '"shared"');
  t.is(kv.get(caller('other', 'ses_2'), 'k'), null);
  // The name of a session is no way to its store.
  t.is(kv.get(caller('ses_1', 'ses_2'), 'k'), null);
  t.is(kv.get(caller('session', ''), 'k'), null);
});

test('the store of a session goes with it, and no other', (t) => {
  const { kv, caller, change } = open(t);
  for (const id of ['ses_1', 'ses_2', 'ses_3']) kv.set(change('session', id), 'k', '1', quota);
  kv.set(change('team', 'ses_1'), 'k', '1', quota);
  kv.removeSession('ses_1');
  t.is(kv.get(caller('session', 'ses_1'), 'k'), null);
  kv.removeSession('');
  kv.keep(new Set(['ses_3']));
  t.is(kv.get(caller('session', 'ses_2'), 'k'), null);
  t.is(kv.get(caller('session', 'ses_3'), 'k')?.version, 1);
  t.is(kv.get(caller('team', 'ses_3'), 'k')?.version, 1);
});

test('of all who set a key where it has one version, one does', (t) => {
  const { kv, change } = open(t);
  t.is(kv.set(change('team', 'ses_1', null), 'k', '1', quota), 1);
  t.deepEqual(
    faultOf(() => kv.set(change('team', 'ses_2', null), 'k', '2', quota)),
    {
      code: 'CONFLICT',
      details: { version: 1 },
    },
  );
  t.is(kv.set(change('team', 'ses_2', 1), 'k', '2', quota), 2);
  t.deepEqual(
    faultOf(() => kv.set(change('team', 'ses_1', 1), 'k', '3', quota)),
    {
      code: 'CONFLICT',
      details: { version: 2 },
    },
  );
  t.deepEqual(
    faultOf(() => kv.delete(change('team', 'ses_1', 1), 'k')),
    { code: 'CONFLICT', details: { version: 2 } },
  );
  t.true(kv.delete(change('team', 'ses_1', 2), 'k'));
  t.deepEqual(
    faultOf(() => kv.delete(change('team', 'ses_1', 2), 'k')),
    { code: 'CONFLICT', details: { version: null } },
  );
  t.false(kv.delete(change('team', 'ses_1'), 'k'));
});

test('whatever is set and deleted, a version of a key never comes again, and the quota counts what is there', (t) => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'ü'),
    value: fc.option(fc.constantFrom('1', '"long text"', '[]')),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { kv, file, close, caller, change } = open(t);
      const seen = new Set<string>();
      const model = new Map<string, string>();
      for (const { key, value } of steps) {
        if (value === null) {
          t.is(kv.delete(change('team', 's'), key), model.delete(key));
          continue;
        }
        const version = kv.set(change('team', 's'), key, value, quota);
        t.false(seen.has(`${key} ${version}`));
        seen.add(`${key} ${version}`);
        model.set(key, value);
      }
      for (const [key, value] of model) t.is(kv.get(caller('team', 's'), key)?.value, value);
      t.is(kv.list(caller('team', 's'), '', 100, null).keys.length, model.size);
      close();
      const counted = new DatabaseSync(file).prepare('SELECT sum(keys) keys, sum(bytes) bytes FROM store').get();
      const bytes = [...model].reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0);
      t.deepEqual({ keys: counted?.['keys'] ?? 0, bytes: counted?.['bytes'] ?? 0 }, { keys: model.size, bytes });
    }),
    { numRuns: 25 },
  );
});

test('the quota holds at its limits, and one past it is refused', (t) => {
  const { kv, caller, change } = open(t);
  const set = (key: string, bytes: number, limits = quota) =>
    faultOf(() => kv.set(change('team', 'ses_1'), key, `"${'x'.repeat(bytes - 2)}"`, limits));
  const refusal = (limit: keyof typeof quota, max = quota[limit]) => ({ code: 'TOO_LARGE', details: { limit, max } });
  t.is(set('a', 100), null);
  t.deepEqual(set('a', 101), refusal('valueBytesMax'));
  for (const key of 'bcdefghi') t.is(set(key, 100), null);
  t.deepEqual(set('j', 92), refusal('totalBytesMax'));
  t.is(set('j', 90), null);
  t.deepEqual(set('j', 91 + 1), refusal('totalBytesMax'));
  t.is(set('j', 2), null);
  t.deepEqual(set('k', 2), refusal('keysMax'));
  // One key less in the place of another.
  t.true(kv.delete(change('team', 'ses_2'), 'a'));
  t.is(set('k', 2), null);
  // What is there may shrink where the quota has become smaller than it.
  const narrowed = { ...quota, totalBytesMax: 10, keysMax: 1 };
  t.is(set('b', 50, narrowed), null);
  t.deepEqual(set('b', 51, narrowed), refusal('totalBytesMax', 10));
  t.is(kv.list(caller('team', 'x'), '', 100, null).keys.length, 10);
});

test('F10: the quota of a shared store is one for all who write to it', (t) => {
  const { kv, change } = open(t);
  const outcomes = Array.from({ length: 20 }, (_, i) =>
    faultOf(() => kv.set(change('team', `ses_${i}`), `k${i}`, '1', quota)),
  );
  t.is(outcomes.filter((fault) => fault === null).length, 10);
});

test('a call that is repeated has its effect once, and gets the same answer', (t) => {
  const { kv, caller, change } = open(t);
  const set = change('team', 'ses_1', undefined, 'call');
  t.is(kv.set(set, 'k', '1', quota), 1);
  t.is(kv.set(change('team', 'ses_2'), 'k', '2', quota), 2);
  t.is(kv.set(set, 'k', '1', quota), 1);
  t.is(kv.get(caller('team', 'ses_1'), 'k')?.value, '2');
  const remove = change('team', 'ses_1', undefined, 'other');
  t.true(kv.delete(remove, 'k'));
  kv.set(change('team', 'ses_2'), 'k', '3', quota);
  t.true(kv.delete(remove, 'k'));
  t.is(kv.get(caller('team', 'ses_1'), 'k')?.value, '3');
  // The same key from another session, or with another request, is another call.
  t.is(kv.set({ ...set, sessionId: 'ses_2' }, 'k', '1', quota), 4);
  t.is(kv.set(set, 'k', '4', quota), 5);
});

test('keys are listed by prefix, in the order of code points, page by page', (t) => {
  const { kv, caller, change } = open(t);
  const keys = [
    'a',
    'a/',
    'a/1',
    'a/2',
    'a/\u00ff',
    'a/\u{10ffff}',
    'a/\uffff',
    'a0',
    'b',
    '\u{10ffff}',
    '\0',
    'a\0',
    '%',
    '_',
  ];
  for (const key of keys) kv.set(change('team', 's'), key, '1', { ...quota, keysMax: 100 });
  const byCodePoint = (one: string, other: string) => Buffer.compare(Buffer.from(one), Buffer.from(other));
  for (const prefix of ['', 'a', 'a/', 'a/1', '\u{10ffff}', '%', '_', 'none', '\0']) {
    for (const limit of [1, 3, 100]) {
      const listed: string[] = [];
      let after: string | null = null;
      do {
        const page = kv.list(caller('team', 's'), prefix, limit, after);
        t.true(page.keys.length <= limit);
        listed.push(...page.keys.map(({ key }) => key));
        after = page.last;
      } while (after !== null);
      t.deepEqual(listed, keys.filter((key) => key.startsWith(prefix)).sort(byCodePoint), JSON.stringify(prefix));
    }
  }
});

for (const [what, spoil, says] of [
  ['is no database', (file: string) => writeFileSync(file, 'x'.repeat(5000)), /not a database/],
  ['is another database', (file: string) => new DatabaseSync(file).exec('CREATE TABLE a (b)'), /another program/],
  [
    'was written by a newer version',
    (file: string) => {
      new KvStore(file).close();
      new DatabaseSync(file).exec('PRAGMA user_version = 99');
    },
    /newer version/,
  ],
  ['is a link', (file: string) => symlinkSync('/dev/null', file), /ELOOP/],
] as const) {
  test(`a file that ${what} is refused with what to do`, (t) => {
    const file = join(folderOf(t), 'kv.sqlite');
    spoil(file);
    const error = t.throws(() => new KvStore(file), { instanceOf: Fault, code: 'UNAVAILABLE' });
    t.regex(error?.message ?? '', says);
    t.regex(error?.message ?? '', /Restore the file from a backup, or move it/);
  });
}

test('what SQLite says of a damaged file is not told to guest code', (t) => {
  const { kv, file, close, caller, change } = open(t);
  for (let i = 0; i < 200; i++)
    kv.set(change('team', 's'), `k${i}`, '"x"', { ...quota, keysMax: 1000, totalBytesMax: 1e6 });
  close();
  const bytes = Buffer.alloc(statSync(file).size - 4096, 0xff);
  writeFileSync(file, bytes, { flag: 'r+' });
  const damaged = t.throws(() => new KvStore(file), { instanceOf: Fault, code: 'UNAVAILABLE' });
  t.true(damaged !== undefined);
  const closed = t.throws(() => kv.get(caller('team', 's'), 'k1'), { instanceOf: Fault, code: 'UNAVAILABLE' });
  t.is(closed?.message, 'The key-value store cannot be used now.');
});
