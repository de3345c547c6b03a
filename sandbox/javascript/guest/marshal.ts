import type { GuestKernel } from './kernel.ts';

export interface DescribedError {
  readonly name: string | null;
  readonly message: string;
  readonly stack: string;
  readonly thrownType: string;
  readonly cause?: DescribedError;
  readonly errors?: ArrayLike<DescribedError>;
}

export interface Marshal {
  /** `{"status":"value","json":"…"}` where the value is JSON that fits, else `{"status":"preview",…}`. */
  value(value: unknown): string;
  /** `{"status":"error","error":{…}}`. */
  error(thrown: unknown): string;
  /** The name of a value's type as a person would say it: `undefined`, `Map`, `Foo`, `function`. */
  typeName(value: unknown): string;
  quote(text: string): string;
}

/**
 * Turns results and errors into the one JSON text that leaves the isolate. Text is put together by concatenation, because
 * `JSON.stringify` of an object would look up a `toJSON` that a guest may have planted; of a string it looks up nothing.
 */
export function makeMarshal(
  kernel: GuestKernel,
  parts: {
    inspect: (value: unknown) => string;
    jsonValue: (value: unknown, maxBytes: number) => { json: string } | null | 'too-large';
    describeError: (thrown: unknown) => DescribedError;
    faultOf: (thrown: unknown) => { readonly code: string; readonly capability: string } | undefined;
    valueBytesMax: () => number;
  },
): Marshal {
  const quote = JSON.stringify as (text: string) => string;
  const getPrototypeOf = Reflect.getPrototypeOf;
  const describe = Reflect.getOwnPropertyDescriptor;
  const toStringTag = kernel.uncurryThis(Object.prototype.toString);
  const slice = kernel.uncurryThis(String.prototype.slice);

  function typeName(value: unknown): string {
    const type = typeof value;
    if (value === null) return 'null';
    if (type !== 'object') return type;
    try {
      for (
        let proto = getPrototypeOf(value as object), depth = 0;
        proto !== null && depth < 100;
        proto = getPrototypeOf(proto), depth++
      ) {
        const constructor = describe(proto, 'constructor')?.value;
        const name = typeof constructor === 'function' ? describe(constructor, 'name')?.value : undefined;
        if (typeof name === 'string' && name !== '') return slice(name, 0, 128);
      }
      return slice(toStringTag(value), 8, -1);
    } catch {
      return 'object';
    }
  }

  function errorJson(error: DescribedError, thrown: unknown): string {
    const fault = parts.faultOf(thrown);
    let json = `{"code":${fault === undefined ? '"RUNTIME_ERROR"' : quote(fault.code)}`;
    if (fault !== undefined) json += `,"capability":${quote(fault.capability)}`;
    json += `,"name":${error.name === null ? 'null' : quote(error.name)},"message":${quote(error.message)}`;
    json += `,"stack":${quote(error.stack)},"thrownType":${quote(error.thrownType)}`;
    if (error.cause !== undefined) json += `,"cause":${errorJson(error.cause, undefined)}`;
    if (error.errors !== undefined) {
      json += ',"errors":[';
      for (let i = 0; i < error.errors.length; i++)
        json += (i === 0 ? '' : ',') + errorJson(error.errors[i] as DescribedError, undefined);
      json += ']';
    }
    return `${json}}`;
  }

  return {
    typeName,
    quote,
    value(value) {
      const encoded = parts.jsonValue(value, parts.valueBytesMax());
      if (encoded !== null && encoded !== 'too-large') return `{"status":"value","json":${quote(encoded.json)}}`;
      return `{"status":"preview","type":${quote(typeName(value))},"text":${quote(parts.inspect(value))}}`;
    },
    error: (thrown) => `{"status":"error","error":${errorJson(parts.describeError(thrown), thrown)}}`,
  };
}
