import test from 'ava';
import { CapabilitySession, RawAnswer } from '../../_capability-session.ts';

const ALL = [
  'input',
  'read_file',
  'write_file',
  'kv',
  'fetch',
  'websocket',
  'hash',
  'encrypt',
  'query',
  'exec',
  'sleep',
];
const answer = (name: string, [operation]: unknown[]): unknown => {
  if (name === 'read_file') return { text: 'text' };
  if (name === 'kv') return { value: 1, version: 1 };
  if (name === 'websocket') return operation === 'open' ? { handle: 'h', url: 'u', protocol: '' } : null;
  if (name === 'encrypt') return { base64: 'AQ==' };
  if (name === 'query') return { columns: [], rows: [{ b: { base64: 'AQ==' } }] };
  if (name !== 'fetch') return 'answer';
  if (operation !== 'open') return { base64: 'Yg==', done: true };
  const body = { base64: 'YQ==', done: false, handle: 'h' };
  return { url: 'https://a.test/', status: 200, statusText: '', headers: [['a', 'b']], redirected: false, body };
};
/** Every method and accessor of the built-ins throws, and so do properties that plain objects inherit; `then` is read by promises themselves. */
const POISON = `
  const bomb = () => { throw new RangeError('poisoned') };
  const { defineProperty, ownKeys, getOwnPropertyDescriptor } = Reflect;
  const ObjectPrototype = Object.prototype;
  const holders = [String, Array, Uint8Array, Object.getPrototypeOf(Uint8Array), ArrayBuffer, DataView, Map, Set, WeakMap,
    Promise, Function, TypeError, URLSearchParams, AbortController, AbortSignal];
  const found = [];
  const collect = (target) => { for (const key of ownKeys(target)) found.push([target, key, getOwnPropertyDescriptor(target, key)]); };
  for (const holder of holders) { collect(holder); collect(holder.prototype); }
  for (const target of [JSON, Math, Number, Reflect, Object, Object.getPrototypeOf([].values()), Object.getPrototypeOf(new Map().values())]) collect(target);
  for (let i = 0; i < found.length; i++) {
    const target = found[i][0], key = found[i][1], property = found[i][2];
    if (key === 'constructor' || key === 'prototype' || !property.configurable) continue;
    const spoiled = { __proto__: null, configurable: true };
    if (property.get || property.set) spoiled.get = spoiled.set = bomb;
    else if (typeof property.value === 'function') spoiled.value = bomb;
    else continue;
    defineProperty(target, key, spoiled);
  }
  const traps = ['get', 'set', 'done', 'handle', 'base64', 'text', 'body', 'value', 'writable', '0', '1', '2'];
  for (let i = 0; i < traps.length; i++)
    defineProperty(ObjectPrototype, traps[i], { __proto__: null, get: bomb, set: bomb, configurable: true });
  0`;
const open = (capabilities: readonly string[]) => new CapabilitySession(capabilities, answer);

test('A01: a grant defines its globals, and nothing is there before it', async (t) => {
  const session = open([]);
  t.teardown(() => session.close());
  const names = 'Object.getOwnPropertyNames(globalThis)';
  await session.run(`var before = new Set(${names})`);
  t.deepEqual(
    await session.run('[typeof fetch, typeof kv, typeof Response, typeof decrypt]'),
    Array(4).fill('undefined'),
  );
  session.grant(ALL);
  t.deepEqual(
    ((await session.run(`${names}.filter((name) => !before.has(name))`)) as string[]).sort(),
    [...ALL, 'Headers', 'ReadableStream', 'Request', 'Response', 'before', 'decrypt']
      .filter((n) => n !== 'before')
      .sort(),
  );
  t.deepEqual(
    await session.run('Object.keys(globalThis).filter((name) => !before.has(name))'),
    [],
    'they are no variables of the user',
  );
});

test('A02: a granted function has its length and its name, and nothing to hold on to', async (t) => {
  const session = open(ALL);
  t.teardown(() => session.close());
  t.deepEqual(
    await session.run(
      `[...${JSON.stringify(ALL.filter((name) => name !== 'kv'))}, 'decrypt'].filter((name) => {
        const f = globalThis[name];
        return typeof f !== 'function' || f.name !== name || 'prototype' in f || Reflect.ownKeys(f).sort().join() !== 'length,name';
      })`,
    ),
    [],
  );
});

test('A withdrawn capability rejects wherever its parts were kept, and lives again when it is granted again', async (t) => {
  const session = open(ALL);
  t.teardown(() => session.close());
  const uses = [
    "read_file('/a')",
    "kv.get('a')",
    'saved()',
    "decrypt('a', {})",
    "fetch('https://a.test/')",
    'response.clone().text()',
    'socket.receive()',
    "socket.send('a')",
    'socket[Symbol.asyncIterator]().next()',
  ];
  await session.run(
    "const saved = kv.get.bind(null, 'a'); const response = await fetch('https://a.test/'); const socket = await websocket('wss://a.test/'); 1",
  );
  const codes = `await Promise.all([${uses.join()}].map((use) => use.then(() => 'done', (error) => error.code)))`;
  session.grant(['input']);
  session.calls.length = 0;
  t.deepEqual(await session.run(codes), Array(uses.length).fill('CAPABILITY_DENIED'));
  t.deepEqual(session.calls, [], 'nothing of it reaches the daemon');
  t.is(await session.run('new Headers({ a: "b" }).get("a") + await new Response("x").text()'), 'bx');
  session.grant(ALL);
  t.deepEqual(
    await session.run(
      "[await saved(), await read_file('/a'), (await fetch('https://a.test/')).status, await (await fetch('https://a.test/')).text()]",
    ),
    [1, 'text', 200, 'ab'],
  );
  t.is(await session.run('await input()'), 'answer');
});

test('A10: a capability one of whose names is taken is not given, and the daemon is told', async (t) => {
  const session = open([]);
  t.teardown(() => session.close());
  await session.run(
    "let kv = 'mine'; Object.defineProperty(globalThis, 'sleep', { set() {}, configurable: false }); var Request = 1; 0",
  );
  session.grant(['kv', 'sleep', 'fetch', 'hash', 'Array']);
  t.deepEqual((await session.host.heard('capabilities.refused')).names, ['kv', 'sleep', 'fetch', 'Array']);
  t.deepEqual(await session.run("[kv, typeof sleep, typeof fetch, typeof Response, Request, await hash('a', 'b')]"), [
    'mine',
    'undefined',
    'undefined',
    'undefined',
    1,
    'answer',
  ]);
  await session.run('delete globalThis.Request; Object.preventExtensions(globalThis); 0');
  session.host.said.splice(0);
  session.grant(['fetch', 'hash']);
  t.deepEqual((await session.host.heard('capabilities.refused')).names, ['fetch'], 'and none of its globals is left');
});

test('A10: at the opening, too, a name of the platform is not given away', async (t) => {
  const session = open(['input', 'console', 'JSON']);
  t.teardown(() => session.close());
  t.deepEqual((await session.host.heard('capabilities.refused')).names, ['console', 'JSON']);
  t.deepEqual(await session.run('[typeof console.log, typeof JSON.parse, await input()]'), [
    'function',
    'function',
    'answer',
  ]);
});

test('A08: what is granted to a poisoned realm uses nothing of it', async (t) => {
  const session = open([]);
  t.teardown(() => session.close());
  t.is(await session.run(POISON), 0);
  t.is(await session.run("'a'.slice(0)"), 'RangeError: poisoned');
  t.is(await session.run('[...[1]]'), 'RangeError: poisoned');
  session.grant(ALL);
  const run = async (source: string): Promise<unknown> => session.run(source);
  t.is(await run("await read_file('/a', { __proto__: null })"), 'text');
  t.is(await run("await write_file('/a', new Uint8Array(2))"), 'answer');
  t.deepEqual(session.calls.at(-1), ['write_file', '/a', { base64: 'AAA=' }]);
  t.is(await run("await kv.get('a')"), 1);
  t.is(await run("(await query('a', 'b', [1])).rows.length"), 1);
  t.is(await run("typeof (await decrypt('a', {}))"), 'object');
  t.is(await run("await hash('a', 'b', { key: 'c' })"), 'answer');
  t.is(
    await run(
      "const init = { __proto__: null, method: 'POST', body: 'x', headers: { b: 'c' } }; const got = await fetch('https://a.test/', init); await got.text()",
    ),
    'ab',
  );
  t.is(await run("got.headers.get('a') + got.status"), 'b200');
  t.is(await run("const ws = await websocket('wss://a.test/'); await ws.send('x') === undefined"), true);
});

test('F14: an answer of any text settles its call and ends nothing', async (t) => {
  const texts = ['', '{', 'nul', '"\\ud800"', '[[[', '1e999', '{"__proto__":null}', 'null', '5', '[]', '{"body":5}'];
  const left = texts.flatMap((text) => Array<string>(3).fill(text));
  const session = new CapabilitySession(ALL, () => new RawAnswer(left.shift() ?? 'null'));
  t.teardown(() => session.close());
  for (const text of texts) {
    const settled = await session.run(
      "(await Promise.allSettled([read_file('/a'), fetch('https://a.test/'), query('a', 'b')])).map((s) => s.status)",
    );
    t.deepEqual(settled, Array(3).fill('rejected'), text);
  }
  t.is(await session.run('1 + 1'), 2);
});

test('B06: data with a member called then is data', async (t) => {
  const session = new CapabilitySession(['input'], () => ({ then: { then: 1 } }));
  t.teardown(() => session.close());
  t.deepEqual(await session.run('await input()'), { then: { then: 1 } });
});

test('D10: calls that nobody awaits are bounded in number and in size', async (t) => {
  const session = new CapabilitySession(ALL, () => undefined);
  t.teardown(() => session.close());
  t.is(
    await session.run('for (let i = 0; i < 1e6; i++) input(i)'),
    'RangeError: Too many calls are waiting for an answer: at most 20 at once.',
  );
  t.is(session.calls.length, 20);
  const large = new CapabilitySession(ALL, () => undefined);
  t.teardown(() => large.close());
  t.is(
    await large.run("for (let i = 0; i < 20; i++) write_file('/a', 'x'.repeat(20e6))"),
    'RangeError: The calls that wait for an answer carry too much data: at most 50331648 characters together.',
  );
  t.is(large.calls.length, 2);
});

test('F11: a call from inside the answer of another, and from code that was evaluated, is a call like any other', async (t) => {
  const session = open(ALL);
  t.teardown(() => session.close());
  t.deepEqual(
    await session.run(
      "await read_file('/a').then(() => kv.get('b')).then(() => (0, eval)('input()')).then((last) => new Function('return read_file(\"/c\")')())",
    ),
    'text',
  );
  t.deepEqual(
    session.calls.map(([name]) => name),
    ['read_file', 'kv', 'input', 'read_file'],
  );
});

test('a call of what was taken away is told once for each name and cell, however often code catches it', async (t) => {
  const session = open(ALL);
  t.teardown(() => session.close());
  await session.run('var saved = { read_file, input }');
  session.grant(ALL.filter((name) => name !== 'read_file' && name !== 'input'));
  const told = async (source: string): Promise<readonly string[]> => {
    const from = session.host.said.length;
    await session.run(source);
    return session.host.said.slice(from).flatMap((said) => (said.kind === 'denied' ? [said.name] : []));
  };
  const loop =
    'for (let i = 0; i < 1000; i++) await saved.read_file("/a").catch(() => 0); await saved.input().catch(() => 0)';
  t.deepEqual(await told(loop), ['read_file', 'input']);
  t.deepEqual(await told('try { await saved.read_file("/a") } catch {}'), ['read_file'], 'in the next cell again');
  t.deepEqual(await told('1'), []);
  t.deepEqual(session.calls, []);
});
