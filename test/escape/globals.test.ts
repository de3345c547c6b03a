import { readFileSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const LANGUAGE = `AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean DataView Date DisposableStack Error EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String SuppressedError Symbol SyntaxError Temporal TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape`;
const PLATFORM = `AbortController AbortSignal Crypto CustomEvent DOMException Event EventTarget TextDecoder TextEncoder URL URLSearchParams atob btoa clearImmediate clearInterval clearTimeout crypto performance queueMicrotask setImmediate setInterval setTimeout structuredClone`;
const OUTPUT = 'console display help log print';
const HISTORY = '_ __ ___';
const FETCH = 'fetch Headers ReadableStream Request Response';
const EVERYWHERE = namesOf(LANGUAGE, PLATFORM, OUTPUT, HISTORY);

const RESTRICTED = namesOf('input sleep read_file list_files');
const STANDARD = [...RESTRICTED, ...namesOf('write_file kv dns hash query', FETCH)];
const TRUSTED = [
  ...STANDARD,
  ...namesOf('delete_file encrypt decrypt execute transaction websocket env secret approve review'),
];
const OUTSIDE_THE_HEAP = namesOf('Atomics SharedArrayBuffer WebAssembly');

/** Capabilities that are no plain functions: an object, and the classes that come with fetch. */
const NO_FUNCTIONS: ReadonlySet<string> = new Set(['kv', 'Headers', 'ReadableStream', 'Request', 'Response']);

const GLOBALS: Readonly<Record<string, readonly string[]>> = {
  sandbox: EVERYWHERE,
  restricted: [...EVERYWHERE, ...RESTRICTED],
  standard: [...EVERYWHERE, ...STANDARD],
  trusted: [...EVERYWHERE, ...TRUSTED, ...OUTSIDE_THE_HEAP],
  unrestricted: [...EVERYWHERE, ...TRUSTED, ...OUTSIDE_THE_HEAP, 'exec'],
};

function namesOf(...lists: readonly string[]): string[] {
  return lists.flatMap((names) => names.split(/\s+/));
}

for (const [level, names] of Object.entries(GLOBALS)) {
  for (const language of ['javascript', 'typescript'] as const) {
    test.serial(
      `A01: the global names of a ${language} session at level ${level} are the documented ones`,
      async (t) => {
        const guest = await Guest.open(shared().client, { level, language });
        const seen = (await guest.json(
          'let o: any = globalThis, all = []; while (o !== null) { all.push(Reflect.ownKeys(o).map(String)); o = Object.getPrototypeOf(o) } all'.replace(
            language === 'javascript' ? ': any' : '',
            '',
          ),
        )) as string[][];
        // The names that the cell itself declared are there before it runs.
        t.deepEqual(seen[0]?.filter((name) => name !== 'o' && name !== 'all').sort(), [...names].sort());
        // V8 puts an object of its own between the global object and Object.prototype.
        t.deepEqual(
          seen.slice(1).map((keys) => (keys.includes('hasOwnProperty') ? 'Object.prototype' : keys)),
          [['constructor'], 'Object.prototype'],
        );
        await guest.close();
      },
    );
  }
}

test.serial('A01: no global is an accessor of the engine, save the history', async (t) => {
  const guest = await Guest.open(shared().client, { level: 'unrestricted' });
  const accessors = await guest.json(
    'Reflect.ownKeys(globalThis).filter((key) => !("value" in Object.getOwnPropertyDescriptor(globalThis, key))).map(String).sort()',
  );
  t.deepEqual(accessors, HISTORY.split(' '));
});

test.serial(
  'A02: a capability is a bare function of the isolate, without anything on it that leads elsewhere',
  async (t) => {
    const guest = await Guest.open(shared().client, { level: 'unrestricted' });
    const names = [...TRUSTED, 'exec'].filter((name) => !NO_FUNCTIONS.has(name));
    const shapes = (await guest.json(
      `${JSON.stringify(names)}.map((name) => { const f = globalThis[name]; return [typeof f, Reflect.ownKeys(f).map(String).sort().join(), f.name === name, Object.getPrototypeOf(f) === Function.prototype, f.constructor === Function] })`,
    )) as unknown[];
    t.deepEqual(
      shapes,
      names.map(() => ['function', 'length,name', true, true, true]),
    );
  },
);

test.serial(
  'A02: kv is a frozen object of five such functions, and the classes of fetch are the guest’s own',
  async (t) => {
    const guest = await Guest.open(shared().client, { level: 'standard' });
    t.deepEqual(
      await guest.json(
        '[typeof kv, Object.isFrozen(kv), Reflect.ownKeys(kv).map(String).sort(), Reflect.ownKeys(kv).filter((k) => typeof k === "string").every((k) => typeof kv[k] === "function" && Reflect.ownKeys(kv[k]).sort().join() === "length,name" && Object.getPrototypeOf(kv[k]) === Function.prototype)]',
      ),
      ['object', true, ['delete', 'entry', 'get', 'list', 'set'], true],
    );
    t.deepEqual(
      await guest.json(
        '[Headers, ReadableStream, Request, Response].map((c) => [typeof c, Object.getPrototypeOf(c) === Function.prototype, c.prototype.constructor === c, c.constructor === Function])',
      ),
      Array(4).fill(['function', true, true, true]),
    );
  },
);

test.serial('A02: what a capability hands out, and how it fails, is made of the guest’s own objects', async (t) => {
  const guest = await Guest.open(shared().client, { level: 'unrestricted' });
  for (const call of [
    'hash("sha256", "a")',
    'kv.set("a", 1)',
    'kv.entry("a")',
    'query("scratch", "select 1 as one")',
    'list_files("/")',
    'read_file("/workspace/none")',
    'fetch("http://127.0.0.1:1/")',
    'exec("none", [])',
    'secret("none")',
  ]) {
    const reached = await guest.json(`
      const seen = new Set(), strange = [];
      const look = (value, path) => {
        if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) return;
        seen.add(value);
        // Of the engine's own objects one alone inherits nothing, besides what everything inherits from.
        const bare = value === Object.prototype || value === Array.prototype[Symbol.unscopables];
        if (!(value instanceof Object) && !bare) strange.push(path);
        for (const key of Reflect.ownKeys(value)) {
          const { value: next, get, set } = Object.getOwnPropertyDescriptor(value, key);
          for (const it of [next, get, set]) look(it, path + "." + String(key));
        }
        look(Object.getPrototypeOf(value), path + ".__proto__");
      };
      const promise = ${call};
      look(promise, "promise");
      look(await promise.catch((error) => error), "result");
      strange`);
    t.deepEqual(reached, [], call);
    await guest.run('strange.length = 0');
  }
});

test('A01: docs/GLOBALS.md names every global', (t) => {
  const page = readFileSync(new URL('../../docs/GLOBALS.md', import.meta.url), 'utf8');
  const documented = new Set([...page.matchAll(/`([\w$]+)`/g)].map(([, name]) => name));
  t.deepEqual(
    GLOBALS.unrestricted?.filter((name) => !documented.has(name)),
    [],
  );
});
