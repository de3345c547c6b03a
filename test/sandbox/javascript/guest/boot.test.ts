import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';

const PLATFORM = { liveClock: false, webAssembly: false, sharedMemory: false, resizableBuffers: false };
const SESSION = {
  seed: '00112233445566778899aabbccddeeff',
  nowMs: 1000,
  outputs: ['console', 'print', 'display', 'log'],
  capabilities: ['input'],
  patient: [],
  valueBytesMax: 200,
  pendingCallsMax: 2,
};

type Entry = readonly [operation: string, ...args: unknown[]];
type Sent = readonly [kind: string, ...args: unknown[]];

/** A guest in a thread: `enter` gives the answers to its entries and what was sent meanwhile. */
class Guest {
  readonly #worker = new Worker(new URL('./guest-worker.ts', import.meta.url), { execArgv: [] });
  #cell = 0;

  static async open(
    t: ExecutionContext,
    platform: object = {},
    session: object = {},
    prepared: readonly string[] = [],
  ): Promise<Guest> {
    const guest = new Guest();
    t.teardown(() => guest.#worker.terminate());
    await guest.enter(['install', JSON.stringify({ platform: { ...PLATFORM, ...platform }, capabilities: prepared })]);
    await guest.enter(['open', JSON.stringify({ ...SESSION, ...session })]);
    return guest;
  }

  async enter(...entries: Entry[]): Promise<{ answers: string[]; sent: Sent[] }> {
    this.#worker.postMessage(entries.map(([operation, ...args]) => [operation, 2000, '', ...args]));
    const [reply] = await once(this.#worker, 'message');
    return reply;
  }

  /** A cell's outcome, or undefined while it awaits something, and what it sent. */
  async run(source: string, { shape = 'direct', declared = '', outputMax = 1000 } = {}) {
    const { answers, sent } = await this.enter(['run', ++this.#cell, shape, outputMax, declared, source]);
    const done = sent.find(([kind]) => kind === 'done')?.[2] as string | undefined;
    const text = answers[0] === '' ? done : answers[0];
    return { outcome: text === undefined ? undefined : JSON.parse(text), sent };
  }
}

const value = (json: unknown) => ({ status: 'value', json: JSON.stringify(json) });

test('a cell leaves as JSON where it is JSON and fits, otherwise as a preview', async (t) => {
  const guest = await Guest.open(t);
  t.deepEqual((await guest.run('({ a: [1, "x"] })')).outcome, value({ a: [1, 'x'] }));
  t.like((await guest.run('new Map([[1, 2]])')).outcome, { status: 'preview', type: 'Map', text: 'Map(1) { 1 => 2 }' });
  t.like((await guest.run('new (class Foo {})')).outcome, { type: 'Foo' });
  t.like((await guest.run('Object.create(null)')).outcome, value({}));
  t.like((await guest.run('Object.create(null, { f: { value() {}, enumerable: true } })')).outcome, { type: 'Object' });
  t.like((await guest.run('new Proxy({}, { getPrototypeOf() { throw 1 } })')).outcome, {
    status: 'preview',
    type: 'object',
  });
  t.like((await guest.run("'x'.repeat(500)")).outcome, { status: 'preview', type: 'string' });
  t.like((await guest.run('undefined')).outcome, { type: 'undefined' });
});

test('what a cell throws is described', async (t) => {
  const guest = await Guest.open(t);
  t.like((await guest.run('null.x')).outcome, {
    status: 'error',
    error: { code: 'RUNTIME_ERROR', name: 'TypeError', thrownType: 'object' },
  });
  t.like((await guest.run("throw new AggregateError([new Error('a')], 'm', { cause: new Error('c') })")).outcome, {
    error: { name: 'AggregateError', message: 'm' },
  });
  t.like((await guest.run('throw 5')).outcome, { error: { name: null, message: '5', thrownType: 'number' } });
});

test('a cell that awaits answers later, by a message of its own', async (t) => {
  const guest = await Guest.open(t);
  t.deepEqual((await guest.run('Promise.resolve(7)')).outcome, value(7));
  t.deepEqual(
    (await guest.run('(async () => ({ __proto__: null, value: Promise.resolve(8) }))()', { shape: 'async' })).outcome,
    value(8),
  );
  t.deepEqual((await guest.run('(() => ({ __proto__: null, value: 9 }))()', { shape: 'boxed' })).outcome, value(9));
  t.like((await guest.run('Promise.reject(new RangeError("late"))')).outcome, {
    status: 'error',
    error: { name: 'RangeError' },
  });
  t.is((await guest.run('new Promise((resolve) => { globalThis.later = resolve })')).outcome, undefined);
  const { sent } = await guest.enter(['abandon'], ['run', 90, 'direct', 1000, '', 'later(1); 2']);
  t.false(
    sent.some(([kind]) => kind === 'done'),
    'what was given up says nothing more',
  );
});

test('the outcome of a cell can be collected again, and only its own', async (t) => {
  const guest = await Guest.open(t);
  const { answers } = await guest.enter(
    ['run', 5, 'direct', 1000, '', '1'],
    ['collect', 5],
    ['collect', 4],
    ['unknown'],
    ['constructor'],
  );
  t.deepEqual([answers[1] === answers[0], ...answers.slice(2)], [true, '', '', '']);
});

test('a cell is awaited though Promise.prototype.then and constructor are poisoned', async (t) => {
  const guest = await Guest.open(t);
  await guest.run('Promise.prototype.then = () => { throw 1 }; Promise.prototype.constructor = null; 1');
  t.deepEqual((await guest.run('(async () => 5)()')).outcome, value(5));
});

test('names are declared before a cell, constant after it, and shadow what was there', async (t) => {
  const guest = await Guest.open(t);
  await guest.run('a = 1; b = 2; Map = 3; tool = 4', { declared: 'let a,const b,var Map,helper tool' });
  t.like((await guest.run("'use strict'; b = 5")).outcome, { error: { name: 'TypeError' } });
  t.deepEqual((await guest.run('b = 6; b', { declared: 'const b' })).outcome, value(6));
  await guest.run('loose = 1');
  const list = JSON.parse((await guest.enter(['list'])).answers[0] ?? '') as { name: string; kind: string }[];
  t.deepEqual(list.map(({ name, kind }) => `${kind} ${name}`).sort(), ['const b', 'let a', 'value loose', 'var Map']);
});

test('the last three results are kept until the guest takes their names', async (t) => {
  const guest = await Guest.open(t);
  for (const source of ['1', '2', 'undefined', '3']) await guest.run(source);
  t.deepEqual((await guest.run('[_, __, ___]')).outcome, value([3, 2, 1]));
  await guest.run('_ = 9');
  t.deepEqual((await guest.run('[_, __]')).outcome, value([9, [3, 2, 1]]));
});

test('questions follow data properties and call nothing', async (t) => {
  const guest = await Guest.open(t);
  await guest.run(
    'var called = 0; var o = { alpha: { beta: 1 }, get bad() { called++; return 1 } }; function fn(a) { return a } var s = "text"',
  );
  const ask = async (...entry: Entry) => (await guest.enter(entry)).answers[0] ?? '';
  t.deepEqual(JSON.parse(await ask('complete', '["o","al"]')), ['alpha']);
  t.deepEqual(JSON.parse(await ask('complete', '["o","bad",""]')), []);
  t.deepEqual(JSON.parse(await ask('complete', '["missing","x",""]')), []);
  t.true(JSON.parse(await ask('complete', '["s","char"]')).includes('charAt'));
  t.regex(await ask('inspect', '["fn"]'), /function fn\(a\) \{ return a \}/);
  t.is(await ask('inspect', '["o","alpha","beta"]'), 'number: 1');
  t.is(await ask('inspect', '["o","bad"]'), '');
  t.deepEqual(JSON.parse(await ask('get', 's')), value('text'));
  t.is(await ask('get', 'missing'), '');
  t.deepEqual(JSON.parse(await ask('set', '{"put":1,"__proto__x":2}')), ['put', '__proto__x']);
  t.deepEqual(JSON.parse(await ask('delete', '["put","missing","Array"]')), ['put']);
  t.true(JSON.parse(await ask('names')).length > 0);
  t.deepEqual((await guest.run('called')).outcome, value(0));
});

test('a granted function leaves as a message, and its promise settles with the answer', async (t) => {
  const guest = await Guest.open(t);
  const asked = await guest.run("input('a', { b: [1] }, undefined)");
  t.deepEqual(
    asked.sent.find(([kind]) => kind === 'call'),
    ['call', 1, 'input', '["a",{"b":[1]}]', '', 1],
  );
  t.deepEqual(
    (await guest.enter(['settle', 1, 1, '{"then":1}'])).sent.find(([kind]) => kind === 'done')?.[2],
    JSON.stringify(value({ then: 1 })),
  );
  await guest.run('input()');
  const denied = JSON.stringify({ code: 'CAPABILITY_DENIED', name: 'CapabilityDenied', message: 'no' });
  const { sent } = await guest.enter(['settle', 2, 0, denied], ['settle', 2, 1, '1'], ['settle', 99, 1, '1']);
  t.like(JSON.parse(sent.find(([kind]) => kind === 'done')?.[2] as string), {
    error: { code: 'CAPABILITY_DENIED', capability: 'input' },
  });
});

test('calls that cannot be sent are refused in words', async (t) => {
  const guest = await Guest.open(t);
  t.like((await guest.run('input(() => 1)')).outcome, {
    error: { name: 'TypeError', message: 'Argument 1 of input() must be plain JSON data.' },
  });
  t.like((await guest.run("input('x'.repeat(3e7))")).outcome, { error: { name: 'RangeError' } });
  t.like((await guest.run('input(undefined, 1); input(); input()')).outcome, {
    error: { name: 'RangeError', message: 'Too many calls are waiting for an answer: at most 2 at once.' },
  });
});

test('a withdrawn capability rejects, and a name that something else has is not given', async (t) => {
  const guest = await Guest.open(t);
  const grant = (...capabilities: string[]): Entry => ['grant', JSON.stringify({ capabilities, patient: [] }), '[]'];
  await guest.enter(grant());
  t.like((await guest.run('input()')).outcome, { error: { code: 'CAPABILITY_DENIED', capability: 'input' } });
  await guest.run("Object.defineProperty(globalThis, 'taken', { value: 1 })");
  const { sent } = await guest.enter(grant('input', 'taken', 'free', 'Array'));
  t.deepEqual(sent, [['refused', 'taken,Array']]);
  t.deepEqual((await guest.run('[taken, typeof free, typeof Array]')).outcome, value([1, 'function', 'function']));
});

test('what was prepared exists once it is granted, and not before', async (t) => {
  const guest = await Guest.open(t, {}, { capabilities: ['input', 'fetch'] }, ['input', 'kv', 'mine']);
  const there = '[typeof input, typeof fetch, typeof kv, typeof mine]';
  t.deepEqual((await guest.run(there)).outcome, value(['function', 'function', 'undefined', 'undefined']));
  await guest.enter(['grant', JSON.stringify({ capabilities: ['kv', 'mine'], patient: [] }), '[]']);
  t.deepEqual((await guest.run(there)).outcome, value(['function', 'function', 'object', 'function']));
});

test('an answer that cannot be read rejects its call, and the session goes on', async (t) => {
  const guest = await Guest.open(t);
  for (const [call, text] of ['', '{', 'null', '5'].entries()) {
    await guest.run('input()');
    const { answers, sent } = await guest.enter(['settle', call + 1, 0, text]);
    t.deepEqual(answers, ['']);
    t.like(JSON.parse(sent.find(([kind]) => kind === 'done')?.[2] as string), { error: { capability: 'input' } }, text);
  }
});

test('output is gathered, kept in order over both streams, and cut where the limit is', async (t) => {
  const guest = await Guest.open(t);
  // How often it leaves depends on the time; what leaves does not.
  const out = (sent: readonly Sent[]): Sent[] => {
    const merged: Sent[] = [];
    for (const message of sent.filter(([kind]) => kind === 'out' || kind === 'truncated')) {
      const last = merged.at(-1);
      if (last?.[0] === 'out' && last[1] === message[1])
        merged.splice(-1, 1, ['out', last[1], `${last[2]}${message[2]}`]);
      else merged.push(message);
    }
    return merged;
  };
  t.deepEqual(out((await guest.run("console.log('a'); console.log('b'); console.error('c'); print('d')")).sent), [
    ['out', 'stdout', 'a\nb\n'],
    ['out', 'stderr', 'c\n'],
    ['out', 'stdout', 'd\n'],
  ]);
  const { sent } = await guest.run("console.log('x'.repeat(50)); console.log('more'); display(1); log('w')", {
    outputMax: 10,
  });
  t.deepEqual(out(sent), [['out', 'stdout', 'xxxxxxxxxx'], ['truncated']]);
  t.false(sent.some(([kind]) => kind === 'display' || kind === 'log'));
  t.deepEqual(out((await guest.run("console.log('again')")).sent), [['out', 'stdout', 'again\n']]);
  t.is(
    out(
      (await guest.run("for (let i = 0; i < 300; i++) console.log('x'.repeat(100))", { outputMax: 1e6 })).sent,
    ).reduce((sum, [, , text]) => sum + String(text).length, 0),
    30_300,
  );
});

test('display shows bundles, values that show themselves, JSON and everything else', async (t) => {
  const guest = await Guest.open(t);
  const shown = async (source: string) => {
    const { sent, outcome } = await guest.run(`display(${source}); 1`);
    const json = sent.find(([kind]) => kind === 'display')?.[1];
    return json === undefined ? outcome : JSON.parse(json as string);
  };
  t.deepEqual(await shown("{ 'text/html': '<b>', 'text/plain': 'b' }"), { 'text/html': '<b>', 'text/plain': 'b' });
  t.deepEqual(await shown("{ 'text/html': '<b>' }"), { 'text/plain': "{ 'text/html': '<b>' }", 'text/html': '<b>' });
  t.deepEqual(await shown("{ [Symbol.for('Jupyter.display')]: () => ({ 'text/plain': 'own' }) }"), {
    'text/plain': 'own',
  });
  t.deepEqual(await shown('[1]'), { 'text/plain': '[ 1 ]', 'application/json': [1] });
  t.deepEqual(await shown('new Map()'), { 'text/plain': 'Map(0) {}' });
  t.deepEqual(await shown("'text'"), { 'text/plain': "'text'" });
  t.deepEqual(await shown('{}'), { 'text/plain': '{}', 'application/json': {} });
  t.like(await shown("{ 'a/b': 1n }"), { status: 'error', error: { name: 'TypeError' } });
});

test('log takes a level where the first of several values names one', async (t) => {
  const guest = await Guest.open(t);
  const { sent } = await guest.run("log('warn', 'a', 1); log('warn'); log('x', 'y'); log({ a: 1 })");
  t.deepEqual(
    sent.filter(([kind]) => kind === 'log'),
    [
      ['log', 'warn', 'a 1'],
      ['log', 'info', 'warn'],
      ['log', 'info', 'x y'],
      ['log', 'info', '{ a: 1 }'],
    ],
  );
});

test('timers are asked of the host, and what a callback throws is described', async (t) => {
  const guest = await Guest.open(t);
  const { sent } = await guest.run(
    "setTimeout(() => console.log('fired'), 10); setInterval(() => { throw new Error('x') }, 5); 1",
  );
  t.deepEqual(
    sent.filter(([kind]) => kind === 'timer').map(([, , delay, repeat]) => [delay, repeat]),
    [
      [10, 0],
      [5, 1],
    ],
  );
  const ids = sent.filter(([kind]) => kind === 'timer').map(([, id]) => id);
  t.deepEqual((await guest.enter(['timer', ids[0]])).sent, [['out', 'stdout', 'fired\n']]);
  t.like(JSON.parse((await guest.enter(['timer', ids[1]])).answers[0] ?? ''), {
    status: 'error',
    error: { message: 'x' },
  });
  t.deepEqual(
    (await guest.run(`clearInterval(${ids[1]})`)).sent.filter(([kind]) => kind === 'untimer'),
    [['untimer', ids[1]]],
  );
});

test('what a level does not grant is not there', async (t) => {
  const bare = await Guest.open(t, {}, { outputs: ['print'], capabilities: [] });
  const kinds =
    '[typeof console, typeof print, typeof display, typeof log, typeof input, typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, typeof WeakRef]';
  t.deepEqual((await bare.run(kinds)).outcome, value(['undefined', 'function', ...Array(7).fill('undefined')]));
  const buffers =
    'const b = new ArrayBuffer(8, { maxByteLength: 16 }); try { ArrayBuffer(1) } catch (e) { [b.resizable, typeof b.resize, e.name] }';
  t.deepEqual((await bare.run(buffers)).outcome, value([false, 'undefined', 'TypeError']));
  const full = await Guest.open(t, { webAssembly: true, sharedMemory: true, resizableBuffers: true, liveClock: true });
  t.deepEqual(
    (
      await full.run(
        '[typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, new ArrayBuffer(8, { maxByteLength: 16 }).resizable]',
      )
    ).outcome,
    value(['object', 'function', 'object', true]),
  );
});
