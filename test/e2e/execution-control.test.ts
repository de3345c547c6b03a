/** How cells are queued, limited, stopped and identified, and what a session is after each. */
import test from 'ava';
import type { ExecutionResult } from '../../client/protocol.ts';
import type { RpcFault } from '../harness/daemon-process.ts';
import { FileDaemon, sessionOf, type TestSession } from './_file-daemon.ts';

const file = new FileDaemon(test);

const faultCode = (error: unknown): string => (error as RpcFault).code;
const jsonOf = ({ value, error }: ExecutionResult): unknown =>
  value?.kind === 'json' ? value.json : (error?.code ?? value?.text);

async function isUsable(session: TestSession): Promise<boolean> {
  return jsonOf(await session.run('kept')) === 1;
}

async function withState(limits = {}): Promise<TestSession> {
  const session = await file.session({ limits });
  await session.run('var kept = 1');
  return session;
}

const endless: readonly string[] = [
  'for (;;);',
  'await null; for (;;);',
  'await new Promise(() => {})',
  'Array.prototype.sort.call([3, 2, 1], () => { for (;;); })',
  'try { for (;;); } finally { for (;;); }',
  'for (;;) try { for (;;); } catch {}',
  'const flood = () => Promise.resolve().then(flood); flood(); await new Promise(() => {})',
  'setInterval(() => {}, 1); await new Promise(() => {})',
];

for (const source of endless) {
  test(`\`${source}\` ends when it is interrupted, and the session keeps its state`, async (t) => {
    const session = await withState();
    const { result } = await session.start(source, 'endless');
    t.deepEqual(await session.client.call('session.interrupt', { sessionId: session.sessionId }), {
      interrupted: true,
    });
    t.like((await result).error, { code: 'INTERRUPTED', name: 'Interrupted' });
    t.true(await isUsable(session));
  });

  test(`\`${source}\` ends at its time limit, and the session keeps its state`, async (t) => {
    const session = await withState();
    t.like((await session.run(source, 200)).error, { code: 'TIMED_OUT', name: 'Timeout', details: { timeoutMs: 200 } });
    t.true(await isUsable(session));
  });
}

test('a session interrupts what runs, what waits by its id, and nothing else', async (t) => {
  const session = await withState();
  const { sessionId, client } = session;
  t.deepEqual(await client.call('session.interrupt', { sessionId }), { interrupted: false });
  const { result } = await session.start('await new Promise(() => {})', 'first');
  const waiting = client.call('session.execute', { sessionId, source: '2', executionId: 'second' });
  const last = client.call('session.execute', { sessionId, source: '3', executionId: 'third' });
  t.deepEqual(await client.call('session.interrupt', { sessionId, executionId: 'nobody' }), { interrupted: false });
  t.deepEqual(await client.call('session.interrupt', { sessionId, executionId: 'second' }), { interrupted: true });
  t.is((await waiting).error?.code, 'INTERRUPTED');
  t.deepEqual(await client.call('session.interrupt', { sessionId, executionId: 'first' }), { interrupted: true });
  t.is((await result).error?.code, 'INTERRUPTED');
  t.is(jsonOf(await last), 3);
});

test('a cell that uses more CPU than its session asked for is stopped', async (t) => {
  const session = await withState({ cellCpuMsMax: 200 });
  for (const source of ['for (;;);', 'await null; for (;;);', '(function f() { Promise.resolve().then(f) })(); 5']) {
    t.like((await session.run(source)).error, { code: 'CPU_EXCEEDED', details: { cellCpuMsMax: 200 } }, source);
    t.true(await isUsable(session));
  }
});

for (const source of [
  'const all = []; for (;;) all.push(new Array(1e5).fill(1))',
  'let s = "x"; const all = []; for (;;) all.push((s += s + all.length) + "y")',
  'const all = []; for (;;) all.push(new Uint8Array(1e7).fill(1))',
]) {
  test(`\`${source}\` is MEMORY_EXCEEDED; the session is as it was before the cell, and goes on`, async (t) => {
    const session = await withState({ heapMiBMax: 32 });
    const neighbour = await withState();
    const { error } = await session.run(source);
    t.regex(error?.code ?? '', /^(MEMORY_EXCEEDED|RUNTIME_ERROR|CPU_EXCEEDED)$/);
    if (error?.code === 'MEMORY_EXCEEDED') {
      t.deepEqual(error.details, { stateLost: false });
      t.deepEqual(jsonOf(await session.run('[kept, typeof all]')), [1, 'undefined']);
    }
    t.is(jsonOf(await session.run('6 * 7')), 42);
    t.is(jsonOf(await neighbour.run('kept')), 1);
  });
}

test('one executionId is one execution and one result, also at the same time from two connections', async (t) => {
  const session = await file.session();
  const { sessionId } = session;
  const { token } = await session.client.call('daemon.hello', {});
  const other = await file.daemon.connect();
  await other.call('daemon.hello', { token });
  const request = { sessionId, source: 'globalThis.n = (globalThis.n ?? 0) + 1', executionId: 'once' };
  const results = await Promise.all([
    session.client.call('session.execute', request),
    other.call('session.execute', request),
    session.client.call('session.execute', request),
  ]);
  for (const result of [...results, await other.call('session.execute', request)]) t.deepEqual(result, results[0]);
  t.is(jsonOf(await session.run('n')), 1);
  const conflict = await t.throwsAsync(session.client.call('session.execute', { ...request, source: '2' }));
  t.is(faultCode(conflict), 'EXECUTION_CONFLICT');
  other.close();
});

test('cells run one at a time in the order in which they were sent', async (t) => {
  const session = await file.session({ level: 'unrestricted' });
  await session.run('var order = []');
  const sources = Array.from({ length: 60 }, (_, i) =>
    i % 3 === 0 ? `await null; order.push(${i})` : i % 3 === 1 ? `order.push(${i})` : `order.push(${i}); throw ${i}`,
  );
  await Promise.all(sources.map((source) => session.run(source)));
  t.deepEqual(jsonOf(await session.run('order')), Array.from(sources.keys()));
  const phases = session.events().filter(({ kind }) => kind.startsWith('execution.'));
  t.true(phases.every(({ kind }, i) => kind === (i % 2 === 0 ? 'execution.started' : 'execution.finished')));
});

test('a full queue refuses with BUSY, keeps what it has, and takes cells again', async (t) => {
  const session = await file.session({ limits: { queueLengthMax: 2 } });
  const { result } = await session.start('await new Promise(() => {})', 'running');
  const waiting = [session.run('1'), session.run('2')];
  const refused = await t.throwsAsync(session.run('3'));
  t.is(faultCode(refused), 'BUSY');
  await session.client.call('session.interrupt', { sessionId: session.sessionId });
  t.is((await result).error?.code, 'INTERRUPTED');
  t.deepEqual((await Promise.all(waiting)).map(jsonOf), [1, 2]);
  t.is(jsonOf(await session.run('4')), 4);
});

test('a reset ends what runs and waits, and empties the namespace', async (t) => {
  const session = await withState();
  const { sessionId, client } = session;
  const { result } = await session.start('for (;;);', 'running');
  const waiting = session.run('1');
  await client.call('session.reset', { sessionId });
  t.is((await result).error?.code, 'INTERRUPTED');
  t.is((await waiting).error?.code, 'INTERRUPTED');
  await session.event('session.reset');
  t.is(jsonOf(await session.run('typeof kept')), 'undefined');
});

test('closing a session ends what runs and waits, and nothing of it can be used any more', async (t) => {
  const session = await withState();
  const { sessionId, client } = session;
  const { result } = await session.start('await new Promise(() => {})', 'running');
  const waiting = session.run('1');
  await client.call('session.close', { sessionId });
  t.is((await result).error?.code, 'SESSION_CLOSED');
  t.is((await waiting).status, 'error');
  await session.event('session.closed');
  t.is(faultCode(await t.throwsAsync(session.run('1'))), 'UNKNOWN_SESSION');
});

test('events that a client missed are replayed from any number, without gaps', async (t) => {
  const session = await withState();
  const { sessionId, client } = session;
  const { token } = await client.call('daemon.hello', {});
  await session.run('console.log(1); console.error(2); 3');
  const seen = session.events();
  const other = await file.daemon.connect();
  await other.call('daemon.hello', { token });
  await other.call('session.attach', { sessionId, afterSeq: 2 });
  const replayed = sessionOf(other, sessionId);
  await replayed.event('execution.finished');
  t.deepEqual(replayed.events(), seen.slice(2));
  t.is(faultCode(await t.throwsAsync(other.call('session.attach', { sessionId, afterSeq: 1e9 }))), 'INVALID_PARAMS');
  other.close();
});

test('limits only narrow: more than the level gives is LIMIT_DENIED and names each', async (t) => {
  for (const limits of [
    { heapMiBMax: 65 },
    { cellCpuMsMax: 5001 },
    { cellWallMsMax: 30_001 },
    { queueLengthMax: 65 },
  ]) {
    const error = await t.throwsAsync(file.session({ level: 'sandbox', limits }));
    t.is(faultCode(error), 'LIMIT_DENIED');
    t.regex(error?.message ?? '', new RegExp(Object.keys(limits)[0] as string));
  }
  const session = await file.session({ limits: { heapMiBMax: 16, cellOutputBytesMax: 10 } });
  const { limits } = await session.client.call('session.show', { sessionId: session.sessionId });
  t.like(limits, { heapMiBMax: 16, cellOutputBytesMax: 10, cellCpuMsMax: 5000 });
});

test('timeoutMs can only shorten what the session allows', async (t) => {
  const session = await file.session({ limits: { cellWallMsMax: 150, cellCpuMsMax: 150 } });
  const { error } = await session.run('await new Promise(() => {})', 60_000);
  t.like(error, { code: 'TIMED_OUT', details: { timeoutMs: 150 } });
});
