/** What a cell comes to, as a client of a real daemon sees it: values, errors and output. */
import test from 'ava';
import type { Value } from '../../client/protocol.ts';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

const json = (value: unknown): Value => ({ kind: 'json', json: value });
const preview = (type: string, text: string): Value => ({ kind: 'preview', type, text });

const hostileTraps = `{ get() { throw 1 }, ownKeys() { throw 2 }, getPrototypeOf() { throw 3 },
  getOwnPropertyDescriptor() { throw 4 }, has() { throw 5 } }`;
const spinningTraps = '{ ownKeys() { for (;;); }, getPrototypeOf() { for (;;); } }';

const values: readonly [source: string, value: Value][] = [
  ['({ a: [1, "x", null, true, { b: 1.5 }] })', json({ a: [1, 'x', null, true, { b: 1.5 }] })],
  ['null', json(null)],
  ['""', json('')],
  ['"\\u2028 \\ud83d\\ude00"', json('\u2028 😀')],
  ['Object.create(null)', json({})],
  ['undefined', preview('undefined', 'undefined')],
  ['NaN', preview('number', 'NaN')],
  ['-0', preview('number', '-0')],
  ['Infinity', preview('number', 'Infinity')],
  ['10n', preview('bigint', '10n')],
  ['Symbol("x")', preview('symbol', 'Symbol(x)')],
  ['(function f() {})', preview('function', '[Function: f]')],
  ['new (class Foo { a = 1 })', preview('Foo', 'Foo { a: 1 }')],
  ['new Map([[1, 2]])', preview('Map', 'Map(1) { 1 => 2 }')],
  ['new Set([1])', preview('Set', 'Set(1) { 1 }')],
  ['new Date(0)', preview('Date', '1970-01-01T00:00:00.000Z')],
  ['/a/g', preview('RegExp', '/a/g')],
  ['new Uint8Array(3)', preview('Uint8Array', 'Uint8Array(3) [ 0, 0, 0 ]')],
  ['[1, , 3]', preview('Array', '[ 1, <1 empty item>, 3 ]')],
  ['({ a: undefined })', preview('Object', '{ a: undefined }')],
  ['var a = {}; a.a = a; a', preview('Object', '<ref *1> { a: [Circular *1] }')],
  ['let o = null; for (let i = 0; i < 1e6; i++) o = [o]; o', preview('Array', '[ [ [ [Array] ] ] ]')],
  ['var s = []; s[2 ** 32 - 2] = 1; s', preview('Array', '[ <4294967294 empty items>, 1 ]')],
  ['({ toJSON() { return 5 } })', preview('Object', '{ toJSON: [Function: toJSON] }')],
  ['({ get a() { for (;;); } })', preview('Object', '{ a: [Getter] }')],
  ['({ get a() { throw new Error("no") } })', preview('Object', '{ a: [Getter] }')],
  ['Promise.resolve(7)', json(7)],
  ['class MyPromise extends Promise {}; MyPromise.resolve(3)', json(3)],
  ['({ then(resolve) { resolve(5) } })', preview('Object', '{ then: [Function: then] }')],
  ['({ get then() { for (;;); } })', preview('Object', '{ then: [Getter] }')],
  [`new Proxy({}, ${hostileTraps})`, preview('object', '[unprintable]')],
  ['const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); proxy', preview('object', '<Revoked Proxy>')],
];

for (const [source, value] of values) {
  test(`${source.replaceAll(/\s+/g, ' ')} is told as ${JSON.stringify(value)}`, async (t) => {
    const session = await file.session();
    t.deepEqual(await session.value(source), value);
  });
}

test('a value is measured after expansion: 2,000 references to one megabyte are a preview of bounded size', async (t) => {
  const session = await file.session();
  const value = await session.value('const big = "x".repeat(1e6); Array.from({ length: 2000 }, () => big)');
  t.is(value.kind, 'preview');
  t.true(JSON.stringify(value).length < 1024 * 1024);
  const long = await session.value('"y".repeat(5e6)');
  t.is(long.kind === 'preview' ? long.type : '', 'string');
  t.true(JSON.stringify(long).length < 1024 * 1024);
});

for (const thrown of [false, true]) {
  test(`a Proxy whose traps spin is stopped by the time limit when it is ${thrown ? 'thrown' : 'a result'}`, async (t) => {
    const session = await file.session();
    const { error } = await session.run(`${thrown ? 'throw ' : ''}new Proxy({}, ${spinningTraps})`, 300);
    t.is(error?.code, 'TIMED_OUT');
    t.deepEqual(await session.value('1 + 1'), json(2));
  });
}

const thrown: readonly [source: string, type: string, message: string][] = [
  ['undefined', 'undefined', 'undefined'],
  ['null', 'object', 'null'],
  ['NaN', 'number', 'NaN'],
  ['-0', 'number', '-0'],
  ['10n', 'bigint', '10n'],
  ['"text"', 'string', 'text'],
  ['Symbol("x")', 'symbol', 'Symbol(x)'],
  ['function f() {}', 'function', '[Function: f]'],
  ['new (class Foo {})', 'object', 'Foo {}'],
  ['new Map([[1, 2]])', 'object', 'Map(1) { 1 => 2 }'],
  ['new Date(0)', 'object', '1970-01-01T00:00:00.000Z'],
  ['Promise.resolve(1)', 'object', 'Promise {}'],
  ['{ then(resolve) { resolve(1) } }', 'object', '{ then: [Function: then] }'],
  ['{ get message() { for (;;); } }', 'object', '{ message: [Getter] }'],
  [`new Proxy({}, ${hostileTraps})`, 'object', '[unprintable]'],
];

for (const [source, type, message] of thrown) {
  test(`throwing ${source.replaceAll(/\s+/g, ' ')} is an error without a name that says ${message}`, async (t) => {
    const session = await file.session();
    const { error } = await session.run(`throw ${source}`);
    t.like(error, { code: 'RUNTIME_ERROR', name: null, message, thrownType: type, stack: '' });
  });
}

test('throwing something cyclic, a million deep, or of five megabytes is a short error', async (t) => {
  const session = await file.session();
  for (const source of [
    'const a = []; a[0] = a; throw a',
    'let o = null; for (let i = 0; i < 1e6; i++) o = [o]; throw o',
    'throw "x".repeat(5e6)',
    'const e = new Error("x".repeat(5e6)); e.cause = e; throw e',
  ]) {
    const { error } = await session.run(source);
    t.is(error?.code, 'RUNTIME_ERROR', source);
    t.true(JSON.stringify(error).length < 128 * 1024, source);
  }
});

test('an error has its causes, its errors, and the line and column of the user', async (t) => {
  const session = await file.session();
  const { error } = await session.run(
    'function f() {\n  null.x;\n}\n\ntry { f() } catch (cause) {\n  throw new AggregateError([1, cause], "many", { cause });\n}',
  );
  t.like(error, { name: 'AggregateError', message: 'many', line: 6, column: 9 });
  t.is(error?.frame, '  throw new AggregateError([1, cause], "many", { cause });\n        ^');
  t.like(error?.cause, { name: 'TypeError', line: 2, column: 8 });
  t.is(error?.cause?.stack, 'at f (cell:1:2:8)\nat cell:1:5:7');
  t.deepEqual(
    error?.errors?.map(({ message }) => message),
    ['1', "Cannot read properties of null (reading 'x')"],
  );
});

test('no error shows a path of the host, a frame of the engine, or a name that the source made up', async (t) => {
  const session = await file.session();
  for (const source of [
    'throw new Error("a")',
    'await 0; throw new Error("a")',
    'null.x //# sourceURL=/etc/passwd',
    '//# sourceURL=pyrepl3:prelude\nthrow new Error("w")',
    'eval("throw new Error(1) //# sourceURL=/home/user/x.js")',
    'new Function("throw new Error(2)")()',
    '[1].map(() => { throw new Error("m") })',
    'new URL("nonsense")',
    'structuredClone(() => {})',
    'JSON.parse("{")',
    'const again = () => again(); again()',
    'setTimeout("text")',
    'Error.prepareStackTrace = (_, frames) => frames.map(String).join(); throw new Error("p")',
  ]) {
    const { error } = await session.run(source);
    const text = JSON.stringify({ ...error, frame: '' });
    t.notRegex(text, /prelude|isolated|sandbox|\/home|\/etc|node:|file:/, source);
    t.notRegex(text.replaceAll(/cell:\d+:\d+:\d+/g, ''), /at .*:\d+:\d+/, source);
  }
});

test('_, __ and ___ are the last three results, and neither errors nor undefined move them', async (t) => {
  const session = await file.session();
  for (const source of ['1', '2', '3']) await session.run(source);
  t.deepEqual(await session.value('[_, __, ___]'), json([3, 2, 1]));
  await session.run('undefined');
  await session.run('throw 1');
  t.deepEqual(await session.value('_'), json([3, 2, 1]));
});

test('each console method writes where a user expects it', async (t) => {
  const session = await file.session();
  const out = await session.run(
    'console.log("a", 1); console.info("b"); console.debug("c"); console.dir({ d: 1 }); console.table([{ e: 1 }]);' +
      'console.group("g"); console.log("in"); console.groupEnd(); console.count(); console.time("t"); console.timeEnd("t"); print("p")',
  );
  t.is(out.output.stderr, '');
  t.regex(out.output.stdout, /^a 1\nb\nc\n\{ d: 1 \}\n┌[\s\S]*e[\s\S]*┘\ng\n {2}in\ndefault: 1\nt: 0ms\np\n$/);
  const err = await session.run(
    'console.warn("a"); console.error("b"); console.assert(false, "c"); console.trace("d")',
  );
  t.is(err.output.stdout, '');
  t.regex(err.output.stderr, /^a\nb\nAssertion failed: c\nTrace: d\n[\s\S]*cell:2/);
  t.notRegex(err.output.stderr, /prelude/);
});

test('an Error that is shown, printed or listed has frames of cells only', async (t) => {
  const session = await file.session();
  const shown = await session.value('new Error("x")');
  t.is(shown.kind === 'preview' ? shown.text.replace(/\n[\s\S]*/, '') : '', 'Error: x');
  const { output } = await session.run(
    'console.log(new Error("y")); try { null.x } catch (error) { console.error({ error }) }',
  );
  for (const text of [JSON.stringify(shown), output.stdout, output.stderr]) {
    t.notRegex(text, /prelude/);
    t.regex(text, /cell:\d/);
  }
});

test('all output of a cell precedes its end, in order, as events of that cell', async (t) => {
  const session = await file.session();
  const { executionId, output } = await session.run(
    'console.log(1); console.error(2); await null; console.log(3); display({ a: 1 }); log("warn", "careful", 4); 5',
  );
  const told = session.events().map((event) => {
    if (event.kind === 'output') return `${event.stream} ${event.text.trim()}`;
    return event.kind === 'log' ? `log ${event.level} ${event.text}` : event.kind;
  });
  t.deepEqual(told, [
    'execution.started',
    'stdout 1',
    'stderr 2',
    'stdout 3',
    'display',
    'log warn careful 4',
    'execution.finished',
  ]);
  t.true(session.events().every((event) => 'executionId' in event && event.executionId === executionId));
  t.deepEqual(
    session.events().map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7],
  );
  t.deepEqual(output, { stdout: '1\n3\n', stderr: '2\n', truncated: false });
});

test('output beyond the limit is cut once, is told once, and the cell goes on', async (t) => {
  const session = await file.session({ limits: { cellOutputBytesMax: 1000 } });
  const { value, output } = await session.run(
    'for (let i = 0; i < 1e4; i++) console.log("0123456789"); display({}); 7',
  );
  t.deepEqual(value, json(7));
  t.true(output.truncated);
  t.true(Buffer.byteLength(output.stdout) <= 1000 && output.stdout.startsWith('0123456789\n'));
  t.deepEqual(
    session
      .events()
      .filter(({ kind }) => kind === 'output.truncated')
      .map((event) => 'limitBytes' in event && event.limitBytes),
    [1000],
  );
  const next = await session.run('console.log("more")');
  t.deepEqual(next.output, { stdout: 'more\n', stderr: '', truncated: false });
});

test('display sends a MIME bundle, and text for everything else', async (t) => {
  const session = await file.session();
  await session.run(
    'display({ "text/html": "<b>1</b>" }); display({ a: 1 }); display(new Map()); display({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "own" }) })',
  );
  const data = session.events().flatMap((event) => (event.kind === 'display' ? [event.data] : []));
  t.is(data.length, 4);
  t.is(data[0]?.['text/html'], '<b>1</b>');
  t.true(data.every((bundle) => typeof bundle['text/plain'] === 'string'));
  t.deepEqual(data[1]?.['application/json'], { a: 1 });
  t.deepEqual(data[2], { 'text/plain': 'Map(0) {}' });
  t.deepEqual(data[3], { 'text/plain': 'own' });
});

test('timers and promises that a cell leaves behind go on, and what they print belongs to no cell', async (t) => {
  const session = await file.session();
  t.deepEqual(
    await session.value(
      'setTimeout(() => console.log("late"), 20); setTimeout(() => { throw new Error("thrown late") }, 25); 1',
    ),
    json(1),
  );
  const late = await session.event('output', ({ text }) => text === 'late\n');
  t.is(late.executionId, null);
  const uncaught = await session.event('output', ({ text }) => text.includes('thrown late'));
  t.regex(uncaught.text, /^Uncaught Error: thrown late\n {4}at cell:1:/);
  t.is(uncaught.stream, 'stderr');
  t.deepEqual(await session.value('2'), json(2));
});

test('code left behind that uses more CPU than a cell may is stopped, with a notice, and the session goes on', async (t) => {
  const session = await file.session({ limits: { cellCpuMsMax: 200 } });
  await session.run('setInterval(() => { for (;;); }, 1); 1');
  const notice = await session.event('output', ({ stream }) => stream === 'stderr');
  t.regex(
    notice.text,
    /^What ended cells had left behind used more than 200 ms of CPU; it was stopped and its timers cleared/,
  );
  t.is(notice.executionId, null);
  t.deepEqual(await session.value('1 + 1'), json(2));
});

const hostileReason = '{ get message() { for (;;); }, get name() { for (;;); }, get stack() { for (;;); } }';

test('an unhandled rejection is told on stderr and the cell is ok, whatever it was rejected with', async (t) => {
  const session = await file.session();
  for (const [source, told] of [
    [
      'Promise.reject(new TypeError("unhandled")); 1',
      /^Uncaught \(in promise\) TypeError: unhandled\n {4}at cell:1:1:16\n$/,
    ],
    ['(async () => { throw 7 })(); await 0; 1', /^Uncaught \(in promise\) 7\n$/],
    ['Promise.reject(null); 1', /^Uncaught \(in promise\) null\n$/],
    ['Promise.reject({}); 1', /^Uncaught \(in promise\) an object that is not an Error\n$/],
    ['Promise.reject(new Error("Script execution timed out.")); 1', /Error: Script execution timed out\.\n/],
    [
      'Promise.reject(new Error("Isolate was disposed during execution due to memory limit")); 1',
      /Error: Isolate was disposed/,
    ],
  ] as const) {
    const { status, value, output } = await session.run(source);
    t.is(status, 'ok', source);
    t.deepEqual(value, json(1));
    t.regex(output.stderr, told);
  }
  const handled = await session.run('const p = Promise.reject(1); p.catch(() => {}); 1');
  t.is(handled.output.stderr, '');
});

test('getters of a rejected value cannot spin beyond the limits, in a cell or after it', async (t) => {
  const session = await file.session({ limits: { cellCpuMsMax: 300 } });
  await session.run('var kept = 1');
  const { error } = await session.run(`Promise.reject(${hostileReason}); 1`);
  t.is(error?.code, 'CPU_EXCEEDED');
  await session.run(`setTimeout(() => { Promise.reject(${hostileReason}) }, 1); 1`);
  await session.event('output', ({ text }) => text.includes('left behind'));
  t.deepEqual(await session.value('kept'), json(1), 'the session keeps its state');
});
