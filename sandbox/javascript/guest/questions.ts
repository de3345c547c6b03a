import type { GuestKernel } from './kernel.ts';
import type { Marshal } from './marshal.ts';
import type { GuestNamespace } from './namespace.ts';

export interface GuestQuestions {
  /** JSON of `[{name, kind, type, preview}]`; without looking at any value where `previews` is false. */
  list(previews: boolean): string;
  /** The outcome's JSON, or '' where there is no such name. */
  get(name: string): string;
  /** Merges the members of a JSON object; answers JSON of the names. */
  set(valuesJson: string): string;
  /** Deletes the names of a JSON array; answers JSON of those that were there. */
  delete(namesJson: string): string;
  /** JSON of the property names that `path` (a JSON array of names, the last one a prefix) can be completed with. */
  complete(pathJson: string): string;
  /** A description of what `path` refers to, or ''. */
  inspect(pathJson: string): string;
}

/** Answers about the namespace between cells. Getters are never invoked: only data properties are followed. */
export function makeQuestions(
  kernel: GuestKernel,
  marshal: Marshal,
  namespace: GuestNamespace,
  inspectValue: (value: unknown, options?: { depth?: number; maxLength?: number }) => string,
): GuestQuestions {
  const { global, uncurryThis } = kernel;
  const parse = JSON.parse;
  const describe = Reflect.getOwnPropertyDescriptor;
  const getPrototypeOf = Reflect.getPrototypeOf;
  const ownKeys = Reflect.ownKeys;
  const toObject = Object;
  const startsWith = uncurryThis(String.prototype.startsWith as (this: string, prefix: string) => boolean);
  const functionText = uncurryThis(Function.prototype.toString);
  const SetAdd = uncurryThis(Set.prototype.add);
  const SetHas = uncurryThis(Set.prototype.has);
  const CapturedSet = Set;
  const NAMES_MAX = 1000;

  function lookUp(object: object, name: string): { value: unknown } | undefined {
    for (
      let holder: object | null = object, depth = 0;
      holder !== null && depth < 100;
      holder = getPrototypeOf(holder), depth++
    ) {
      const property = describe(holder, name);
      if (property !== undefined) return 'value' in property ? { value: property.value } : undefined;
    }
    return undefined;
  }
  function follow(path: ArrayLike<string>, length: number): { value: unknown } | undefined {
    let current: { value: unknown } | undefined = { value: global };
    for (let i = 0; i < length && current !== undefined; i++) {
      if (current.value === null || current.value === undefined) return undefined;
      current = lookUp(toObject(current.value) as object, path[i] as string);
    }
    return current;
  }
  function jsonList(names: ArrayLike<string>, length: number): string {
    let json = '[';
    for (let i = 0; i < length; i++) json += (i === 0 ? '' : ',') + marshal.quote(names[i] as string);
    return `${json}]`;
  }

  return {
    list(previews) {
      const names = namespace.names();
      let json = '[';
      for (let i = 0; i < names.length && i < NAMES_MAX; i++) {
        const { name, kind } = names[i] as { name: string; kind: string };
        const property = describe(global, name);
        if (property === undefined) continue;
        const isData = 'value' in property;
        const preview = !previews
          ? '…'
          : isData
            ? inspectValue(property.value, { depth: 0, maxLength: 200 })
            : '[Getter]';
        const type = !previews ? 'unknown' : isData ? marshal.typeName(property.value) : 'accessor';
        json += `${json === '[' ? '' : ','}{"name":${marshal.quote(name)},"kind":${marshal.quote(kind)},"type":${marshal.quote(type)},"preview":${marshal.quote(preview)}}`;
      }
      return `${json}]`;
    },
    get: (name) => (describe(global, name) === undefined ? '' : marshal.value(global[name])),
    set(valuesJson) {
      const values = parse(valuesJson);
      const names = ownKeys(values) as string[];
      for (let i = 0; i < names.length; i++) namespace.set(names[i] as string, values[names[i] as string]);
      return jsonList(names, names.length);
    },
    delete(namesJson) {
      const names = parse(namesJson) as string[];
      let json = '[';
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string;
        if (namespace.delete(name)) json += (json === '[' ? '' : ',') + marshal.quote(name);
      }
      return `${json}]`;
    },
    complete(pathJson) {
      const path = parse(pathJson) as string[];
      const prefix = path[path.length - 1] ?? '';
      const target = follow(path, path.length - 1);
      if (target === undefined || target.value === null || target.value === undefined) return '[]';
      const seen = new CapturedSet<string>();
      let json = '[';
      let found = 0;
      let holder: object | null = toObject(target.value) as object;
      for (
        let depth = 0;
        holder !== null && depth < 100 && found < NAMES_MAX;
        holder = getPrototypeOf(holder), depth++
      ) {
        const keys = ownKeys(holder);
        for (let i = 0; i < keys.length && found < NAMES_MAX; i++) {
          const key = keys[i] as string;
          if (typeof key !== 'string' || !startsWith(key, prefix) || SetHas(seen, key)) continue;
          SetAdd(seen, key);
          json += (found++ === 0 ? '' : ',') + marshal.quote(key);
        }
      }
      return `${json}]`;
    },
    inspect(pathJson) {
      const path = parse(pathJson) as string[];
      const target = follow(path, path.length);
      if (target === undefined) return '';
      const preview = inspectValue(target.value, { maxLength: 4096 });
      return typeof target.value === 'function'
        ? `${preview}\n${functionText(target.value)}`
        : `${marshal.typeName(target.value)}: ${preview}`;
    },
  };
}
