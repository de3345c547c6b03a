import type { GuestConsole } from '../console.ts';
import type { GuestKernel } from '../kernel.ts';
import type { GuestNamespace } from '../namespace.ts';
import type { FunctionShape, ImageHead, SavedBody, SavedObject, SavedProperty, SavedValue } from './image-form.ts';
import type { Survey } from './survey.ts';

export interface RestoreParts {
  readonly namespace: Pick<GuestNamespace, 'platformKeys' | 'recall'>;
  readonly console: Pick<GuestConsole, 'recall'>;
  readonly resume: (state: string) => void;
}

/**
 * Makes the namespace of an image, in an isolate that no guest code has run in.
 *
 * @param lines a saved object each
 * @throws Error where the image is none of an isolate like this one
 */
export function makeRestoreImage(
  kernel: GuestKernel,
  parts: RestoreParts,
): (survey: Survey, head: ImageHead, lines: string) => void {
  const { global } = kernel;
  const {
    defineProperty,
    deleteProperty,
    getOwnPropertyDescriptor: describe,
    ownKeys,
    preventExtensions,
    setPrototypeOf,
  } = Reflect;
  // biome-ignore lint/security/noGlobalEval: it evaluates the user's own functions, at the level of the session they were made at.
  const evaluate = eval;

  return (survey, head, lines) => {
    if (survey.digest !== head.digest) throw new Error('The image is of another platform.');
    const saved: SavedObject[] = lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    const objects: (object | undefined)[] = [];
    const symbols = head.symbols.map(([kind, what]) =>
      kind === 'key'
        ? Symbol.for(what)
        : kind === 'known'
          ? (survey.symbolList[what] as symbol)
          : Symbol(what ?? undefined),
    );

    function valueOf(value: SavedValue): unknown {
      if (typeof value !== 'object' || value === null) return value;
      switch (value[0]) {
        case 'u':
          return undefined;
        case 'n':
          return Number(value[1]);
        case 'b':
          return BigInt(value[1]);
        case 'y':
          return symbols[value[1]];
        case 'i':
          return survey.objects[value[1]];
        case 'o':
          return made(value[1]);
      }
    }
    function made(number: number): object {
      const known = objects[number];
      if (known !== undefined) return known;
      const object = make(saved[number] as SavedObject);
      objects[number] = object;
      return object;
    }

    // --- made --------------------------------------------------------------------------------------------------------

    /** The object itself, and nothing that is in it. */
    function make({ body, prototype }: SavedObject): object {
      switch (body[0]) {
        case 'object':
          return {};
        case 'array':
          return [];
        case 'function':
          return makeFunction(body[1], body[2], prototype);
        case 'prototype':
          return (made(body[1]) as { prototype: object }).prototype;
        case 'method':
          return methodOf(body);
        case 'date':
          return new Date(valueOf(body[1]) as number);
        case 'regexp':
          return new RegExp(body[1], body[2]);
        case 'map':
          return new Map();
        case 'set':
          return new Set();
        case 'error':
          return new Error('made again');
        case 'buffer':
          return (Uint8Array as unknown as { fromBase64(text: string): Uint8Array }).fromBase64(body[1]).buffer;
        case 'view':
          return new (global[body[1]] as Uint8ArrayConstructor)(valueOf(body[2]) as ArrayBuffer, body[3], body[4]);
        case 'boxed':
          return Object(valueOf(body[1]));
        default:
          throw new Error('The image holds something of an unknown kind.');
      }
    }
    function methodOf([, owner, isStatic, key, part]: Extract<SavedBody, readonly ['method', ...unknown[]]>): object {
      const type = made(owner) as { prototype: object };
      return describe(isStatic ? type : type.prototype, valueOf(key) as string)?.[part];
    }
    function makeFunction(
      text: string,
      { form, name, parent, place, strict = false }: FunctionShape,
      prototype: SavedValue,
    ): object {
      // At the place where it stood in its cell, so that the stacks of its errors say so.
      const [cell, line, column] = place ?? [0, 1, 1];
      const written = (bracket: string, close: string): unknown => {
        const open = strict ? `'use strict';${bracket}` : bracket;
        const indent = ' '.repeat(Math.max(0, column - 1 - (line === 1 ? open.length : 0)));
        const url = place === null ? '' : `//# sourceURL=cell:${cell}`;
        return evaluate(`${open}${'\n'.repeat(line - 1)}${indent}${text}\n${close}${url}`);
      };
      if (form === 'declaration') {
        written('', '');
        const made = global[name as string] as object;
        delete global[name as string];
        return made;
      }
      if (form === 'member') {
        const holder = written('({', '})') as object;
        const { value, get, set } = describe(holder, ownKeys(holder)[0] as string) ?? {};
        return value ?? get ?? set;
      }
      if (parent !== null && !(parent in global)) global[parent] = valueOf(prototype);
      return written('(', ')') as object;
    }

    // --- filled ------------------------------------------------------------------------------------------------------

    function define(object: object, [key, flags, value, setter = null]: SavedProperty): void {
      const name = valueOf(key) as string;
      const rights = { enumerable: (flags & 2) !== 0, configurable: (flags & 4) !== 0 };
      const property =
        (flags & 8) !== 0
          ? { ...rights, get: valueOf(value) as () => unknown, set: valueOf(setter) as (value: unknown) => void }
          : { ...rights, writable: (flags & 1) !== 0, value: valueOf(value) };
      if (!defineProperty(object, name, property))
        throw new Error(`The property ${String(name)} cannot be made again.`);
    }
    function fill(object: object, { body, prototype, properties }: SavedObject): void {
      setPrototypeOf(object, valueOf(prototype) as object | null);
      if (body[0] === 'map')
        for (const [key, value] of body[1]) Map.prototype.set.call(object, valueOf(key), valueOf(value));
      else if (body[0] === 'set')
        for (const value of body[1]) Set.prototype.add.call(object as Set<unknown>, valueOf(value));
      else if (body[0] === 'error') fillError(object as Error, body[1]);
      else if (body[0] === 'array')
        for (const [index, value] of body[3].entries()) (object as unknown[])[index] = valueOf(value);
      if (body[0] === 'array') (object as unknown[]).length = body[1];
      const kept = new Set(properties.map(([key]) => valueOf(key)));
      if (
        body[0] === 'object' ||
        body[0] === 'function' ||
        body[0] === 'prototype' ||
        body[0] === 'error' ||
        body[0] === 'method'
      )
        for (const key of ownKeys(object))
          if (!kept.has(key) && !(body[0] === 'error' && key === 'stack')) deleteProperty(object, key);
      for (const property of properties) define(object, property);
      if (body[0] === 'array' && !body[2]) defineProperty(object, 'length', { writable: false });
    }
    function fillError(error: Error, stack: SavedValue): void {
      if (typeof stack === 'string') error.stack = stack;
      else delete error.stack;
    }

    for (let number = 0; number < saved.length; number++) made(number);
    for (const [number, object] of saved.entries()) fill(made(number), object);
    for (const [number, { extensible }] of saved.entries()) if (!extensible) preventExtensions(made(number));
    // What an opening has set by itself, and code has deleted since.
    const kept = new Set([
      ...Array.from(parts.namespace.platformKeys()),
      ...head.globals.map(([key]) => key),
      '_',
      '__',
      '___',
    ]);
    for (const key of ownKeys(global)) if (!kept.has(key)) deleteProperty(global, key);
    for (const property of head.globals) define(global, property);
    parts.namespace.recall({ declared: head.declared, helpers: head.helpers, history: head.history.map(valueOf) });
    parts.console.recall(head.console);
    parts.resume(head.platform);
  };
}
