import test from 'ava';
import fc from 'fast-check';
import { type Disturbance, type Disturbances, Lab } from './_doomed-daemon.ts';
import { play } from './_played-program.ts';
import { program } from './_random-program.ts';

const PROGRAMS = 1000;
/** Where the programs begin: the same for everybody, so that a change is told from chance; another one looks elsewhere. */
const SEED = Number(process.env['PYREPL3_TEST_SEED'] ?? 1);
/** Programs that run at once: they wait for one another's isolates more than they compute. */
const TOGETHER = 4;

const what = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Disturbance>('kill') },
  { weight: 1, arbitrary: fc.constantFrom<Disturbance>('stop', 'hosts', 'sleep') },
);
const disturbances: fc.Arbitrary<Disturbances> = fc
  .record({
    plan: fc.array(
      fc.record({ what, after: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 })) }),
      { maxLength: 5 },
    ),
    delays: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 }),
  })
  .map(({ plan, delays }) => ({ plan: withFewHosts(plan), delays }));

/** A cell under which one host after another dies is to blame for it. */
function withFewHosts(plan: Disturbances['plan']): Disturbances['plan'] {
  let hosts = 0;
  return plan.filter((each) => each.what !== 'hosts' || ++hosts <= 2);
}

const lab = new Lab();
test.after.always(() => lab.close());

for (let part = 1; part <= TOGETHER; part++) {
  test(`programs over crashes come to what they come to in peace, part ${part}`, async (t) => {
    t.timeout(15 * 60_000);
    const property = fc.asyncProperty(program, disturbances, async (made, disturbed) => {
      await play(lab, made, disturbed);
    });
    // A failure is told with its seed and path, the smallest program that was found for it, and what happened in that.
    await t.notThrowsAsync(() =>
      fc.assert(property, {
        numRuns: PROGRAMS / TOGETHER,
        seed: SEED * TOGETHER + part,
        includeErrorInReport: true,
        interruptAfterTimeLimit: 10 * 60_000,
        markInterruptAsFailure: true,
      }),
    );
  });
}
