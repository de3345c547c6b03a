import { readFileSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

const LANGUAGE = `AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean DataView Date DisposableStack Error EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String SuppressedError Symbol SyntaxError Temporal TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape`;
const PLATFORM = `AbortController AbortSignal Crypto CustomEvent DOMException Event EventTarget TextDecoder TextEncoder URL URLSearchParams atob btoa clearImmediate clearInterval clearTimeout crypto performance queueMicrotask setImmediate setInterval setTimeout structuredClone`;
const OUTPUT = 'console display log print';
const HISTORY = '_ __ ___';
const EVERYWHERE = [LANGUAGE, PLATFORM, OUTPUT, HISTORY].flatMap((names) => names.split(/\s+/));

const GLOBALS: Readonly<Record<string, readonly string[]>> = {
  sandbox: EVERYWHERE,
  restricted: [...EVERYWHERE, 'input'],
  standard: [...EVERYWHERE, 'input'],
  trusted: [...EVERYWHERE, 'input', 'Atomics', 'SharedArrayBuffer', 'WebAssembly'],
  unrestricted: [...EVERYWHERE, 'input', 'Atomics', 'SharedArrayBuffer', 'WebAssembly'],
};

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

test('A01: docs/GLOBALS.md names every global', (t) => {
  const page = readFileSync(new URL('../../docs/GLOBALS.md', import.meta.url), 'utf8');
  const documented = new Set([...page.matchAll(/`([\w$]+)`/g)].map(([, name]) => name));
  t.deepEqual(
    GLOBALS.unrestricted?.filter((name) => !documented.has(name)),
    [],
  );
});
