import test, { type ExecutionContext } from 'ava';
import { CountedEffects, type Marker } from './_effects.ts';
import { assertSame, EFFECTS, type Run, run } from './_program.ts';
import { Survivor } from './_survivor.ts';

/** One program, disturbed at these moments. */
async function disturbed(t: ExecutionContext, marks: readonly (readonly [Marker, string])[], handAhead = true) {
  const effects = new CountedEffects(t);
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  t.timeout(170_000);
  for (const [kind, name] of marks) effects.mark(kind, name);
  return { session, ran: await run(session, effects, handAhead) };
}

let undisturbed: Run;
test.serial('a program runs in peace', async (t) => {
  undisturbed = (await disturbed(t, [])).ran;
  t.deepEqual(undisturbed.effects, EFFECTS);
});

/** `tally` is called and done in one turn, before its intent is committed; `strike` only once that is. */
const BOUNDARIES: readonly (readonly [title: string, marks: readonly (readonly [Marker, string])[]])[] = [
  ['before the intent of a call', [['before', 'a']]],
  ['after the effect of a call whose intent was not committed', [['after', 'd']]],
  ['after the intent of a call, before its effect', [['before', 'b']]],
  ['after the effect of a call, before its outcome', [['after', 'b']]],
  [
    'between calls that are under way together',
    [
      ['before', 'e2'],
      ['after', 'f1'],
      ['before', 'f3'],
    ],
  ],
  ['after output, in the middle of a call', [['before', 'g']]],
  ['at every call', EFFECTS.map((name, index) => [index % 2 === 0 ? 'before' : 'after', name] as const)],
];

for (const [title, marks] of BOUNDARIES) {
  test.serial(`a daemon that is killed ${title} makes no difference`, async (t) => {
    const { session, ran } = await disturbed(t, marks);
    assertSame(t, session, undisturbed, ran);
  });
  // A cell under which hosts go on dying without its getting any further is to blame for it.
  if (marks.length === 3) continue;
  test.serial(`hosts that are killed ${title} make no difference`, async (t) => {
    const ofHosts = marks.map(([kind, name]) => [`hosts-${kind}` as Marker, name] as const);
    const { session, ran } = await disturbed(t, ofHosts);
    assertSame(t, session, undisturbed, ran);
  });
}

test.serial('cells that are sent one by one make no difference', async (t) => {
  const marks = [
    ['after', 'a'],
    ['hosts-before', 'd'],
    ['before', 'f2'],
    ['hosts-after', 'g'],
  ] as const;
  const { session, ran } = await disturbed(t, marks, false);
  assertSame(t, session, undisturbed, ran);
});
