import type { ConsoleMemory } from '../console.ts';

/**
 * The form of an image: what one isolate writes, and another reads. All of it is JSON; objects and symbols are numbered and stand in
 * lists, so that one that is met in two places is one again.
 */

/**
 * A value. What JSON has stands for itself; the rest is a list of a letter and what it needs: `u` undefined, `n` a number that JSON
 * has not, `b` a BigInt, `y` a symbol by its number, `o` an object of the image, `i` one of the platform by its number in a survey.
 */
export type SavedValue =
  | null
  | boolean
  | number
  | string
  | readonly ['u']
  | readonly ['n' | 'b', string]
  | readonly ['o' | 'i' | 'y', number];

/** A property: its key; 1 for writable, 2 for enumerable, 4 for configurable and 8 for an accessor; its value, or getter and setter. */
export type SavedProperty = readonly [key: SavedValue, flags: number, value: SavedValue, setter?: SavedValue];

/**
 * A symbol: by its key in the registry, by its number in a survey, or new, with its description.
 */
export type SavedSymbol = readonly ['key', string] | readonly ['known', number] | readonly ['new', string | null];

/** What a function or class is made of again. */
export interface FunctionShape {
  /** How its text becomes a value: as a declaration, as an expression, as a class, or as a member of an object. */
  readonly form: 'declaration' | 'expression' | 'class' | 'member';
  /** Its own, where its text has one. */
  readonly name: string | null;
  /** The name that a class extends; null for any other. */
  readonly parent: string | null;
  /** Where it stands in a cell; null where that is not known. */
  readonly place: readonly [cell: number, line: number, column: number] | null;
  /** Whether code around it had made it strict, as far as that can be told. */
  readonly strict?: boolean;
}

/** What there is to an object besides its properties, by its kind. */
export type SavedBody =
  | readonly ['object' | 'error-without-stack']
  | readonly ['array', length: number, writable: boolean, elements: readonly SavedValue[]]
  | readonly ['function', text: string, shape: FunctionShape]
  /** Made with the function of that number: its `prototype`, or one of the members that its class gives it or its prototype. */
  | readonly ['prototype', owner: number]
  | readonly ['method', owner: number, isStatic: boolean, key: SavedValue, part: 'value' | 'get' | 'set']
  | readonly ['date', SavedValue]
  | readonly ['regexp', source: string, flags: string]
  | readonly ['map', readonly (readonly [SavedValue, SavedValue])[]]
  | readonly ['set', readonly SavedValue[]]
  | readonly ['error', stack: SavedValue]
  | readonly ['buffer', base64: string]
  | readonly ['view', type: string, buffer: SavedValue, offset: number, length: number]
  | readonly ['boxed', SavedValue];

export interface SavedObject {
  readonly body: SavedBody;
  readonly prototype: SavedValue;
  readonly extensible: boolean;
  readonly properties: readonly SavedProperty[];
}

/** Everything but the objects themselves. */
export interface ImageHead {
  /** Of the survey of the platform that the numbers are of. */
  readonly digest: string;
  readonly symbols: readonly SavedSymbol[];
  readonly globals: readonly SavedProperty[];
  readonly declared: readonly (readonly [name: string, kind: string])[];
  readonly helpers: readonly string[];
  readonly history: readonly SavedValue[];
  readonly console: ConsoleMemory;
  /** Of the platform's: see `resume` of `boot.ts`. */
  readonly platform: string;
}
