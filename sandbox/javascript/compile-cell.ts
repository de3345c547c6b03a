import type { Statement } from 'acorn';
import { keepCompletionValue } from './completion-value.ts';
import { addLexicalNames, type DeclarationKind, hoistedNames } from './declarations.ts';
import { type ParsedCell, parseCell } from './parse-cell.ts';
import { offsetAt, type Position, positionAt } from './prepare-error.ts';
import { rewriteConstantTargets } from './rewrite-constants.ts';
import { rewriteDirect } from './rewrite-direct.ts';
import { rewriteWrapped } from './rewrite-wrapped.ts';
import { freeTargets } from './scope.ts';
import { blanked, type EditedText, SourceEdits } from './source-edits.ts';
import { enclose, type TopLevel, topLevel } from './top-level.ts';

/** A cell's scripts without the name of the cell, so that two cells of the same source can share them. */
export interface CompiledCell {
  readonly mode: 'direct' | 'async';
  readonly boxed: boolean;
  readonly texts: readonly string[];
  readonly declared: readonly { readonly name: string; readonly kind: DeclarationKind }[];
  /** The names the cell assigns to and does not declare, of which a session may have made constants. */
  readonly assigned: readonly string[];
  /** Undefined for what stands below the last line of the source: it was put there to call the cell. */
  originalPosition(position: Position): Position | undefined;
}

const strictDirective = '"use strict";';

/**
 * Compiles the JavaScript of one cell. `constants` are names that are constants in the session.
 * @throws CellSyntaxError where the source is no script; RangeError where its tree is too deep to walk.
 */
export function compileCell(
  source: string,
  options: { readonly objectLiterals: boolean; readonly constants: ReadonlySet<string> },
): CompiledCell {
  const cell = parseCell(source, options.objectLiterals);
  let lines: number | undefined;
  const edits = new SourceEdits(source);
  const top = topLevel(source, cell, edits);
  const hoisted = hoistedNames(top.statements, cell.strict);
  const declared = declaredNames(top.statements, hoisted.names);
  const assigned = [...cell.assigned].filter((name) => !declared.has(name));
  protectConstants(cell, declared, assigned, options.constants, edits);
  neutraliseSourceNames(source, cell, edits);
  const wrapped = cell.hasTopLevelAwait || cell.strict || cell.hasTopLevelUsing;
  const { texts, edited } = wrapped ? wrap(source, cell, top, hoisted.blockFunctions, edits) : keep(source, top, edits);
  return {
    mode: cell.hasTopLevelAwait ? 'async' : 'direct',
    boxed: wrapped,
    texts,
    declared: Array.from(declared, ([name, kind]) => ({ name, kind })),
    assigned,
    originalPosition: (position) => {
      if (edited === undefined) return position;
      lines ??= source.split('\n').length;
      if (position.line > lines) return undefined;
      return positionAt(source, edited.originalOffset(offsetAt(edited.text, position)));
    },
  };
}

interface Rewritten {
  readonly texts: readonly string[];
  /** The layout that all the texts share; undefined where the text is the source. */
  readonly edited: EditedText | undefined;
}

function declaredNames(
  statements: readonly Statement[],
  hoisted: ReadonlyMap<string, DeclarationKind>,
): Map<string, DeclarationKind> {
  const names = new Map<string, DeclarationKind>();
  // What `using` binds is disposed of when the cell ends, so it belongs to the cell alone.
  const lasting = statements.filter((node) => node.type !== 'VariableDeclaration' || !node.kind.endsWith('using'));
  addLexicalNames(lasting, (name, kind) => names.set(name, kind));
  for (const [name, kind] of hoisted) if (!names.has(name)) names.set(name, kind);
  return names;
}

function protectConstants(
  cell: ParsedCell,
  declared: ReadonlyMap<string, DeclarationKind>,
  assigned: readonly string[],
  constants: ReadonlySet<string>,
  edits: SourceEdits,
): void {
  const wanted = new Set(assigned.filter((name) => constants.has(name)));
  for (const [name, kind] of declared) if (kind === 'const' && cell.assigned.has(name)) wanted.add(name);
  if (wanted.size > 0) rewriteConstantTargets(edits, freeTargets(cell.body, wanted, cell.strict));
}

// Stack frames are told apart by the name of their cell: a cell that named itself could pass for another, or for us.
function neutraliseSourceNames(source: string, cell: ParsedCell, edits: SourceEdits): void {
  if (source.startsWith('#!')) edits.blank(0, offsetAt(source, { line: 1, column: source.length + 1 }));
  for (const { start } of cell.comments) {
    const marker = source[start + 2];
    if (marker === '#' || marker === '@') edits.replace(start + 2, start + 3, ' ');
  }
}

function keep(source: string, top: TopLevel, edits: SourceEdits): Rewritten {
  rewriteDirect(source, top, edits);
  if (edits.isEmpty) return { texts: [source], edited: undefined };
  const edited = edits.apply();
  return { texts: [edited.text], edited };
}

function wrap(
  source: string,
  cell: ParsedCell,
  { statements, bare }: TopLevel,
  blockFunctions: ReturnType<typeof hoistedNames>['blockFunctions'],
  edits: SourceEdits,
): Rewritten {
  const variable = unusedName(source);
  edits.prepend(`${cell.hasTopLevelAwait ? '(async ' : '('}(${variable}) => {`);
  // Behind the opening, `-->` no longer stands at the start of a line, where alone it starts a comment.
  const first = cell.body[0];
  if (first !== undefined && first.start > 0) edits.blank(0, first.start);
  const functions = statements.filter((node) => node.type === 'FunctionDeclaration');
  for (const node of functions) {
    edits.mark(node.start);
    edits.mark(node.end);
    if (!cell.strict) continue;
    // Strict code evaluated indirectly declares nothing outside itself.
    edits.open(node.start, `${node.id.name} = `);
    edits.close(node.end, ';');
  }
  rewriteWrapped(source, statements, blockFunctions, edits);
  const { kept, initial } = keepCompletionValue(source, statements, variable, edits);
  for (const statement of bare) {
    if (statement.type === 'ExpressionStatement' && !kept.has(statement)) enclose(source, statement, edits, '');
  }
  const edited = edits.apply();
  const end = `\nreturn {__proto__: null, value: ${variable}};\n})(${initial})`;
  if (functions.length === 0) return { texts: [edited.text + end], edited };
  const [hoisted, rest] = splitFunctions(edited, cell.strict);
  return { texts: [hoisted, rest + end], edited };
}

// Two scripts of one layout: the functions alone, and everything but the functions.
function splitFunctions({ text, marks }: EditedText, strict: boolean): [functions: string, rest: string] {
  let functions = '';
  let rest = '';
  let cursor = 0;
  for (let index = 0; index < marks.length; index += 2) {
    const start = marks[index] as number;
    const end = marks[index + 1] as number;
    functions += blanked(text.slice(cursor, start)) + text.slice(start, end);
    // The semicolon keeps the lines around the function apart.
    rest += `${text.slice(cursor, start)};${blanked(text.slice(start + 1, end))}`;
    cursor = end;
  }
  const hoisted = strict ? strictDirective + functions.slice(strictDirective.length) : functions;
  return [hoisted, rest + text.slice(cursor)];
}

// The opening of a strict cell leaves room for the directive: `(($$value) => {` is longer than it.
function unusedName(source: string): string {
  let name = '$$value';
  while (source.includes(name)) name += '$';
  return name;
}
