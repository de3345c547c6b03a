import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';
import { endOf, STOPPED, testAttacks } from './attack-table.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const spinning: Record<string, string> = {
  'a loop': 'for (;;);',
  'a getter': '({ get a() { for (;;); } }).a',
  'toString in a template': '`${{ toString() { for (;;); } }}`',
  'a Proxy trap': 'new Proxy({}, { get() { for (;;); } }).a',
  'a replacer': "'a'.replace(/a/, () => { for (;;); })",
  'a comparator': '[1, 2].sort(() => { for (;;); })',
  'toJSON while the guest serialises': 'JSON.stringify({ toJSON() { for (;;); } })',
  'an awaited continuation': 'await null; for (;;);',
  'a finally block': 'try { for (;;); } finally { for (;;); }',
  'a catch block': 'try { for (;;); } catch { for (;;); }',
  'a generator': '[...(function* () { for (;;); })()]',
  'a class field': 'new (class { a = (() => { for (;;); })() })()',
  'a formatted value':
    "console.log({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } }, `${{ toString() { for (;;); } }}`)",
  'an event listener':
    "const target = new EventTarget(); target.addEventListener('x', () => { for (;;); }); target.dispatchEvent(new Event('x'))",
  'a structured clone': 'structuredClone({ get a() { for (;;); } })',
  'the awaited then of a thenable': 'await { then() { for (;;); } }',
  'a timer': 'await new Promise(() => setTimeout(() => { for (;;); }, 1))',
};

testAttacks(test, shared, [
  ...Object.entries(spinning).map(([where, source]) => ({
    title: `C01: what spins in ${where} is stopped`,
    cells: ['var kept = 1', source],
    end: STOPPED,
  })),
  { title: 'C03: an async loop is stopped', cells: ['await (async () => { for (;;) await 0 })()'], end: STOPPED },
  {
    title: 'C03: a flood of microtasks that a cell leaves behind is ended',
    cells: ['(function f() { Promise.resolve().then(f) })()'],
    end: /^(undefined undefined|CPU_EXCEEDED|TIMED_OUT)/,
  },
  {
    title: 'C03: a flood of queueMicrotask is ended',
    cells: ['(function f() { queueMicrotask(f) })(); await new Promise(() => {})'],
    end: STOPPED,
  },
  {
    title: 'C04: a promise that never settles is timed out',
    cells: ['await new Promise(() => {})'],
    end: /^TIMED_OUT/,
  },
  {
    title: 'C04: a returned promise that never settles is timed out',
    cells: ['new Promise(() => {})'],
    end: /^TIMED_OUT/,
  },
  {
    title: 'C08: Atomics.wait ends at the deadline',
    cells: ['Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
    end: /^(TIMED_OUT|CPU_EXCEEDED|RUNTIME_ERROR)/,
    session: { level: 'trusted' },
  },
  {
    title: 'C08: Atomics.waitAsync ends at the deadline',
    cells: ['await Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9).value'],
    end: /^(TIMED_OUT|RUNTIME_ERROR)/,
    session: { level: 'trusted' },
  },
  {
    title: 'C09: a regex that backtracks for ever is stopped',
    cells: ["/^(a+)+$/.test('a'.repeat(40) + 'b')"],
    end: STOPPED,
  },
  {
    title: 'C09: a regex of a million nested groups is a syntax error',
    cells: ["new RegExp('('.repeat(1e6))"],
    end: /^RUNTIME_ERROR SyntaxError: Invalid regular expression/,
  },
  { title: 'C11: a million open brackets are a syntax error', cells: ['('.repeat(1e6)], end: /^SYNTAX_ERROR/ },
  {
    title: 'C11: arrows nested ten thousand deep are a syntax error',
    cells: [`${'()=>'.repeat(1e4)}1`],
    end: /^SYNTAX_ERROR/,
  },
  {
    title: 'C11: a hundred thousand nested arrays are a syntax error',
    cells: ['['.repeat(1e5) + ']'.repeat(1e5)],
    end: /^SYNTAX_ERROR/,
  },
  {
    title: 'C11: a hundred thousand texts are compiled',
    cells: [`[${"'a',".repeat(1e5)}].length`],
    end: /^(100000|CPU_EXCEEDED)/,
  },
  {
    title: 'C11: a sum of a hundred thousand terms ends',
    cells: [`${'1+'.repeat(1e5)}1`],
    end: /^(SYNTAX_ERROR|RUNTIME_ERROR RangeError|100001)/,
  },
  {
    title: 'C11: types nested ten thousand deep are a syntax error or run',
    cells: [`const a: ${'Array<'.repeat(1e4)}number${'>'.repeat(1e4)} = []; 1`],
    end: /^(SYNTAX_ERROR|1$)/,
    session: { language: 'typescript', limits: { cellCpuMsMax: 1500, cellWallMsMax: 20_000 } },
  },
  {
    title: 'C11: a thousand decorators run',
    cells: [`function d(value: unknown) { return value as never }\n${'@d '.repeat(1000)}class A {}; typeof A`],
    end: /^("function"|SYNTAX_ERROR)/,
    session: { language: 'typescript', limits: { cellCpuMsMax: 1500, cellWallMsMax: 20_000 } },
  },
]);

test.serial('C11: a source above the limit is refused before anything parses it', async (t) => {
  const guest = await Guest.open(shared().client);
  const fault = await t.throwsAsync(guest.run(' '.repeat(1_048_577)));
  t.is((fault as { code?: unknown }).code, 'TOO_LARGE');
  t.is(await guest.json(`${' '.repeat(1_048_575)}1`), 1);
});

for (const timeoutMs of [0, -1, 2 ** 31, 1e308, 0.5, '5', null, true, [5], {}]) {
  test.serial(`C13: a timeoutMs of ${JSON.stringify(timeoutMs)} is refused`, async (t) => {
    const { sessionId } = await Guest.open(shared().client);
    const fault = await t.throwsAsync(
      shared().client.callAny('session.execute', { sessionId, source: '1', timeoutMs }),
    );
    t.is((fault as { code?: unknown }).code, 'INVALID_PARAMS');
  });
}

test.serial('C13: the longest timeoutMs there is does not overflow into the shortest', async (t) => {
  const guest = await Guest.open(shared().client);
  t.is(endOf(await guest.run('await new Promise((resolve) => setTimeout(resolve, 20)); 1', 86_400_000)), '1');
});

test.serial('C13: a guest timer whose delay is out of range is one of the shortest, as in Node', async (t) => {
  const guest = await Guest.open(shared().client);
  const fired = await guest.json(`const fired = [];
    for (const delay of [2 ** 31, 1e308, Infinity, NaN, -1, '5', null, {}]) setTimeout(() => fired.push(String(delay)), delay);
    setTimeout(() => fired.push('never'), 2 ** 31 - 1);
    await new Promise((resolve) => setTimeout(resolve, 50)); fired.sort()`);
  t.deepEqual(fired, ['-1', '1e+308', '2147483648', '5', 'Infinity', 'NaN', '[object Object]', 'null']);
});

test.serial('C14: cancelling twice, too late and in vain ends every cell exactly once', async (t) => {
  const { client } = shared();
  const guest = await Guest.open(client);
  const { sessionId } = guest;
  const interrupt = (executionId?: string) =>
    client.call('session.interrupt', { sessionId, ...(executionId === undefined ? {} : { executionId }) });
  t.false((await interrupt()).interrupted, 'nothing runs');
  t.false((await interrupt('unknown')).interrupted, 'no such cell');
  const running = client.call('session.execute', { sessionId, source: 'for (;;);', executionId: 'spin' });
  const queued = client.call('session.execute', { sessionId, source: '1', executionId: 'queued' });
  await client.event((event) => event.sessionId === sessionId && event.kind === 'execution.started');
  const answers = await Promise.all([
    interrupt('queued'),
    interrupt('queued'),
    interrupt('spin'),
    interrupt('spin'),
    interrupt('spin'),
  ]);
  t.true(answers[0]?.interrupted);
  t.true(answers[2]?.interrupted);
  t.is((await running).error?.code, 'INTERRUPTED');
  t.is((await queued).error?.code, 'INTERRUPTED');
  t.false((await interrupt('spin')).interrupted, 'it has ended');
  t.is(await guest.json('1+1'), 2);
  const ends = client.events.filter((event) => event.sessionId === sessionId && event.kind === 'execution.finished');
  t.is(new Set(ends.map((event) => 'executionId' in event && event.executionId)).size, ends.length);
});

test.serial('C14: cancelling races with completion, and each cell has one end', async (t) => {
  const { client } = shared();
  const guest = await Guest.open(client);
  for (let round = 0; round < 50; round++) {
    const executing = guest.run('await null; 1');
    const interrupting = client.call('session.interrupt', { sessionId: guest.sessionId });
    const [{ status, error }] = await Promise.all([executing, interrupting]);
    t.true(status === 'ok' || error?.code === 'INTERRUPTED', JSON.stringify(error));
  }
  t.is(await guest.json('1+1'), 2);
});

test.serial('C12: a thousand cells sent at once are answered or refused as too many', async (t) => {
  const guest = await Guest.open(shared().client);
  const ends = await Promise.all(
    Array.from({ length: 1000 }, (_, index) =>
      guest.run(`${index}`).then(
        ({ value }) => (value?.kind === 'json' && value.json === index ? 'ok' : 'wrong'),
        (fault: { code?: string }) => fault.code,
      ),
    ),
  );
  t.deepEqual(new Set(ends), new Set(['ok', 'BUSY']));
  t.is(await guest.json('1+1'), 2);
});

test.serial('C16: sessions closed in the middle of everything end their cells and harm nobody', async (t) => {
  const { client, daemon } = shared();
  const sources = [
    'for (;;);',
    'await new Promise(() => {})',
    'for (let i = 0; ; i++) console.log(i)',
    'setInterval(() => console.log(1), 1); await new Promise(() => {})',
    'await input()',
    'const a = []; for (;;) a.push(new Array(1e4).fill(1))',
    'Promise.reject({ get message() { for (;;); } })',
    'await Promise.all(Array.from({ length: 100 }, () => input()))',
  ];
  const witness = await Guest.open(client, { level: 'restricted' });
  for (const source of sources) {
    const guest = await Guest.open(client, { level: 'restricted' });
    const running = guest.run(source);
    await client.event((event) => event.sessionId === guest.sessionId && event.kind === 'execution.started');
    await guest.close();
    t.is((await running).error?.code, 'SESSION_CLOSED', source);
    const fault = await t.throwsAsync(guest.run('1'));
    t.is((fault as { code?: unknown }).code, 'UNKNOWN_SESSION');
  }
  const answer = await witness.run('1+1');
  t.true(endOf(answer) === '2' || answer.error?.code === 'SESSION_LOST', endOf(answer));
  t.true(daemon.running);
});
