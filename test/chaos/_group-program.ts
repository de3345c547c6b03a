/** What a group of daemons owes its clients when one of them dies, as a test that runs against any server. */
import type { ExecutionContext } from 'ava';
import { administer, arrives, DaemonGroup, executed } from './_daemon-group.ts';
import { CountedEffects, type Marker } from './_effects.ts';
import { jsonOf } from './_survivor.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const CELL = `print("begins");
const out = [await strike("a"), await strike("b")];
out.push(...await Promise.all([strike("c"), strike("d")]));
print("half");
out.push(await strike("e"), await strike("f"));
print("ends"); out`;

/** One of two daemons is killed in the middle of a cell with six calls: the other finishes it, and each effect happens once. */
export async function killedInTheMiddle(t: ExecutionContext, url: string, kind: Marker, name: string): Promise<void> {
  t.timeout(170_000);
  const effects = new CountedEffects(t);
  const group = new DaemonGroup(t, url, effects.args);
  const one = await group.start('one');
  const two = await group.start('two');
  await administer(t, two, ([effect]) => (effects.done.includes(String(effect)) ? { value: 1 } : {}));
  const { sessionId } = await one.client.call('session.create', { level: 'trusted' });
  t.is(jsonOf(await executed(one, sessionId, 'let n = 41; n')), 41);
  effects.mark(kind, name);
  const executionId = 'the-cell';
  const cut = executed(one, sessionId, CELL, executionId).then(
    () => 'answered',
    () => 'cut off',
  );
  t.is(await cut, 'cut off');
  const lastSeq = one.client.events.at(-1)?.seq ?? 0;
  await arrives(two, { sessionId, afterSeq: lastSeq });
  const result = await executed(two, sessionId, CELL, executionId);
  t.deepEqual(jsonOf(result), [1, 1, 1, 1, 1, 1]);
  t.deepEqual([...effects.done].sort(), [...NAMES], 'each effect happened once');
  t.is(result.output.stdout, 'begins\nhalf\nends\n');
  t.is(jsonOf(await executed(two, sessionId, 'n + 1')), 42);
  const told = [...one.client.events, ...two.client.events].filter((event) => event.sessionId === sessionId);
  t.deepEqual(
    told.map(({ seq }) => seq),
    told.map((_, index) => index + 1),
    'events have no gap, and none comes twice',
  );
  t.is(told.flatMap((event) => (event.kind === 'output' ? event.text : [])).join(''), 'begins\nhalf\nends\n');
}
