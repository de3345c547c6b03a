import test from 'ava';
import type { CellOutcome } from '../../sandbox/protocol.ts';
import { Hosted, PLATFORM } from './_hosted.ts';

const host = new Hosted();
test.after.always(() => host.close());

const json = (outcome: CellOutcome): unknown => (outcome.status === 'value' ? JSON.parse(outcome.json) : outcome);

test.serial('a host is ready once it has made its first isolate, and answers pings', async (t) => {
  t.is((await host.heard('host.ready')).v8, 'test');
  host.tell({ kind: 'host.ping', id: 7 });
  t.is((await host.heard('host.pong')).id, 7);
});

test.serial('messages about an isolate that is gone are ignored', (t) => {
  const before = host.said.length;
  host.tell({ kind: 'cell.stop', isolate: 'gone', cell: 1 });
  host.tell({ kind: 'call.settle', isolate: 'gone', call: 1, ok: true, json: '1' });
  host.tell({ kind: 'capabilities.set', isolate: 'gone', number: 1, capabilities: [], patient: [], docs: [] });
  host.tell({ kind: 'isolate.dispose', isolate: 'gone' });
  host.tell({ kind: 'ask', isolate: 'gone', id: 1, question: { about: 'namespace.list' } });
  t.is(host.said.length, before);
});

test.serial('cells of one isolate share a namespace, and their outcome says what they came to', async (t) => {
  host.open('a');
  t.is(json((await host.run('a', 'let x = 20; const y = 1; x + y')).outcome), 21);
  t.is(json((await host.run('a', 'await null; x++; x')).outcome), 21);
  t.is(json((await host.run('a', '_')).outcome), 21);
  t.like((await host.run('a', '(() => 1)')).outcome, { status: 'preview', type: 'function' });
  t.like((await host.run('a', 'y = 2')).outcome, {
    status: 'error',
    error: { name: 'TypeError', code: 'RUNTIME_ERROR' },
  });
  t.like((await host.run('a', 'let let')).outcome, { status: 'error', error: { code: 'SYNTAX_ERROR' } });
  t.like((await host.run('a', 'function f() { null.x }\nf()')).outcome, {
    status: 'error',
    error: { name: 'TypeError', line: 1, frame: 'function f() { null.x }\n                    ^' },
  });
  t.like((await host.run('a', 'missing')).outcome, { status: 'error', error: { capability: 'missing' } });
  const { usage } = await host.run('a', 'for (let i = 0; i < 1e6; i++); 1');
  t.true(usage.cpuMs >= 0 && usage.wallMs > 0 && usage.heapBytes > 0);
});

test.serial('a cell leaves by its value only when it fits, otherwise by its preview', async (t) => {
  t.is((await host.run('a', "'x'.repeat(4000)")).outcome.status, 'value');
  t.is((await host.run('a', "'x'.repeat(5000)")).outcome.status, 'preview');
});

test.serial('output is told stream by stream before its cell ends, and cut at the limit', async (t) => {
  const cell = host.start(
    'a',
    "console.log('out'); console.error('err'); display({ 'text/html': '<b>' }); log('warn', 'w'); 1",
  );
  await host.done(cell);
  const kinds = host.said.filter((said) => 'cell' in said && said.cell === cell).map(({ kind }) => kind);
  t.deepEqual(kinds, ['output', 'output', 'display', 'log', 'cell.done']);
  const cut = host.start('a', "for (let i = 0; i < 1000; i++) console.log('\u00e9'); 1", { outputBytes: 10 });
  t.is(json((await host.done(cut)).outcome), 1);
  t.is(host.said.filter((said) => said.kind === 'output.truncated' && said.cell === cut).length, 1);
  const text = host.said.flatMap((said) => (said.kind === 'output' && said.cell === cut ? [said.text] : [])).join('');
  t.is(text, '\u00e9\n\u00e9\n\u00e9\n\u00e9'.slice(0, Buffer.from('\u00e9\n\u00e9\n\u00e9\n').length > 10 ? 5 : 6));
  const long = host.start('a', "console.log('x'.repeat(500)); 1", { outputBytes: 100 });
  await host.done(long);
  const first = host.said.find((said) => said.kind === 'output' && said.cell === long);
  t.is(first?.kind === 'output' ? first.text.length : 0, 100, 'a text above the limit is shown up to it');
});

test.serial(
  'a cell that spins is stopped by its CPU limit, its wall limit or a request, and its state stays',
  async (t) => {
    await host.run('a', 'var kept = 1');
    t.deepEqual((await host.run('a', 'for (;;);', { cpuMs: 50 })).outcome, { status: 'stopped', by: 'cpu' });
    t.deepEqual((await host.run('a', 'await null; for (;;);', { cpuMs: 5000, wallMs: 100 })).outcome, {
      status: 'stopped',
      by: 'wall',
    });
    t.deepEqual((await host.run('a', 'await new Promise(() => {})', { wallMs: 50 })).outcome, {
      status: 'stopped',
      by: 'wall',
    });
    const cell = host.start('a', "console.log('spinning'); await null; for (;;);");
    await host.heard('output', (said) => said.cell === cell);
    host.tell({ kind: 'cell.stop', isolate: 'a', cell: cell - 1 });
    host.tell({ kind: 'cell.stop', isolate: 'a', cell });
    host.tell({ kind: 'cell.stop', isolate: 'a', cell });
    t.deepEqual((await host.done(cell)).outcome, { status: 'stopped', by: 'request' });
    t.is(json((await host.run('a', 'kept')).outcome), 1);
    t.is(host.said.filter((said) => said.kind === 'cell.done' && said.cell === cell).length, 1);
  },
);

test.serial('a cell that is stopped while its isolate still opens ends alone', async (t) => {
  for (let index = 0; index < 20; index++) {
    const isolate = `early-${index}`;
    host.open(isolate);
    const cell = host.start(isolate, 'await null; for (;;);');
    host.tell({ kind: 'cell.stop', isolate, cell });
    t.deepEqual((await host.done(cell)).outcome, { status: 'stopped', by: 'request' });
    t.is(json((await host.run(isolate, '1 + 1')).outcome), 2);
    host.tell({ kind: 'isolate.dispose', isolate });
  }
});

test.serial('a call leaves as a message, and its promise settles with the answer', async (t) => {
  const calls: number[] = [];
  const called = async () => {
    const call = await host.heard('call', (said) => !calls.includes(said.call));
    calls.push(call.call);
    return call;
  };
  const cell = host.start('a', "const answer = await input('name?'); answer + '!'", { wallMs: 5000 });
  const first = await called();
  t.like(first, { name: 'input', argsJson: '["name?"]', cell });
  host.tell({ kind: 'call.settle', isolate: 'a', call: first.call, ok: true, json: '"Ada"' });
  t.is(json((await host.done(cell)).outcome), 'Ada!');

  const failing = host.start('a', 'await input()');
  const second = await called();
  host.tell({
    kind: 'call.settle',
    isolate: 'a',
    call: second.call,
    ok: false,
    json: JSON.stringify({ code: 'CAPABILITY_DENIED', name: 'CapabilityDenied', message: 'no' }),
  });
  t.like((await host.done(failing)).outcome, {
    status: 'error',
    error: { code: 'CAPABILITY_DENIED', name: 'CapabilityDenied', capability: 'input', message: 'no' },
  });
  t.like((await host.run('a', 'input(() => 1)')).outcome, { status: 'error', error: { name: 'TypeError' } });
  t.like((await host.run('a', 'for (let i = 0; i < 10; i++) input()')).outcome, {
    status: 'error',
    error: { name: 'RangeError' },
  });
});

test.serial('a withdrawn capability stays as a function that rejects', async (t) => {
  host.open('granted');
  await host.run('granted', 'var saved = input');
  host.tell({ kind: 'capabilities.set', isolate: 'granted', number: 1, capabilities: [], patient: [], docs: [] });
  t.like((await host.run('granted', 'await saved()')).outcome, {
    status: 'error',
    error: { code: 'CAPABILITY_DENIED' },
  });
  host.tell({
    kind: 'capabilities.set',
    isolate: 'granted',
    number: 1,
    capabilities: ['input'],
    patient: ['input'],
    docs: [],
  });
  const cell = host.start('granted', 'await saved()');
  const call = await host.heard('call', (said) => said.isolate === 'granted');
  host.tell({ kind: 'call.settle', isolate: 'granted', call: call.call, ok: true, json: '5' });
  t.is(json((await host.done(cell)).outcome), 5);
});

test.serial('timers fire by entering the isolate again, within their limits', async (t) => {
  host.open('timed');
  t.is(json((await host.run('timed', 'await new Promise((resolve) => setTimeout(resolve, 5, 42))')).outcome), 42);
  const counting =
    'let n = 0; await new Promise((resolve) => { const id = setInterval(() => { if (++n === 3) { clearInterval(id); resolve() } }, 1) }); n';
  t.is(json((await host.run('timed', counting)).outcome), 3);
  const cell = host.start('timed', "setTimeout(() => console.log('late'), 5); 1");
  await host.done(cell);
  t.is((await host.heard('output', ({ text }) => text === 'late\n')).cell, null);
  await host.run('timed', 'setInterval(() => { for (let i = 0; i < 1e7; i++); }, 1); 1');
  const cleared = await host.heard('output', ({ isolate, stream }) => isolate === 'timed' && stream === 'stderr');
  t.regex(cleared.text, /^What ended cells had left behind used more than 200 ms of CPU/);
});

test.serial('a rejection that nobody handles is told on stderr', async (t) => {
  t.is(json((await host.run('a', "Promise.reject(new Error('lost')); 3")).outcome), 3);
  t.regex(
    (await host.heard('output', ({ text }) => text.includes('lost'))).text,
    /^Uncaught \(in promise\) Error: lost\n +at cell:/,
  );
});

test.serial('questions are answered between cells', async (t) => {
  host.open('asked');
  await host.run(
    'asked',
    'let one = 1; const obj = { alpha: { beta: 2 } }; class K {} function fn(a) { return a }; one',
  );
  const names = await host.ask('asked', { about: 'namespace.list' });
  t.true(names.kind === 'answer' && names.answer.about === 'namespace.list');
  if (names.kind === 'answer' && names.answer.about === 'namespace.list')
    t.deepEqual(names.answer.names.map(({ name, kind }) => `${kind} ${name}`).sort(), [
      'class K',
      'const obj',
      'function fn',
      'let one',
    ]);
  t.like(await host.ask('asked', { about: 'namespace.get', name: 'one' }), {
    answer: { found: true, outcome: { json: '1' } },
  });
  t.like(await host.ask('asked', { about: 'namespace.get', name: 'none' }), { answer: { found: false } });
  t.like(await host.ask('asked', { about: 'namespace.set', valuesJson: '{"put":[1],"obj":2}' }), {
    answer: { names: ['put', 'obj'] },
  });
  t.is(json((await host.run('asked', 'obj = 3; obj + put[0]')).outcome), 4, 'a constant that was set is one no more');
  t.like(await host.ask('asked', { about: 'namespace.delete', names: ['put', 'none', 'Array'] }), {
    answer: { names: ['put'] },
  });
  t.like(await host.ask('asked', { about: 'complete', source: 'Math.ab', cursor: 7 }), {
    answer: { matches: ['abs'], start: 5, end: 7 },
  });
  t.like(await host.ask('asked', { about: 'complete', source: 'f().x', cursor: 5 }), { answer: { matches: [] } });
  t.like(await host.ask('asked', { about: 'inspect', source: 'fn(1)', cursor: 1 }), { answer: { found: true } });
  t.like(await host.ask('asked', { about: 'inspect', source: 'K', cursor: 0 }), { answer: { found: true } });
  t.like(await host.ask('asked', { about: 'inspect', source: 'one', cursor: 0 }), {
    answer: { found: true, text: 'number: 1' },
  });
  t.like(await host.ask('asked', { about: 'inspect', source: '', cursor: 0 }), { answer: { found: false, text: '' } });
  t.like(await host.ask('asked', { about: 'isComplete', source: 'f(' }), { answer: { status: 'incomplete' } });
  await host.run(
    'asked',
    "Object.defineProperty(globalThis, 'bad', { get() { throw new Error('no') }, enumerable: true }); Object.defineProperty(globalThis, 'slow', { get() { for (;;); } })",
  );
  t.like(await host.ask('asked', { about: 'namespace.get', name: 'bad' }), { kind: 'refusal', code: 'RUNTIME_ERROR' });
  t.like(await host.ask('asked', { about: 'namespace.get', name: 'slow' }), { kind: 'refusal', code: 'TIMED_OUT' });
  t.is(json((await host.run('asked', 'one')).outcome), 1);
});

test.serial('a TypeScript session runs TypeScript, and says where it is wrong', async (t) => {
  host.tell({
    kind: 'host.join',
    language: 'typescript',
    heapMiB: 32,
    platform: PLATFORM,
    capabilities: [],
    spares: 0,
  });
  host.open('typed');
  t.is(json((await host.run('typed', 'enum A { X = 2 } const y: number = A.X; y')).outcome), 2);
  t.like((await host.run('typed', 'const z: = 1')).outcome, { status: 'error', error: { code: 'SYNTAX_ERROR' } });
  t.like(await host.ask('typed', { about: 'isComplete', source: 'interface A {' }), {
    answer: { status: 'incomplete' },
  });
});

// A session that meets its memory limit is in test/escape: isolated-vm never frees its isolate, and this process could not end.
test.serial('an isolate that is disposed of while it runs says nothing more', async (t) => {
  host.open('closed');
  const cell = host.start('closed', "console.log('on'); await null; for (;;);");
  await host.heard('output', (said) => said.cell === cell);
  host.tell({ kind: 'isolate.dispose', isolate: 'closed' });
  host.tell({ kind: 'isolate.dispose', isolate: 'closed' });
  t.is(json((await host.run('a', '1 + 1')).outcome), 2);
  t.false(host.said.some((said) => said.kind === 'cell.done' && said.cell === cell));
});
