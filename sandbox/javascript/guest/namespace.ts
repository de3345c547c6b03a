import type { GuestKernel } from './kernel.ts';

/** `kind` is the word of the declaration; `value` for what was set from outside or assigned without one. */
export interface NamespaceName {
  readonly name: string;
  readonly kind: string;
}

export interface GuestNamespace {
  /** All names that exist now are the platform's. Called once, before any guest code. */
  begin(): void;
  /** So is this one, which came later. */
  adopt(name: string): void;
  /** Before a cell: every name it declares exists and can be assigned. `declarations` is `kind name` pairs joined by commas. */
  thaw(declarations: string): void;
  /** After a cell: its constants can no longer be assigned. */
  freeze(): void;
  names(): readonly NamespaceName[];
  set(name: string, value: unknown): void;
  delete(name: string): boolean;
  remember(value: unknown): void;
  /** The names of the global object that are the platform's, in an order that does not depend on when they came. */
  platformKeys(): ArrayLike<string | symbol>;
  /** What there is to the namespace besides the properties of the global object. */
  memory(): NamespaceMemory;
  recall(memory: NamespaceMemory): void;
}

export interface NamespaceMemory {
  /** With the word of each declaration. */
  readonly declared: readonly (readonly [name: string, kind: string])[];
  /** What a transpiler needs at run time. */
  readonly helpers: readonly string[];
  /** The last three results, the newest first. */
  readonly history: readonly unknown[];
}

/**
 * What cells have declared: properties of the global object, merged into and never replaced.
 *
 * I1: the history names `_`, `__` and `___` follow the last three results until a guest assigns one of them itself; from then
 *     on that one is the guest's.
 * I2: a constant is a property that cannot be assigned; only `thaw` and `set` make it assignable again.
 */
export function makeNamespace(kernel: GuestKernel): GuestNamespace {
  const { global, uncurryThis } = kernel;
  const MapGet = uncurryThis(Map.prototype.get);
  const MapSet = uncurryThis(Map.prototype.set);
  const MapDelete = uncurryThis(Map.prototype.delete);
  const SetHas = uncurryThis(Set.prototype.has);
  const SetAdd = uncurryThis(Set.prototype.add);
  const split = uncurryThis(String.prototype.split as (this: string, separator: string) => string[]);
  const indexOf = uncurryThis(String.prototype.indexOf);
  const slice = uncurryThis(String.prototype.slice);
  const ownKeys = Reflect.ownKeys;
  const defineProperty = Reflect.defineProperty;
  const deleteProperty = Reflect.deleteProperty;
  const describe = Reflect.getOwnPropertyDescriptor;

  const sort = uncurryThis(Array.prototype.sort) as (
    list: unknown[],
    compare?: (a: never, b: never) => number,
  ) => unknown[];
  const declared = new Map<string, string>();
  const builtIn = new Set<string | symbol>();
  const helpers = new Set<string>();
  const history: [unknown, unknown, unknown] = [undefined, undefined, undefined];
  let constants: { [index: number]: string; length: number } = { __proto__: null, length: 0 } as never;

  const data = (value: unknown, writable = true, enumerable = true): PropertyDescriptor =>
    ({ __proto__: null, value, writable, enumerable, configurable: true }) as PropertyDescriptor;

  const HISTORY = ['_', '__', '___'] as const;
  for (let i = 0; i < 3; i++) {
    const name = HISTORY[i] as string;
    defineProperty(global, name, {
      __proto__: null,
      get: () => history[i],
      set: (value: unknown) => void defineProperty(global, name, data(value)),
      enumerable: false,
      configurable: true,
    } as PropertyDescriptor);
  }

  const isPlatform = (name: string): boolean => SetHas(builtIn, name) || SetHas(helpers, name);
  const isHistory = (key: unknown): boolean => key === '_' || key === '__' || key === '___';

  function thawOne(kind: string, name: string): void {
    const existing = describe(global, name);
    if (kind === 'helper') {
      // What a transpiler needs at run time: there, and in no listing.
      if (existing === undefined) defineProperty(global, name, data(undefined, true, false));
      SetAdd(helpers, name);
      return;
    }
    MapSet(declared, name, kind);
    // A built-in that a cell shadows keeps its value until the declaration assigns, and is enumerable like any other variable.
    if (existing === undefined || !('value' in existing)) defineProperty(global, name, data(undefined));
    else if (existing.writable === false || existing.enumerable === false)
      defineProperty(global, name, data(existing.value));
    if (kind === 'const') {
      defineProperty(constants, constants.length, data(name));
      constants.length++;
    }
  }

  return {
    begin() {
      for (const key of ownKeys(global)) SetAdd(builtIn, key);
    },
    adopt: (name) => void SetAdd(builtIn, name),
    thaw(declarations) {
      if (declarations === '') return;
      const list = split(declarations, ',');
      for (let i = 0; i < list.length; i++) {
        const entry = list[i] as string;
        const space = indexOf(entry, ' ');
        thawOne(slice(entry, 0, space), slice(entry, space + 1));
      }
    },
    freeze() {
      if (constants.length === 0) return;
      for (let i = 0; i < constants.length; i++) {
        const name = constants[i] as string;
        const existing = describe(global, name);
        if (existing !== undefined && 'value' in existing) defineProperty(global, name, data(existing.value, false));
      }
      constants = { __proto__: null, length: 0 } as never;
    },
    names() {
      const keys = ownKeys(global);
      const found = { __proto__: null, length: 0 } as unknown as NamespaceName[];
      for (let i = 0; i < keys.length; i++) {
        const name = keys[i] as string;
        if (typeof name !== 'string') continue;
        const kind = MapGet(declared, name);
        if (kind === undefined && (isPlatform(name) || describe(global, name)?.enumerable !== true)) continue;
        defineProperty(found, found.length, data({ name, kind: kind ?? 'value' }));
        found.length++;
      }
      return found;
    },
    set(name, value) {
      defineProperty(global, name, data(value));
      MapSet(declared, name, 'value');
    },
    delete(name) {
      MapDelete(declared, name);
      return describe(global, name) !== undefined && !isPlatform(name) && deleteProperty(global, name);
    },
    remember(value) {
      if (value === undefined) return;
      history[2] = history[1];
      history[1] = history[0];
      history[0] = value;
    },
    platformKeys() {
      const keys = ownKeys(global);
      const names = [] as unknown as string[];
      const found = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: string | symbol };
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i] as string;
        if (!SetHas(builtIn, key) || isHistory(key)) continue;
        if (typeof key === 'string') defineProperty(names, names.length, data(key));
        else found[found.length++] = key;
      }
      sort(names);
      for (let i = 0; i < names.length; i++) found[found.length++] = names[i] as string;
      return found;
    },
    memory: () => ({ declared: [...declared], helpers: [...helpers], history }),
    recall(memory) {
      for (const [name, kind] of memory.declared) MapSet(declared, name, kind);
      for (const name of memory.helpers) SetAdd(helpers, name);
      for (let i = 0; i < 3; i++) history[i] = memory.history[i];
    },
  };
}
