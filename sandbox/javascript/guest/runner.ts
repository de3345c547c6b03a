import type { GuestKernel } from './kernel.ts';
import type { Marshal } from './marshal.ts';
import type { GuestNamespace } from './namespace.ts';
import type { GuestOutput, SendToHost } from './output.ts';

/** How the last script of a cell hands over its value. */
export type CellShape = 'direct' | 'boxed' | 'async';

export interface Runner {
  /**
   * Runs a cell's scripts. Answers the outcome's JSON when the cell has ended, or '' while it awaits something; then the outcome
   * leaves as a `done` message.
   */
  run(cell: number, shape: CellShape, declarations: string, scripts: ArrayLike<string>): string;
  /** The outcome of a cell whose entry's own answer was lost; '' while there is none, and for any cell but the last. */
  collect(cell: number): string;
  /** The host gave the running cell up: its outcome no longer matters. */
  abandon(): void;
}

/**
 * The one way guest code is entered. Whatever a cell returns or throws is described here, inside the isolate and under the
 * entry's timeout; only the description leaves.
 */
export function makeRunner(
  kernel: GuestKernel,
  send: SendToHost,
  parts: {
    readonly marshal: Marshal;
    readonly namespace: GuestNamespace;
    readonly output: Pick<GuestOutput, 'flush'>;
  },
): Runner {
  // An indirect eval: cells run in the global scope, in sloppy mode, as scripts do.
  // biome-ignore lint/security/noGlobalEval: running the cell is what this module is for; it runs inside the isolate only.
  const evaluate = eval;
  const isPrototypeOf = kernel.uncurryThis(Object.prototype.isPrototypeOf);
  const hasOwn = kernel.uncurryThis(Object.prototype.hasOwnProperty);
  const describe = Reflect.getOwnPropertyDescriptor;
  const defineProperty = Reflect.defineProperty;
  const CapturedPromise = Promise;
  const PromisePrototype = Promise.prototype;
  const { marshal, namespace, output } = parts;
  let running = 0;
  let latest = 0;
  let outcome = '';

  function isPromise(value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    try {
      return isPrototypeOf(PromisePrototype, value);
    } catch {
      // A Proxy that will not say what it is.
      return false;
    }
  }
  function succeed(value: unknown): string {
    namespace.freeze();
    try {
      const json = marshal.value(value);
      namespace.remember(value);
      return json;
    } catch (thrown) {
      return fail(thrown);
    }
  }
  function fail(thrown: unknown): string {
    namespace.freeze();
    try {
      return marshal.error(thrown);
    } catch {
      return '{"status":"error","error":{"code":"RUNTIME_ERROR","name":null,"message":"Something was thrown that cannot be described.","stack":""}}';
    }
  }
  function finish(cell: number, json: string): void {
    if (running !== cell) return;
    running = 0;
    outcome = json;
    output.flush();
    send('done', cell, json);
  }
  // `await` looks up nothing but `constructor`, and goes through a poisoned `then` only where that is not Promise any more.
  function shield(promise: unknown): unknown {
    const inherited = describe(PromisePrototype, 'constructor');
    if (inherited === undefined || !hasOwn(inherited, 'value') || inherited.value !== CapturedPromise) {
      defineProperty(promise as object, 'constructor', {
        __proto__: null,
        value: CapturedPromise,
        configurable: true,
      } as PropertyDescriptor);
    }
    return promise;
  }
  async function awaitPromise(cell: number, promise: unknown, unbox: boolean): Promise<void> {
    let json: string;
    try {
      let value: unknown = await shield(promise);
      if (unbox) value = (value as { value: unknown }).value;
      // A promise is awaited on; any other thenable is a value like any other.
      if (unbox && isPromise(value)) value = await shield(value);
      json = running === cell ? succeed(value) : '';
    } catch (thrown) {
      json = running === cell ? fail(thrown) : '';
    }
    finish(cell, json);
  }

  return {
    run(cell, shape, declarations, scripts) {
      running = latest = cell;
      outcome = '';
      let value: unknown;
      try {
        namespace.freeze();
        namespace.thaw(declarations);
        for (let i = 0; i < scripts.length; i++) value = evaluate(scripts[i] as string);
        if (shape === 'boxed') value = (value as { value: unknown }).value;
      } catch (thrown) {
        outcome = fail(thrown);
      }
      if (outcome === '') {
        if (shape === 'async' || isPromise(value)) {
          void awaitPromise(cell, value, shape === 'async');
          return '';
        }
        outcome = succeed(value);
      }
      running = 0;
      output.flush();
      return outcome;
    },
    collect: (cell) => (cell === latest ? outcome : ''),
    abandon() {
      running = 0;
      namespace.freeze();
    },
  };
}
