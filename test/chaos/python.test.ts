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
  'a cell that is held up by input() and time.sleep() goes on where it was when its host and its daemon died',
  async (t) => {
    const session = await start(t, { level: 'trusted' });
    const cell = session.begin(
      'import time\ndef ask(n):\n  return [input(f"{i}? ") for i in range(n)]\nprint("before")\nanswers = ask(2)\ntime.sleep(0.5)\nprint("after")\nanswers + [hash("sha256", "abc")[:4]]',
    );
    for (const [index, text] of ['one', 'two'].entries()) {
      await session.asks(`${index}? `);
      await session.killHosts();
      await session.hostGone();
      await session.crash();
      await session.answer(`${index}? `, text);
    }
    const result = await cell.result();
    t.deepEqual(jsonOf(result), ['one', 'two', 'ba78']);
    t.is(result.output.stdout, 'before\nafter\n');
  },
);

/** Twenty cells of all sorts; those that call something outside do it through the isolate. */
const PROGRAM: readonly string[] = [
  'import js, asyncio, collections, dataclasses, functools, json, random, re, uuid\nnotes = []',
  'digest = await js.hash("sha256", "abc")\nnotes.append(str(digest)[:8])',
  '@dataclasses.dataclass\nclass Point:\n  x: int\n  y: int = 0\n  def moved(self, by): return Point(self.x + by, self.y - by)\np = Point(1)',
  'p = functools.reduce(Point.moved, range(5), p)',
  'def fib():\n  a, b = 0, 1\n  while True:\n    yield a\n    a, b = b, a + b\nfibs = fib()\n[next(fibs) for _ in range(10)]',
  'drawn = [random.random() for _ in range(3)]\nname = str(uuid.uuid4())',
  'both = await asyncio.gather(js.hash("sha256", "a"), js.hash("sha256", "b"))\nnotes.extend(str(one)[:8] for one in both)',
  'async def worker(queue):\n  while True:\n    notes.append(await queue.get())\nqueue = asyncio.Queue()\ntask = asyncio.create_task(worker(queue))',
  'queue.put_nowait("one")\nawait asyncio.sleep(0.001)',
  '1 / 0',
  'try:\n  js.missing\nexcept AttributeError as error:\n  notes.append(type(error).__name__)',
  'open("/tmp/kept.txt", "w").write("text " * 3)',
  'text = open("/tmp/kept.txt").read()\nwords = collections.Counter(text.split())',
  '[*map(next, [fibs] * 3)]',
  'await asyncio.sleep(0.005)\nqueue.put_nowait("two")\nawait asyncio.sleep(0)',
  'def outer():\n  count = 0\n  def inner():\n    nonlocal count\n    count += 1\n    return count\n  return inner\ncounted = outer()\ncounted()',
  'pattern = re.compile(r"(\\w)\\1")\ndoubled = pattern.findall("aabbcd")',
  'del p.y\ncounted()',
  'match drawn:\n  case [first, *rest]: pass',
  'last = await js.hash("sha256", json.dumps([first, name]))\nnotes.append(str(last)[:8])',
];

test.serial(
  'twenty cells with calls come to the same namespace, undisturbed or with the daemon killed after each of them',
  async (t) => {
    // Each session draws random values of its own: what they come to is compared, where they are not the same.
    const told =
      '[notes[:-1], repr(p) if "y" in vars(p) else vars(p), next(fibs), len(set(drawn)), len(name), both == both and len(notes), task.done(), text, dict(words), counted(), doubled, len(rest), first == drawn[0]]';
    const ends: unknown[] = [];
    const names: unknown[] = [];
    for (const disturbed of [false, true]) {
      const session = await start(t, { level: 'standard' });
      t.timeout(300_000);
      const results: unknown[] = [];
      for (const cell of PROGRAM) {
        const { status, error } = await session.run(cell);
        results.push([status, error?.name]);
        if (disturbed) await session.crash();
      }
      const { sessionId } = session;
      const listed = await session.client.call('namespace.list', { sessionId });
      names.push(listed.names.map(({ name, kind, type }) => [name, kind, type]));
      ends.push([results, jsonOf(await session.run(told))]);
      if (disturbed) {
        // What was drawn is what it was before the last time that the session was made again.
        const before = jsonOf(await session.run('[drawn, name, str(last)]'));
        await session.crash();
        t.deepEqual(jsonOf(await session.run('[drawn, name, str(last)]')), before);
      }
    }
    t.true(Array.isArray((ends[0] as unknown[])[1]), JSON.stringify(ends[0]));
    t.deepEqual(ends[1], ends[0]);
    t.deepEqual(names[1], names[0]);
    t.true((names[0] as unknown[]).length > 20);
  },
);
