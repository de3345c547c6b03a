/** The stores of a group of daemons against one store of one daemon. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { CommonLog } from '../../../daemon/durability/common-log.ts';
import { Fault } from '../../../daemon/fault.ts';
import { KvStore } from '../../../daemon/kv/kv-store.ts';
import type { KvChange, KvEntry, KvStores } from '../../../daemon/kv/kv-stores.ts';
import { SharedKv } from '../../../daemon/kv/shared-kv.ts';
import { FailingServer, type Failure } from '../durability/_failing-server.ts';

const QUOTA = { valueBytesMax: 100, totalBytesMax: 300, keysMax: 4 };
const ROOMY = { valueBytesMax: 1000, totalBytesMax: 1_000_000, keysMax: 10_000 };

/** The daemons of a group, each with copies of its own; one of that name again is one that was started again. */
class Group {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kv-'));
  readonly #server: FailingServer;
  readonly #daemons = new Map<string, SharedKv>();

  constructor(t: Pick<ExecutionContext, 'teardown'>, server: FailingServer) {
    this.#server = server;
    t.teardown(() => this.end());
  }

  start(name: string): SharedKv {
    this.#daemons.get(name)?.close();
    const logOf = (log: string) => new CommonLog(this.#server.parts, log);
    const daemon = new SharedKv({ file: join(this.#folder, `${name}.sqlite`), logOf });
    this.#daemons.set(name, daemon);
    return daemon;
  }

  /** One daemon that is in no group. */
  get alone(): KvStore {
    return new KvStore(join(this.#folder, 'alone.sqlite'));
  }

  end(): void {
    for (const daemon of this.#daemons.values()) daemon.close();
    this.#daemons.clear();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const always = (sessionId: string, store: string, callKey: string): KvChange => ({
  ...{ sessionId, store, callKey },
  ifVersion: undefined,
});

/** What is answered, or how it fails; one that the server did not answer is asked for again, as the same call. */
async function outcomeOf(work: () => unknown): Promise<unknown> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code !== 'UNAVAILABLE') return { code: error.code, details: error.details };
    }
}

const failures = fc.array(fc.constantFrom<Failure | null>(null, null, 'before', 'after'), { maxLength: 30 });
const step = fc.record({
  daemon: fc.constantFrom('one', 'two'),
  session: fc.constantFrom('ses_1', 'ses_2'),
  store: fc.constantFrom('session', 'team'),
  act: fc.constantFrom('set', 'set', 'set', 'delete', 'get', 'list', 'restart', 'again'),
  key: fc.constantFrom('a', 'b', '\u{10ffff}', 'a\0', 'c', 'd'),
  length: fc.constantFrom(2, 90, 101),
  condition: fc.constantFrom('always', 'always', 'new', 'current', 'old'),
  failures,
});

test('whatever is asked of whichever daemon has the outcome that one store would give', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const server = new FailingServer();
      const group = new Group(t, server);
      const model = group.alone;
      const daemons = new Map([...['one', 'two']].map((name) => [name, group.start(name)]));
      let last: ((kv: KvStores) => unknown) | undefined;
      for (const [
        number,
        { daemon, session: sessionId, store, act, key, length, condition, failures },
      ] of steps.entries()) {
        const caller = { sessionId, store };
        const version = model.get(caller, key)?.version;
        const ifVersion = { always: undefined, new: null, current: version ?? null, old: (version ?? 1) + 7 }[
          condition
        ];
        const change: KvChange = { ...caller, callKey: `call ${number}`, ifVersion };
        const work = {
          set: (kv: KvStores) => kv.set(change, key, `"${'x'.repeat(length - 2)}"`, QUOTA),
          delete: (kv: KvStores) => kv.delete(change, key),
          get: (kv: KvStores) => kv.get(caller, key),
          list: (kv: KvStores) => kv.list(caller, '', 3, null),
          again: last,
          restart: undefined,
        }[act];
        if (act === 'restart') daemons.set(daemon, group.start(daemon));
        if (work === undefined) continue;
        if (act === 'set' || act === 'delete') last = work;
        server.planned.splice(0, server.planned.length, ...failures);
        const answer = await outcomeOf(() => work(daemons.get(daemon) as SharedKv));
        t.deepEqual(answer, await outcomeOf(() => work(model)));
      }
      model.close();
      group.end();
    }),
    { numRuns: 150 },
  );
});

test('of all who change a key at once in several daemons, none undoes what another did', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), failures, async (scheduler, planned) => {
      const pass = scheduler.scheduleFunction(async () => undefined);
      const server = new FailingServer(async () => void (await pass()));
      server.planned.push(...planned);
      const group = new Group(t, server);
      const count = async (kv: SharedKv, sessionId: string): Promise<void> => {
        const caller = { sessionId, store: 'team' };
        for (let done = 0, tried = 0; done < 3; tried++) {
          const found = (await outcomeOf(() => kv.get(caller, 'n'))) as KvEntry | null;
          const next = String(Number(found?.value ?? 0) + 1);
          const change = { ...caller, callKey: `${tried}`, ifVersion: found?.version ?? null };
          const outcome = await outcomeOf(() => kv.set(change, 'n', next, QUOTA));
          if (typeof outcome === 'number') done++;
        }
      };
      const daemons = ['one', 'two', 'three'].map((name) => group.start(name));
      await scheduler.waitFor(Promise.all(daemons.map((kv, at) => count(kv, `ses_${at}`))));
      server.planned.length = 0;
      const found = daemons[0]?.get({ sessionId: 'ses_9', store: 'team' }, 'n');
      t.is((await scheduler.waitFor(Promise.resolve(found)))?.value, '9');
      group.end();
    }),
    { numRuns: 100 },
  );
});

test('what is in a store is read in few pieces, however often it was changed', async (t) => {
  const server = new FailingServer();
  const group = new Group(t, server);
  const one = group.start('one');
  for (let i = 0; i < 2000; i++)
    await one.set(always('ses_1', 'session', `${i}`), `key ${i % 300}`, `"${'v'.repeat(990)}"`, ROOMY);
  await one.delete(always('ses_1', 'session', 'gone'), 'key 7');
  const two = group.start('two');
  server.requests = 0;
  const caller = { sessionId: 'ses_1', store: 'session' };
  t.is((await two.list(caller, '', 10_000, null)).keys.length, 299);
  t.true(server.requests < 1000, `it took ${server.requests} requests`);
  t.is(await two.set(always('ses_1', 'session', 'new'), 'key 7', '1', ROOMY), 8, 'no version of a key comes again');
  t.is(
    await two.set(always('ses_1', 'session', '1999'), 'key 199', `"${'v'.repeat(990)}"`, ROOMY),
    7,
    'asked for again',
  );
  const { value } = (await two.get(caller, 'key 299')) ?? {};
  t.is(value, `"${'v'.repeat(990)}"`);
});

test('what is wrong with the server is not told to guest code, and may be over in a moment', async (t) => {
  const server = new FailingServer();
  const one = new Group(t, server).start('one');
  server.planned.push('before');
  const fault = await t.throwsAsync(async () => one.set(always('ses_1', 'session', '1'), 'k', '1', QUOTA));
  t.is(fault?.message, 'The key-value store cannot be reached now.');
  t.deepEqual((fault as Fault).details, { reason: 'unreachable' });
  t.is(await one.set(always('ses_1', 'session', '1'), 'k', '1', QUOTA), 1);
});

test('the store of a session that ends goes with it', async (t) => {
  const group = new Group(t, new FailingServer());
  const [one, two] = [group.start('one'), group.start('two')];
  await one.set(always('ses_1', 'session', '1'), 'k', '1', QUOTA);
  await one.set(always('ses_1', 'team', '2'), 'k', '1', QUOTA);
  t.is((await two.get({ sessionId: 'ses_1', store: 'session' }, 'k'))?.value, '1');
  one.removeSession('ses_1');
  t.is(await one.get({ sessionId: 'ses_1', store: 'session' }, 'k'), null);
  t.is((await two.get({ sessionId: 'ses_2', store: 'team' }, 'k'))?.value, '1');
});
