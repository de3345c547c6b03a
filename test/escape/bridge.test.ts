import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';
import { testAttacks } from './attack-table.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

/** What a guest of a Node program that was broken out of would see. */
const PROBE = `constructor.constructor('return typeof process + typeof require + typeof module + typeof globalThis.global')()`;
const NOTHING = '"undefinedundefinedundefinedundefined"';

testAttacks(test, shared, [
  {
    title: 'A04: import() of a builtin rejects and loads nothing',
    cells: ["await import('fs')"],
    end: 'RUNTIME_ERROR Error: Not supported',
  },
  {
    title: 'A04: import() of a data URL rejects and loads nothing',
    cells: ["await import('data:text/javascript,export default 1')"],
    end: 'RUNTIME_ERROR Error: Not supported',
  },
  {
    title: 'A04: import() in text that the guest evaluates itself rejects',
    cells: [`[await eval("import('fs')").catch(String), await Function("return import('fs')")().catch(String)]`],
    end: '["Error: Not supported","Error: Not supported"]',
  },
  {
    title: 'G08: no path, manifest or kind of module leads import() to a file',
    cells: [
      `await Promise.all(['../../../secret.json', '/etc/passwd', 'file:///etc/passwd', './package.json', '#self', 'isolated-vm'].flatMap(
        (name) => [import(name), import(name, { with: { type: 'json' } })].map((loading) => loading.then(() => 'loaded', String))))
        .then((ends) => [...new Set(ends)])`,
    ],
    end: '["Error: Not supported"]',
  },
  {
    title: 'G08: a static import of a file is a syntax error, whatever it is said to be',
    cells: ["import secret from '../../../secret.json' with { type: 'json' }"],
    end: /^SYNTAX_ERROR SyntaxError: /,
  },
  {
    title: 'G08: what re-exports a file is a syntax error',
    cells: ["export * from '/etc/passwd'"],
    end: /^SYNTAX_ERROR SyntaxError: /,
  },
  {
    title: 'A04: import.meta is a syntax error',
    cells: ['import.meta'],
    end: /^SYNTAX_ERROR SyntaxError: .*import\.meta/,
  },
  {
    title: 'A04: a static import is a syntax error',
    cells: ["import fs from 'fs'"],
    end: /^SYNTAX_ERROR SyntaxError: /,
  },
  { title: 'A04: there is no require', cells: ["require('fs')"], end: /^RUNTIME_ERROR ReferenceError: require is not/ },
  {
    title: 'A04: there is no process',
    cells: ['process.exit(1)'],
    end: /^RUNTIME_ERROR ReferenceError: process is not/,
  },
  {
    title: 'A07: a cell that closes the function around it is a syntax error, not a way out',
    cells: ['})(); escaped = 1; (async () => {', 'typeof escaped'],
    end: '"undefined"',
  },
  {
    title: 'A07: an awaiting cell that closes the function around it is a syntax error, not a way out',
    cells: ['await 1; })(); escaped = 1; (async () => {', 'typeof escaped'],
    end: '"undefined"',
  },
  {
    title: 'A07: comments, separators, a byte order mark and a hashbang are plain source',
    cells: ['\uFEFF/* ` */ "a\u2028b" // */\n', '#!/bin/sh\n1', '<!-- x\n2\n--> y', '_ + __'],
    end: '3',
  },
  {
    title: 'A08: a redefined output function does not reach the one that the engine uses',
    cells: [
      'console.log = print = display = log = () => { throw new Error("evil") }; JSON.stringify = Reflect.ownKeys = null; 1',
      '({ a: [1] })',
    ],
    end: '{"a":[1]}',
  },
  {
    title: 'A08: a poisoned Promise.prototype.then is not used to await a cell',
    cells: ['Promise.prototype.then = Promise.prototype.catch = () => { throw 1 }; 1', 'await 1; [2]'],
    end: '[2]',
  },
  {
    title: 'A10: a setter on a name that could be injected later never sees the injection',
    cells: [
      `var seen = []; for (const name of ['send', 'compute', 'openInspector', 'input', 'fetch', 'open'])
         Object.defineProperty(globalThis, name, { set: (value) => seen.push(typeof value), configurable: false });`,
      'await null; seen',
    ],
    end: '[]',
  },
  { title: 'A12: debugger does nothing', cells: ['debugger; [1]'], end: '[1]' },
  {
    title: 'A12: nothing of the inspector is visible',
    cells: ['[typeof inspector, typeof openInspector, typeof console.context, typeof monitorEvents, typeof $_]'],
    end: '["undefined","undefined","undefined","undefined","undefined"]',
  },
  {
    title: 'A13: a caught engine error leads to no constructor of the host',
    cells: [`try { null.x } catch (e) { e.${PROBE} }`],
    end: NOTHING,
  },
  {
    title: 'A13: a stack overflow leads to no constructor of the host',
    cells: [`try { (function f() { f() })() } catch (e) { e.${PROBE} }`],
    end: NOTHING,
  },
  {
    title: 'A13: an error thrown inside a function of the engine leads to no constructor of the host',
    cells: [`try { structuredClone(() => {}) } catch (e) { e.${PROBE} }`],
    end: NOTHING,
  },
  {
    title: 'A13: a rejected import leads to no constructor of the host',
    cells: [`let found; try { await import('x') } catch (e) { found = e.${PROBE} } found`],
    end: NOTHING,
  },
  {
    title: 'A13: Symbol.species on a Promise subclass gets nothing of the runner',
    cells: [
      `var seen = []; class P extends Promise { static get [Symbol.species]() { return function (executor) {
         seen.push(String(executor)); executor(() => {}, () => {}); } } } new P((resolve) => resolve(5))`,
      "seen.filter((text) => text !== 'function () { [native code] }')",
    ],
    end: '[]',
  },
  {
    title: 'A13: yield* over a value whose then throws gives the guest its own error only',
    cells: [
      `async function* g() { yield* { [Symbol.asyncIterator]: () => ({ next: () => ({ then() { null.x } }) }) } }
       let found; try { await g().next() } catch (e) { found = e.${PROBE} } found`,
    ],
    end: NOTHING,
  },
]);

/** Defined in the guest: looks at everything that can be reached from what it is given, without invoking accessors. */
const WALK = `(function walk(...roots) {
  const foreign = /^(Reference|ExternalCopy|Isolate|Context|Script|Module|Callback|Dereference|InspectorSession|NativeModule)$/;
  const seen = new Set(); const found = []; const queue = roots;
  while (queue.length > 0) {
    const value = queue.pop();
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
    seen.add(value);
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    const own = Object.getOwnPropertyDescriptor(value, 'name')?.value;
    if (foreign.test(tag) || (typeof value === 'function' && foreign.test(own)))
      if (!String(value).includes('WebAssembly') && !wasm.has(value)) found.push(tag + ' ' + String(own));
    for (const key of ['applySync', 'applySyncPromise', 'derefInto', 'getSync', 'compileScript', 'createContext', 'copyInto'])
      if (Object.getOwnPropertyDescriptor(value, key) !== undefined) found.push('has ' + key);
    queue.push(Object.getPrototypeOf(value));
    for (const key of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, key);
      queue.push(property.value, property.get, property.set);
    }
  }
  return { found, walked: seen.size };
})`;
const WASM = `const wasm = new Set(typeof WebAssembly === 'object' ? [WebAssembly.Module, WebAssembly.Module.prototype] : []);`;

for (const level of ['sandbox', 'restricted', 'standard', 'trusted', 'unrestricted']) {
  test.serial(`A01: no handle of isolated-vm can be reached at level ${level}`, async (t) => {
    const guest = await Guest.open(shared().client, { level });
    const walk = (await guest.json(`${WASM}
      const caught = []; const keep = (f) => { try { caught.push(f()) } catch (e) { caught.push(e) } };
      keep(() => null.x); keep(() => structuredClone(() => 1)); keep(() => new URL('')); keep(() => atob('!'));
      keep(() => typeof input === 'function' ? input({}.x) : 1); keep(() => crypto.getRandomValues(1)); keep(() => setTimeout(() => 1, 1e9));
      ${WALK}(globalThis, ...caught, (function () { return arguments })(), (function* () {})(), (async () => {})(), [].values())`)) as {
      found: string[];
      walked: number;
    };
    t.deepEqual(walk.found, []);
    t.true(walk.walked > 1000, 'the walk went everywhere');
    await guest.close();
  });

  test.serial(`A02: a granted function has nothing but a name and a length at level ${level}`, async (t) => {
    const guest = await Guest.open(shared().client, { level });
    const keys = await guest.json(`[print, display, log, ...(typeof input === 'function' ? [input] : [])]
      .map((f) => [typeof f, Object.getPrototypeOf(f) === Function.prototype, Reflect.ownKeys(f).sort()])`);
    const expected = ['function', true, ['length', 'name']];
    t.deepEqual(keys, Array(level === 'sandbox' ? 3 : 4).fill(expected));
    await guest.close();
  });
}

test.serial('A01: structured stack traces give away no function and no receiver of the engine', async (t) => {
  const guest = await Guest.open(shared().client);
  await guest.run(`var leaks = []; var own = new Set();
    Error.prepareStackTrace = (error, sites) => {
      for (const site of sites) {
        const [f, self] = [site.getFunction(), site.getThis()];
        if (typeof f === 'function' && !own.has(f)) leaks.push('function ' + site.getFunctionName());
        if (self !== undefined && self !== globalThis && !own.has(self)) leaks.push('receiver of ' + site.getFunctionName());
      }
      return '';
    };
    var look = () => { new Error('x').stack; return 1; }; own.add(look);
    var trap = {}; for (const name of Reflect.ownKeys(Reflect)) if (typeof name === 'string') {
      const native = Reflect[name]; trap[name] = (...args) => { look(); return native(...args); }; own.add(trap[name]);
    } own.add(trap);
    var proxy = new Proxy({ a: 1 }, trap);
    var custom = { [Symbol.for('nodejs.util.inspect.custom')]: () => look(), get a() { return look(); }, toString: look, toJSON: look, [Symbol.toPrimitive]: look };
    own.add(custom); for (const key of Reflect.ownKeys(custom)) { const d = Object.getOwnPropertyDescriptor(custom, key); own.add(d.value).add(d.get); }`);
  for (const use of [
    'console.log(proxy, custom, [proxy])',
    'console.table([custom, proxy])',
    'console.error("%s %d %o", custom, custom, custom)',
    'display(custom)',
    'display(proxy)',
    'log("info", custom, proxy)',
    'print(custom)',
    'custom',
    'proxy',
    'await 1; proxy',
    'structuredClone(custom)',
    'new URL(custom)',
    'new URLSearchParams(custom)',
    'new TextEncoder().encode(custom)',
    'atob(custom)',
    'setTimeout(look, custom)',
    'queueMicrotask(look)',
    'const target = new EventTarget(); own.add(target); target.addEventListener("x", look); target.dispatchEvent(new Event("x"))',
    'throw proxy',
    'throw custom',
    'throw new Error(custom, { cause: proxy })',
  ]) {
    await guest.run(use);
    t.deepEqual(await guest.json('leaks'), [], use);
  }
});

test.serial('A01: a function of the engine cannot be had from a caller or from arguments', async (t) => {
  const guest = await Guest.open(shared().client);
  const seen = await guest.json(`var seen = [];
    function look() { const { caller } = look; seen.push(String(caller)); 
      try { seen.push(String(arguments.callee.caller)) } catch (e) { seen.push(e.name) } return 1 }
    const trap = { ownKeys(target) { look(); return [] }, getPrototypeOf: () => (look(), null), get: look };
    console.log(new Proxy({}, trap)); look();
    queueMicrotask(look); setTimeout(look, 0); await new Promise((resolve) => setTimeout(resolve, 5));
    structuredClone({ get a() { return look() } });
    seen.filter((text) => text !== 'null' && !text.includes('look'))`);
  t.deepEqual(seen, []);
});

for (const source of [
  'function f() { throw new Error("x") } f()\n//# sourceURL=/etc/passwd',
  'eval("throw new Error(1)\\n//# sourceURL=/etc/passwd")',
  'eval("throw new Error(1)\\n//# sourceURL=node:internal/x")',
  'new Function("throw new Error(1)\\n//# sourceURL=file:///etc/passwd")()',
  'const e = new Error("x"); e.stack = "Error: x\\n    at f (/etc/passwd:1:1)\\n    at node:fs:1:2"; throw e',
]) {
  test.serial(`A07: frames name cells and nothing else: ${JSON.stringify(source)}`, async (t) => {
    const guest = await Guest.open(shared().client);
    const { error } = await guest.run(source);
    t.is(error?.code, 'RUNTIME_ERROR');
    for (const frame of error?.stack.split('\n').filter((line) => line !== '') ?? [])
      t.regex(frame, /^at (?:[^()/]+ \()?cell:\d+:\d+:\d+\)?$/);
    await guest.close();
  });
}

test.serial('A11: cached code and snapshots are no parameters of any method', async (t) => {
  const { client } = shared();
  const { sessionId } = await client.call('session.create', {});
  for (const parameter of ['cachedData', 'snapshot', 'filename', 'context']) {
    const fault = await t.throwsAsync(
      client.callAny('session.execute', { sessionId, source: '1', [parameter]: 'AAAA' }),
    );
    t.is((fault as { code?: unknown }).code, 'INVALID_PARAMS');
  }
});
