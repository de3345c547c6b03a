/** A session that uses its key-value store in three daemons, one after another. */
import type { ExecutionContext } from 'ava';
import { arrives, DaemonGroup, executed } from './_daemon-group.ts';
import { jsonOf } from './_survivor.ts';

export async function keptInWhateverDaemon(t: ExecutionContext, url: string): Promise<void> {
  const group = new DaemonGroup(t, url);
  const [one, two] = [await group.start('one'), await group.start('two')];
  const { sessionId } = await one.client.call('session.create', { level: 'standard' });
  const { sessionId: other } = await two.client.call('session.create', { level: 'standard' });
  // Often enough for its log to begin anew.
  const source = `
    for (let i = 0; i < 700; i++) await kv.set("key " + i % 10, { i });
    print("written");
    await input("go on?");
    await kv.set("key 3", "last");
    await kv.delete("key 4");
    [await kv.get("key 3"), (await kv.entry("key 4")) ?? null, await kv.entry("key 9"), (await kv.list()).keys.length]`;
  void executed(one, sessionId, source, 'cell').catch(() => undefined);
  const asked = await one.client.event(({ kind }) => kind === 'input.requested');
  const requestId = asked.kind === 'input.requested' ? asked.requestId : '';
  await one.daemon.stop('SIGKILL');
  await arrives(two, { sessionId });
  await two.client.call('input.answer', { sessionId, requestId, text: 'yes' });
  const ended = jsonOf(await executed(two, sessionId, source, 'cell'));
  t.deepEqual(ended, ['last', null, { value: { i: 699 }, version: 70 }, 9]);
  t.is(jsonOf(await executed(two, other, '(await kv.list()).keys.length')), 0, 'and nothing of it in another session');
  const three = await group.start('three');
  await two.daemon.stop();
  await arrives(three, { sessionId });
  t.is(jsonOf(await executed(three, sessionId, 'await kv.get("key 3")')), 'last');
}
