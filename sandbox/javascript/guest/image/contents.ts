import type { GuestKernel } from '../kernel.ts';
import type { SavedBody, SavedValue } from './image-form.ts';
import type { Survey } from './survey.ts';

/** What is being saved. */
export interface Saving {
  readonly survey: Survey;
  valueOf(value: unknown): SavedValue;
  /** So much is to come. @throws where that is too much */
  expect(elements: number): void;
  refuse(reason: string): never;
}

/**
 * Finds what there is to an object that its properties do not show. It goes by what an object is, and not by what it says: properties of
 * those names, and getters of its class, are guest code, which is not run.
 *
 * @returns the body of an object that is no array, no function and no proxy; `platform` is the first of its prototypes that is the
 * platform's
 */
export function makeContents(
  kernel: GuestKernel,
): (saving: Saving, object: object, platform: object | null) => SavedBody {
  const { apply, getOwnPropertyDescriptor: describe, getPrototypeOf } = Reflect;
  const { isError } = Error as unknown as { isError(value: unknown): boolean };
  const getter = (owner: object, key: PropertyKey): ((self: object) => unknown) =>
    kernel.uncurryThis(describe(owner, key)?.get as (this: object) => unknown);
  const typedArray = getPrototypeOf(Uint8Array.prototype) as object;
  const tagOf = getter(typedArray, Symbol.toStringTag) as (self: object) => string | undefined;
  const ofArray = ['buffer', 'byteOffset', 'length'].map((name) => getter(typedArray, name));
  const ofView = ['buffer', 'byteOffset', 'byteLength'].map((name) => getter(DataView.prototype, name));
  const byteLengthOf = getter(ArrayBuffer.prototype, 'byteLength');
  const isDetached = getter(ArrayBuffer.prototype, 'detached');
  // Not every level has buffers that can be resized.
  const resizable = describe(ArrayBuffer.prototype, 'resizable')?.get;
  const sourceOf = getter(RegExp.prototype, 'source');
  const flags = Object.entries({
    ...{ d: 'hasIndices', g: 'global', i: 'ignoreCase', m: 'multiline' },
    ...{ s: 'dotAll', u: 'unicode', v: 'unicodeSets', y: 'sticky' },
  }).map(([flag, name]) => [flag, getter(RegExp.prototype, name)] as const);

  /** By the platform's prototype: answers where an object is one of that kind, and throws where it is not. */
  const brands = new Map<unknown, (object: never) => unknown>([
    [Date.prototype, (date: Date) => Date.prototype.getTime.call(date)],
    [RegExp.prototype, sourceOf],
    [Map.prototype, getter(Map.prototype, 'size')],
    [Set.prototype, getter(Set.prototype, 'size')],
    [ArrayBuffer.prototype, byteLengthOf],
    [DataView.prototype, getter(DataView.prototype, 'buffer')],
    [Number.prototype, (boxed: number) => Number.prototype.valueOf.call(boxed)],
    [String.prototype, (boxed: string) => String.prototype.valueOf.call(boxed)],
    [Boolean.prototype, (boxed: boolean) => Boolean.prototype.valueOf.call(boxed)],
    [BigInt.prototype, (boxed: bigint) => BigInt.prototype.valueOf.call(boxed)],
    [Symbol.prototype, (boxed: symbol) => Symbol.prototype.valueOf.call(boxed)],
  ]);
  /** Those of objects that are nothing else. */
  const plain = new Set<unknown>([
    ...[null, Object.prototype, Array.prototype, Function.prototype, Error.prototype, AggregateError.prototype],
    ...[EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(({ prototype }) => prototype),
  ]);

  function kindName(platform: object): string {
    const tag = describe(platform, Symbol.toStringTag)?.value ?? describe(platform, 'constructor')?.value?.name;
    return typeof tag === 'string' ? tag : 'unknown';
  }
  function viewOf({ valueOf, refuse }: Saving, view: object, type: string): SavedBody {
    const [buffer, offset, length] = (type === 'DataView' ? ofView : ofArray).map((read) => read(view));
    if (getPrototypeOf(buffer as object) !== ArrayBuffer.prototype) refuse('it holds memory that is shared');
    return ['view', type, valueOf(buffer), offset as number, length as number];
  }
  function bufferOf({ expect, refuse }: Saving, buffer: ArrayBuffer): SavedBody {
    const canBeResized = resizable !== undefined && apply(resizable, buffer, []) === true;
    if (canBeResized || isDetached(buffer) === true) refuse('it holds a buffer that is detached or can be resized');
    expect(byteLengthOf(buffer) as number);
    return ['buffer', (new Uint8Array(buffer) as unknown as { toBase64(): string }).toBase64()];
  }
  function contentOf(saving: Saving, object: object, platform: object | null): SavedBody {
    const { valueOf, expect } = saving;
    const answer = brands.get(platform)?.(object as never);
    switch (platform) {
      case Date.prototype:
        return ['date', valueOf(answer)];
      case RegExp.prototype:
        return ['regexp', answer as string, flags.map(([flag, has]) => (has(object) === true ? flag : '')).join('')];
      case Map.prototype: {
        expect(answer as number);
        const entries = [...Map.prototype.entries.call(object as Map<unknown, unknown>)];
        return ['map', entries.map(([key, value]) => [valueOf(key), valueOf(value)])];
      }
      case Set.prototype:
        expect(answer as number);
        return ['set', [...Set.prototype.values.call(object as Set<unknown>)].map(valueOf)];
      case ArrayBuffer.prototype:
        return bufferOf(saving, object as ArrayBuffer);
      case DataView.prototype:
        return viewOf(saving, object, 'DataView');
      default:
        return ['boxed', valueOf(answer)];
    }
  }
  function is(brand: (object: never) => unknown, object: object): boolean {
    try {
      brand(object as never);
      return true;
    } catch {
      return false;
    }
  }

  return (saving, object, platform) => {
    if (plain.has(platform)) {
      if (!isError(object)) return ['object'];
      const stack = describe(object, 'stack')?.get;
      const isOwn = stack !== undefined && saving.survey.numbers.has(stack);
      return ['error', saving.valueOf(isOwn ? (object as Error).stack : undefined)];
    }
    if (platform !== null && getPrototypeOf(platform) === typedArray) {
      const type = tagOf(object);
      return type === undefined ? ['object'] : viewOf(saving, object, type);
    }
    const brand = brands.get(platform);
    if (brand === undefined) return saving.refuse(`it holds an object of the kind ${kindName(platform as object)}`);
    return is(brand, object) ? contentOf(saving, object, platform) : ['object'];
  };
}
