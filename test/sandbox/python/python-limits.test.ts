import test from 'ava';
import { HostedPython } from './_hosted-python.ts';

const host = new HostedPython();
test.after.always(() => host.close());

const stopped: [what: string, source: string, limits: { cpuMs?: number; wallMs?: number }, by: string][] = [
  ['a loop', 'while True: pass', { cpuMs: 200 }, 'cpu'],
  ['a loop that catches its end once', 'try:\n  while True: pass\nexcept BaseException: pass', { cpuMs: 200 }, 'cpu'],
  ['a regular expression', 'import re\nre.match("(a+)+$", "a" * 40 + "b")', { cpuMs: 200 }, 'cpu'],
  ['a task that was left to run', 'import asyncio\nawait asyncio.sleep(60)', { wallMs: 200 }, 'wall'],
];
for (const [what, source, limits, by] of stopped) {
  test.serial(`${what} is stopped at its limit, and the session goes on as it was`, async (t) => {
    host.open(what);
    t.is(await host.value(what, 'kept = 41'), null);
    t.is(await host.value(what, source, limits), `stopped by ${by}`);
    t.is(await host.value(what, 'kept + 1'), 42);
    t.is(await host.value(what, 'import asyncio\nawait asyncio.sleep(0.001, kept)'), 41);
  });
}

test.serial('a cell that is stopped on request ends, and what it awaited is cancelled', async (t) => {
  host.open('request');
  const cell = host.start(
    'request',
    'import asyncio\nended = []\ntry:\n  print("begun")\n  await asyncio.sleep(60)\nfinally:\n  ended.append(1)',
  );
  await host.heard('output', (said) => said.cell === cell);
  host.tell({ kind: 'cell.stop', isolate: 'request', cell });
  t.deepEqual((await host.done(cell)).outcome, { status: 'stopped', by: 'request' });
  t.deepEqual(await host.value('request', 'ended'), [1]);
});

test.serial(
  'files count as memory: beyond the limit the isolate is given up, and another session answers',
  async (t) => {
    host.open('files');
    host.open('beside files');
    t.is(await host.value('beside files', '1'), 1);
    host.start('files', 'n = 0\nwhile True:\n  open(f"f{n}", "wb").write(b"x" * 2**22)\n  n += 1');
    t.is((await host.heard('isolate.lost', (said) => said.isolate === 'files')).by, 'memory');
    t.is(await host.value('beside files', '6 * 7'), 42);
  },
);

test.serial('what never looks at signals is given up as stuck, while another session answers', async (t) => {
  host.open('stuck');
  host.open('beside stuck');
  t.is(await host.value('stuck', '1'), 1);
  host.start('stuck', 'sum(range(10**12))', { cpuMs: 200 });
  t.is(await host.value('beside stuck', '6 * 7'), 42);
  t.is((await host.heard('isolate.lost', (said) => said.isolate === 'stuck')).by, 'stuck');
  t.is(await host.value('beside stuck', '6 * 7'), 42);
});

test.serial('what swallows every end is ended all the same, while another session answers', async (t) => {
  host.open('swallows');
  host.open('beside swallows');
  t.is(await host.value('swallows', '1'), 1);
  const source = 'while True:\n  try:\n    while True: pass\n  except BaseException: pass';
  const cell = host.start('swallows', source, { cpuMs: 200 });
  t.is(await host.value('beside swallows', '6 * 7'), 42);
  // A signal may come where it is not caught, between the end of one and the beginning of the next.
  const end = await Promise.race([
    host.done(cell).then(({ outcome }) => outcome.status),
    host.heard('isolate.lost', (said) => said.isolate === 'swallows').then(({ by }) => by),
  ]);
  t.true(['stopped', 'stuck'].includes(end), end);
  t.is(await host.value('beside swallows', '6 * 7'), 42);
});
