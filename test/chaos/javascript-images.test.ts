/** JavaScript sessions that go on from an image: what could not be lived again, and what would take long to. */
import test, { type ExecutionContext } from 'ava';
import { imagesOf, interrupt, returnToEach, sleep } from './_images.ts';
import { jsonOf, Survivor } from './_survivor.ts';

const start = (t: ExecutionContext, language: 'javascript' | 'typescript' = 'javascript'): Promise<Survivor> =>
  Survivor.start(t, { language });

/** Computes for long enough that an image is worth it. */
const WORK = 'let total = 0; for (let i = 0; i < 3e8; i++) total = (total + i) % 1000; total';

/** Computes for ever. */
const LOOP = 'print("computing"); for (;;) n++';

for (const language of ['javascript', 'typescript'] as const)
  test(`a ${language} session that was stopped in the middle of computing outlives its daemon and its host all the same`, async (t) => {
    const session = await start(t, language);
    await session.run(
      'let n = 0; const before = [1, { deep: new Map([["k", 2]]) }]; class Point { x = 1 }; const p = new Point(); print("once")',
    );
    await interrupt(session, LOOP);
    const question = '[before[0], before[1].deep.get("k"), p instanceof Point, n]';
    const expected = jsonOf(await session.run(question)) as unknown[];
    t.true((expected.at(-1) as number) > 0);
    t.true(await sleep(session));
    await session.crash();
    t.deepEqual(jsonOf(await session.run(question)), expected);
    await session.killHosts();
    t.deepEqual(jsonOf(await session.run(`print("twice"); ${question}`)), expected);
    t.is(session.printed.match(/once|twice/g)?.join(), 'once,twice');
  });

test('a session wakes from its image, in a later daemon too, and goes on from there when it is lost', async (t) => {
  const session = await start(t);
  await session.run('const drawn = () => [Math.random(), crypto.randomUUID()]; const kept = drawn()');
  const first = jsonOf(await session.run(WORK));
  t.true(await sleep(session));
  t.is(imagesOf(session), 1);
  await session.crash();
  t.deepEqual(jsonOf(await session.run('[_, kept.length]')), [first, 2]);
  const later = jsonOf(await session.run('const later = [drawn(), drawn()]; later'));
  await session.crash();
  await session.killHosts();
  t.deepEqual(jsonOf(await session.run('later')), later);
  const info = await session.client.call('session.show', { sessionId: session.sessionId });
  t.is(info.cells, 5);
});

test('a session that cannot become an image is made again by its cells', async (t) => {
  const session = await start(t);
  await session.run('const next = (() => { let n = 0; return () => ++n })(); next()');
  await session.run(WORK);
  t.true(await sleep(session));
  t.is(imagesOf(session), 0);
  await session.crash();
  t.is(jsonOf(await session.run('next()')), 2);
});

test('a session is taken back to a checkpoint of before and after a stop', async (t) => {
  const session = await start(t);
  await session.run(`${WORK}; let n = 0, state = "one"`);
  await returnToEach(t, session, () => interrupt(session, LOOP));
});
