import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { PolicyFolder } from '../harness/policy-folder.ts';
import { until } from '../harness/processes.ts';
import { CountedEffects } from './_effects.ts';
import { Moments } from './_moments.ts';
import { jsonOf, Survivor } from './_survivor.ts';

const KILLS_HOST = '"ab".repeat(1.2e8).split("")';

test.serial('what is truncated says so once', async (t) => {
  const session = await Survivor.start(t, { level: 'trusted', limits: { cellOutputBytesMax: 1000 } });
  await session.run('print("x".repeat(5000)); 1');
  const cell = session.begin('print("y".repeat(5000)); await input("q")');
  await session.asks('q');
  await session.crash();
  await session.answer('q', 'a');
  const result = await cell.result();
  t.true(result.output.truncated);
  await session.killHosts();
  await session.run('1');
  t.is(session.told.filter(({ kind }) => kind === 'output.truncated').length, 2);
  t.is(session.printed.length, 2000);
});

test.serial('a secret is kept back after a crash as before it', async (t) => {
  const policy = new PolicyFolder();
  const folder = mkdtempSync(join(tmpdir(), 'pyrepl3-secret-'));
  t.teardown(() => {
    policy.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'token'), 'hunter2hunter2', { mode: 0o600 });
  policy.edit('policy', /$/, `\nsecrets: { token: { file: ${join(folder, 'token')} } }\n`);
  policy.grant('trusted', 'secret', '{ names: [token] }');
  const session = await Survivor.start(t, { level: 'trusted' }, ['--policies', policy.path]);
  await session.run('const token = await secret("token"); print("it is", token, "hunt")');
  t.is(session.printed, 'it is [redacted:token] hunt\n');
  await session.run('print("hunt"); 0');
  const before = session.printed;
  await session.killHosts();
  await session.run('print("er"); token');
  await session.crash();
  const result = await session.run('print(token); token');
  t.is(jsonOf(result), '[redacted:token]');
  t.is(session.printed, `${before}er\n[redacted:token]\n`);
});

test.serial('timers that ended cells have left behind go on by themselves', async (t) => {
  const effects = new CountedEffects(t);
  const session = await Survivor.start(t, { level: 'trusted' }, effects.args);
  await session.run('setTimeout(() => tally("late"), 1500); 0');
  await session.crash();
  await effects.begun('late');
  await session.crash();
  t.deepEqual(
    effects.done.filter((name, index, all) => all.indexOf(name) === index),
    ['late'],
  );
});

test.serial('a cell that waits keeps its own time limit over a crash, and the session its state', async (t) => {
  const session = await Survivor.start(t);
  await session.run('let n = 1');
  const executionId = 'timed';
  const params = {
    sessionId: session.sessionId,
    executionId,
    timeoutMs: 1500,
    source: 'n = 2; await new Promise(() => 0)',
  };
  const asked = session.client.call('session.execute', params).catch(() => undefined);
  await session.event((event) => event.kind === 'execution.started' && event.executionId === executionId);
  await session.crash();
  await asked;
  const result = await session.client.call('session.execute', params);
  t.like(result, { status: 'error', error: { code: 'TIMED_OUT' } });
  t.is(jsonOf(await session.run('n')), 2);
});

test.serial('a cell that ends its host again and again is ended, and the session is as it was before it', async (t) => {
  const session = await Survivor.start(t);
  await session.run('let n = 1');
  t.like(await session.run(`n = 2; ${KILLS_HOST}`), { status: 'error', error: { code: 'HOST_CRASHED' } });
  t.is(jsonOf(await session.run('n')), 1);
  t.false(session.told.some(({ kind }) => kind === 'session.lost'));
});

test.serial('a cell that goes over its memory while it is made again ends, and nothing before it', async (t) => {
  const effects = new CountedEffects(t);
  const session = await Survivor.start(t, { level: 'trusted', limits: { heapMiBMax: 32 } }, effects.args);
  await session.run('let n = 1');
  effects.mark('after', 'a');
  const cell = session.begin(
    'n = 2; const p = tally("a"); const all = []; for (;;) all.push(new Array(10_000).fill(1.5))',
  );
  await session.died();
  await session.again();
  t.like(await cell.result(), { status: 'error', error: { code: 'MEMORY_EXCEEDED' } });
  t.is(jsonOf(await session.run('n')), 1);
});

test.serial('hosts that are killed while they make sessions again cost nobody anything', async (t) => {
  const session = await Survivor.start(t);
  await session.run(
    'let n = 0; const spin = (ms) => { for (let i = 0; i < ms * 3e4; i++) n = (n * 31 + i) | 0; return n }',
  );
  for (let i = 0; i < 4; i++) await session.run('spin(300)');
  const before = jsonOf(await session.run('n'));
  await session.killHosts();
  await session.hostGone();
  await new Promise((done) => setTimeout(done, 150));
  await session.killHosts();
  await session.hostGone();
  await session.killHosts();
  t.is(jsonOf(await session.run('n')), before);
  t.false(session.told.some(({ kind }) => kind === 'session.lost'));
});

const CHANGES = [
  ['session.close', {}],
  ['session.reset', {}],
  ['session.setLevel', { level: 'standard' }],
] as const;
for (const [method, params] of CHANGES)
  test.serial(
    `what ${method} answers is true in the next daemon, and it answers nothing before that is certain`,
    async (t) => {
      const moments = new Moments(t);
      const session = await Survivor.start(t, { level: 'trusted' }, [], [moments.preload]);
      const { sessionId } = session;
      const change = () => session.client.callAny(method, { sessionId, ...params });
      await session.run('var n = 1');
      moments.plan([{ sql: 'COMMIT', then: 'refuse' }]);
      let answered = false;
      change().then(
        () => {
          answered = true;
        },
        () => undefined,
      );
      await until(() => session.daemon.stderr.includes('sessions cannot be recorded'));
      // An answer that was on its way came before this one.
      await session.client.call('session.list', {});
      t.false(answered);
      moments.plan([]);
      await session.crash();
      t.is(jsonOf(await session.run('n')), 1, 'what was not answered has not happened');
      await change();
      if (method === 'session.close') {
        await t.throwsAsync(session.crash(), { message: /no session of that id/ });
        return;
      }
      await session.crash();
      t.is(jsonOf(await session.run('typeof n')), 'undefined');
      const { level } = await session.client.call('session.show', { sessionId });
      t.is(level, method === 'session.setLevel' ? 'standard' : 'trusted');
    },
  );
