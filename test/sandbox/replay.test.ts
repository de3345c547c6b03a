import test from 'ava';
import type { IsolateSpec } from '../../sandbox/protocol.ts';
import { Hosted, PLATFORM, SPEC } from './_hosted.ts';
import { RecordedLife } from './_recorded-life.ts';

const host = new Hosted();
test.after.always(() => host.close());

const LIVE: Partial<IsolateSpec> = { platform: { ...PLATFORM, liveClock: true }, liveRandom: true };

function recorded(name: string, spec: Partial<IsolateSpec> = {}): RecordedLife {
  const life = new RecordedLife(host, name);
  host.open(name, spec);
  return life;
}

/** Makes the life again in another isolate; answers that one, and what went otherwise. */
async function again(life: RecordedLife, spec: Partial<IsolateSpec> = {}, steps = life.steps) {
  const name = `${life.isolate}-again`;
  const copy = new RecordedLife(host, name);
  host.tell({ kind: 'isolate.open', isolate: name, spec: { ...SPEC, ...spec }, openedMs: life.openedMs });
  const middle = Math.floor(steps.length / 2);
  host.tell({ kind: 'isolate.replay', isolate: name, steps: steps.slice(0, middle), last: false });
  host.tell({ kind: 'isolate.replay', isolate: name, steps: steps.slice(middle), last: true });
  const { problem } = await host.heard('isolate.replayed', (said) => said.isolate === name);
  return { copy, problem };
}

/** Texts that were printed, joined: where they were cut depends on time. */
function joined(words: readonly unknown[]): unknown {
  const rest = words.filter((word) => !('stdout' in (word as object)));
  const printed = words.map((word) => (word as { stdout?: string }).stdout ?? '').join('');
  return { rest, printed };
}

const PROGRAM = [
  'let total = 0; const start = Date.now(); function add(n) { total += n; return total }',
  'class Box { #held = 1; get held() { return this.#held++ } } const box = new Box(); box.held',
  'console.log(add(2), Math.random(), crypto.randomUUID(), performance.now()); [Math.random(), Date.now() - start]',
  'await new Promise((done) => setTimeout(done, 5)); console.log(new Date().toISOString()); add(3)',
  'let ticks = 0; const ticker = setInterval(() => { if (++ticks === 3) clearInterval(ticker); print(ticks, Math.random()) }, 2); 0',
  'await new Promise((done) => setTimeout(done, 20)); ticks',
  'throw new Error(`no ${Math.random()}`)',
  'const answer = await input("one"); print(answer); [answer, await input("two")]',
  'await Promise.race([input("slow"), input("fast")])',
];

for (const [kind, spec] of [
  ['still clock and seeded randomness', {}],
  ['live clock and live randomness', LIVE],
] as const) {
  test.serial(`a life with a ${kind} can be lived again, to the last word`, async (t) => {
    const name = kind.slice(0, 4);
    const life = recorded(name, spec);
    // The second of two questions is answered before the first, so the order of the answers matters.
    const answered = new Set<number>();
    host.onSaid = () => {
      for (const { call, argsJson } of life.said('call')) {
        if (answered.has(call) || argsJson === '["slow"]') continue;
        answered.add(call);
        host.tell({ kind: 'call.settle', isolate: name, call, ok: true, json: JSON.stringify(argsJson) });
      }
    };
    for (const source of PROGRAM) await host.run(name, source);
    host.onSaid = () => undefined;
    host.tell({ kind: 'call.settle', isolate: name, call: 3, ok: false, json: '{"code":"TIMED_OUT"}' });
    await host.ask(name, { about: 'namespace.set', valuesJson: '{"total":40}' });
    await host.ask(name, { about: 'complete', source: 'tot', cursor: 3 });
    await host.run(name, 'add(2)');
    const { copy, problem } = await again(life, spec);
    t.is(problem, null);
    t.deepEqual(joined(copy.words), joined(life.words));
    t.deepEqual(copy.records, [], 'nothing of it is told again');
    const cell = (await host.run(copy.isolate, '[add(1), box.held, ticks, typeof answer]')).outcome;
    t.deepEqual(cell, { status: 'value', json: '[43,2,3,"string"]' });
    t.is(copy.records.length, 1, 'and what is new is');
  });
}

test.serial('a cell that was in the middle of an await goes on, and so do its timers', async (t) => {
  const life = recorded('middle');
  host.start(
    'middle',
    'print("a"); const given = await input("?"); print(given); await new Promise((r) => setTimeout(r, 5)); given',
  );
  const { call } = await host.heard('call', (said) => said.isolate === 'middle');
  const { copy, problem } = await again(life);
  t.is(problem, null);
  t.is(copy.said('call')[0]?.call, call);
  host.tell({ kind: 'call.settle', isolate: copy.isolate, call, ok: true, json: '"b"' });
  const { outcome } = await host.heard('cell.done', (said) => said.isolate === copy.isolate);
  t.deepEqual(outcome, { status: 'value', json: '"b"' });
});

test.serial('a timer that was due while nobody was there fires at once, in its order', async (t) => {
  const life = recorded('due');
  await host.run(
    'due',
    'let fired = []; setTimeout(() => fired.push("late"), 60_000); setTimeout(() => fired.push("soon"), 30_000); 0',
  );
  const steps = life.steps.map((step) => ('nowMs' in step ? { ...step, nowMs: step.nowMs - 120_000 } : step));
  const { copy } = await again(life, {}, steps);
  await host.run(copy.isolate, 'await new Promise((r) => setTimeout(r, 20))');
  const { outcome } = await host.run(copy.isolate, 'fired');
  t.deepEqual(outcome, { status: 'value', json: '["soon","late"]' });
});

test.serial('a cell that was given up while it waited is given up again', async (t) => {
  const life = recorded('given-up');
  const cell = host.start('given-up', 'let before = 1; await input("?"); before = 2');
  await host.heard('call', (said) => said.isolate === 'given-up');
  // Waits behind the entry that made the call.
  await host.ask('given-up', { about: 'namespace.list' });
  host.tell({ kind: 'cell.stop', isolate: 'given-up', cell });
  await host.done(cell);
  await host.run('given-up', 'before += 10');
  t.false(life.records.some(({ op }) => op === 'torn'));
  const { copy, problem } = await again(life);
  t.is(problem, null);
  t.deepEqual((await host.run(copy.isolate, 'before')).outcome, { status: 'value', json: '11' });
});

test.serial('a cell that waits is stopped without a tear, also while a question is answered', async (t) => {
  const life = recorded('asked');
  const cell = host.start('asked', 'let n = 1; await new Promise(() => 0)');
  await host.ask('asked', { about: 'namespace.list' });
  host.tell({ kind: 'ask', isolate: 'asked', id: 1_000_000, question: { about: 'namespace.list' } });
  host.tell({ kind: 'cell.stop', isolate: 'asked', cell });
  t.like((await host.done(cell)).outcome, { status: 'stopped' });
  t.false(life.records.some(({ op }) => op === 'torn'));
  t.is((await again(life)).problem, null);
});

test.serial('code that was ended in the middle is told as torn', async (t) => {
  const life = recorded('torn');
  await host.run('torn', 'let n = 0; for (;;) n++', { cpuMs: 50 });
  t.true(life.records.some(({ op }) => op === 'torn'));
});

test.serial('a life that goes otherwise is told as such, and by whom', async (t) => {
  const life = recorded('other');
  await host.run('other', 'let x = 1');
  await host.run('other', 'x');
  const [first, second] = life.steps;
  const changed = { ...first, source: 'await input("never answered")' } as typeof first;
  const { problem } = await again(life, {}, [changed, second] as typeof life.steps);
  t.regex(problem ?? '', /cell \d+ began when the one before it had not ended/);
});

test.serial('an entry is told before anything that it caused, and quiet entries are told in the end', async (t) => {
  const life = recorded('quiet');
  await host.run('quiet', 'setInterval(() => {}, 1); 0');
  await host.heard('isolate.lived', (said) => said.isolate === 'quiet' && said.records.length >= 256);
  const kinds = host.said.filter((said) => 'isolate' in said && said.isolate === 'quiet').map(({ kind }) => kind);
  t.is(kinds[0], 'isolate.lived');
  t.true(kinds.indexOf('cell.done') > 0);
  host.tell({ kind: 'isolate.dispose', isolate: 'quiet' });
  t.is(life.records[0]?.op, 'open');
});
