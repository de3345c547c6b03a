import { createContext, runInContext } from 'node:vm';
import type { GuestKernel } from '../../../../sandbox/javascript/guest/kernel.ts';

/** Evaluates a script in the realm and gives its completion value. */
export type Evaluate = (source: string) => unknown;

/** Defined in a bare realm: `kernel` with `written`, where everything that is written ends up. */
const KERNEL = `
  var written = '';
  var kernel = {
    global: globalThis,
    uncurryThis: Function.prototype.bind.bind(Function.prototype.call),
    define: ((defineProperty) => (name, value) =>
      defineProperty(globalThis, name, { __proto__: null, value, writable: true, configurable: true }))(Object.defineProperty),
    clock: { nowMs: 1000, startMs: 0 },
    compute: () => null,
    write: (stream, text) => { written += stream + ' ' + text; },
  };
`;

/** Replaces every method, accessor and global with one that throws, and plants throwing accessors on Object.prototype. */
const POISON = `(() => {
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, getOwnPropertyNames } = Object;
  const { ownKeys } = Reflect;
  const ObjectPrototype = Object.prototype;
  const poison = () => { throw 'a poisoned built-in was used'; };
  const kept = { __proto__: null, kernel: 1, written: 1, subject: 1, globalThis: 1, console: 1, print: 1 };
  const spoil = (target, key) => {
    const descriptor = getOwnPropertyDescriptor(target, key);
    if (descriptor === undefined) return;
    const replacement = { __proto__: null, configurable: descriptor.configurable, enumerable: descriptor.enumerable };
    if ('value' in descriptor) replacement.value = typeof descriptor.value === 'string' ? 'Poison' : poison;
    else replacement.get = replacement.set = poison;
    if (descriptor.configurable) defineProperty(target, key, replacement);
    else if (descriptor.writable && key !== 'length') defineProperty(target, key, { __proto__: null, value: poison });
  };
  const targets = [];
  const add = (target) => {
    if (target !== null && (typeof target === 'object' || typeof target === 'function') && target !== poison) targets[targets.length] = target;
  };
  const names = getOwnPropertyNames(globalThis);
  for (let i = 0; i < names.length; i++) {
    if (names[i] in kept) continue;
    const value = getOwnPropertyDescriptor(globalThis, names[i]).value;
    if (typeof value === 'function' && /^[A-Z]/.test(names[i])) { add(value); add(value.prototype); }
    if (typeof value === 'object') add(value);
  }
  add(getPrototypeOf(Uint8Array)); add(getPrototypeOf(Uint8Array.prototype));
  for (const iterator of [[].values(), new Map().entries(), new Set().values(), ''[Symbol.iterator]()]) add(getPrototypeOf(iterator));
  add(getPrototypeOf(function* () {})); add(getPrototypeOf(function* () {}).prototype);
  add(getPrototypeOf(async () => {})); add(getPrototypeOf(async function* () {}));
  const inherited = ['value', 'get', 'set', 'done', 'enumerable', 'writable', 'configurable', 'toJSON', 'depth', 'maxLength', 'compact',
    'breakLength', 'maxArrayLength', 'maxStringLength', 'cause', 'errors', 'props', 'stack', 'message', 'name', 'json', 'length', 'outer'];
  const isGlobal = [];
  for (let i = 0; i < names.length; i++) if (!(names[i] in kept)) isGlobal[isGlobal.length] = names[i];
  const keysOf = [];
  for (let i = 0; i < targets.length; i++) keysOf[i] = ownKeys(targets[i]);
  for (let i = 0; i < targets.length; i++) for (let j = 0; j < keysOf[i].length; j++) spoil(targets[i], keysOf[i][j]);
  for (let i = 0; i < isGlobal.length; i++) spoil(globalThis, isGlobal[i]);
  for (let i = 0; i < 8; i++) defineProperty(ObjectPrototype, i, { __proto__: null, get: poison, set: poison, configurable: true });
  for (let i = 0; i < inherited.length; i++) {
    defineProperty(ObjectPrototype, inherited[i], { __proto__: null, get: poison, set: poison, configurable: true });
  }
})();`;

/** A bare V8 context with a fake kernel, into which guest modules are put by their text, as they are in an isolate. */
export function makeRealm(modules: Record<string, (...args: never[]) => unknown>): {
  evaluate: Evaluate;
  poison: () => void;
} {
  const context = createContext({});
  const evaluate: Evaluate = (source) => runInContext(source, context, { filename: 'cell-1', timeout: 10_000 });
  evaluate(KERNEL);
  for (const [name, module] of Object.entries(modules)) {
    runInContext(`var ${name} = (${module.toString()});`, context, { filename: `pyrepl3:${name}` });
  }
  return { evaluate, poison: () => void evaluate(POISON) };
}

/** A kernel for calling a guest module in this realm; `written` gathers its output. */
export function makeFakeKernel(): { kernel: GuestKernel; written: () => string; installed: Map<string, unknown> } {
  const installed = new Map<string, unknown>();
  let text = '';
  const kernel = {
    global: globalThis as unknown as Record<string, unknown>,
    uncurryThis: Function.prototype.bind.bind(Function.prototype.call),
    define: (name: string, value: unknown) => void installed.set(name, value),
    clock: { nowMs: 1000, startMs: 0 },
    compute: () => null,
    write: (stream: string, chunk: string) => {
      text += `${stream} ${chunk}`;
    },
  } as unknown as GuestKernel;
  return {
    kernel,
    installed,
    written: () => {
      const taken = text;
      text = '';
      return taken;
    },
  };
}
