import type { captureBuiltins } from './builtins.ts';
import type { CapabilityCalls } from './capability-calls.ts';
import type { GuestKernel } from './kernel.ts';
import type { GuestNamespace } from './namespace.ts';
import type { GuestShapes, ShapeGlobals, ShapeParts } from './shapes/shape.ts';

export interface GuestGrants {
  /** Makes what these will need, before anybody waits for it; none of them exists yet. */
  prepare(names: readonly string[]): void;
  /**
   * Makes the named capabilities exist, and withdraws those that are no longer named. Answers the names that could not be given,
   * because something else has theirs.
   */
  set(names: readonly string[], patient: readonly string[]): readonly string[];
  /** The capability that a global value of ours stands for. */
  capabilityOf(value: unknown): string | undefined;
}

/**
 * The globals that capabilities stand for: a function of the capability's name, or what its shape makes of it. A withdrawn
 * capability keeps its globals, whose calls are rejected, so that code which saved a reference learns why; granted again, the same
 * globals work again.
 *
 * I1: no global that exists already is replaced; a capability is given all of its globals or none, and none is no grant.
 * I2: the code of a shape runs when its capability is prepared or first granted, which may be after guest code has run.
 */
export function makeGrants(
  kernel: GuestKernel,
  calls: CapabilityCalls,
  shapes: GuestShapes,
  builtins: ReturnType<typeof captureBuiltins>,
  namespace: Pick<GuestNamespace, 'adopt'>,
): GuestGrants {
  const { global, uncurryThis } = kernel;
  const { defineProperty, deleteProperty, ownKeys } = Reflect;
  const describe = Reflect.getOwnPropertyDescriptor;
  const MapGet = uncurryThis(Map.prototype.get);
  const MapSet = uncurryThis(Map.prototype.set);
  const SetHas = uncurryThis(Set.prototype.has);
  const SetAdd = uncurryThis(Set.prototype.add);

  const families = {
    __proto__: null,
    read_file: 'files',
    write_file: 'files',
    kv: 'kv',
    fetch: 'fetch',
    websocket: 'webSocket',
    hash: 'crypto',
    encrypt: 'crypto',
    query: 'sql',
    execute: 'sql',
    transaction: 'sql',
    exec: 'exec',
    sleep: 'sleep',
  } as unknown as Record<string, keyof GuestShapes['families']>;
  const made = { __proto__: null } as unknown as Record<string, Record<string, ShapeGlobals>>;
  const defined = new Set<string>();
  const prepared = new Map<string, ShapeGlobals>();
  const capabilities = new Map<unknown, string>();
  let parts: ShapeParts | undefined;

  function generic(name: string): ShapeGlobals {
    const holder = { [name]: (...args: unknown[]): unknown => calls.call(name, args) };
    defineProperty(holder[name] as object, 'length', {
      __proto__: null,
      value: 0,
      configurable: true,
    } as PropertyDescriptor);
    return holder;
  }
  function globalsOf(name: string): ShapeGlobals {
    const family = families[name];
    if (family === undefined) return generic(name);
    parts ??= { kernel, calls, builtins, data: shapes.makeData(builtins, calls), shared: shapes.shared };
    made[family] ??= shapes.families[family](parts);
    return made[family][name] as ShapeGlobals;
  }

  function prepare(name: string): ShapeGlobals {
    const known = MapGet(prepared, name);
    if (known !== undefined) return known;
    const globals = globalsOf(name);
    MapSet(prepared, name, globals);
    return globals;
  }

  function give(name: string): boolean {
    const globals = prepare(name);
    const keys = ownKeys(globals) as string[];
    for (let i = 0; i < keys.length; i++) if (describe(global, keys[i] as string) !== undefined) return false;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      const value = globals[key];
      const descriptor = { __proto__: null, value, writable: true, configurable: true, enumerable: false };
      if (!defineProperty(global, key, descriptor as PropertyDescriptor)) {
        while (--i >= 0) deleteProperty(global, keys[i] as string);
        return false;
      }
    }
    for (let i = 0; i < keys.length; i++) {
      MapSet(capabilities, globals[keys[i] as string], name);
      namespace.adopt(keys[i] as string);
    }
    SetAdd(defined, name);
    return true;
  }

  return {
    prepare(names) {
      for (let i = 0; i < names.length; i++) prepare(names[i] as string);
    },
    set(names, patient) {
      const granted = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: string };
      const refused = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: string };
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        const list = SetHas(defined, name) || give(name) ? granted : refused;
        list[list.length++] = name;
      }
      calls.setGranted(granted as unknown as readonly string[], patient);
      return refused as unknown as readonly string[];
    },
    capabilityOf: (value) => MapGet(capabilities, value),
  };
}
