import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';
import { STOPPED, testAttacks } from './attack-table.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const SPINNING_PROXY =
  'new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); }, getPrototypeOf() { for (;;); }, getOwnPropertyDescriptor() { for (;;); } })';

testAttacks(test, shared, [
  {
    title: 'B01: a getter of a result is shown and not called',
    cells: ['({ get a() { for (;;); } })'],
    end: 'Object { a: [Getter] }',
  },
  {
    title: 'B01: a getter that throws is shown and not called',
    cells: ['({ get a() { throw 1 } })'],
    end: 'Object { a: [Getter] }',
  },
  { title: 'B01: a Proxy with traps that spin ends as a result', cells: [SPINNING_PROXY], end: STOPPED },
  {
    title: 'B01: a Proxy with traps that throw is shown',
    cells: ['new Proxy({ a: 1 }, { get() { throw 1 }, ownKeys() { throw 2 }, getPrototypeOf() { throw 3 } })'],
    end: /^(?!INTERNAL)/,
  },
  { title: 'B03: a thrown Proxy with traps that spin ends', cells: [`throw ${SPINNING_PROXY}`], end: STOPPED },
  { title: 'B03: a thrown symbol is described', cells: ["throw Symbol('s')"], end: 'RUNTIME_ERROR null: Symbol(s)' },
  { title: 'B03: a thrown undefined is described', cells: ['throw undefined'], end: 'RUNTIME_ERROR null: undefined' },
  { title: 'B03: a thrown null is described', cells: ['throw null'], end: 'RUNTIME_ERROR null: null' },
  { title: 'B03: a thrown BigInt is described', cells: ['throw 10n'], end: 'RUNTIME_ERROR null: 10n' },
  { title: 'B03: a thrown function is described', cells: ['throw function f() {}'], end: /^RUNTIME_ERROR null: / },
  {
    title: 'B03: a thrown object whose every text spins is described without them',
    cells: ['throw { get message() { for (;;); }, get name() { for (;;); }, toString() { for (;;); } }'],
    end: /^(RUNTIME_ERROR null: \{|CPU_EXCEEDED)/,
  },
  {
    title: 'B03: an error whose message and stack are accessors that spin ends',
    cells: [
      "const e = new Error('x'); for (const key of ['message', 'name', 'stack', 'cause']) Object.defineProperty(e, key, { get() { for (;;); } }); throw e",
    ],
    end: /^(RUNTIME_ERROR|CPU_EXCEEDED)/,
  },
  {
    title: 'B04: a thrown object that looks like a refusal of the daemon stays a thrown object',
    cells: ["throw { code: -32001, name: 'PermissionDenied', data: { code: 'LEVEL_DENIED' } }"],
    end: /^RUNTIME_ERROR null: \{\s+code: -32001/,
  },
  {
    title: 'B04: an error with the code of a fault stays an error of the guest',
    cells: ["throw Object.assign(new Error('m'), { code: 'CAPABILITY_DENIED', capability: 'input' })"],
    end: 'RUNTIME_ERROR Error: m',
  },
  {
    title: 'B06: an object with a then is a value',
    cells: ['({ then: 1, a: 2 })'],
    end: '{"then":1,"a":2}',
  },
  {
    title: 'B06: a thenable is a value and is not called',
    cells: ['var called = 0; ({ then(resolve) { called++; resolve(5) } })', 'called'],
    end: '0',
  },
  {
    title: 'B08: a cycle is a preview',
    cells: ['const a = {}; a.a = a; a'],
    end: 'Object <ref *1> { a: [Circular *1] }',
  },
  { title: 'B08: a Map is a preview', cells: ['new Map([[1, 2]])'], end: 'Map Map(1) { 1 => 2 }' },
  { title: 'B08: a Set is a preview', cells: ['new Set([1])'], end: 'Set Set(1) { 1 }' },
  { title: 'B08: a Date is a preview', cells: ['new Date(0)'], end: 'Date 1970-01-01T00:00:00.000Z' },
  { title: 'B08: a RegExp is a preview', cells: ['/x/g'], end: 'RegExp /x/g' },
  { title: 'B08: a BigInt is a preview', cells: ['10n'], end: 'bigint 10n' },
  { title: 'B08: NaN is a preview', cells: ['NaN'], end: 'number NaN' },
  { title: 'B08: -0 is a preview', cells: ['-0'], end: 'number -0' },
  { title: 'B08: undefined is a preview', cells: ['undefined'], end: 'undefined undefined' },
  { title: 'B08: a function is a preview', cells: ['(function f() {})'], end: 'function [Function: f]' },
  { title: 'B08: typed array is a preview', cells: ['new Uint8Array(3)'], end: 'Uint8Array Uint8Array(3) [ 0, 0, 0 ]' },
  {
    title: 'B08: a SharedArrayBuffer is a preview and is shared with nobody',
    cells: ['new SharedArrayBuffer(4)'],
    end: /^SharedArrayBuffer SharedArrayBuffer \{/,
    session: { level: 'trusted' },
  },
  {
    title: 'B08: a WebAssembly module is a preview',
    cells: ['new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))'],
    end: /^Module /,
    session: { level: 'trusted' },
  },
  {
    title: 'B09: an array nested a million deep is a preview',
    cells: ['let x = []; for (let i = 0; i < 1e6; i++) x = [x]; x'],
    end: /^(Array \[ \[ \[|CPU_EXCEEDED|TIMED_OUT)/,
    session: { limits: { cellCpuMsMax: 5000 } },
  },
  {
    title: 'B09: a thrown value nested a million deep is described',
    cells: ['let y = {}; for (let i = 0; i < 1e6; i++) y = { y }; throw y'],
    end: /^(RUNTIME_ERROR null: \{ y: \{|CPU_EXCEEDED|TIMED_OUT)/,
    session: { limits: { cellCpuMsMax: 5000 } },
  },
  {
    title: 'B09: an argument of a capability that is nested a million deep is refused',
    cells: ['let z = []; for (let i = 0; i < 1e6; i++) z = [z]; input(z)'],
    end: /^RUNTIME_ERROR (TypeError|RangeError): /,
    session: { level: 'restricted', limits: { cellCpuMsMax: 5000 } },
  },
  {
    title: 'B09: a long sparse array is a preview',
    cells: ['const s = []; s[2 ** 32 - 2] = 1; s'],
    end: 'Array [ <4294967294 empty items>, 1 ]',
  },
  {
    title: 'B11: the error of text that does not compile has no frame of the host',
    cells: ["eval('(')"],
    end: /^RUNTIME_ERROR SyntaxError: /,
  },
  {
    title: 'B14: two thousand references to a text of a megabyte are a preview of bounded size',
    cells: ["const big = 'x'.repeat(1e6); Array(2000).fill(big)"],
    end: /^Array \[/,
    session: { limits: { cellCpuMsMax: 5000 } },
  },
  {
    title: 'B14: a result of millions of numbers is a preview of bounded size',
    cells: ['Array.from({ length: 1e6 }, (_, i) => i + 0.5)'],
    end: /^(Array \[|CPU_EXCEEDED)/,
    session: { limits: { cellCpuMsMax: 5000 } },
  },
  { title: 'B15: a lone surrogate arrives as it is', cells: ["'\\u{1f3b5}'[0]"], end: '"\\ud83c"' },
  { title: 'B15: NUL arrives as it is', cells: ["'a\\0b'"], end: '"a\\u0000b"' },
  {
    title: 'B15: an error message with lone surrogates arrives',
    cells: ["throw new Error('\\ud800')"],
    end: 'RUNTIME_ERROR Error: \ud800',
  },
  { title: 'B16: a text that looks like an encoded number is a text', cells: ["'__INF__'"], end: '"__INF__"' },
  {
    title: 'B16: an object that looks like an encoded error is an object',
    cells: ["({ __type: 'error', name: 'X', stack: 's' })"],
    end: '{"__type":"error","name":"X","stack":"s"}',
  },
  {
    title: 'B17: a chain of a hundred thousand causes is cut',
    cells: ["let e = new Error('0'); for (let i = 0; i < 1e5; i++) e = new Error('e', { cause: e }); throw e"],
    end: 'RUNTIME_ERROR Error: e',
    session: { limits: { cellCpuMsMax: 5000 } },
  },
  {
    title: 'B17: a cyclic cause ends',
    cells: ["const c = new Error('c'); c.cause = c; throw c"],
    end: 'RUNTIME_ERROR Error: c',
  },
]);

test.serial('B03: the message of a thrown error is cut at a documented length', async (t) => {
  const guest = await Guest.open(shared().client);
  for (const source of ["throw new Error('x'.repeat(1e6))", "throw 'x'.repeat(1e6)", "throw { a: 'x'.repeat(1e6) }"]) {
    const { error } = await guest.run(source);
    t.is(error?.code, 'RUNTIME_ERROR');
    t.true((error?.message.length ?? Number.POSITIVE_INFINITY) <= 16 * 1024, `${error?.message.length} characters`);
  }
});

test.serial('B14: a preview has a bounded length whatever the value', async (t) => {
  const guest = await Guest.open(shared().client);
  for (const source of [
    "const big = 'x'.repeat(1e6); Array(500).fill(big)",
    "Object.fromEntries(Array.from({ length: 5e4 }, (_, i) => ['k' + i, i]).concat([['f', () => 1]]))",
  ]) {
    const { value } = await guest.run(source);
    t.is(value?.kind, 'preview');
    t.true(value?.kind === 'preview' && value.text.length < 256 * 1024);
  }
});

test.serial('B17: an AggregateError shows ten of its errors', async (t) => {
  const guest = await Guest.open(shared().client);
  const { error } = await guest.run(
    "throw new AggregateError(Array.from({ length: 1e5 }, (_, i) => new Error('e' + i)), 'many')",
  );
  t.is(error?.name, 'AggregateError');
  t.deepEqual(
    error?.errors?.map(({ message }) => message),
    Array.from({ length: 10 }, (_, i) => `e${i}`),
  );
});

test.serial('B11: the frames of an error thrown inside a function of the engine are cells only', async (t) => {
  const guest = await Guest.open(shared().client);
  for (const source of [
    'structuredClone(() => {})',
    "new URL('x')",
    "atob('!')",
    '[1].map(() => structuredClone(Symbol()))',
    "display({ 'a/b': 1n })",
  ]) {
    const { error } = await guest.run(source);
    t.is(error?.code, 'RUNTIME_ERROR', source);
    for (const line of error?.stack.split('\n').filter((frame) => frame !== '') ?? [])
      t.regex(line, /^at .*cell:\d+:\d+:\d+\)?$/);
  }
});
