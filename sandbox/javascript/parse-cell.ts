import type { Comment, ExpressionStatement, ModuleDeclaration, Options, Statement } from 'acorn';
import { CellParser, CellSyntaxError } from './cell-parser.ts';

/** A cell's source, parsed alone: what is done to it afterwards can therefore never change what it means. */
export interface ParsedCell {
  readonly body: readonly (Statement | ModuleDeclaration)[];
  readonly comments: readonly Comment[];
  /** The cell starts with "use strict". */
  readonly strict: boolean;
  readonly hasTopLevelAwait: boolean;
  readonly hasTopLevelUsing: boolean;
  /** The whole cell is an object literal, such as `{ a: 1 }`, and `body` is that one expression. */
  readonly isObjectLiteral: boolean;
  /** Every name that is the target of an assignment anywhere, whatever it is bound to there. */
  readonly assigned: ReadonlySet<string>;
}

/**
 * Parses a cell. `objectLiterals` says whether a cell that starts with `{` may be an object literal rather than a block:
 * as in Node's REPL it is one where it parses as one.
 * @throws CellSyntaxError
 */
export function parseCell(source: string, objectLiterals: boolean): ParsedCell {
  try {
    return parseEither(source, objectLiterals, true);
  } catch (error) {
    // `await` is an ordinary name in a script: a cell that only makes sense so is read so.
    if (!(error instanceof CellSyntaxError) || !source.includes('await')) throw error;
    return orElse(
      () => parseEither(source, objectLiterals, false),
      (second) => (second.offset > error.offset ? second : error),
    );
  }
}

function parseEither(source: string, objectLiterals: boolean, allowAwait: boolean): ParsedCell {
  if (!objectLiterals || !mayStartWithBrace(source)) return parseScript(source, allowAwait);
  let literal: ParsedCell | undefined;
  let refused: CellSyntaxError | undefined;
  try {
    literal = parseObjectLiteral(source, allowAwait);
  } catch (error) {
    if (!(error instanceof CellSyntaxError)) throw error;
    refused = error;
  }
  if (literal !== undefined) return literal;
  // Of two failed readings, the one that came further is the one the user meant.
  return orElse(
    () => parseScript(source, allowAwait),
    (error) => (refused !== undefined && refused.offset > error.offset ? refused : error),
  );
}

function orElse(attempt: () => ParsedCell, choose: (error: CellSyntaxError) => CellSyntaxError): ParsedCell {
  try {
    return attempt();
  } catch (error) {
    throw error instanceof CellSyntaxError ? choose(error) : error;
  }
}

function parseScript(source: string, allowAwait: boolean): ParsedCell {
  const comments: Comment[] = [];
  const parser = new CellParser(options(source, allowAwait, comments), source);
  const { body } = parser.parse();
  const strict = body.some(
    (statement) => statement.type === 'ExpressionStatement' && statement.directive === 'use strict',
  );
  return parsed(parser, body, comments, strict, false);
}

function parseObjectLiteral(source: string, allowAwait: boolean): ParsedCell | undefined {
  const comments: Comment[] = [];
  const parser = new CellParser(options(source, allowAwait, comments), source);
  const expression = parser.parseObjectLiteral();
  if (expression === undefined) return undefined;
  const { start, end } = expression;
  const statement: ExpressionStatement = { type: 'ExpressionStatement', start, end, expression };
  return parsed(parser, [statement], comments, false, true);
}

function parsed(
  parser: CellParser,
  body: ParsedCell['body'],
  comments: readonly Comment[],
  strict: boolean,
  isObjectLiteral: boolean,
): ParsedCell {
  parser.checkAwait();
  const { hasTopLevelAwait, hasTopLevelUsing, assigned } = parser;
  return { body, comments, strict, hasTopLevelAwait, hasTopLevelUsing, isObjectLiteral, assigned };
}

function options(source: string, allowAwait: boolean, comments: Comment[]): Options {
  // Comments are collected only where one may name a source of its own: collecting costs a third of the parse.
  const onComment = source.includes('source') ? { onComment: comments } : {};
  return {
    ecmaVersion: 'latest',
    sourceType: 'script',
    allowAwaitOutsideFunction: allowAwait,
    allowImportExportEverywhere: true,
    allowHashBang: true,
    ...onComment,
  };
}

// The first token decides; this only saves the second parse for the cells that cannot start with one.
function mayStartWithBrace(source: string): boolean {
  const first = source.trimStart()[0];
  return first === '{' || first === '/' || first === '<' || first === '#' || first === '-';
}
