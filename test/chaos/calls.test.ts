import test, { type ExecutionContext } from 'ava';
import { CountedEffects } from './_effects.ts';
import { jsonOf, Survivor } from './_survivor.ts';

async function start(t: ExecutionContext): Promise<{ session: Survivor; effects: CountedEffects }> {
  const effects = new CountedEffects(t);
  return { effects, session: await Survivor.start(t, { level: 'trusted' }, effects.args) };
}

test.serial('what was printed in the moment in which an effect killed the daemon is printed once', async (t) => {
  const { session, effects } = await start(t);
  effects.mark('before', 'a');
  const cell = session.begin('print("one"); const p = strike("a"); print("two"); await p');
  await session.died();
  await session.again();
  await session.settle('doubt', 'approve');
  t.is(jsonOf(await cell.result()), 1);
  t.is(session.printed, 'one\ntwo\n');
  t.deepEqual(effects.done, ['a']);
  t.true(session.gapless);
});

test.serial('an effect in doubt is done again, replaced by a value, or failed, as a person says', async (t) => {
  const { session, effects } = await start(t);
  for (const [name, decision, value, expected] of [
    ['again', 'approve', undefined, 2],
    ['value', 'approve', 'so be it', 'so be it'],
    ['never', 'deny', undefined, 'IN_DOUBT'],
  ] as const) {
    effects.mark('after', name);
    const cell = session.begin(`await strike(${JSON.stringify(name)}).catch((error) => error.code)`);
    await session.died();
    await session.again();
    await session.settle('doubt', decision, value);
    t.is(jsonOf(await cell.result()), expected);
  }
  t.deepEqual(effects.done, ['again', 'again', 'value', 'never']);
});

test.serial('an effect that is in doubt a second time is asked about a second time', async (t) => {
  const { session, effects } = await start(t);
  effects.mark('after', 'a');
  const cell = session.begin('await strike("a")');
  await session.died();
  await session.again();
  effects.mark('after', 'a');
  const first = await session.settle('doubt', 'approve').catch((error) => error);
  t.truthy(first);
  await session.died();
  await session.again();
  const second = await session.settle('doubt', 'approve', 'enough');
  t.is(second.kind, 'doubt');
  t.is(jsonOf(await cell.result()), 'enough');
  t.deepEqual(effects.done, ['a', 'a']);
});

test.serial('what may be done again is, without anybody being asked', async (t) => {
  const { session, effects } = await start(t);
  effects.mark('before', 'a');
  effects.mark('after', 'b');
  const cell = session.begin('[await tally("a"), await tally("b"), await tally("b")]');
  await session.died();
  // The second daemon dies as soon as the cell goes on in it, which may be before anybody has reached it.
  await session.again().catch(() => undefined);
  await session.died();
  await session.again();
  t.deepEqual(jsonOf(await cell.result()), [1, 2, 3]);
});

test.serial('an effect that ends while its lost host is made again is done once, and nobody is asked', async (t) => {
  const { session, effects } = await start(t);
  await session.run('let warm = 1');
  effects.mark('hold', 'a');
  const cell = session.begin('const n = await strike("a"); print(n); [n, await strike("b")]');
  await effects.begun('a');
  await session.killHosts();
  await session.hostGone();
  effects.release('a');
  t.deepEqual(jsonOf(await cell.result()), [1, 1]);
  t.deepEqual(effects.done, ['a', 'b']);
  t.is(session.printed, '1\n');
  t.is(session.told.filter(({ kind }) => kind === 'approval.requested').length, 0);
});

test.serial('calls that are under way when the daemon is asked to end have not failed', async (t) => {
  const { session, effects } = await start(t);
  effects.mark('hold', 'a');
  effects.mark('hold', 'b');
  const cell = session.begin('await Promise.all([tally("a"), strike("b"), input("q"), sleep(50).then(() => null)])');
  await Promise.all([effects.begun('a'), effects.begun('b')]);
  const crashed = session.crash('SIGTERM');
  await crashed;
  effects.release('a');
  effects.release('b');
  await session.settle('doubt', 'approve', 'seen');
  await session.answer('q', 'yes');
  t.deepEqual(jsonOf(await cell.result()), [2, 'seen', 'yes', null]);
  t.deepEqual(effects.done.toSorted(), ['a', 'a', 'b']);
});

test.serial('a question that needed approval first is asked once it is approved, by whichever daemon', async (t) => {
  const effects = new CountedEffects(t);
  effects.policy.grant('trusted', 'input', '{ waitMsMax: 3600000, approval: always }');
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  const cell = session.begin('await input("q")');
  await session.asked('call');
  await session.crash();
  await session.settle('call', 'approve');
  await session.asks('q');
  await session.crash();
  await session.answer('q', 'yes');
  t.is(jsonOf(await cell.result()), 'yes');
  t.is(session.told.filter(({ kind }) => kind === 'input.requested').length, 1);
  t.is(session.told.filter(({ kind }) => kind === 'approval.requested').length, 1);
});

test.serial('that a call was approved is not an answer to what the call asks', async (t) => {
  const effects = new CountedEffects(t);
  effects.policy.grant('trusted', 'approve', '{ waitMsMax: 3600000, approval: always }');
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  const cell = session.begin('await approve("really?")');
  const first = await session.settle('call', 'approve');
  await session.asked('approve');
  await session.crash();
  const second = await session.settle('approve', 'deny');
  t.not(first.approvalId, second.approvalId);
  t.regex(JSON.stringify(await cell.result()), /false|denied/);
});

test.serial('what counts once goes on counting after a reset and a crash', async (t) => {
  const effects = new CountedEffects(t);
  effects.policy.grant('trusted', 'tally', '{ approval: once }');
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  const cell = session.begin('await tally("a")');
  await session.settle('call', 'approve');
  t.is(jsonOf(await cell.result()), 1);
  await session.crash();
  t.is(jsonOf(await session.run('await tally("a")')), 2);
  await session.client.call('session.reset', { sessionId: session.sessionId });
  t.is(jsonOf(await session.run('await tally("a")')), 3);
  await session.crash();
  t.is(jsonOf(await session.run('await tally("a")')), 4);
});

test.serial('budgets count on, and only what was let through', async (t) => {
  const effects = new CountedEffects(t);
  effects.policy.grant('trusted', 'tally', '{ budget: { calls: 4 } }');
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  await session.run('await tally("a")');
  await session.run('for (let i = 0; i < 5; i++) await tally(7).catch(() => 0); 0');
  effects.mark('after', 'b');
  const cell = session.begin('await tally("b")');
  await session.died();
  await session.again();
  t.is(jsonOf(await cell.result()), 2);
  await session.crash();
  t.is(jsonOf(await session.run('await tally("a")')), 2);
  await session.crash();
  t.is(jsonOf(await session.run('await tally("a")')), 3);
  t.like(await session.run('await tally("a")'), { status: 'error', error: { code: 'BUDGET_EXCEEDED' } });
  await session.crash();
  t.like(await session.run('await tally("a")'), { status: 'error', error: { code: 'BUDGET_EXCEEDED' } });
});

test.serial('calls that were let through are not held against a rate again', async (t) => {
  const effects = new CountedEffects(t);
  effects.policy.grant('trusted', 'tally', '{ rate: 2/second }');
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  for (const name of ['a', 'b', 'c']) effects.mark('hold', name);
  const cell = session.begin(
    'const first = [tally("a"), tally("b")]; await new Promise((done) => setTimeout(done, 1100)); await Promise.all([...first, tally("c")])',
  );
  await effects.begun('c');
  await session.crash();
  for (const name of ['a', 'b', 'c']) effects.release(name);
  t.deepEqual(jsonOf(await cell.result()), [2, 2, 2]);
});

test.serial(
  'a function of a client that was under way is put to a person, also when its client is not back yet',
  async (t) => {
    const session = await Survivor.start(t);
    const { sessionId } = session;
    const provide = () =>
      session.client.call('capability.provide', {
        ...{ sessionId, name: 'measure', summary: 'Measures.' },
        parameters: true,
      });
    await provide();
    const asked = new Promise<void>((resolve) => {
      session.client.onRequest = () => resolve();
    });
    const cell = session.begin('await measure("x")');
    await asked;
    await session.crash();
    await session.settle('doubt', 'approve', 42);
    t.is(jsonOf(await cell.result()), 42);
  },
);
