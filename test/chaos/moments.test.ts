import test, { type ExecutionContext } from 'ava';
import type { MethodName, Params, Results } from '../../client/protocol.ts';
import { CountedEffects } from './_effects.ts';
import { HOST_MOMENTS, MOMENTS, type Moment, Moments } from './_moments.ts';
import { assertSame, EFFECTS, type Run, run } from './_program.ts';
import { Survivor } from './_survivor.ts';

/** Enough for a journal to be compacted: every call is at least a row. */
const CALLS = 600;
const WARM_UP = `let warm = 0; for (let i = 0; i < ${CALLS}; i++) { await tally("warm"); warm += 1 } warm`;

/** Asks until somebody answers. What is asked again because the answer was lost comes to the same. */
async function insist<M extends MethodName>(session: Survivor, method: M, params: Params<M>): Promise<Results[M]> {
  for (;;) {
    try {
      return await session.client.call(method, params);
    } catch (error) {
      if (!(error as Error).message.startsWith('closed')) throw error;
      await session.comeBack();
    }
  }
}

/** One program, with what is done to a session between cells before it, disturbed at these moments. */
async function disturbed(t: ExecutionContext, moments: readonly Moment[]) {
  const effects = new CountedEffects(t);
  const watched = new Moments(t);
  watched.plan(moments);
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args, [watched.preload]);
  t.timeout(170_000);
  const { sessionId } = session;
  await session.begin(WARM_UP).result(() => session.comeBack());
  await insist(session, 'checkpoint.create', { sessionId, name: 'warm' });
  await session.begin('warm = -1; await tally("lost")').result(() => session.comeBack());
  await insist(session, 'checkpoint.restore', { sessionId, name: 'warm' });
  await insist(session, 'session.detach', { sessionId });
  await insist(session, 'session.hibernate', { sessionId });
  await insist(session, 'session.attach', { sessionId, afterSeq: session.told.at(-1)?.seq ?? 0 });
  const ran = await run(session, effects);
  const warm = await session.begin('warm').result(() => session.comeBack());
  t.like(warm, { status: 'ok', value: { json: CALLS } }, 'it is as it was at the checkpoint');
  t.deepEqual(watched.left, [], 'every moment has come');
  return { session, ran };
}

let undisturbed: Run;
test.serial('a program runs in peace', async (t) => {
  undisturbed = (await disturbed(t, [])).ran;
  t.deepEqual(undisturbed.effects, EFFECTS);
});

for (const [title, moments] of MOMENTS)
  test.serial(`a daemon that is killed ${title} makes no difference`, async (t) => {
    const { session, ran } = await disturbed(t, moments);
    assertSame(t, session, undisturbed, ran);
  });

for (const [title, moments] of HOST_MOMENTS)
  test.serial(`hosts that are killed ${title} make no difference`, async (t) => {
    const { session, ran } = await disturbed(t, moments);
    assertSame(t, session, undisturbed, ran);
  });
