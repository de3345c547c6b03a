import type { InspectOptions } from './inspect.ts';
import type { GuestKernel } from './kernel.ts';

/** What is known of something thrown. Without a prototype, so that an absent part is absent whatever a guest has done. */
export interface ErrorDescription {
  /** The error's name; null where what was thrown is no error. */
  readonly name: string | null;
  /** At most 8,192 characters. Of what is no error: the string itself, or the value as `inspect` shows it. */
  readonly message: string;
  /** At most 16,384 characters; '' where what was thrown is no error. */
  readonly stack: string;
  /** `typeof` what was thrown. */
  readonly thrownType: string;
  readonly cause?: ErrorDescription;
  /** The first 10 of an AggregateError's errors: `length` and indexes, nothing else. */
  readonly errors?: ArrayLike<ErrorDescription>;
  /** The error's other own enumerable properties, as `inspect` shows an object. */
  readonly props?: string;
}

/**
 * Describes whatever was thrown in strings of bounded length. Never throws. A guest's own accessors for `name`, `message`,
 * `stack` and `cause` are read once each, because that is how errors outside ECMAScript carry them; whoever calls this puts a
 * timeout around it.
 */
export function makeDescribeError(
  kernel: GuestKernel,
  inspect: (value: unknown, options?: InspectOptions) => string,
): (thrown: unknown) => ErrorDescription {
  // biome-ignore lint/suspicious/noRedundantUseStrict: the text is evaluated in a script, where strictness is not implied
  'use strict';
  const NAME_MAX = 256;
  const MESSAGE_MAX = 8192;
  const STACK_MAX = 16_384;
  const PROPS_MAX = 4096;
  const PROPERTIES_MAX = 64;
  const DEPTH_MAX = 4;
  const ERRORS_MAX = 10;
  /** Causes of errors of causes multiply; this bounds the whole tree. */
  const DESCRIPTIONS_MAX = 24;
  const UNPRINTABLE = '[unprintable]';

  const charCodeAt = kernel.uncurryThis(String.prototype.charCodeAt);
  const slice = kernel.uncurryThis(String.prototype.slice);
  const indexOf = kernel.uncurryThis(String.prototype.indexOf);
  const hasInstance = kernel.uncurryThis(Function.prototype[Symbol.hasInstance]);
  const GuestError = Error;
  const isErrorBrand =
    (Error as unknown as { isError?: (value: unknown) => boolean }).isError ??
    ((value) => hasInstance(GuestError, value));
  const hasOwn = Object.hasOwn;
  const describeProperty = Object.getOwnPropertyDescriptor;
  const defineProperty = Object.defineProperty;
  const setPrototypeOf = Object.setPrototypeOf;
  const objectKeys = Object.keys;
  const isArray = Array.isArray;

  const cap = (text: string, length: number): string => {
    if (text.length <= length) return text;
    const last = charCodeAt(text, length - 2);
    return `${slice(text, 0, last >= 0xd800 && last <= 0xdbff ? length - 2 : length - 1)}…`;
  };
  /** A long message must not push out the frames, which say where it happened. */
  const capStack = (stack: string, messageLength: number): string => {
    if (stack.length <= STACK_MAX) return stack;
    const frames = indexOf(stack, '\n    at ', messageLength < stack.length ? messageLength : 0);
    if (frames === -1) return cap(stack, STACK_MAX);
    const head = cap(slice(stack, 0, frames), STACK_MAX / 2);
    return head + cap(slice(stack, frames), STACK_MAX - head.length);
  };
  const preview = (value: unknown): string => cap(inspect(value, { maxLength: MESSAGE_MAX - 32 }), MESSAGE_MAX);

  const read = (error: object, key: string): unknown => {
    try {
      return (error as Record<string, unknown>)[key];
    } catch {
      return undefined;
    }
  };
  const isError = (value: unknown): value is object => {
    if (typeof value !== 'object' || value === null) return false;
    try {
      return isErrorBrand(value) || hasInstance(GuestError, value);
    } catch {
      return false;
    }
  };
  const nameOf = (error: object): string => {
    const name = read(error, 'name');
    return typeof name === 'string' && name !== '' ? cap(name, NAME_MAX) : 'Error';
  };
  const messageOf = (error: object): { text: string; length: number } => {
    const message = read(error, 'message');
    if (typeof message === 'string') return { text: cap(message, MESSAGE_MAX), length: message.length };
    const text = message === undefined ? '' : preview(message);
    return { text, length: text.length };
  };
  const stackOf = (error: object, name: string, message: { text: string; length: number }): string => {
    const stack = read(error, 'stack');
    if (typeof stack === 'string' && stack !== '') return capStack(stack, message.length);
    return cap(message.text === '' ? name : `${name}: ${message.text}`, STACK_MAX);
  };

  /** The own enumerable properties that are not told elsewhere; accessors are shown as such and not invoked. */
  const propsOf = (error: object): string | undefined => {
    const keys = objectKeys(error);
    const shown = {};
    let count = 0;
    for (let i = 0; i < keys.length && count < PROPERTIES_MAX; i++) {
      const key = keys[i] as string;
      if (key === 'name' || key === 'message' || key === 'stack' || key === 'cause' || key === 'errors') continue;
      const descriptor = describeProperty(error, key);
      if (descriptor === undefined) continue;
      defineProperty(shown, key, setPrototypeOf(descriptor, null) as PropertyDescriptor);
      count += 1;
    }
    return count === 0 ? undefined : inspect(shown, { maxLength: PROPS_MAX });
  };

  const makeDescriber = () => {
    let descriptions = 0;
    const errorsOf = (error: object, level: number): ArrayLike<ErrorDescription> | undefined => {
      const descriptor = describeProperty(error, 'errors');
      if (descriptor === undefined || !hasOwn(descriptor, 'value') || !isArray(descriptor.value)) return undefined;
      const described = { __proto__: null, length: 0 } as unknown as {
        length: number;
        [index: number]: ErrorDescription;
      };
      for (let i = 0; i < ERRORS_MAX && descriptions < DESCRIPTIONS_MAX; i++) {
        const element = describeProperty(descriptor.value, i);
        if (element === undefined || !hasOwn(element, 'value')) break;
        described[i] = describe(element.value, level + 1);
        described.length = i + 1;
      }
      return described;
    };
    const addParts = (description: Record<string, unknown>, error: object, level: number): void => {
      if (level < DEPTH_MAX) {
        const errors = errorsOf(error, level);
        if (errors !== undefined) description.errors = errors;
        if (hasOwn(error, 'cause') && descriptions < DESCRIPTIONS_MAX) {
          description.cause = describe(read(error, 'cause'), level + 1);
        }
      }
      const props = propsOf(error);
      if (props !== undefined) description.props = props;
    };
    const describe = (thrown: unknown, level: number): ErrorDescription => {
      descriptions += 1;
      const description = { __proto__: null, name: null, message: UNPRINTABLE, stack: '', thrownType: typeof thrown };
      const parts = description as unknown as Record<string, unknown>;
      try {
        if (!isError(thrown)) {
          parts.message = typeof thrown === 'string' ? cap(thrown, MESSAGE_MAX) : preview(thrown);
          return description as unknown as ErrorDescription;
        }
        const name = nameOf(thrown);
        const message = messageOf(thrown);
        parts.name = name;
        parts.message = message.text;
        parts.stack = stackOf(thrown, name, message);
        addParts(parts, thrown, level);
      } catch {
        // What has been learnt so far is the description.
      }
      return description as unknown as ErrorDescription;
    };
    return describe;
  };

  return (thrown) => makeDescriber()(thrown, 1);
}
