import test, { type ExecutionContext } from 'ava';
import type { IsolateImage } from '../../../sandbox/protocol.ts';
import { PLATFORM, SPEC } from '../_hosted.ts';
import { RecordedLife } from '../_recorded-life.ts';
import { HostedPython } from './_hosted-python.ts';

const host = new HostedPython();
test.after.always(() => host.close());

/** How the next isolate goes on from where the recorded one is. */
async function imageFor(t: ExecutionContext, life: RecordedLife): Promise<IsolateImage> {
  const { image, refused, since } = await host.imageOf(life.isolate);
  t.deepEqual([refused, since], ['', 0]);
  const entries = life.records.filter(({ op }) => op !== 'open' && op !== 'reads' && op !== 'torn').length;
  return { image: image as string, entries, cells: [] };
}

const replayed = async (isolate: string): Promise<string | null> =>
  (await host.heard('isolate.replayed', (said) => said.isolate === isolate)).problem;

const PROGRAM = [
  'import asyncio, os, random, sys, time, uuid\nclass Point:\n  def __init__(self, x): self.x = x\np = Point(3); p.x',
  'def counter():\n  n = 0\n  def inc():\n    nonlocal n\n    n += 1\n    return n\n  return inc\ninc = counter(); inc()',
  'squares = (i * i for i in range(10)); [next(squares), next(squares)]',
  'os.mkdir("/tmp/d"); os.chdir("/tmp/d")\nwith open("bytes", "wb") as f: f.write(b"x" * 5000)\nopen("../text", "w").write("text"); os.symlink("/tmp/text", "link"); os.utime("bytes", (1, 2)); times = [os.lstat(name).st_mtime for name in (".", "link")]',
  'event = asyncio.Event()\nasync def wait():\n  await event.wait()\n  return 5\ntask = asyncio.create_task(wait()); 0',
  'sys.path.append("/tmp/d"); big = list(range(50_000)); random.seed(7); drawn = random.random(); 41',
  'await asyncio.sleep(0.002); print("said"); 42',
];
const AFTER = [
  '[_, __, p.x, inc(), next(squares), sum(big), drawn]',
  '[os.getcwd(), sorted(os.listdir("/tmp")), open("bytes", "rb").read()[-3:].hex(), open("link").read(), os.stat("bytes").st_mtime, times == [os.lstat(name).st_mtime for name in (".", "link")]]',
  'event.set(); [await task, sys.path, sys.excepthook.__name__]',
  'await asyncio.gather(asyncio.sleep(0.002), asyncio.sleep(0.004)); [random.random(), os.urandom(4).hex(), str(uuid.uuid4()), time.monotonic()]',
  'print("more"); 1 / 0',
  '[repr(object()), repr(p), list({Point(1), Point(2)})[0].x]',
];

for (const liveClock of [false, true])
  test(`a session goes on from its image, and whatever is lived after it can be lived again to the last address, ${liveClock ? 'with a live clock' : 'in still time'}`, async (t) => {
    t.timeout(60_000);
    const platform = { ...PLATFORM, liveClock };
    const [one, two, three] = ['first', 'next', 'again'].map((name) => `${name}-${liveClock}`) as [
      string,
      string,
      string,
    ];
    const first = new RecordedLife(host, one);
    host.open(one, { platform });
    for (const source of PROGRAM) await host.outcome(one, source);
    const image = await imageFor(t, first);
    const spec = { ...SPEC, platform, heapMiB: 32, capabilities: [], patient: [] };

    const next = new RecordedLife(host, two);
    host.tell({ kind: 'isolate.open', isolate: two, spec, openedMs: first.openedMs, image });
    host.tell({ kind: 'isolate.replay', isolate: two, steps: [], last: true });
    t.is(await replayed(two), null);
    for (const source of AFTER) await host.outcome(two, source);
    t.deepEqual(await host.value(two, '[inc(), next(squares), task.done()]'), [3, 9, true]);

    const again = new RecordedLife(host, three);
    host.tell({ kind: 'isolate.open', isolate: three, spec, openedMs: first.openedMs, image });
    host.tell({ kind: 'isolate.replay', isolate: three, steps: next.steps, last: true });
    t.is(await replayed(three), null);
    t.deepEqual(again.words, next.words);
    const [values] = next.said('cell.done');
    t.deepEqual(values?.outcome.status === 'value' && JSON.parse(values.outcome.json).slice(0, 5), [42, 41, 3, 2, 4]);
    const moment = 'import time; started = time.time(); [time.time() >= started, started > 1e9]';
    t.deepEqual(await host.value(three, moment), [true, true]);
    t.true(await host.value(three, 'times == [os.lstat(name).st_mtime for name in (".", "link")]'));
    t.is((await host.imageOf(three)).refused, '');
  });

test('what cannot be in an image is refused, with the reason, and the session goes on', async (t) => {
  host.open('refusing');
  const refusal = async (source: string): Promise<string> => {
    await host.outcome('refusing', source);
    const { image, refused } = await host.imageOf('refusing');
    t.true(image === null);
    return refused;
  };
  t.is(await refusal('f = open("/tmp/open", "w"); 0'), 'a file is open');
  t.is(
    await refusal('import asyncio\nf.close()\nlater = asyncio.create_task(asyncio.sleep(60))\nawait asyncio.sleep(0)'),
    'something of it is under way',
  );
  await host.outcome('refusing', 'later.cancel()\nawait asyncio.sleep(0)');
  t.is((await host.imageOf('refusing')).refused, '');
  t.is(await refusal('import js; 0'), 'it has used what JavaScript’s side of the isolate holds');
  t.is(await host.value('refusing', '"js" in globals() and later.cancelled()'), true);
});

test('an image that is of another version, or damaged, is no way to make a session', async (t) => {
  host.open('sound');
  await host.outcome('sound', 'x = 1');
  const { image } = await host.imageOf('sound');
  const bytes = Buffer.from(image as string, 'base64');
  const damaged = Buffer.concat([bytes.subarray(0, 200), Buffer.alloc(100), bytes.subarray(300)]);
  for (const [index, wrong] of [Buffer.from(`x${bytes.toString('latin1')}`, 'latin1'), damaged].entries()) {
    const isolate = `wrong-${index}`;
    host.tell({
      ...{ kind: 'isolate.open', isolate, spec: SPEC, openedMs: 1 },
      image: { image: wrong.toString('base64'), entries: 1, cells: [] },
    });
    t.is(await replayed(isolate), 'its image is of another version, or damaged');
  }
});
