/** The namespace from outside: what a REPL, a notebook or a program asks of a session between its cells. */
import test from 'ava';
import type { RpcFault } from '../harness/daemon-process.ts';
import { FileDaemon, type TestSession } from './_file-daemon.ts';

const file = new FileDaemon(test);

const codeOf = (error: unknown): string => (error as RpcFault).code;
const get = ({ client, sessionId }: TestSession, name: string) => client.call('namespace.get', { sessionId, name });
const set = ({ client, sessionId }: TestSession, values: Record<string, unknown>) =>
  client.call('namespace.set', { sessionId, values });
const remove = ({ client, sessionId }: TestSession, names: string[]) =>
  client.call('namespace.delete', { sessionId, names });
const list = async ({ client, sessionId }: TestSession) =>
  (await client.call('namespace.list', { sessionId })).names.map(({ name, kind, type, preview }) =>
    [name, kind, type, preview].join(' | '),
  );

test('what cells declared is listed with its kind, type and preview, and the engine has no names in it', async (t) => {
  const session = await file.session();
  t.deepEqual(await list(session), []);
  await session.run('let a = 1; const b = "x"; var c = [1]; function d() {} class E {}; f = null');
  await set(session, { g: { deep: [1] } });
  t.deepEqual((await list(session)).toSorted(), [
    'E | class | function | [class E]',
    'a | let | number | 1',
    "b | const | string | 'x'",
    'c | var | Array | [ 1 ]',
    'd | function | function | [Function: d]',
    'f | value | null | null',
    'g | value | Object | { deep: [Array] }',
  ]);
});

test('a variable is read as a cell would tell it', async (t) => {
  const session = await file.session();
  await session.run('const a = { b: [1] }, m = new Map(); let u');
  t.deepEqual((await get(session, 'a')).value, { kind: 'json', json: { b: [1] } });
  t.deepEqual((await get(session, 'm')).value, { kind: 'preview', type: 'Map', text: 'Map(0) {}' });
  t.deepEqual((await get(session, 'u')).value, { kind: 'preview', type: 'undefined', text: 'undefined' });
  t.is(codeOf(await t.throwsAsync(get(session, 'nobody'))), 'INVALID_PARAMS');
});

test('names that are set are merged into the namespace, and a constant can be set from outside', async (t) => {
  const session = await file.session();
  await session.run('let a = 1; const k = 1; const keep = 2');
  t.deepEqual((await set(session, { a: [1, null], k: 5, fresh: 'x' })).set.toSorted(), ['a', 'fresh', 'k']);
  t.deepEqual(await session.value('[a, k, keep, fresh]'), { kind: 'json', json: [[1, null], 5, 2, 'x'] });
  t.deepEqual(await session.value('k = 6; let a = 7; [a, k]'), { kind: 'json', json: [7, 6] });
  t.is((await session.run('keep = 3')).error?.name, 'TypeError');
});

test('the names of the engine survive a merge: _, __ and ___ are refused, and nothing else of the request is done', async (t) => {
  const session = await file.session();
  await session.run('41 + 1');
  for (const name of ['_', '__', '___']) {
    t.is(codeOf(await t.throwsAsync(set(session, { before: 1, [name]: 1 }))), 'INVALID_PARAMS');
  }
  t.deepEqual(await session.value('[_, typeof before]'), { kind: 'json', json: [42, 'undefined'] });
});

test('names are deleted, constants too; what is not there, and what is built in, is not', async (t) => {
  const session = await file.session();
  await session.run('let a = 1; const k = 2; var v = 3; 4');
  t.deepEqual((await remove(session, ['a', 'k', 'nobody', 'Array', '_'])).deleted.toSorted(), ['a', 'k']);
  t.deepEqual(await session.value('[typeof a, typeof k, v, typeof Array, _]'), {
    kind: 'json',
    json: ['undefined', 'undefined', 3, 'function', 4],
  });
});

test('a getter that loops or throws takes nothing with it', async (t) => {
  const session = await file.session();
  await session.run('var kept = 1');
  await session.run(
    'for (const [name, get] of [["loops", () => { for (;;); }], ["throws", () => { throw new Error("no") }]])' +
      ' Object.defineProperty(globalThis, name, { get, enumerable: true, configurable: true })',
  );
  t.true((await list(session)).includes('loops | value | accessor | [Getter]'));
  t.is(codeOf(await t.throwsAsync(get(session, 'loops'))), 'TIMED_OUT');
  t.is(codeOf(await t.throwsAsync(get(session, 'throws'))), 'RUNTIME_ERROR');
  t.deepEqual(await session.value('kept'), { kind: 'json', json: 1 });
});

test('too many or too large values are refused before they reach the session', async (t) => {
  const session = await file.session();
  t.is(codeOf(await t.throwsAsync(set(session, { big: 'x'.repeat(2 ** 20) }))), 'TOO_LARGE');
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`n${i}`, i]));
  t.is(codeOf(await t.throwsAsync(set(session, many))), 'TOO_LARGE');
  t.is(codeOf(await t.throwsAsync(remove(session, new Array(1001).fill('x')))), 'INVALID_PARAMS');
});

test('completion offers names and properties without running a getter', async (t) => {
  const session = await file.session();
  const { sessionId, client } = session;
  await session.run('var account = { balance: 1, bank: 2, get boom() { throw new Error("run") } }; var accord = 1');
  const complete = (source: string) => client.call('session.complete', { sessionId, source, cursor: source.length });
  t.deepEqual(await complete('1 + acco'), { matches: ['accord', 'account'], start: 4, end: 8 });
  t.deepEqual((await complete('account.b')).matches, ['balance', 'bank', 'boom']);
  t.deepEqual((await complete('account.boom.')).matches, []);
  t.true((await complete('"text".toUp')).matches.length <= 1);
  t.deepEqual((await complete('nobody.x')).matches, []);
});

test('inspection describes what stands at the cursor', async (t) => {
  const session = await file.session();
  const { sessionId, client } = session;
  await session.run('function add(a, b) { return a + b } var account = { balance: 1 }');
  const inspect = (source: string, cursor: number) => client.call('session.inspect', { sessionId, source, cursor });
  const add = await inspect('add(1, 2)', 2);
  t.true(add.found && add.text.includes('function add(a, b) { return a + b }'));
  t.deepEqual(await inspect('account.balance', 12), { found: true, text: 'number: 1' });
  t.deepEqual(await inspect('nobody', 3), { found: false, text: '' });
});

test('isComplete tells finished, unfinished and wrong sources apart', async (t) => {
  const javascript = await file.session();
  const typescript = await file.session({ language: 'typescript' });
  const status = async ({ client, sessionId }: TestSession, source: string) =>
    (await client.call('session.isComplete', { sessionId, source })).status;
  for (const [source, expected] of [
    ['1 + 1', 'complete'],
    ['await x', 'complete'],
    ['', 'complete'],
    ['function f() {', 'incomplete'],
    ['`text', 'incomplete'],
    ['[1,', 'incomplete'],
    ['}', 'invalid'],
    ['let 1x', 'invalid'],
  ] as const) {
    t.is(await status(javascript, source), expected, source);
    t.is(await status(typescript, source), expected, source);
  }
  t.is(await status(typescript, 'interface A { a: number'), 'incomplete');
  t.is(await status(typescript, 'let a: number = 1'), 'complete');
  t.is(await status(javascript, 'let a: number = 1'), 'invalid');
});

test('questions are answered while a cell awaits, and after one that spun', async (t) => {
  const session = await file.session();
  await session.run('var a = 1');
  const { result } = await session.start('await new Promise((resolve) => { globalThis.go = resolve })', 'waits');
  t.deepEqual((await get(session, 'a')).value, { kind: 'json', json: 1 });
  await session.client.call('session.interrupt', { sessionId: session.sessionId });
  t.is((await result).error?.code, 'INTERRUPTED');
});
