/** A session that is taken back, while what earlier cells have left behind goes on and has done what is not to be done twice. */
import test, { type ExecutionContext } from 'ava';
import { CountedEffects } from './_effects.ts';
import { jsonOf, Survivor } from './_survivor.ts';

async function start(t: ExecutionContext): Promise<{ session: Survivor; effects: CountedEffects }> {
  const effects = new CountedEffects(t);
  return { effects, session: await Survivor.start(t, { level: 'trusted' }, effects.args) };
}

const failing = (session: Survivor, source: string) =>
  session.client.call('session.execute', { sessionId: session.sessionId, source, rollbackOnError: true });

const turn = 'await new Promise((done) => setTimeout(done, 1))';
/** Strikes once its question is answered, whichever cell is running then. */
const LEFT = 'let left = 0, n = 0; input("left").then(async () => { left = await strike("left"); }); 0';
const untilLeft = `while (left === 0) ${turn}`;

test.serial('a cell is not taken back where what was left behind would do something twice', async (t) => {
  const { session, effects } = await start(t);
  await session.run(LEFT);
  const cell = failing(session, `n = 1; await input("go"); ${untilLeft}; throw new Error("no")`);
  await session.asks('go');
  await session.answer('left', '');
  await session.answer('go', '');
  const { error } = await cell;
  t.is(error?.message, 'no');
  t.regex(String(error?.details?.['notRolledBack']), /cell 1 had left behind has called strike/);
  t.deepEqual(jsonOf(await session.run('[left, n]')), [1, 1]);
  await session.crash();
  t.deepEqual(jsonOf(await session.run('[left, n]')), [1, 1]);
  t.deepEqual(effects.done, ['left']);
});

test.serial('a cell is not taken back either while such a call is under way', async (t) => {
  const { session, effects } = await start(t);
  effects.mark('hold', 'left');
  await session.run(LEFT);
  const cell = failing(session, 'n = 1; await input("go"); throw new Error("no")');
  await session.asks('go');
  await session.answer('left', '');
  await effects.begun('left');
  await session.answer('go', '');
  t.regex(String((await cell).error?.details?.['notRolledBack']), /strike/);
  effects.release('left');
  t.deepEqual(jsonOf(await session.run(`${untilLeft}; [left, n]`)), [1, 1]);
  t.deepEqual(effects.done, ['left']);
});

test.serial('a cell is taken back, its own effects stay done, and what was left behind goes on', async (t) => {
  const { session, effects } = await start(t);
  await session.run(LEFT);
  await session.answer('left', '');
  await session.run(`${untilLeft}; var beat = setInterval(() => { left += 0; }, 1);`);
  const { error } = await failing(session, `await strike("own"); n = 1; ${turn}; await strike("own too"); throw 1`);
  t.is(error?.details, undefined);
  t.deepEqual(jsonOf(await session.run('clearInterval(beat); [left, n]')), [1, 0]);
  t.deepEqual(effects.done, ['left', 'own', 'own too']);
});

test.serial('a checkpoint is not gone back to where something would be done twice, and is there still', async (t) => {
  const { session, effects } = await start(t);
  const { sessionId, client } = session;
  await session.run('let left = 0; const going = input("go").then(async () => { left = await strike("left"); }); 0');
  await client.call('checkpoint.create', { sessionId, name: 'before' });
  await session.run('await strike("own")');
  await client.call('checkpoint.restore', { sessionId, name: 'before' });
  await session.answer('go', '');
  await session.run('await going');
  await t.throwsAsync(client.call('checkpoint.restore', { sessionId, name: 'before' }), {
    message: /cell 1 had left behind has called strike/,
  });
  t.is(jsonOf(await session.run('left')), 1);
  t.is((await client.call('checkpoint.list', { sessionId })).checkpoints.length, 1);
  t.deepEqual(effects.done, ['own', 'left']);
});

test.serial(
  'a cell that takes its isolate with it costs the session its state where something would be done twice',
  async (t) => {
    const { session, effects } = await start(t);
    await session.run(LEFT);
    const fill = 'const held = []; for (;;) held.push(new Array(1e6).fill(n++))';
    const cell = session.run(`await input("go"); ${untilLeft}; ${fill}`);
    await session.asks('go');
    await session.answer('left', '');
    await session.answer('go', '');
    const { error } = await cell;
    t.is(error?.code, 'MEMORY_EXCEEDED');
    t.regex(error?.message ?? '', /cell 1 had left behind has called strike/);
    t.is(jsonOf(await session.run('typeof left')), 'undefined');
    t.deepEqual(effects.done, ['left']);
  },
);

test.serial('what a cell that was taken back had cancelled goes on in the next daemon', async (t) => {
  const { session, effects } = await start(t);
  await session.run('const timer = setTimeout(() => tally("later"), 1500); 0');
  await failing(session, 'clearTimeout(timer); throw 1');
  await session.crash();
  await effects.begun('later');
  t.deepEqual(effects.done, ['later']);
});
