import test from 'ava';
import { Survivor } from '../chaos/_survivor.ts';

const jsonOf = (result: { status: string; value?: unknown }): unknown =>
  (result.value as { json?: unknown } | undefined)?.json ?? result;

test('a cell that fails leaves nothing behind where it was to be rolled back', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  const run = (source: string, rollbackOnError: boolean) =>
    client.call('session.execute', { sessionId, source, rollbackOnError, timeoutMs: 500 });
  await session.run('let list = [1]; const keep = list');
  t.is((await run('list.push(2); list.push(3); 0', true)).status, 'ok');
  t.is((await run('list.push(4); var extra = 1; throw new Error("no")', true)).error?.message, 'no');
  t.deepEqual(jsonOf(await session.run('[list, keep === list, typeof extra]')), [[1, 2, 3], true, 'undefined']);
  t.is((await run('list.push(5); for (;;);', true)).error?.code, 'TIMED_OUT');
  t.is((await run('list.push(', true)).error?.code, 'SYNTAX_ERROR');
  t.deepEqual(jsonOf(await session.run('list')), [1, 2, 3]);
});

test('what was handed over behind a cell that is rolled back runs on the state before it', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  await session.run('let n = 0');
  const sources = ['n = 1; throw 1', 'n += 10', 'n'];
  const [, , last] = await Promise.all(
    sources.map((source) => client.call('session.execute', { sessionId, source, rollbackOnError: true })),
  );
  t.is(jsonOf(last as never), 10);
});

test('a session can be taken back to a checkpoint, again and again, and by a later daemon', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId } = session;
  const restore = (name: string) => session.client.call('checkpoint.restore', { sessionId, name });
  await session.run('let n = 1; await kv.set("k", n)');
  const { name, cell } = await session.client.call('checkpoint.create', { sessionId, name: 'one' });
  t.deepEqual([name, cell], ['one', 1]);
  await session.run('n = 2; await kv.set("k", n)');
  await session.client.call('checkpoint.create', { sessionId, name: 'two' });
  await session.run('n = 3; let later = true');
  await restore('two');
  t.deepEqual(jsonOf(await session.run('[n, typeof later]')), [2, 'undefined']);
  await session.run('n = 20');
  await session.crash();
  await restore('one');
  t.is(jsonOf(await session.run('n')), 1);
  t.is(
    jsonOf(await session.run('(await kv.get("k")).value ?? await kv.get("k")')),
    2,
    'what was done outside stays done',
  );
  const { checkpoints } = await session.client.call('checkpoint.list', { sessionId });
  t.deepEqual(
    checkpoints.map((checkpoint) => checkpoint.name),
    ['one'],
    'what came after it is no more',
  );
  const error = await t.throwsAsync(restore('two'));
  t.regex(error?.message ?? '', /no checkpoint "two"; checkpoint.list names/);
});

test('calls that were under way at the checkpoint are answered after it, those made since are forgotten', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  await session.run('let got = []; input("first").then((text) => got.push(text)); 0');
  await client.call('checkpoint.create', { sessionId, name: 'cp' });
  await session.run('input("second").then((text) => got.push(text)); 0');
  await client.call('checkpoint.restore', { sessionId, name: 'cp' });
  const asked = session.told.filter((event) => event.kind === 'input.requested') as unknown as { requestId: string }[];
  const answer = (index: number) =>
    client.call('input.answer', { sessionId, requestId: asked[index]?.requestId ?? '', text: `answer ${index}` });
  await answer(0);
  await t.throwsAsync(answer(1), { message: /No question of that id/ });
  t.deepEqual(jsonOf(await session.run('got')), ['answer 0']);
});

test('a checkpoint is refused while a cell runs, and where the state could not be had again', async (t) => {
  const session = await Survivor.start(t);
  const { sessionId, client } = session;
  const cell = session.begin('await input("?")');
  const asked = await session.event(({ kind }) => kind === 'input.requested');
  await t.throwsAsync(client.call('checkpoint.create', { sessionId }), { message: /a cell of the session is running/ });
  const { requestId } = asked as unknown as { requestId: string };
  await client.call('input.answer', { sessionId, requestId, text: '' });
  await cell.result();
  await client.call('checkpoint.create', { sessionId, name: 'good' });
  // A closure is in no image.
  const source = 'var spun = 0, next = (() => { let n = 0; return () => ++n })(); for (;;) spun += next()';
  await client.call('session.execute', { sessionId, source, timeoutMs: 300 });
  await t.throwsAsync(client.call('checkpoint.create', { sessionId }), { message: /cannot be made again: cell 2/ });
  await client.call('checkpoint.restore', { sessionId, name: 'good' });
  t.is(jsonOf(await session.run('typeof spun')), 'undefined');
  t.regex((await client.call('checkpoint.create', { sessionId })).name, /^cp_/);
});
