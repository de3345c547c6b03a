import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Params } from '../../client/protocol.ts';
import { fillSnapshotCache } from '../harness/snapshot-cache.ts';
import { Survivor } from './_survivor.ts';

const jsonOf = (result: { status: string; value?: unknown }): unknown =>
  (result.value as { json?: unknown } | undefined)?.json ?? result;

const cache = mkdtempSync(join(tmpdir(), 'pyrepl3-cache-'));
test.before('the snapshot of CPython is made, which every daemon finds then', async (t) => {
  t.timeout(120_000);
  await fillSnapshotCache(cache);
});
test.after.always(() => rmSync(cache, { recursive: true, force: true }));

const start = (t: ExecutionContext, params: Params<'session.create'>): Promise<Survivor> =>
  Survivor.start(t, { language: 'python', ...params }, ['--cache-dir', cache]);

test.serial(
  'a Python session that loses its daemon after every cell comes to the same as one that does not',
  async (t) => {
    const cells = [
      'import asyncio, os, random, uuid\nn = 1',
      'class Box:\n  def __init__(self): self.v = 7\n  def next(self):\n    self.v += 1\n    return self.v\nbox = Box()',
      'def counter():\n  n = 0\n  def inc():\n    nonlocal n\n    n += 1\n    return n\n  return inc\ninc = counter()\ninc()',
      'numbers = (random.random() for _ in range(100))\nfirst = next(numbers)',
      'async def tick():\n  for _ in range(3):\n    await asyncio.sleep(0.001)\n    box.next()\ntask = asyncio.create_task(tick())\nawait task',
      'n / 0',
    ];
    const session = await start(t, {});
    for (const cell of cells) {
      await session.run(cell);
      await session.crash();
    }
    t.deepEqual(jsonOf(await session.run('[n, box.next(), inc(), task.done()]')), [1, 11, 2, true]);
    const drawn = '[first, next(numbers), random.random(), os.urandom(4).hex(), str(uuid.uuid4()), repr(object())]';
    const before = jsonOf(await session.run(drawn));
    await session.crash();
    await session.crash();
    const { cells: count } = await session.client.call('session.show', { sessionId: session.sessionId });
    t.is(count, cells.length + 2);
    t.true(Array.isArray(before) && new Set(before).size === 6);
    t.is(jsonOf(await session.run('first')), (before as unknown[])[0]);
  },
);

test.serial('a cell of Python that was in the middle of an await goes on where it was', async (t) => {
  const session = await start(t, { level: 'trusted' });
  const cell = session.begin('import asyncio\nprint("before")\nawait asyncio.sleep(1)\nprint("after")\n42');
  await session.event(({ kind }) => kind === 'output');
  await session.crash();
  const result = await cell.result();
  t.is(jsonOf(result), 42);
  t.is(result.output.stdout, 'before\nafter\n');
});

test.serial(
  'a cell that is held up by input() and time.sleep() goes on where it was when its daemon died',
  async (t) => {
    const session = await start(t, { level: 'trusted' });
    const cell = session.begin(
      'import time\ndef ask(n):\n  return [input(f"{i}? ") for i in range(n)]\nprint("before")\nanswers = ask(2)\ntime.sleep(0.5)\nprint("after")\nanswers + [hash("sha256", "abc")[:4]]',
    );
    for (const [index, text] of ['one', 'two'].entries()) {
      await session.asks(`${index}? `);
      await session.crash();
      await session.answer(`${index}? `, text);
    }
    const result = await cell.result();
    t.deepEqual(jsonOf(result), ['one', 'two', 'ba78']);
    t.is(result.output.stdout, 'before\nafter\n');
  },
);
