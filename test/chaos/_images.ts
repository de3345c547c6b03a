/** What tests of images do with a session, whatever its language. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { ExecutionContext } from 'ava';
import { jsonOf, type Survivor } from './_survivor.ts';

export const sleep = async ({ client, sessionId }: Survivor): Promise<boolean> =>
  (await client.call('session.hibernate', { sessionId })).hibernated;

/** How many images the journal has; `change` is made to them first. */
export function imagesOf(session: Survivor, change: (images: DatabaseSync) => void = () => undefined): number {
  const database = new DatabaseSync(join(session.stateDir, 'durable.sqlite'));
  try {
    change(database);
    return Number(database.prepare('SELECT count(*) AS images FROM image').get()?.['images']);
  } finally {
    database.close();
  }
}

/** Ends a cell in the middle of what it computes, which nobody can do twice in the same way. It says that it is computing. */
export async function interrupt(session: Survivor, source: string): Promise<void> {
  const cell = session.begin(source);
  await session.event((event) => event.kind === 'output' && event.text.includes('computing'));
  await session.client.call('session.interrupt', { sessionId: session.sessionId });
  const { status, error } = await cell.result();
  if (status !== 'error' || error?.code !== 'INTERRUPTED') throw new Error(JSON.stringify(error));
}

/** Takes a session whose variable `state` is "one" to checkpoints before and after a stop, the oldest last. */
export async function returnToEach(t: ExecutionContext, session: Survivor, stop: () => Promise<void>): Promise<void> {
  const { sessionId } = session;
  const create = (name: string) => session.client.call('checkpoint.create', { sessionId, name });
  await create('one');
  await session.run('state = "two"');
  await create('two');
  await stop();
  await session.run('state = "three"');
  await create('three');
  await session.run('state = "four"');
  for (const name of ['three', 'two', 'one']) {
    await session.client.call('checkpoint.restore', { sessionId, name });
    t.is(jsonOf(await session.run('state')), name);
    await session.crash();
    t.is(jsonOf(await session.run('state')), name);
  }
}
