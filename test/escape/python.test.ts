/** Class L of the attack catalogue: what a session of Python could do that one of JavaScript cannot. */
import anyTest, { type TestFn } from 'ava';
import type { Params } from '../../client/protocol.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';
import { WALK } from '../harness/walk-for-shared-memory.ts';
import { endOf, STOPPED, testAttacks } from './attack-table.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const session: Params<'session.create'> = {
  language: 'python',
  limits: { cellCpuMsMax: 3000, cellWallMsMax: 10_000 },
};
/** What ends the interpreter, and not the host: the session is made again as it was before the cell. */
const ENDED = /^MEMORY_EXCEEDED MemoryExceeded: The interpreter cannot go on/;
const MEMORY = /^(RUNTIME_ERROR MemoryError|MEMORY_EXCEEDED|CPU_EXCEEDED|TIMED_OUT|HOST_CRASHED)/;
const RUN_JS = 'import js, pyodide_js\nfrom pyodide.code import run_js\n';

/** The title of each, after its id, is what is promised. */
const attacks: Record<string, readonly [cells: string | readonly string[], end: string | RegExp][]> = {
  'L01: there is no process behind the globals of the isolate': [
    ['import js\njs.process', /^RUNTIME_ERROR AttributeError: process$/],
    ['import js\njs.constructor.constructor("return process")()', /^RUNTIME_ERROR JsException: ReferenceError/],
    ['import js\njs.Function.new("return typeof process + typeof require")()', '"undefinedundefined"'],
    [`${RUN_JS}run_js("typeof process + typeof require + typeof WebAssembly")`, '"undefinedundefinedundefined"'],
    [`${RUN_JS}pyodide_js._api.runtimeEnv.IN_NODE`, 'false'],
  ],
  'L01: no function that called guest code is reachable through it': [
    [`${RUN_JS}run_js("(function f() { return f.caller === null })")()`, 'true'],
  ],
  'L02: there is no process to be had': [
    ['import os\nos.system("id")', '-1'],
    ['import os\nos.fork()', /^RUNTIME_ERROR OSError/],
    ['import os\nos.execv("/bin/sh", ["sh"])', /^RUNTIME_ERROR OSError/],
    ['import os\nos.popen("id").read()', /^RUNTIME_ERROR OSError/],
    ['import subprocess\nsubprocess.run(["id"])', /^RUNTIME_ERROR OSError/],
    ['import multiprocessing\nmultiprocessing.Process(target=print).start()', /^RUNTIME_ERROR ModuleNotFoundError/],
    ['import threading\nthreading.Thread(target=print).start()', /^RUNTIME_ERROR RuntimeError/],
    ['import os\nos.kill(1, 9)', /^RUNTIME_ERROR PermissionError/],
  ],
  'L02: there is no C library to call': [
    ['import ctypes', /^RUNTIME_ERROR (ImportError|ModuleNotFoundError)/],
    ['from _ctypes import dlopen', /^RUNTIME_ERROR (ImportError|ModuleNotFoundError)/],
  ],
  'L02: no connection leaves the isolate': [
    ['import socket\nsocket.create_connection(("127.0.0.1", 80))', /^RUNTIME_ERROR OSError/],
    ['import urllib.request\nurllib.request.urlopen("http://127.0.0.1/")', /^RUNTIME_ERROR URLError/],
    ['from pyodide.http import pyfetch\nawait pyfetch("http://127.0.0.1/")', /^RUNTIME_ERROR NameError/],
  ],
  'L03: no file of the machine is there': [
    ['open("/etc/passwd").read()', /^RUNTIME_ERROR FileNotFoundError/],
    ['import os\nos.listdir("/proc")', '["self"]'],
    ['import os\nos.path.exists("/proc/self/environ") or os.path.exists("/proc/self/maps")', 'false'],
    [`${RUN_JS}pyodide_js.FS.mkdir("/m")\npyodide_js.mountNodeFS("/m", "/")`, /^RUNTIME_ERROR JsException/],
    [
      `${RUN_JS}fs = pyodide_js.FS\nfs.mkdir("/m")\nfs.mount(fs.filesystems.NODEFS, js.Object.new(), "/m")`,
      /^RUNTIME_ERROR JsException/,
    ],
  ],
  'L04: nothing is fetched to be imported': [
    ['import micropip', /^RUNTIME_ERROR ModuleNotFoundError/],
    [
      `${RUN_JS}await pyodide_js.loadPackage("numpy")\nimport numpy`,
      /^RUNTIME_ERROR JsException: Error: No known package/,
    ],
    [`${RUN_JS}await pyodide_js.loadPackage("http://127.0.0.1/a-1-py3-none-any.whl")\nimport a`, /^RUNTIME_ERROR /],
  ],
  'L05: to exit ends the cell': [
    ['import sys\nsys.exit(3)', 'RUNTIME_ERROR SystemExit: 3'],
    ['import sys\nsys.exit()', 'null'],
    ['raise SystemExit("words")', 'RUNTIME_ERROR SystemExit: words'],
    [
      ['import asyncio', 'async def f(): raise SystemExit(4)\nawait asyncio.create_task(f())'],
      'RUNTIME_ERROR SystemExit: 4',
    ],
    ['import os\nos._exit(5)', 'RUNTIME_ERROR SystemExit: 5'],
    ['import os\nos.abort()', 'RUNTIME_ERROR SystemExit: 134'],
    ['import os, signal\nos.kill(os.getpid(), signal.SIGKILL)', ENDED],
    ['import faulthandler\nfaulthandler._sigsegv()', ENDED],
  ],
  'L05: recursion is an error, or ends the interpreter of that session': [
    ['def f(n): return 1 + f(n - 1)\nf(10**6)', /^RUNTIME_ERROR RecursionError/],
    [
      'import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return 1 + f(n - 1)\nf(10**6)',
      /^(RUNTIME_ERROR (MemoryError|RecursionError)|MEMORY_EXCEEDED)/,
    ],
    ['class A:\n  def __repr__(self): return repr(self)\nA()', /^RUNTIME_ERROR RecursionError/],
    ['x = []\nfor _ in range(10**5): x = [x]\nlen(repr(x))', /^(200002|RUNTIME_ERROR RecursionError|MEMORY_EXCEEDED)/],
    ['eval("(" * 10**5)', /^RUNTIME_ERROR (SyntaxError|MemoryError)/],
    ['eval("+".join(["1"] * 10**5))', /^(RUNTIME_ERROR|MEMORY_EXCEEDED)/],
  ],
  'L05: what computes for ever is stopped': [
    ['int("9" * 10**7)', /^RUNTIME_ERROR ValueError: Exceeds the limit/],
    ['10**10**8', STOPPED],
    ['import re\nre.match("(a+)+$", "a" * 40 + "b")', STOPPED],
    ['import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass', STOPPED],
  ],
  'L05: what unpacks to more than there is ends': [
    [
      'import io, zipfile\nb = io.BytesIO()\nwith zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z, z.open("a", "w") as f:\n  for _ in range(256): f.write(bytes(2**20))\nlen(zipfile.ZipFile(b).read("a"))',
      MEMORY,
    ],
  ],
  // The last cell uses what was redefined, so that it is known to be redefined still.
  'L06: who redefines what evaluates cells is evaluated all the same': [
    [['import pyodide.code as c\nc.eval_code = c.eval_code_async = c.run_js = lambda: 3', 'c.eval_code()'], '3'],
    [['import builtins as b\nb.print = b.repr = b.display = lambda: 3', 'print()'], '3'],
    [['import builtins as b\nb.eval = b.exec = b.compile = b.sorted = lambda *a: 3', 'eval()'], '3'],
    [['import builtins as b\nb.eval = b.exec = None', 'eval or 1 / 0'], /ZeroDivisionError/],
    [['import sys\nsys.displayhook = sys.excepthook = lambda *a: 3', 'sys.displayhook()'], '3'],
    [
      [
        'import json, ast, inspect, math\njson.dumps = ast.Expression = inspect.isawaitable = math.isfinite = None',
        'json.dumps or 3',
      ],
      '3',
    ],
    [['import traceback as t\nt.TracebackException = None', 't.TracebackException or 1 / 0'], /ZeroDivisionError/],
    [
      [
        'import asyncio, warnings\nwarnings.simplefilter("ignore")\nclass P(asyncio.DefaultEventLoopPolicy):\n  def get_event_loop(self): 1 / 0\nasyncio.set_event_loop_policy(P())',
        'await asyncio.sleep(0)\n3',
      ],
      '3',
    ],
    [
      [
        'import asyncio\nasyncio.set_event_loop(None)\nasyncio.sleep = asyncio.create_task = None',
        'asyncio.sleep or 3',
      ],
      '3',
    ],
  ],
  'L07: attributes and frames lead to Python and nothing else': [
    [
      'try: "{0.__class__.__init__.__globals__}".format(object())\nexcept AttributeError as e: kept = e.obj\nrepr(type(kept))',
      `"<class 'wrapper_descriptor'>"`,
    ],
    [
      'try: 1 / 0\nexcept ZeroDivisionError as e: t = e.__traceback__\n"process" in t.tb_frame.f_globals or "process" in t.tb_frame.f_builtins',
      'false',
    ],
    [['import sys\nsys._getframe().f_back.f_globals.clear()', '1 + 2'], /^(3$|MEMORY_EXCEEDED)/],
    [['().__class__.__base__.__subclasses__().clear()', '1 + 2'], '3'],
  ],
};

testAttacks(
  test,
  shared,
  Object.entries(attacks).flatMap(([title, cases]) =>
    cases.map(([cells, end]) => {
      const list = typeof cells === 'string' ? [cells] : cells;
      return { title: `${title}: ${list.join(' ⏎ ').replaceAll('\n', ' ⏎ ').slice(0, 90)}`, cells: list, end, session };
    }),
  ),
);

test.serial('L01: a session of Python finds the globals that one of JavaScript has at its level', async (t) => {
  for (const level of ['sandbox', 'standard'] as const) {
    const { client } = shared();
    const [python, script] = [await Guest.open(client, { ...session, level }), await Guest.open(client, { level })];
    const names = 'Object.getOwnPropertyNames(globalThis).sort()';
    const there = (await script.json(names)) as string[];
    const here = (await python.json(`${RUN_JS}list(run_js("${names}"))`)) as string[];
    t.deepEqual(
      here.filter((name) => !there.includes(name)),
      [],
      level,
    );
    await Promise.all([python.close(), script.close()]);
  }
});

test.serial('L03: nothing that a session can reach is memory of others', async (t) => {
  const guest = await Guest.open(shared().client, { language: 'python', level: 'standard' });
  // The byte that the host writes signals into is the session's own.
  await guest.run(`import js, pyodide_js\njs.eval(${JSON.stringify(WALK)})`);
  const found = await guest.json('js.walk(pyodide_js._module, pyodide_js._api, js.globalThis)');
  const [objects, buffers] = JSON.parse(String(found)) as [number, string[]];
  t.true(objects > 10_000);
  t.true(buffers.length > 0 && buffers.every((path) => path.startsWith('module.Py_EmscriptenSignalBuffer.buffer')));
  await guest.close();
});

test.serial('L03: what a session does to its standard library is in no other session', async (t) => {
  const { client } = shared();
  const before = await Guest.open(client, session);
  const hostile = await Guest.open(client, session);
  t.is(
    await hostile.json(`${RUN_JS}import sys
path = next(path for path in sys.path if path.endswith(".zip"))
pyodide_js.FS.lookupPath(path).node.contents.fill(0)
open(path, "wb").write(b"evil")`),
    4,
  );
  t.regex(endOf(await hostile.run('import colorsys')), /^RUNTIME_ERROR/);
  // As many as the host of the hostile one, and the one after it, are filled with.
  const others = [before];
  for (let count = 0; count < 5; count++) others.push(await Guest.open(client, session));
  for (const other of others) t.is(await other.json('import colorsys, wave\ncolorsys.rgb_to_hsv(0, 0, 1)[2]'), 1);
  for (const guest of [hostile, ...others]) await guest.close();
});

test.serial('L05: what hosts make and dispose of one after another does not use them up', async (t) => {
  const { client } = shared();
  for (let count = 0; count < 48; count++) {
    const guest = await Guest.open(client, session);
    t.is(await guest.json('1 + 1'), 2);
    await guest.close();
  }
});

test.serial('L08: what a task prints after its cell is of no cell, and of no other session', async (t) => {
  const { client } = shared();
  const [spawner, other] = [await Guest.open(client, session), await Guest.open(client, session)];
  await spawner.run(
    'import asyncio\nasync def late():\n  await asyncio.sleep(0.05)\n  print("late words")\ntask = asyncio.create_task(late())',
  );
  const event = await client.event(
    ({ kind, ...rest }) => kind === 'output' && 'text' in rest && rest.text.startsWith('late words'),
  );
  t.is(event.sessionId, spawner.sessionId);
  t.is('executionId' in event ? event.executionId : undefined, null);
  t.is((await other.run('1')).output.stdout, '');
  await Promise.all([spawner.close(), other.close()]);
});
