/** The capabilities as a cell in Python sees them: what leaves for the daemon, and what becomes of its answers. */
import test from 'ava';
import { makeEffects } from '../../../daemon/capabilities/effects.ts';
import type { Engines } from '../../../daemon/capabilities/engines.ts';
import { CapabilityRegistry } from '../../../daemon/capabilities/registry.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { type Answer, CallFault, CapabilitySession } from '../_capability-session.ts';
import { HostedPython } from './_hosted-python.ts';

const NAMES = [
  ...[
    'read_file',
    'write_file',
    'list_files',
    'delete_file',
    'kv',
    'query',
    'execute',
    'transaction',
    'hash',
    'encrypt',
  ],
  ...['dns', 'env', 'secret', 'exec', 'sleep', 'input', 'approve', 'review', 'fetch', 'websocket', 'my_tool'],
];
let answer: Answer = () => null;
const session = new CapabilitySession(NAMES, (name, args) => answer(name, args), [], new HostedPython());
test.after.always(() => session.close());

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const calls: [cell: string, sent: unknown[][], answers: unknown, value: unknown][] = [
  ['read_file("a")', [['read_file', 'a']], { text: 'A' }, 'A'],
  ['await read_file("a", offset=1, length=2)', [['read_file', 'a', { offset: 1, length: 2 }]], { text: 'A' }, 'A'],
  ['read_file("a", encoding="bytes")', [['read_file', 'a', { encoding: 'bytes' }]], { base64: base64('A') }, "b'A'"],
  [
    'write_file("a", b"xy", append=True)',
    [['write_file', 'a', { base64: base64('xy') }, { append: true }]],
    { bytes: 2 },
    { bytes: 2 },
  ],
  ['write_file("a", 5)', [], null, 'TypeError: The contents for write_file() must be str or bytes, not int'],
  ['list_files()', [['list_files', '.']], { entries: [], cursor: null }, { entries: [], cursor: null }],
  ['list_files("/x", recursive=True, limit=3)', [['list_files', '/x', { recursive: true, limit: 3 }]], 1, 1],
  ['delete_file("a")', [['delete_file', 'a']], true, true],
  ['kv.get("k")', [['kv', 'get', 'k']], { value: [1], version: 2 }, [1]],
  ['kv.get("k", store="s")', [['kv', 'get', 'k', { store: 's' }]], null, null],
  ['kv.entry("k")', [['kv', 'get', 'k']], { value: [1], version: 2 }, { value: [1], version: 2 }],
  ['kv.set("k", {"a": None})', [['kv', 'set', 'k', { a: null }]], { version: 3 }, 3],
  ['await kv.set("k", 1, if_version=None)', [['kv', 'set', 'k', 1, { ifVersion: null }]], { version: 1 }, 1],
  ['kv.delete("k", if_version=4)', [['kv', 'delete', 'k', { ifVersion: 4 }]], true, true],
  [
    'kv.list(prefix="a")',
    [['kv', 'list', { prefix: 'a', limit: 1000 }]],
    { keys: [], cursor: null },
    { keys: [], cursor: null },
  ],
  [
    'query("s", "SELECT ?", [2**60, b"x", None, 1.5])',
    [['query', 's', 'SELECT ?', [`${2n ** 60n}`, { base64: base64('x') }, null, 1.5]]],
    { columns: ['a'], rows: [{ a: { base64: base64('y') } }] },
    "{'columns': ['a'], 'rows': [{'a': b'y'}]}",
  ],
  [
    'execute("s", "DELETE")',
    [['execute', 's', 'DELETE', []]],
    { columns: [], rows: [], changes: 1, lastId: null },
    { columns: [], rows: [], changes: 1, lastId: null },
  ],
  [
    'transaction("s", [("A",), ("B", [1])])',
    [['transaction', 's', [['A'], ['B', [1]]]]],
    [{ rows: [] }],
    [{ rows: [] }],
  ],
  ['hash("sha256", "x", key=b"k")', [['hash', 'sha256', { text: 'x' }, { key: { base64: base64('k') } }]], 'ab', 'ab'],
  ['hash("a") == hash("a") and len({hash(1), hash(1.0)})', [], null, 1],
  [
    'encrypt("x", secret="s")',
    [['encrypt', 'encrypt', { text: 'x' }, { secret: 's' }]],
    { base64: base64('z') },
    "b'z'",
  ],
  [
    'decrypt(b"x", key=b"k")',
    [['encrypt', 'decrypt', { base64: base64('x') }, { base64: base64('k') }]],
    { base64: base64('z') },
    "b'z'",
  ],
  ['encrypt("x")', [], null, 'TypeError: give either secret= or key='],
  ['dns("a.example")', [['dns', 'a.example']], ['1.2.3.4'], ['1.2.3.4']],
  ['dns("a.example", "MX")', [['dns', 'a.example', 'MX']], [], []],
  ['env("A")', [['env', 'A']], 'v', 'v'],
  ['secret("A")', [['secret', 'A']], 'v', 'v'],
  [
    'exec("date", ["-u"], stdin="in", timeout_ms=5)',
    [['exec', 'date', ['-u'], { stdin: { text: 'in' }, timeoutMs: 5 }]],
    { status: 0 },
    { status: 0 },
  ],
  ['exec("made = 3")\nmade', [], null, 3],
  ['scope = {}\nexec("made = 4", scope)\nscope["made"]', [], null, 4],
  ['sleep(1.5)', [['sleep', 1500]], null, null],
  ['sleep("3d")', [['sleep', '3d']], null, null],
  ['import time\ntime.sleep(90)', [['sleep', 90_000]], null, null],
  ['import asyncio\nawait asyncio.sleep(90, "slept")', [['sleep', 90_000]], null, 'slept'],
  ['import asyncio\nawait asyncio.sleep(0.001, "slept")', [], null, 'slept'],
  ['input("name? ") + "!"', [['input', 'name? ']], 'Ada', 'Ada!'],
  ['await input()', [['input', '']], 'Ada', 'Ada'],
  ['input()', [['input', '']], null, 'EOFError: EOF when reading a line'],
  ['approve("sure?", {"n": 1})', [['approve', 'sure?', { n: 1 }]], true, true],
  ['review([1], title="t")', [['review', [1], { title: 't' }]], [2], [2]],
  ['my_tool(1, "two", deep=True)', [['my_tool', 1, 'two', { deep: true }]], { a: 1 }, { a: 1 }],
  ['my_tool(float("nan"))', [], null, /^ValueError: Out of range float/],
  ['my_tool({1, 2})', [], null, 'TypeError: Object of type set is not JSON serializable'],
  ['my_tool("\\ud800é")', [['my_tool', '\ud800é']], '\ud800', '\ud800'],
  // In parallel, in generator expressions, in plain functions of code that awaits.
  [
    'import asyncio\ncalls = [read_file(n) for n in "ab"]\nawait asyncio.gather(*calls)',
    [
      ['read_file', 'a'],
      ['read_file', 'b'],
    ],
    { text: 'A' },
    ['A', 'A'],
  ],
  [
    'import asyncio\nawait asyncio.gather(*(read_file(n) for n in "ab"))',
    [
      ['read_file', 'a'],
      ['read_file', 'b'],
    ],
    { text: 'A' },
    ['A', 'A'],
  ],
  [
    'def both():\n  return [read_file(n) for n in "ab"]\nboth()',
    [
      ['read_file', 'a'],
      ['read_file', 'b'],
    ],
    { text: 'A' },
    ['A', 'A'],
  ],
  [
    'import asyncio\nasync def main():\n  return await read_file("a") + "!"\nasyncio.run(main())',
    [['read_file', 'a']],
    { text: 'A' },
    'A!',
  ],
  [
    'async def main():\n  return read_file("a").upper()\nawait main()',
    [['read_file', 'a']],
    { text: 'A' },
    /^AttributeError: a call of read_file\(\) has no 'upper' before it is awaited: .*`await read_file\(…\)`$/,
  ],
  [
    'list(map(read_file, "ab"))',
    [
      ['read_file', 'a'],
      ['read_file', 'b'],
    ],
    { text: 'A' },
    ['A', 'A'],
  ],
  ['read_file()', [], null, /^TypeError: read_file\(\) missing 1 required positional argument/],
];
for (const [cell, sent, answers, value] of calls) {
  test.serial(JSON.stringify(cell), async (t) => {
    session.calls.length = 0;
    answer = () => answers;
    const came = await session.run(cell);
    if (value instanceof RegExp) t.regex(String(came), value);
    else t.deepEqual(came, value);
    t.deepEqual(
      session.calls.map((call) => [...call]),
      sent,
    );
  });
}

const faults: [code: string, details: unknown, caught: string][] = [
  ['CAPABILITY_DENIED', undefined, 'PermissionError'],
  ['CAPABILITY_DENIED', undefined, 'pyrepl3.CapabilityDenied'],
  ['TOO_LARGE', { limit: 5 }, 'pyrepl3.TooLarge'],
  ['EFFECT_FAILED', { reason: 'not-found' }, 'FileNotFoundError'],
  ['EFFECT_FAILED', { reason: 'not-found' }, 'pyrepl3.EffectFailed'],
  ['TIMED_OUT', undefined, 'TimeoutError'],
  ['INVALID_PARAMS', undefined, 'ValueError'],
  ['NEVER_HEARD_OF', undefined, 'pyrepl3.CapabilityError'],
];
for (const [code, details, caught] of faults) {
  test.serial(`a call that fails with ${code} can be caught as ${caught}`, async (t) => {
    answer = () => {
      throw new CallFault(code, 'the words of it', details);
    };
    const source = `import pyrepl3
try:
  read_file("a")
except ${caught} as error:
  caught = [error.code, error.capability, error.details, str(error), isinstance(error, pyrepl3.CapabilityError)]
caught`;
    t.deepEqual(await session.run(source), [code, 'read_file', details ?? {}, 'the words of it', true]);
    const awaited = await session.run(source.replace('read_file', 'await read_file'));
    t.deepEqual(awaited, [code, 'read_file', details ?? {}, 'the words of it', true]);
  });
}

test.serial('an error of a call that nobody catches has its code, and the lines of the cell only', async (t) => {
  answer = () => {
    throw new CallFault('TOO_LARGE', 'too much');
  };
  const outcome = await session.outcome('x = 1\nread_file("a")');
  t.like(outcome, {
    status: 'error',
    error: { code: 'TOO_LARGE', capability: 'read_file', name: 'TooLarge', line: 2 },
  });
  t.notRegex(outcome.status === 'error' ? outcome.error.stack : '', /pyrepl3/);
});

test.serial('a response is read as it comes: as text, as JSON, in pieces, with and without await', async (t) => {
  const open = (body: unknown, type = 'text/plain'): unknown => ({
    ...{ url: 'http://a/', status: 201, statusText: 'Created', redirected: false, headers: [['Content-Type', type]] },
    body,
  });
  const answers: unknown[] = [];
  answer = () => answers.shift();
  answers.push(open({ base64: base64('{"a"'), done: false, handle: 'h' }), { base64: base64(':1}'), done: true });
  session.calls.length = 0;
  const posted =
    'r = fetch("http://a/", method="post", headers={"X-A": 1}, body="b")\n[r.status, r.ok, r.headers["content-type"], r.json()]';
  t.deepEqual(await session.run(posted), [201, true, 'text/plain', { a: 1 }]);
  const init = { method: 'POST', headers: [['X-A', '1']], body: { text: 'b' }, redirect: 'follow' };
  t.deepEqual(session.calls, [
    ['fetch', 'open', 'http://a/', init],
    ['fetch', 'read', 'h'],
  ]);
  t.regex(String(await session.run('r.text()')), /^RuntimeError: The body of this response has been read already/);
  answers.push(open({ base64: Buffer.from([0xe9]).toString('base64'), done: true }, 'text/plain; charset=latin-1'));
  t.is(await session.run('await (await fetch("http://a/")).text()'), 'é');
  answers.push(open({ base64: base64('ab'), done: false, handle: 'h' }), { base64: base64('cd'), done: true });
  t.deepEqual(await session.run('[p.decode() async for p in await fetch("http://a/")]'), ['ab', 'cd']);
  answers.push(open({ base64: base64('ab'), done: false, handle: 'h' }), { base64: base64('cd'), done: true });
  t.deepEqual(await session.run('[p.decode() for p in fetch("http://a/")]'), ['ab', 'cd']);
  answers.push(open(null));
  t.is(await session.run('fetch("http://a/").text()'), '');
});

test.serial('a socket sends and receives until it is closed', async (t) => {
  const answers: unknown[] = [{ handle: 'h', url: 'ws://a/', protocol: 'p' }, null, { message: { text: 'one' } }];
  answers.push({ message: { base64: base64('two') } }, { closed: { code: 1000, reason: 'bye' } }, null);
  answer = () => answers.shift();
  session.calls.length = 0;
  const source = `async with await websocket("ws://a/", protocols=["p"]) as s:
  await s.send("hello")
  heard = [m async for m in s]
[heard == ["one", b"two"], s.protocol, list(s.closed)]`;
  t.deepEqual(await session.run(source), [true, 'p', [1000, 'bye']]);
  t.deepEqual(session.calls.slice(0, 3), [
    ['websocket', 'open', 'ws://a/', { protocols: ['p'] }],
    ['websocket', 'send', 'h', { text: 'hello' }],
    ['websocket', 'receive', 'h'],
  ]);
});

test.serial('values show themselves as IPython has it, and what is logged has its level', async (t) => {
  const from = session.host.said.length;
  const source = `class Picture:
  def _repr_png_(self): return b"png"
  def _repr_html_(self): return "<b>"
  def __repr__(self): return "Picture()"
class Own:
  def __repr__(self): return "Own()"
  def _repr_mimebundle_(self, include=None, exclude=None): return {"text/x": "own"}, {}
display(Picture(), {"text/html": "<i>"}, [1], Own())
log("careful", 5, level="warn")`;
  t.is(await session.run(source), null);
  const said = session.host.said.slice(from).filter(({ kind }) => kind === 'display' || kind === 'log');
  t.deepEqual(
    said.map((each) =>
      each.kind === 'display' ? JSON.parse(each.dataJson) : each.kind === 'log' ? [each.level, each.text] : 0,
    ),
    [
      { 'text/plain': 'Picture()', 'text/html': '<b>', 'image/png': base64('png') },
      { 'text/plain': "{'text/html': '<i>'}", 'text/html': '<i>' },
      { 'text/plain': '[1]', 'application/json': [1] },
      { 'text/plain': 'Own()', 'text/x': 'own' },
      ['warn', 'careful 5'],
    ],
  );
});

test.serial('the signatures are those of the stubs that the daemon gives out', async (t) => {
  const stubs = new CapabilityRegistry(makeEffects({} as Engines, systemClock)).all
    .map(({ stub }) => stub)
    .filter((stub) => /^(async def|class)/.test(stub))
    .join('\n');
  const source = `import ast, inspect, builtins
def spelled(node):
  return ast.unparse(node.args), ast.unparse(node.returns)
def actual(function):
  text = str(inspect.signature(function))
  node = ast.parse(f"async def f{text}: ...".replace("<", "'").replace(">", "'")).body[0]
  return node
wrong = []
for node in ast.parse(${JSON.stringify(stubs)}).body:
  for each in [node] if isinstance(node, ast.AsyncFunctionDef) else node.body:
    owner = globals().get(node.name) or getattr(builtins, node.name)
    function = owner if each is node else getattr(owner, each.name)
    names = [a.arg for a in (*each.args.args, *each.args.kwonlyargs)]
    if names != list(inspect.signature(function).parameters):
      wrong.append(node.name)
    defaults = [ast.literal_eval(d) for d in (*each.args.defaults, *each.args.kw_defaults) if d is not None]
    has = [p.default for p in inspect.signature(function).parameters.values() if p.default is not inspect.Parameter.empty]
    if defaults != has:
      wrong.append([node.name, str(defaults), str(has)])
wrong`;
  t.deepEqual(await session.run(source), []);
});

test.serial('what is withdrawn says so, and granted again works again', async (t) => {
  answer = () => true;
  await session.run('kept = delete_file');
  session.grant(NAMES.filter((name) => name !== 'delete_file'));
  t.regex(String(await session.run('delete_file("a")')), /^CAPABILITY_DENIED: delete_file is no longer granted/);
  t.regex(String(await session.run('await kept("a")')), /^CAPABILITY_DENIED: /);
  session.grant(
    [...NAMES, 'late_tool', 'len'],
    [{ name: 'late_tool', summary: 'Late.', signature: 'async def late_tool()', globals: ['late_tool'] }],
  );
  t.is(await session.run('delete_file("a")'), true);
  t.is(await session.run('late_tool(1)'), true);
  t.is(await session.run('len("abc")'), 3);
  t.deepEqual((await session.host.heard('capabilities.refused')).names, ['len']);
  t.regex(await session.output('help(late_tool)'), /async def late_tool\(\)\n\nLate\./);
  t.regex(await session.output('help()'), /This session was given:\n {2}read_file/);
  t.regex(await session.output('help(dict.get)'), /Return the value for key if key is in the dictionary/);
});

test.serial('a cell that is held up by a call ends when it is stopped, whatever it catches', async (t) => {
  answer = () => undefined;
  const stubborn =
    'ended = []\ntry:\n  input()\nexcept BaseException as e:\n  ended.append(type(e).__name__)\n  input()';
  for (const [source, wallMs] of [
    [stubborn, 300],
    ['import time\ntime.sleep(50)', 300],
    ['import asyncio\nasyncio.run(asyncio.sleep(60))', 300],
  ] as const) {
    const { outcome } = await session.host.run('session', source, { wallMs, outputBytes: 1000 });
    t.deepEqual(outcome, { status: 'stopped', by: 'wall' }, source);
    t.is(await session.run('6 * 7'), 42);
  }
  t.deepEqual(await session.run('ended'), ['KeyboardInterrupt']);
  // Names can be asked for while a call holds the session up.
  const cell = session.host.start('session', 'held = input()', { wallMs: 60_000, outputBytes: 1000 });
  const { call } = await session.host.heard('call', (said) => said.cell === cell);
  t.is((await session.host.ask('session', { about: 'namespace.list' })).kind, 'answer');
  session.host.tell({ kind: 'call.settle', isolate: 'session', call, ok: true, json: '"answered"' });
  t.deepEqual((await session.host.done(cell)).outcome, { status: 'value', json: 'null' });
  t.is(await session.run('held'), 'answered');
});

test.serial('a variable of the name of a capability that comes later stays, and is listed', async (t) => {
  const { host } = session;
  const grant = { capabilities: ['hash'], patient: [], docs: [] };
  host.open('own', { capabilities: [] });
  await host.run('own', 'hash = 5');
  host.tell({ kind: 'capabilities.set', isolate: 'own', number: 1, ...grant });
  const told = await host.ask('own', { about: 'namespace.list' });
  t.true(told.kind === 'answer' && told.answer.about === 'namespace.list');
  t.regex(JSON.stringify(told), /"name":"hash"/);
  t.like((await host.run('own', 'hash')).outcome, { status: 'value', json: '5' });
});
