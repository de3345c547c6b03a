import test from 'ava';
import { Survivor } from './_survivor.ts';

const jsonOf = (result: { status: string; value?: unknown }): unknown =>
  (result.value as { json?: unknown } | undefined)?.json ?? result;

test('variables, functions, classes and closures are there after the daemon was killed', async (t) => {
  const session = await Survivor.start(t);
  await session.run(
    'let n = 1; const add = (by) => (n += by); class Box { #v = 7; get v() { return this.#v++ } } const box = new Box();',
  );
  await session.run('add(41); box.v');
  await session.crash();
  t.deepEqual(jsonOf(await session.run('[n, add(0), box.v, _]')), [42, 42, 8, 7]);
  await session.crash('SIGTERM');
  t.deepEqual(jsonOf(await session.run('[n, box.v]')), [42, 9]);
});

test('a cell that was in the middle of an await goes on where it was', async (t) => {
  const session = await Survivor.start(t);
  const cell = session.begin('print("before"); const text = await input("name? "); print("after", text); text.length');
  const asked = await session.event(({ kind }) => kind === 'input.requested');
  await session.crash();
  const { requestId } = asked as unknown as { requestId: string };
  await session.client.call('input.answer', { sessionId: session.sessionId, requestId, text: 'Ada' });
  const result = await cell.result();
  t.is(jsonOf(result), 3);
  t.is(result.output.stdout, 'before\nafter Ada\n');
  t.is(session.printed, 'before\nafter Ada\n');
  const kinds = session.told.map(({ kind }) => kind);
  t.is(kinds.filter((kind) => kind === 'input.requested').length, 1);
  t.is(kinds.filter((kind) => kind === 'execution.started').length, 1);
  t.deepEqual(
    session.told.map(({ seq }) => seq),
    session.told.map((_, index) => index + 1),
  );
});
