import vm from 'node:vm';
import { installAbort } from '../../../../sandbox/javascript/guest/abort.ts';
import { installBase64 } from '../../../../sandbox/javascript/guest/base64.ts';
import { installClock } from '../../../../sandbox/javascript/guest/clock.ts';
import { installDomException } from '../../../../sandbox/javascript/guest/dom-exception.ts';
import { installEncoding } from '../../../../sandbox/javascript/guest/encoding.ts';
import { installEvents } from '../../../../sandbox/javascript/guest/events.ts';
import { makeGenerator } from '../../../../sandbox/javascript/guest/generator.ts';
import type { GuestKernel } from '../../../../sandbox/javascript/guest/kernel.ts';
import { makeLiveClock } from '../../../../sandbox/javascript/guest/live-clock.ts';
import { installRandom } from '../../../../sandbox/javascript/guest/random.ts';
import { installStructuredClone } from '../../../../sandbox/javascript/guest/structured-clone.ts';
import { installTimers } from '../../../../sandbox/javascript/guest/timers.ts';
import { installUrl } from '../../../../sandbox/javascript/guest/url.ts';
import { computeUrl } from '../../../../sandbox/javascript/url-computation.ts';

export const startMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** A kernel whose host is this test: it records what the guest asked for. */
export function makeKernel(global: Record<string, unknown>) {
  const written: string[] = [];
  const started: { id: number; delayMs: number; repeat: boolean }[] = [];
  const stopped: number[] = [];
  const clock = { nowMs: startMs + 1234.75, startMs };
  const { random32 } = makeGenerator('00112233445566778899aabbccddeeff');
  const kernel: GuestKernel = {
    global,
    uncurryThis: Function.prototype.bind.bind(Function.prototype.call) as GuestKernel['uncurryThis'],
    define(name, value) {
      Object.defineProperty(global, name, { value, writable: true, enumerable: false, configurable: true });
    },
    clock,
    random32,
    compute: (operation, ...args) => computeUrl(operation, args),
    origin: () => 0,
    startTimer: (id, delayMs, repeat) => void started.push({ id, delayMs, repeat }),
    stopTimer: (id) => void stopped.push(id),
    write: (stream, text) => void written.push(`${stream}: ${text}`),
  };
  return { kernel, clock, written, started, stopped };
}

/** Installs everything in this very process, over a global object of the test's own: the realm is Node's, so values compare. */
export function installHere() {
  const global: Record<string, unknown> = {};
  // Without what an install would change in place.
  const natives = [
    'Object',
    'Symbol',
    'Error',
    'EvalError',
    'RangeError',
    'ReferenceError',
    'SyntaxError',
    'TypeError',
    'URIError',
  ];
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (
      natives.includes(name) ||
      /^[A-Z]\w+(Array|View|Buffer)$/.test(name) ||
      /^(Weak|Promise|Date|Intl|Temporal)/.test(name)
    ) {
      global[name] = (globalThis as unknown as Record<string, unknown>)[name];
    }
  }
  global.Math = {};
  const made = makeKernel(global);
  const { kernel } = made;
  const DomException = installDomException(kernel);
  const timers = installTimers(kernel);
  installRandom(kernel, DomException);
  const encoding = installEncoding(kernel);
  installBase64(kernel, DomException);
  const events = installEvents(kernel, DomException);
  const abort = installAbort(kernel, DomException, events, timers);
  installUrl(kernel, encoding);
  installStructuredClone(kernel, DomException);
  // biome-ignore lint/suspicious/noExplicitAny: the classes under test have no types of their own.
  return { ...made, global: global as Record<string, any>, timers, abort };
}

const modules = {
  installDomException,
  installClock,
  installTimers,
  installRandom,
  installEncoding,
  installBase64,
  installEvents,
  installAbort,
  installUrl,
  installStructuredClone,
  makeGenerator,
  makeLiveClock,
};

/** Evaluated in the realm, as the prelude is: assembles the modules from their texts. */
const assembly = `((live, modules, host) => { 'use strict';
  const natives = {};
  for (const name of Object.getOwnPropertyNames(globalThis)) natives[name] = globalThis[name];
  const global = globalThis;
  const defineProperty = Reflect.defineProperty;
  const clock = { nowMs: ${startMs + 1234.75}, startMs: ${startMs} };
  const kernel = {
    global, clock, ...host,
    uncurryThis: Function.prototype.bind.bind(Function.prototype.call),
    define: (name, value) => void defineProperty(global, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true }),
    random32: modules.makeGenerator('00112233445566778899aabbccddeeff').random32,
  };
  const DOMException = modules.installDomException(kernel);
  modules.installClock(kernel, live ? modules.makeLiveClock(() => {}) : null);
  const timers = modules.installTimers(kernel);
  modules.installRandom(kernel, DOMException);
  const encoding = modules.installEncoding(kernel);
  modules.installBase64(kernel, DOMException);
  const events = modules.installEvents(kernel, DOMException);
  modules.installAbort(kernel, DOMException, events, timers);
  modules.installUrl(kernel, encoding);
  modules.installStructuredClone(kernel, DOMException);
  return { clock, natives, fire: timers.fire };
})`;

/** Replaces every method, getter and static function of the realm's own built-ins, and sets traps in the root prototypes. */
const poison = `((natives) => { 'use strict';
  const { defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const ObjectPrototype = Object.prototype;
  const ArrayPrototype = Array.prototype;
  const NativeError = Error;
  const bomb = function () { throw new NativeError('poisoned'); };
  const seen = new Set();
  const list = [];
  const visit = (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || value === globalThis || seen.has(value)) return;
    seen.add(value);
    list.push(value);
    for (const key of ownKeys(value)) {
      const descriptor = getOwnPropertyDescriptor(value, key);
      if (key !== 'constructor' && 'value' in descriptor && typeof descriptor.value === 'object') visit(descriptor.value);
    }
    visit(Object.getPrototypeOf(value));
  };
  for (const name of ownKeys(natives)) visit(natives[name]);
  visit(Object.getPrototypeOf([][Symbol.iterator]()));
  visit(Object.getPrototypeOf(new Map()[Symbol.iterator]()));
  visit(Object.getPrototypeOf(async function () {}));
  const names = ownKeys(natives);
  const targets = [];
  for (const target of list) {
    for (const key of ownKeys(target)) targets.push([target, key, getOwnPropertyDescriptor(target, key)]);
  }
  for (let index = 0; index < targets.length; index += 1) {
    const target = targets[index][0];
    const key = targets[index][1];
    const descriptor = targets[index][2];
    if (!descriptor.configurable || target === bomb) continue;
    if (descriptor.get || descriptor.set) defineProperty(target, key, { __proto__: null, get: bomb, set: bomb, configurable: true });
    else if (typeof descriptor.value === 'function') defineProperty(target, key, { __proto__: null, value: bomb, configurable: true });
  }
  for (let index = 0; index < names.length; index += 1) {
    if (typeof natives[names[index]] === 'function') defineProperty(globalThis, names[index], { __proto__: null, value: bomb, configurable: true });
  }
  const traps = ['then', 'get', 'set', 'value', 'writable', 'enumerable', 'configurable', 'maxByteLength', 'cause', 'raw', 'index'];
  for (let index = 0; index < traps.length; index += 1) {
    defineProperty(ObjectPrototype, traps[index], { __proto__: null, get: bomb, set: bomb, configurable: true });
  }
  for (let index = 0; index < 64; index += 1) {
    defineProperty(ObjectPrototype, index, { __proto__: null, get: bomb, set: bomb, configurable: true });
    defineProperty(ArrayPrototype, index, { __proto__: null, get: bomb, set: bomb, configurable: true });
  }
})`;

/** A realm of its own with everything installed from text. `run` evaluates a script there; `poison` turns every built-in into a bomb. */
export function installInRealm({ live = false } = {}) {
  const context = vm.createContext(Object.create(null));
  const written: string[] = [];
  const started: { id: number; delayMs: number; repeat: boolean }[] = [];
  const stopped: number[] = [];
  // Functions of the other side would be a way around the poison: the realm gets functions of its own that call them.
  const host = vm.runInContext(
    `((compute, startTimer, stopTimer, write) => ({
      compute: (operation, a, b, c) => compute(operation, a, b, c), startTimer: (a, b, c) => startTimer(a, b, c),
      origin: () => 0, stopTimer: (a) => stopTimer(a), write: (a, b) => write(a, b) }))`,
    context,
  )(
    (operation: 'url.parse' | 'url.set', ...args: (string | undefined)[]) =>
      computeUrl(
        operation,
        args.filter((argument) => argument !== undefined),
      ),
    (id: number, delayMs: number, repeat: boolean) => void started.push({ id, delayMs, repeat }),
    (id: number) => void stopped.push(id),
    (stream: string, text: string) => void written.push(`${stream}: ${text}`),
  );
  const texts = Object.entries(modules).map(([name, module]) => `${name}: ${module}`);
  const bundle = vm.runInContext(`'use strict'; ({ ${texts.join(',\n')} })`, context);
  const { clock, natives, fire } = vm.runInContext(assembly, context)(live, bundle, host);
  return {
    written,
    started,
    stopped,
    clock: clock as { nowMs: number },
    fire: fire as (id: number) => boolean,
    run: (source: string): unknown => vm.runInContext(source, context),
    poison: () => vm.runInContext(poison, context)(natives),
  };
}

/** Runs an expression that gives a string in a realm as it came and in a poisoned one. The expression may use `kept` as its own scope. */
export function cleanAndPoisoned(prepare: string, expression: string): { clean: unknown; poisoned: unknown } {
  const results = [false, true].map((poisoned) => {
    const realm = installInRealm();
    realm.run(prepare);
    if (poisoned) realm.poison();
    try {
      return realm.run(expression);
    } catch (error) {
      return error;
    }
  });
  return { clean: results[0], poisoned: results[1] };
}
