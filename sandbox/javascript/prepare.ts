// Prepares the cells of a JavaScript or TypeScript session: source text in, scripts for the in-isolate runner out.
// It evaluates nothing. The source is always parsed alone before anything is put around it, so that no text can close
// the wrapping and stand outside of it.

import { CellSyntaxError } from './cell-parser.ts';
import { type CompiledCell, compileCell } from './compile-cell.ts';
import type { DeclarationKind } from './declarations.ts';
import { PrepareCache } from './prepare-cache.ts';
import { type CellError, cellError, offsetAt, type Position } from './prepare-error.ts';
import { isTypescriptWarm, type Transpiled, transpile, warmTypescript } from './typescript.ts';

export type { DeclarationKind } from './declarations.ts';
export type { CellError, Position } from './prepare-error.ts';
export { warmTypescript } from './typescript.ts';

export type CellLanguage = 'javascript' | 'typescript';

export interface PreparedCell {
  /** `async`: the cell awaits at its top level. */
  readonly mode: 'direct' | 'async';
  /** Scripts to evaluate in this order by indirect eval. Only the last one's completion value counts. */
  readonly scripts: readonly string[];
  /**
   * Whether the value comes in a box `{__proto__: null, value}`, so that a thenable is not awaited by accident: the last
   * script gives the box, or in mode `async` a promise of it. Otherwise the completion value is the value.
   */
  readonly boxed: boolean;
  /** The top-level names that become properties of the global object. */
  readonly declared: readonly { readonly name: string; readonly kind: DeclarationKind }[];
  /** Those of `declared` that the transpiler made; a listing hides them. */
  readonly helpers: readonly string[];
  /** Whether it writes to names that it does not declare. */
  readonly assigns: boolean;
  /**
   * Where a position in any of the scripts, 1-based as V8 prints it, stands in the user's source; undefined where that is no
   * text of the user's.
   */
  originalPosition(line: number, column: number): Position | undefined;
}

export type Preparation =
  | { readonly ok: true; readonly cell: PreparedCell }
  | { readonly ok: false; readonly error: CellError };

export interface PrepareOptions {
  readonly language: CellLanguage;
  /** What stack traces call the cell, such as "cell:3". */
  readonly cellName: string;
  /** The global names that are constants in this session. */
  readonly constants: ReadonlySet<string>;
}

type Outcome =
  | { readonly ok: true; readonly compiled: CompiledCell; readonly helpers: readonly string[] }
  | { readonly ok: false; readonly error: CellError };

// Cells that are run over and over are small; what is larger than this costs more to run than to parse.
const cacheBytesMax = 4 * 1024 * 1024;
const cache = new PrepareCache<CellLanguage, Outcome>(cacheBytesMax);

/**
 * Prepares a cell. What is wrong with the source is answered, never thrown.
 * @throws Error for a TypeScript cell before `warmTypescript` has settled.
 */
export function prepare(source: string, { language, cellName, constants }: PrepareOptions): Preparation {
  let outcome = cache.get(language, source, constants);
  if (outcome === undefined) {
    outcome = outcomeOf(source, language, constants);
    cache.set(language, source, constants, { assigned: outcome.ok ? outcome.compiled.assigned : [], value: outcome });
  }
  return outcome.ok ? { ok: true, cell: namedCell(outcome.compiled, outcome.helpers, cellName) } : outcome;
}

/** Prepares a cell: at once, unless it is the first to need the TypeScript compiler, which then is loaded. */
export function prepareCell(source: string, options: PrepareOptions): Preparation | Promise<Preparation> {
  if (options.language === 'javascript' || isTypescriptWarm()) return prepare(source, options);
  return warmTypescript().then(() => prepare(source, options));
}

function namedCell(compiled: CompiledCell, helpers: readonly string[], cellName: string): PreparedCell {
  const { mode, boxed, declared } = compiled;
  return {
    mode,
    boxed,
    declared,
    helpers,
    assigns: compiled.assigned.length > 0,
    scripts: compiled.texts.map((text) => `${text}\n//# sourceURL=${cellName}\n`),
    originalPosition: (line, column) => compiled.originalPosition({ line, column }),
  };
}

function outcomeOf(source: string, language: CellLanguage, constants: ReadonlySet<string>): Outcome {
  // A byte order mark is no part of the text that an editor shows, nor of its columns.
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  return language === 'typescript' ? typescriptOutcome(text, constants) : javascriptOutcome(text, constants);
}

function javascriptOutcome(source: string, constants: ReadonlySet<string>): Outcome {
  try {
    return { ok: true, compiled: compileCell(source, { objectLiterals: true, constants }), helpers: [] };
  } catch (error) {
    const { offset, message } = syntaxFault(error);
    return { ok: false, error: cellError(source, offset, message) };
  }
}

function typescriptOutcome(source: string, constants: ReadonlySet<string>): Outcome {
  const transpiled = transpile(source);
  if (!transpiled.ok) return { ok: false, error: cellError(source, transpiled.offset, transpiled.message) };
  try {
    const compiled = compileCell(transpiled.text, { objectLiterals: false, constants });
    // Nothing but the transpiler can have made a name that the user did not write.
    const helpers = compiled.declared.map(({ name }) => name).filter((name) => !source.includes(name));
    return { ok: true, compiled: fromTypescript(compiled, transpiled), helpers };
  } catch (error) {
    const { offset, message } = syntaxFault(error);
    const position = transpiled.originalPosition(cellError(transpiled.text, offset, message));
    return { ok: false, error: cellError(source, offsetAt(source, position), message) };
  }
}

function fromTypescript(compiled: CompiledCell, transpiled: Transpiled & { ok: true }): CompiledCell {
  return {
    ...compiled,
    originalPosition: (position) => {
      const found = compiled.originalPosition(position);
      return found === undefined ? undefined : transpiled.originalPosition(found);
    },
  };
}

function syntaxFault(error: unknown): { offset: number; message: string } {
  if (error instanceof CellSyntaxError) return error;
  // The walks over the tree are recursive: a tree too deep for them is refused like one too deep for the parser.
  if (error instanceof RangeError) return { offset: 0, message: 'The code is nested too deeply' };
  throw error;
}
