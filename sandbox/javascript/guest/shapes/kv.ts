import type { ShapeGlobals, ShapeParts } from './shape.ts';

/** `kv`, an object of functions, each of which is a call of the one capability. */
export function shapeKv({ calls, builtins }: ShapeParts): Record<string, ShapeGlobals> {
  const { own, freeze, TypeError } = builtins;

  const entryOf = (answer: unknown): unknown => (answer === null ? undefined : answer);
  function valueOf(answer: unknown): unknown {
    if (answer === null) return undefined;
    const value = own(answer, 'value');
    if (value === undefined) throw new TypeError('The answer holds no value.');
    return value;
  }
  function versionOf(answer: unknown): unknown {
    const version = own(answer, 'version');
    if (version === undefined) throw new TypeError('The answer holds no version.');
    return version;
  }
  const kv = {
    get: (key: unknown, options: unknown): Promise<unknown> => calls.call('kv', ['get', key, options], valueOf),
    entry: (key: unknown, options: unknown): Promise<unknown> => calls.call('kv', ['get', key, options], entryOf),
    set(key: unknown, value: unknown, options: unknown): Promise<unknown> {
      // At the end of the arguments undefined is left out, and elsewhere it is null: neither is what was meant.
      if (value === undefined) throw new TypeError('kv.set() needs a value; kv.delete() removes one.');
      return calls.call('kv', ['set', key, value, options], versionOf);
    },
    delete: (key: unknown, options: unknown): Promise<unknown> => calls.call('kv', ['delete', key, options]),
    list: (options: unknown): Promise<unknown> => calls.call('kv', ['list', options]),
  };
  return { kv: { kv: freeze(kv) } };
}
