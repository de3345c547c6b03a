/** Python sessions that go on from an image: what could not be lived again, and what would take long to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Params } from '../../client/protocol.ts';
import { fillSnapshotCache } from '../harness/snapshot-cache.ts';
import { imagesOf, interrupt, returnToEach, sleep } from './_images.ts';
import { jsonOf, Survivor } from './_survivor.ts';

const cache = mkdtempSync(join(tmpdir(), 'pyrepl3-cache-'));
test.before('the snapshot of CPython is made, which every daemon finds then', async (t) => {
  t.timeout(120_000);
  await fillSnapshotCache(cache);
});
test.after.always(() => rmSync(cache, { recursive: true, force: true }));

const start = (t: ExecutionContext, params: Params<'session.create'> = {}): Promise<Survivor> =>
  Survivor.start(t, { language: 'python', ...params }, ['--cache-dir', cache]);

/** Computes for long enough that an image is worth it. */
const WORK =
  'import random\nkept = [random.random() for _ in range(3)]\ntotal = sum(i * i for i in range(3_000_000))\ntotal % 1000';

/** Computes for ever. */
const LOOP = 'n = 0\nprint("computing")\nwhile True: n += 1';

test.serial(
  'a session that was stopped in the middle of computing outlives its daemon and its host all the same',
  async (t) => {
    const session = await start(t);
    await session.run('before = [1, 2]; print("once")');
    await interrupt(session, LOOP);
    const counted = jsonOf(await session.run('before.append(n > 0); n'));
    t.true(await sleep(session));
    await session.crash();
    t.deepEqual(jsonOf(await session.run('[before, n]')), [[1, 2, true], counted]);
    await session.killHosts();
    t.deepEqual(jsonOf(await session.run('print("twice"); [before, n]')), [[1, 2, true], counted]);
    t.is(session.printed.match(/once|twice/g)?.join(), 'once,twice');
  },
);

test.serial(
  'a session wakes from its image, in a later daemon too, and goes on from there when it is lost',
  async (t) => {
    const session = await start(t);
    const first = jsonOf(await session.run(WORK));
    await session.run('def drawn(): return [random.random(), repr(object())]');
    t.true(await sleep(session));
    await session.crash();
    t.deepEqual(jsonOf(await session.run('[_, len(kept)]')), [first, 3]);
    const later = jsonOf(await session.run('later = [drawn(), drawn()]; later'));
    await session.crash();
    await session.killHosts();
    t.deepEqual(jsonOf(await session.run('later')), later);
    const info = await session.client.call('session.show', { sessionId: session.sessionId });
    t.is(info.cells, 5);
  },
);

test.serial('an image that is damaged or gone is done without', async (t) => {
  const session = await start(t);
  await session.run(WORK);
  const kept = jsonOf(await session.run('kept'));
  for (const damage of [
    'UPDATE image SET bytes = CAST(substr(bytes, 1, 5000) || zeroblob(100) || substr(bytes, 5101) AS BLOB)',
    'DELETE FROM image',
  ]) {
    t.true(await sleep(session));
    await session.crash('SIGTERM');
    await session.daemon.stop('SIGKILL');
    t.is(imagesOf(session), 1);
    imagesOf(session, (images) => images.exec(damage));
    await session.again();
    t.deepEqual(jsonOf(await session.run('kept')), kept);
  }
});

test.serial('an image that another life shows itself in by what it calls is done without', async (t) => {
  const session = await start(t, { level: 'trusted' });
  await session.run(`${WORK}\nstate = "one"`);
  t.true(await sleep(session));
  await session.crash();
  let earlier: unknown;
  imagesOf(session, (images) => {
    earlier = images.prepare('SELECT bytes FROM image').get()?.['bytes'];
  });
  await session.run(`${WORK}\nstate = "two"`);
  t.true(await sleep(session));
  await session.run('hash(state, "sha256")');
  await session.daemon.stop('SIGKILL');
  imagesOf(session, (images) => {
    images.prepare('UPDATE image SET bytes = ?').run(earlier as Uint8Array);
  });
  await session.again();
  t.is(jsonOf(await session.run('state')), 'two');
});

test.serial('what is left of the images is of use where the newest is not', async (t) => {
  const session = await start(t);
  const { sessionId } = session;
  await session.run(`${WORK}\nstate = "one"`);
  await interrupt(session, LOOP);
  await session.client.call('checkpoint.create', { sessionId, name: 'stopped' });
  await session.run(`${WORK}\nstate = "two"`);
  t.true(await sleep(session));
  await session.daemon.stop('SIGKILL');
  t.is(imagesOf(session), 2);
  imagesOf(session, (images) =>
    images.exec('UPDATE image SET bytes = substr(bytes, 1, 5000) WHERE number = (SELECT max(number) FROM image)'),
  );
  await session.again();
  t.is(jsonOf(await session.run('state')), 'two');
  await session.client.call('checkpoint.restore', { sessionId, name: 'stopped' });
  t.is(jsonOf(await session.run('state')), 'one');
});

test.serial('a session is taken back to a checkpoint of before and after a stop', async (t) => {
  const session = await start(t);
  const { sessionId } = session;
  await session.run(`${WORK}\nstate = "one"`);
  await returnToEach(t, session, () => interrupt(session, LOOP));
  const { error } = await session.client.call('session.execute', {
    ...{ sessionId, source: 'state = "five"; 1 / 0', rollbackOnError: true },
  });
  t.is(error?.name, 'ZeroDivisionError');
  t.is(jsonOf(await session.run('state')), 'one');
});

test.serial('no image of a session stays when the session is closed', async (t) => {
  const session = await start(t);
  await session.run(WORK);
  t.true(await sleep(session));
  const { sessionId, client } = session;
  await client.call('session.reset', { sessionId });
  await session.run(WORK);
  t.true(await sleep(session));
  await client.call('session.close', { sessionId });
  await session.daemon.stop('SIGTERM');
  t.is(imagesOf(session), 0);
});
