import test, { type ExecutionContext } from 'ava';
import { WALK } from '../../harness/walk-for-shared-memory.ts';
import { HostedPython } from './_hosted-python.ts';

const host = new HostedPython();
test.after.always(() => host.close());

let opened = 0;

/** A session that ends with the test. */
function session(
  t: ExecutionContext,
  spec: Parameters<HostedPython['open']>[1] = {},
): (source: string) => Promise<unknown> {
  const isolate = `session-${++opened}`;
  host.open(isolate, spec);
  t.teardown(() => host.tell({ kind: 'isolate.dispose', isolate }));
  return (source) => host.value(isolate, source);
}

const cells: [cells: string[], value: unknown][] = [
  [['x = 40', 'x += 2', 'x'], 42],
  // The first task is the first cell's, and of cells before it there is nothing.
  [
    [
      'import asyncio, linecache\n[asyncio.current_task().get_name(), sum(n.startswith("cell:") for n in linecache.cache), "_" in globals()]',
    ],
    ['Task-1', 1, false],
  ],
  // What a cell begins runs before it is over, as far as it can.
  [['import asyncio\nl = []\nasync def f(): l.append(1)\nt = asyncio.create_task(f()); l'], [1]],
  // More cells than one stack is kept for, and some that take nearly all of it, or are held up on it.
  [
    [
      'import time\ndef deep(n): return deep(n - 1) if n else sorted([1], key=lambda _: 0)',
      ...Array.from({ length: 140 }, (_, n) => (n % 20 === 0 ? 'time.sleep(0.001); deep(900)' : `x = ${n}`)),
      'x',
    ],
    139,
  ],
  [['(1, 2)'], '(1, 2)'],
  [['1.0'], 1],
  [['-0.0'], '-0.0'],
  [['float("nan")'], 'nan'],
  [['2 ** 53 - 1'], 2 ** 53 - 1],
  [['2 ** 53'], '9007199254740992'],
  [['{1: 2}'], '{1: 2}'],
  [['a = []; a.append(a); a'], '[[...]]'],
  [['"\\ud800é"'], '\ud800é'],
  [
    ['5', '_ + 1', '[_, __]'],
    [6, 5],
  ],
  [['5', 'None', '_'], 5],
  [['import asyncio', 'await asyncio.sleep(0.001, "slept")'], 'slept'],
  [
    ['async def f(n):\n  return n\n', 'import asyncio\nawait asyncio.gather(f(1), f(2))'],
    [1, 2],
  ],
  [
    ['import asyncio\nt = asyncio.create_task(asyncio.sleep(0.001, 7)); t.done()', '[await t, t.done()]'],
    [7, true],
  ],
  [['import asyncio\nawait asyncio.wait_for(asyncio.sleep(9), 0.001)'], 'TimeoutError: '],
  [['import asyncio\nasyncio.run(asyncio.sleep(0.01, 8))'], 8],
  [
    ['import asyncio\nasync def f():\n  await asyncio.sleep(0.01)\n  return 1 / 0\nasyncio.run(f())'],
    /^ZeroDivisionError/,
  ],
  [
    [
      'import asyncio\nl = asyncio.get_event_loop()\nl.run_until_complete(asyncio.gather(asyncio.sleep(0.01, 1), asyncio.sleep(0, 2)))',
    ],
    [1, 2],
  ],
  [
    [
      'import asyncio\nasync def f():\n  return asyncio.run(asyncio.sleep(0.001, 3)) + await asyncio.sleep(0, 1)\nawait f()',
    ],
    4,
  ],
  [['import time\ntime.sleep(0.01)\n9'], 9],
  [['1/0'], 'ZeroDivisionError: division by zero'],
  [['import sys\nsys.exit(3)'], 'SystemExit: 3'],
  [['import sys\nsys.exit()'], null],
  [['def r(): return r()', 'r()'], 'RecursionError: maximum recursion depth exceeded'],
  [['w = 1', 'w = 2\nreturn', 'w'], 1],
  [['from __future__ import annotations', 'def f(a: nowhere): pass\nf.__annotations__["a"]'], 'nowhere'],
  [['import time\ntime.sleep([])'], "TypeError: 'list' object cannot be interpreted as an integer or float"],
  [['x = [0] * 10**9'], 'MemoryError: '],
  [['l = []\nwhile True: l.append(bytearray(2**20))', 'del l', '6 * 7'], 42],
  [['class A:\n  def __repr__(self): return 1 / 0\nA()'], 'ZeroDivisionError: division by zero'],
  [['import sqlite3', 'sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0]'], 42],
  [['import socket\nsocket.create_connection(("127.0.0.1", 1))'], /^\w*Error/],
  [['import subprocess\nsubprocess.run(["true"])'], /^\w*Error/],
  [['open("f", "w").write("kept")', 'open("f").read()'], 'kept'],
  [['import os\nos.listdir("/proc")'], /^FileNotFoundError|\[\]|self/],
  [['__name__'], '__main__'],
  [['input'], /input/],
];
for (const [sources, expected] of cells) {
  test.serial(
    `${JSON.stringify(sources)} comes to ${expected instanceof RegExp ? expected : JSON.stringify(expected)}`,
    async (t) => {
      const run = session(t);
      let value: unknown;
      for (const source of sources) value = await run(source);
      if (expected instanceof RegExp) t.regex(String(value), expected);
      else t.deepEqual(value, expected);
    },
  );
}

test.serial('an error has the lines of the cells that led to it, and none of ours', async (t) => {
  host.open('traceback');
  const define = await host.run('traceback', 'def f(n):\n  return 1 / n');
  const call = await host.run('traceback', 'def g():\n  f(0)\n\ng()');
  t.is(call.outcome.status, 'error');
  if (call.outcome.status !== 'error') return;
  const { stack, line, frame } = call.outcome.error;
  t.is(
    stack,
    [
      `  File "cell:${call.cell}", line 4, in <module>\n    g()\n    ~^^`,
      `  File "cell:${call.cell}", line 2, in g\n    f(0)\n    ~^^^`,
      `  File "cell:${define.cell}", line 2, in f\n    return 1 / n\n           ~~^~~`,
    ].join('\n'),
  );
  t.is(line, 2);
  t.is(frame, '  return 1 / n\n         ^');
});

test.serial('a syntax error has its line, and is told as Python tells it', async (t) => {
  host.open('syntax');
  const { cell, outcome } = await host.run('syntax', 'x = 1\nif x\n  y');
  t.is(outcome.status, 'error');
  if (outcome.status !== 'error') return;
  t.is(outcome.error.code, 'SYNTAX_ERROR');
  t.is(outcome.error.name, 'SyntaxError');
  t.is(outcome.error.message, "expected ':'");
  t.is(outcome.error.stack, `  File "cell:${cell}", line 2\n    if x\n        ^`);
  t.is(outcome.error.line, 2);
  t.is(outcome.error.frame, 'if x\n    ^');
});

test.serial('an error says what it was raised from, or what was being handled', async (t) => {
  host.open('chains');
  const chainOf = async (source: string): Promise<unknown> => {
    const outcome = await host.outcome('chains', `try:\n  1 / 0\nexcept Exception as e:\n  ${source}`);
    if (outcome.status !== 'error') return outcome;
    const { name, cause, whileHandling } = outcome.error;
    return [name, cause?.name, whileHandling];
  };
  t.deepEqual(await chainOf('raise ValueError() from e'), ['ValueError', 'ZeroDivisionError', undefined]);
  t.deepEqual(await chainOf('raise ValueError()'), ['ValueError', 'ZeroDivisionError', true]);
  t.deepEqual(await chainOf('raise ValueError() from None'), ['ValueError', undefined, undefined]);
});

test.serial('what is printed comes as it is printed, to its stream, and is cut at the limit', async (t) => {
  host.open('printing');
  const cell = host.start(
    'printing',
    'import sys\nprint("out"); print("err", file=sys.stderr); print("é", end="", flush=True)',
  );
  await host.done(cell);
  const said = (stream: string, of: number) =>
    host.said
      .flatMap((one) => (one.kind === 'output' && one.cell === of && one.stream === stream ? [one.text] : []))
      .join('');
  t.is(said('stdout', cell), 'out\né');
  t.is(said('stderr', cell), 'err\n');
  const flood = host.start('printing', 'for n in range(10000): print("0123456789")', { outputBytes: 500 });
  t.is((await host.done(flood)).outcome.status, 'value');
  t.is(said('stdout', flood).length, 500);
  t.true(host.said.some((one) => one.kind === 'output.truncated' && one.cell === flood));
});

test.serial('a session without the capability prints nothing', async (t) => {
  host.open('silent', { outputs: [] });
  const cell = host.start('silent', 'print("out")\n1 / 0');
  await host.done(cell);
  t.false(host.said.some((one) => one.kind === 'output' && one.isolate === 'silent'));
});

test.serial('JavaScript is the isolate it runs in, and no more of it than JavaScript sessions have', async (t) => {
  const run = session(t);
  t.is(await run('import js\njs.Math.max(1, 2)'), 2);
  for (const name of ['process', 'require', 'WebAssembly', 'SharedArrayBuffer', 'assets', 'read', 'readbuffer', 'os'])
    t.is(await run(`hasattr(js, "${name}")`), false, name);
  t.is(await run('js.eval("typeof send + typeof compute + typeof Deno + typeof ivm")'), 'undefined'.repeat(4));
  t.is(
    await run('from pyodide.code import run_js\nrun_js("Object.getOwnPropertyNames(globalThis).includes(\'assets\')")'),
    false,
  );
});

test.serial('what Python can reach of its loader is bounded as it is itself, and can load nothing', async (t) => {
  const run = session(t);
  t.is(await run('import pyodide_js\nm = pyodide_js._module\nhasattr(m, "wasmMemory")'), false);
  t.is(
    await run('display.__globals__["session"].host.write.constructor("return typeof process + typeof require")()'),
    'undefinedundefined',
  );
  t.regex(String(await run('import micropip')), /^ModuleNotFoundError/);
  t.regex(String(await run('from pyodide.http import pyfetch\nawait pyfetch("https://example.com")')), /^NameError/);
  await run('await pyodide_js.loadPackage("numpy")');
  t.regex(String(await run('import numpy')), /^ModuleNotFoundError/);
});

test.serial('what one session does to the files and the state that it was made of, no other one sees', async (t) => {
  const run = session(t);
  t.is(await run(POISON), 'done');
  const next = session(t);
  t.is(await next('import colorsys, json\njson.dumps(colorsys.rgb_to_hsv(0, 0, 1)) and 6 * 7'), 42);
});

test.serial(
  'no memory that isolates share can be reached, but the byte by which a session itself is interrupted',
  async (t) => {
    const run = session(t, { heapMiB: 128 });
    await run(`import js, pyodide_js\njs.eval(${JSON.stringify(WALK)})`);
    const [objects, shared] = (await run('js.walk(pyodide_js._module, pyodide_js._api, js.globalThis)').then((text) =>
      JSON.parse(String(text)),
    )) as [number, string[]];
    t.true(objects > 10_000);
    t.deepEqual(shared, [
      'module.Py_EmscriptenSignalBuffer.buffer',
      'module.Py_EmscriptenSignalBuffer.buffer.__proto__',
    ]);
  },
);

/** Overwrites what it can find of the loader's memory, and every archive that modules come from. */
const POISON = `import sys, pyodide_js
def spoil(buffer):
    if buffer is not None and hasattr(buffer, "fill"):
        buffer.fill(0)
config = pyodide_js._api.config
for name in dir(config):
    spoil(getattr(config, name, None))
for name in ("wasmBinary", "wasmModule", "snapshot"):
    spoil(getattr(pyodide_js._module, name, None))
for path in sys.path:
    if path.endswith(".zip"):
        with open(path, "r+b") as archive:
            size = len(archive.read())
            archive.seek(0)
            archive.write(bytes(size))
"done"`;

test.serial('an exception of JavaScript has no line of ours', async (t) => {
  host.open('js-error');
  const outcome = await host.outcome('js-error', 'import pyodide_js\npyodide_js._api.config.to_py()');
  t.is(outcome.status, 'error');
  if (outcome.status !== 'error') return;
  t.regex(outcome.error.stack, /^ {2}File "cell:\d+", line 2, in <module>/);
  t.false(outcome.error.stack.includes('pyrepl3'), outcome.error.stack);
});

test.serial('names are listed, read, set and deleted from outside', async (t) => {
  host.open('names');
  await host.run('names', 'a = 1\ndef f(): pass\nclass C: pass\n_hidden = 2\n5');
  const ask = async (question: Parameters<HostedPython['ask']>[1]) => {
    const said = await host.ask('names', question);
    return said.kind === 'answer' ? said.answer : said.code;
  };
  t.deepEqual(await ask({ about: 'namespace.list' }), {
    about: 'namespace.list',
    names: [
      { name: 'a', kind: 'variable', type: 'int', preview: '1' },
      { name: 'f', kind: 'function', type: 'function', preview: (await host.value('names', 'repr(f)')) as string },
      { name: 'C', kind: 'class', type: 'type', preview: "<class '__main__.C'>" },
      { name: '_hidden', kind: 'variable', type: 'int', preview: '2' },
    ],
  });
  t.deepEqual(await ask({ about: 'namespace.set', valuesJson: '{"b": [1, null]}' }), {
    about: 'namespace.set',
    names: ['b'],
  });
  t.deepEqual(await ask({ about: 'namespace.get', name: 'b' }), {
    about: 'namespace.get',
    found: true,
    outcome: { status: 'value', json: '[1,null]' },
  });
  t.deepEqual(await ask({ about: 'namespace.delete', names: ['b', '_', 'nothing'] }), {
    about: 'namespace.delete',
    names: ['b'],
  });
  t.deepEqual(await ask({ about: 'complete', source: '_hid', cursor: 4 }), {
    about: 'complete',
    matches: ['_hidden'],
    start: 0,
    end: 4,
  });
});

test.serial('whether a cell is whole is what Python itself says', async (t) => {
  host.open('completeness');
  for (const [source, status] of [
    ['1 + 1', 'complete'],
    ['await f()', 'complete'],
    ['def f():', 'incomplete'],
    ['def f():\n  return 1', 'incomplete'],
    ['def f():\n  return 1\n', 'complete'],
    ['(1,', 'incomplete'],
    ['"""text', 'incomplete'],
    ['1 +', 'invalid'],
    ['return', 'invalid'],
  ] as const) {
    const said = await host.ask('completeness', { about: 'isComplete', source });
    t.deepEqual(said.kind === 'answer' && said.answer, { about: 'isComplete', status }, source);
  }
});
