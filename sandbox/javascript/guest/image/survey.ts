import type { GuestBuiltins } from '../builtins.ts';
import type { GuestKernel } from '../kernel.ts';

/** The objects that every isolate of a kind has before guest code runs, by numbers that are the same in all of them. */
export interface Survey {
  /** Alike where the objects are. */
  readonly digest: string;
  readonly numbers: Map<object, number>;
  readonly objects: ArrayLike<object>;
  readonly symbols: Map<symbol, number>;
  readonly symbolList: ArrayLike<symbol>;
}

/**
 * Walks the platform from the global object: what guest code has changed, added or taken away shows in the digest. It uses nothing
 * that guest code may have replaced, and runs none.
 *
 * @param platformKeys the names of the global object that are the platform's
 * @throws Error where there is more than a platform has, or a proxy
 */
export function makeSurvey(
  kernel: GuestKernel,
  builtins: GuestBuiltins,
  platformKeys: () => ArrayLike<string | symbol>,
  isProxy: (value: object) => boolean,
): () => Survey {
  const { global } = kernel;
  const { describe, functionText, isExtensible, ownKeys, prototypeOf, mapGet, mapSet, codeAt, imul } = builtins;
  const { Map: CapturedMap, TypeError: CapturedError, iterators } = builtins;
  const objectsMax = 20_000;
  // What no property leads to: the functions' own prototypes, those of iterators, and the two halves of an error's `stack`.
  const seeds = (): Record<string, unknown> => ({
    __proto__: null,
    generator: function* () {
      yield 0;
    },
    asyncGenerator: async function* () {
      yield 0;
    },
    asyncFunction: async () => 0,
    iterators,
    stack: describe(new CapturedError(), 'stack')?.get,
    setStack: describe(new CapturedError(), 'stack')?.set,
  });

  return () => {
    const numbers = new CapturedMap<object, number>();
    const symbols = new CapturedMap<symbol, number>();
    const objects = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: object };
    const symbolList = { __proto__: null, length: 0 } as unknown as { length: number; [index: number]: symbol };
    let one = 0x811c9dc5;
    let two = 0x1b873593;

    const feed = (text: string): void => {
      for (let at = 0; at < text.length; at++) {
        const code = codeAt(text, at);
        one = imul(one ^ code, 0x01000193);
        two = imul(two ^ code, 0x85ebca6b) ^ (two >>> 13);
      }
      one = imul(one ^ 0x1ffff, 0x01000193);
    };
    const numberOf = (object: object): number => {
      const known = mapGet(numbers, object) as number | undefined;
      if (known !== undefined) return known;
      if (isProxy(object) || objects.length >= objectsMax) throw new CapturedError('the built-ins were changed');
      const number = objects.length++;
      objects[number] = object;
      mapSet(numbers, object, number);
      return number;
    };
    const symbolNumber = (symbol: symbol): number => {
      const known = mapGet(symbols, symbol) as number | undefined;
      if (known !== undefined) return known;
      const number = symbolList.length++;
      symbolList[number] = symbol;
      mapSet(symbols, symbol, number);
      return number;
    };
    const feedValue = (value: unknown): void => {
      if ((typeof value === 'object' && value !== null) || typeof value === 'function') feed(`o${numberOf(value)}`);
      else if (typeof value === 'symbol') feed(`y${symbolNumber(value)}`);
      else feed(`${typeof value} ${value}`);
    };
    const feedProperty = (object: object, key: string | symbol): void => {
      const property = describe(object, key);
      if (property === undefined) return;
      feed(typeof key === 'symbol' ? `y${symbolNumber(key)}` : key);
      feed(`${property.configurable}${property.enumerable}${property.writable}`);
      if (property.get === undefined && property.set === undefined) feedValue(property.value);
      else {
        feedValue(property.get);
        feedValue(property.set);
      }
    };

    numberOf(global);
    feedValue(seeds());
    for (let at = 0; at < objects.length; at++) {
      const object = objects[at] as object;
      feed(`${isExtensible(object)}`);
      feedValue(prototypeOf(object));
      if (typeof object === 'function') feed(functionText(object));
      const keys = object === global ? platformKeys() : ownKeys(object);
      for (let index = 0; index < keys.length; index++) feedProperty(object, keys[index] as string | symbol);
    }
    return { digest: `${objects.length}.${one >>> 0}.${two >>> 0}`, numbers, objects, symbols, symbolList };
  };
}
