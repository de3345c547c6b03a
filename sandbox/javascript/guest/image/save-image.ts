import type { GuestConsole } from '../console.ts';
import type { GuestKernel } from '../kernel.ts';
import type { GuestNamespace } from '../namespace.ts';
import type { SendToHost } from '../output.ts';
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
  const { getOwnPropertyDescriptor: describe, getPrototypeOf, isExtensible, ownKeys } = Reflect;
  const { is } = Object;
  const { isError } = Error as unknown as { isError(value: unknown): boolean };
  const functionText = kernel.uncurryThis(Function.prototype.toString) as (self: object) => string;
  // biome-ignore lint/security/noGlobalEval: it evaluates a class whose text the host has found to do nothing by itself.
  const evaluate = eval;
  const getter = (owner: object, key: PropertyKey): ((self: object) => unknown) =>
    kernel.uncurryThis(describe(owner, key)?.get as (this: object) => unknown);
  const typedArray = getPrototypeOf(Uint8Array.prototype) as object;
  const tagOf = getter(typedArray, Symbol.toStringTag) as (self: object) => string | undefined;
  const bufferOfView = getter(DataView.prototype, 'buffer');
  const sourceOf = getter(RegExp.prototype, 'source');
  const callerOf = getter(Function.prototype, 'caller');

  /** By the platform's prototype in its chain: answers where an object has what makes it one of that kind, and throws where not. */
  const brands = new Map<unknown, (object: never) => unknown>([
    [Date.prototype, (date: Date) => Date.prototype.getTime.call(date)],
    [RegExp.prototype, sourceOf],
    [Map.prototype, getter(Map.prototype, 'size')],
    [Set.prototype, getter(Set.prototype, 'size')],
    [ArrayBuffer.prototype, getter(ArrayBuffer.prototype, 'byteLength')],
    [DataView.prototype, bufferOfView],
    [Number.prototype, (boxed: number) => Number.prototype.valueOf.call(boxed)],
    [String.prototype, (boxed: string) => String.prototype.valueOf.call(boxed)],
    [Boolean.prototype, (boxed: boolean) => Boolean.prototype.valueOf.call(boxed)],
    [BigInt.prototype, (boxed: bigint) => BigInt.prototype.valueOf.call(boxed)],
    [Symbol.prototype, (boxed: symbol) => Symbol.prototype.valueOf.call(boxed)],
  ]);
  /** Those of plain objects, and of what is not what its prototype is for. */
  const plain = new Set<unknown>([
    ...[null, Object.prototype, Array.prototype, Function.prototype, Error.prototype, AggregateError.prototype],
    ...[EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(({ prototype }) => prototype),
  ]);

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
        callerOf(made);
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
      if (isError(object)) {
        const stack = describe(object, 'stack')?.get;
        return ['error', stack !== undefined && survey.numbers.has(stack) ? valueOf((object as Error).stack) : ['u']];
      }
      const platform = platformOf(object);
      if (plain.has(platform)) return ['object'];
      const isView = platform !== null && getPrototypeOf(platform) === typedArray;
      const brand = brands.get(platform);
      if (brand === undefined && !isView) refuse(`it holds an object of the kind ${kindName(platform as object)}`);
      if (isView)
        return tagOf(object) === undefined ? ['object'] : viewOf(object as Uint8Array, tagOf(object) as string);
      try {
        brand?.(object as never);
      } catch {
        return ['object'];
      }
      return contentOf(object as never, platform);
    }
    function kindName(platform: object): string {
      const tag = describe(platform, Symbol.toStringTag)?.value ?? describe(platform, 'constructor')?.value?.name;
      return typeof tag === 'string' ? tag : 'unknown';
    }
    function viewOf(view: Uint8Array | DataView, type: string): SavedBody {
      const { buffer, byteOffset } = view;
      if (!survey.numbers.has(getPrototypeOf(buffer) as object) || getPrototypeOf(buffer) !== ArrayBuffer.prototype)
        refuse('it holds memory that is shared');
      return [
        'view',
        type,
        valueOf(buffer),
        byteOffset,
        type === 'DataView' ? view.byteLength : (view as Uint8Array).length,
      ];
    }
    function contentOf(
      object: Date & RegExp & Map<unknown, unknown> & ArrayBuffer & DataView,
      platform: unknown,
    ): SavedBody {
      switch (platform) {
        case Date.prototype:
          return ['date', valueOf(Date.prototype.getTime.call(object))];
        case RegExp.prototype:
          return ['regexp', sourceOf(object) as string, flagsOf(object)];
        case Map.prototype:
          expect(brands.get(platform)?.(object as never) as number);
          return ['map', [...Map.prototype.entries.call(object)].map(([key, value]) => [valueOf(key), valueOf(value)])];
        case Set.prototype:
          expect(brands.get(platform)?.(object as never) as number);
          return ['set', [...Set.prototype.values.call(object as never)].map(valueOf)];
        case ArrayBuffer.prototype:
          return bufferOf(object);
        case DataView.prototype:
          return viewOf(object, 'DataView');
        default:
          return ['boxed', valueOf(brands.get(platform)?.(object as never))];
      }
    }
    function flagsOf(pattern: RegExp): string {
      let flags = '';
      for (const [flag, name] of Object.entries({
        d: 'hasIndices',
        g: 'global',
        i: 'ignoreCase',
        m: 'multiline',
        s: 'dotAll',
        u: 'unicode',
        v: 'unicodeSets',
        y: 'sticky',
      }))
        if (getter(RegExp.prototype, name)(pattern) === true) flags += flag;
      return flags;
    }
    function bufferOf(buffer: ArrayBuffer): SavedBody {
      const { detached, resizable } = buffer as unknown as { detached?: boolean; resizable?: boolean };
      if (detached === true || resizable === true) refuse('it holds a buffer that is detached or can be resized');
      expect(buffer.byteLength);
      return ['buffer', (new Uint8Array(buffer) as unknown as { toBase64(): string }).toBase64()];
    }
    /** What the body says already. */
    function isInBody(body: SavedBody, key: string | symbol): boolean {
      if (typeof key === 'symbol') return false;
      if (body[0] === 'array') return key === 'length' || (`${+key >>> 0}` === key && +key < body[3].length);
      if (body[0] === 'error') return key === 'stack' && typeof body[1] === 'string';
      if (body[0] === 'boxed' && typeof body[1] === 'string') return key === 'length' || +key < body[1].length;
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
