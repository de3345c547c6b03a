import test from 'ava';
import { PLATFORM, SPEC } from '../_hosted.ts';
import { RecordedLife } from '../_recorded-life.ts';
import { HostedPython } from './_hosted-python.ts';

const host = new HostedPython();
test.after.always(() => host.close());

const PROGRAM = [
  'import asyncio, datetime, os, random, secrets, time, uuid\nstart = time.time()',
  'class Point:\n  def __init__(self, x): self.x = x\np = Point(3); p',
  'print(random.random(), os.urandom(8).hex(), uuid.uuid4(), secrets.token_hex(4)); hash("text")',
  'await asyncio.sleep(0.01); [datetime.datetime.now().isoformat(), time.monotonic(), time.time() - start]',
  'ticks = []\nasync def tick():\n  for n in range(3):\n    await asyncio.sleep(0.002)\n    ticks.append(random.random())\ntask = asyncio.create_task(tick()); 0',
  'await asyncio.gather(task, asyncio.sleep(0.03)); ticks',
  'raise ValueError(random.random())',
  'sorted({"a", "b", "c"}, key=hash)',
  'list({"x", "yy", "zzz", str(random.random())})',
  'object()',
  'await asyncio.wait_for(asyncio.sleep(5), 0.01)',
];

for (const liveClock of [false, true])
  test(`a Python session can be lived again, to the last word and address, ${liveClock ? 'on a live clock' : 'in still time'}`, async (t) => {
    const platform = { ...PLATFORM, liveClock };
    const [one, other] = [`life-${liveClock}`, `copy-${liveClock}`];
    const life = new RecordedLife(host, one);
    host.open(one, { platform });
    for (const source of PROGRAM) await host.outcome(one, source);
    const { steps, openedMs } = life;
    t.true(steps.some(({ op }) => op === 'timer'));

    const copy = new RecordedLife(host, other);
    host.openAgain(other, openedMs, { ...SPEC, platform });
    host.tell({ kind: 'isolate.replay', isolate: other, steps, last: true });
    t.is((await host.heard('isolate.replayed', ({ isolate }) => isolate === other)).problem, null);
    t.deepEqual(copy.words, life.words);
    t.is(copy.words.length > PROGRAM.length, true);

    const next = '[random.random(), os.urandom(8).hex(), str(uuid.uuid4()), repr(p), repr(object()), ticks]';
    t.deepEqual(await host.value(other, next), await host.value(one, next));
  });

test('two sessions do not draw the same random numbers, and the same seed draws them again', async (t) => {
  host.open('seed-1', { seed: '1'.repeat(32) });
  host.open('seed-2', { seed: '2'.repeat(32) });
  host.open('seed-1-again', { seed: '1'.repeat(32) });
  const draw = (isolate: string) =>
    host.value(isolate, 'import os, random, uuid\n[random.random(), os.urandom(8).hex(), str(uuid.uuid4())]');
  const [one, two, again] = [await draw('seed-1'), await draw('seed-2'), await draw('seed-1-again')];
  t.deepEqual(again, one);
  t.true(Array.isArray(one) && one.every((drawn, index) => drawn !== (two as unknown[])[index]));
});
