import type { GuestConsole } from '../console.ts';
import type { GuestKernel } from '../kernel.ts';
import type { GuestNamespace } from '../namespace.ts';
import type { SendToHost } from '../output.ts';
import type { makeContents } from './contents.ts';
import type {
  FunctionShape,
  ImageHead,
  SavedBody,
  SavedObject,
  SavedProperty,
  SavedSymbol,
  SavedValue,
} from './image-form.ts';
import type { Survey } from './survey.ts';

export interface SaveParts {
  readonly send: SendToHost;
  readonly namespace: Pick<GuestNamespace, 'memory' | 'platformKeys'>;
  readonly console: Pick<GuestConsole, 'memory'>;
  /** What there is to the platform besides objects. */
  readonly state: () => string;
  readonly isProxy: (value: object) => boolean;
  /** Whether more is known of an object than it shows. */
  readonly isMarked: (value: object) => boolean;
}

/** The head, and the functions that are to be looked at from outside: whether they refer to anything but what is global. */
export interface SavedImage {
  readonly head: ImageHead;
  readonly functions: readonly object[];
  /** By what name each is known in its own text. */
  readonly ownNames: readonly (string | null)[];
}

/**
 * Saves the namespace: sends its objects to the host, each as a line of JSON. It is called where a survey has shown that the platform is
 * as it was made, and so uses it like any other code; of the user's it runs nothing.
 *
 * @throws Error with a reason for people where something cannot be saved
 */
export function makeSaveImage(
  kernel: GuestKernel,
  makeContentsOf: typeof makeContents,
  parts: SaveParts,
): (survey: Survey, charactersMax: number) => SavedImage {
  const { send, namespace, isProxy, isMarked } = parts;
  /** The least that an object, and an element of a list, take up in an image: an isolate has no room for more of them than that. */
  const objectCharacters = 32;
  const elementCharacters = 2;
  const partCharacters = 262_144;
  /** While the host looks at their texts, it does nothing else. */
  const functionsMax = 1000;
  const functionCharactersMax = 524_288;
  const { global } = kernel;
  const { apply, getOwnPropertyDescriptor: describe, getPrototypeOf, isExtensible, ownKeys } = Reflect;
  const { is } = Object;
  const functionText = kernel.uncurryThis(Function.prototype.toString) as (self: object) => string;
  // biome-ignore lint/security/noGlobalEval: it evaluates a class whose text the host has found to do nothing by itself.
  const evaluate = eval;
  const caller = describe(Function.prototype, 'caller')?.get as () => unknown;
  const contentsOf = makeContentsOf(kernel);

  return (survey: Survey, charactersMax: number): SavedImage => {
    const numbers = new Map<object, number>();
    const objects: object[] = [];
    /** Of objects that come with another one. */
    const derived = new Map<object, SavedBody>();
    const shapes = new Map<object, FunctionShape>();
    const functions: object[] = [];
    const symbolNumbers = new Map<symbol, number>();
    const symbols: SavedSymbol[] = [];
    let part = '';
    let characters = 0;
    let functionCharacters = 0;
    const refuse = (reason: string): never => {
      throw new Error(reason);
    };

    // --- values ------------------------------------------------------------------------------------------------------

    function symbolOf(symbol: symbol): SavedValue {
      let number = symbolNumbers.get(symbol);
      if (number === undefined) {
        number = symbols.length;
        symbolNumbers.set(symbol, number);
        const [key, known] = [Symbol.keyFor(symbol), survey.symbols.get(symbol)];
        if (key !== undefined) symbols.push(['key', key]);
        else if (known !== undefined) symbols.push(['known', known]);
        else symbols.push(['new', symbol.description ?? null]);
      }
      return ['y', number];
    }
    function valueOf(value: unknown): SavedValue {
      switch (typeof value) {
        case 'string':
          if (value.length > charactersMax) refuse('it holds too much');
          return value;
        case 'boolean':
          return value;
        case 'number':
          if (is(value, -0)) return ['n', '-0'];
          return Number.isFinite(value) ? value : ['n', `${value}`];
        case 'bigint':
          return ['b', `${value}`];
        case 'undefined':
          return ['u'];
        case 'symbol':
          return symbolOf(value);
        default:
          return value === null ? null : objectOf(value as object);
      }
    }
    function objectOf(object: object): SavedValue {
      const known = survey.numbers.get(object);
      return known === undefined ? ['o', numberOf(object)] : ['i', known];
    }
    function numberOf(object: object): number {
      const known = numbers.get(object);
      if (known !== undefined) return known;
      if (isProxy(object)) refuse('it holds a proxy');
      if (isMarked(object)) refuse('it holds the error of a capability');
      if (typeof object !== 'function') {
        // Whatever made it comes first: its prototype is not the same as one that is made anew.
        const maker = describe(object, 'constructor')?.value;
        if (
          typeof maker === 'function' &&
          !survey.numbers.has(maker) &&
          !isProxy(maker) &&
          describe(maker, 'prototype')?.value === object
        ) {
          numberOf(maker);
          const made = numbers.get(object);
          if (made !== undefined) return made;
        }
      }
      const number = enlist(object);
      if (typeof object === 'function') enlistFunction(object, number);
      return number;
    }
    function enlist(object: object): number {
      if (objects.length * objectCharacters > charactersMax) refuse('it holds too much');
      const number = objects.push(object) - 1;
      numbers.set(object, number);
      return number;
    }

    // --- functions ---------------------------------------------------------------------------------------------------

    function enlistFunction(made: object, number: number): void {
      const text = functionText(made);
      functionCharacters += text.length;
      if (functions.length >= functionsMax || functionCharacters > functionCharactersMax)
        refuse('it holds too many functions');
      const told = kernel.compute('function.shape', text);
      const shape: FunctionShape =
        told === null ? refuse('it holds a function that cannot be made of its text alone') : JSON.parse(told);
      shapes.set(made, shapeOf(made, shape));
      functions.push(made);
      const prototype = describe(made, 'prototype')?.value;
      const isNew = shape.form === 'class' || !numbers.has(prototype);
      if (typeof prototype === 'object' && prototype !== null && !survey.numbers.has(prototype) && isNew)
        derive(prototype, ['prototype', number]);
      if (shape.form === 'class') enlistMembers(made as { prototype: object }, number, shape, text);
    }
    function shapeOf(made: object, shape: FunctionShape): FunctionShape {
      const isOrdinary =
        shape.form !== 'class' &&
        describe(made, 'prototype') !== undefined &&
        getPrototypeOf(made) === Function.prototype;
      if (isOrdinary && isStrict(made)) return { ...shape, form: 'expression', strict: true };
      // An expression has a name of its own in its scope, a declaration has the global one.
      const isDeclared = shape.name !== null && describe(global, shape.name)?.value === made;
      return shape.form === 'declaration' && !isDeclared ? { ...shape, form: 'expression' } : shape;
    }
    /** Of an ordinary function: of any other this says nothing. */
    function isStrict(made: object): boolean {
      try {
        apply(caller, made, []);
        return false;
      } catch {
        return true;
      }
    }
    function enlistMembers(made: { prototype: object }, number: number, { parent }: FunctionShape, text: string): void {
      if (parent !== null && describe(global, parent)?.value !== getPrototypeOf(made))
        refuse(`it holds a class that extends another ${parent} than that of now`);
      const scratch = evaluate(`(${text})`) as { prototype: object };
      for (const [pristine, own, isStatic] of [
        [scratch, made, true],
        [scratch.prototype, made.prototype, false],
      ] as const)
        for (const key of ownKeys(pristine)) {
          if (key === 'prototype' || key === 'constructor') continue;
          for (const part of ['value', 'get', 'set'] as const) {
            const [fresh, now] = [describe(pristine, key)?.[part], describe(own, key)?.[part]];
            if (typeof fresh !== 'function') continue;
            if (typeof now !== 'function' || isProxy(now) || functionText(now) !== functionText(fresh))
              refuse('it holds a class whose methods were replaced');
            derive(now, ['method', number, isStatic, valueOf(key), part]);
          }
        }
    }
    function derive(object: object, body: SavedBody): void {
      if (numbers.has(object) || isProxy(object)) refuse('it holds a part of a class that has another owner as well');
      enlist(object);
      derived.set(object, body);
    }

    // --- objects -----------------------------------------------------------------------------------------------------

    function propertyOf(object: object, key: string | symbol): SavedProperty {
      const { writable, enumerable, configurable, ...rest } = describe(object, key) as PropertyDescriptor;
      const flags = (writable === true ? 1 : 0) + (enumerable === true ? 2 : 0) + (configurable === true ? 4 : 0);
      if ('value' in rest) return [valueOf(key), flags, valueOf(rest.value)];
      return [valueOf(key), flags + 8, valueOf(rest.get), valueOf(rest.set)];
    }
    function expect(elements: number): void {
      if (elements * elementCharacters > charactersMax) refuse('it holds too much');
    }
    function elementsOf(array: unknown[]): SavedValue[] {
      expect(array.length);
      const elements: SavedValue[] = [];
      for (let index = 0; index < array.length; index++) {
        const element = describe(array, index);
        if (element?.writable !== true || !element.enumerable || !element.configurable) break;
        elements.push(valueOf(element.value));
      }
      return elements;
    }
    /** The first object of its chain that is the platform's. */
    function platformOf(object: object): object | null {
      let link = getPrototypeOf(object);
      for (; link !== null && !survey.numbers.has(link); link = getPrototypeOf(link))
        if (isProxy(link)) refuse('it holds a proxy');
      return link;
    }
    function bodyOf(object: object): SavedBody {
      const known = derived.get(object);
      if (known !== undefined) return known;
      const shape = shapes.get(object);
      if (shape !== undefined) return ['function', functionText(object), shape];
      if (Array.isArray(object))
        return ['array', object.length, describe(object, 'length')?.writable === true, elementsOf(object)];
      return contentsOf({ survey, valueOf, expect, refuse }, object, platformOf(object));
    }
    /** What the body says already. */
    function isInBody(body: SavedBody, key: string | symbol): boolean {
      if (typeof key === 'symbol') return false;
      const isBelow = (length: number): boolean => `${+key >>> 0}` === key && +key < length;
      if (body[0] === 'array') return key === 'length' || isBelow(body[3].length);
      if (body[0] === 'error') return key === 'stack' && typeof body[1] === 'string';
      if (body[0] === 'boxed' && typeof body[1] === 'string') return key === 'length' || isBelow(body[1].length);
      return body[0] === 'view' && body[1] !== 'DataView' && `${+key}` === key;
    }
    function save(object: object): void {
      const body = bodyOf(object);
      const saved: SavedObject = {
        body,
        prototype: valueOf(getPrototypeOf(object)),
        extensible: isExtensible(object),
        properties: ownKeys(object).flatMap((key) => (isInBody(body, key) ? [] : [propertyOf(object, key)])),
      };
      part += `${JSON.stringify(saved)}\n`;
      if (part.length >= partCharacters) flush();
    }
    function flush(): void {
      characters += part.length;
      if (characters > charactersMax) refuse('it holds too much');
      send('image', part);
      part = '';
    }

    const platformKeys = new Set<string | symbol>(Array.from(namespace.platformKeys()));
    const isHistory = (key: string | symbol): boolean =>
      (key === '_' || key === '__' || key === '___') && describe(global, key)?.get !== undefined;
    const { declared, helpers, history } = namespace.memory();
    const globals = ownKeys(global).flatMap((key) =>
      platformKeys.has(key) || isHistory(key) ? [] : [propertyOf(global, key)],
    );
    const saidHistory = history.map(valueOf);
    for (let number = 0; number < objects.length; number++) save(objects[number] as object);
    flush();
    const head = {
      digest: survey.digest,
      symbols,
      globals,
      declared,
      helpers,
      history: saidHistory,
      console: parts.console.memory(),
      platform: parts.state(),
    };
    const ownNames = functions.map((made) => (shapes.get(made) as FunctionShape).name);
    return { head, functions, ownNames };
  };
}
