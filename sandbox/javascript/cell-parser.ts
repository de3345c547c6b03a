import { type Expression, type Options, Parser, type Program, type TokenType, tokTypes } from 'acorn';
import { syntaxMessage } from './syntax-messages.ts';

/** A cell that does not parse: the place, V8's words for it, and whether more input could mend it. */
export class CellSyntaxError extends Error {
  readonly offset: number;
  readonly canContinue: boolean;

  constructor(message: string, offset: number, canContinue: boolean) {
    super(message);
    this.offset = offset;
    this.canContinue = canContinue;
  }
}

// The part of acorn's parser that its plugins override. Its published types leave it out.
interface ParserInternals {
  readonly input: string;
  readonly type: TokenType;
  readonly start: number;
  readonly end: number;
  readonly lastTokStart: number;
  readonly lastTokEnd: number;
  readonly inFunction: boolean;
  readonly allowUsing: boolean;
  readonly scopeStack: readonly unknown[];
  parse(): Program;
  nextToken(): void;
  parseExpression(): Expression;
  parseAwait(forInit: unknown): unknown;
  parseIdent(liberal?: boolean): { name: string; start: number };
  parseVar(node: unknown, isFor: boolean, kind: string, allowMissingInitializer?: boolean): unknown;
  parseVarId(declarator: { id?: { type: string } }, kind: string): void;
  parseImport(node: { start: number }): never;
  parseImportMeta(node: { start: number }): never;
  parseExport(node: { start: number }, exports: unknown): { source?: unknown; start: number };
  eatContextual(name: string): boolean;
  checkLValSimple(node: { type: string; name?: string }, bindingType?: number, clashes?: unknown): void;
  catchStackOverflow<Result>(run: () => Result): Result;
}

const BaseParser = Parser as unknown as new (options: Options, input: string, start?: number) => ParserInternals;

const noModules = 'no modules can be loaded here';

/** Acorn, refusing modules, allowing `using` and telling what a REPL has to know, all in the one pass of the parse. */
export class CellParser extends BaseParser {
  hasTopLevelAwait = false;
  hasTopLevelUsing = false;
  readonly assigned = new Set<string>();
  #awaitNameAt = -1;
  // Where the last name or pattern after `const` ended: nothing but its initialiser may come next.
  #constEnd = -1;
  #constIsPattern = false;

  // A cell with `using` at its top level is run inside a function, where the language allows it.
  override get allowUsing(): boolean {
    return this.scopeStack.length === 1 || super.allowUsing;
  }

  override parseAwait(forInit: unknown): unknown {
    if (!this.inFunction) this.hasTopLevelAwait = true;
    return super.parseAwait(forInit);
  }

  override eatContextual(name: string): boolean {
    const eaten = super.eatContextual(name);
    // The grammar has this word in one place only: `for await (`.
    if (eaten && name === 'await' && !this.inFunction) this.hasTopLevelAwait = true;
    return eaten;
  }

  override parseIdent(liberal?: boolean): { name: string; start: number } {
    const identifier = super.parseIdent(liberal);
    if (identifier.name === 'await' && !liberal && !this.inFunction) this.#awaitNameAt = identifier.start;
    return identifier;
  }

  /** Refuses a cell in which `await` is an operator here and a name there: the language allows one of them only. */
  checkAwait(): void {
    if (this.hasTopLevelAwait && this.#awaitNameAt >= 0) this.raise(this.#awaitNameAt, 'Unexpected reserved word');
  }

  override parseVar(node: unknown, isFor: boolean, kind: string, allowMissingInitializer?: boolean): unknown {
    if (kind === 'await using' && !this.inFunction) this.hasTopLevelAwait = true;
    if (kind.endsWith('using') && !isFor && this.scopeStack.length === 1) this.hasTopLevelUsing = true;
    return super.parseVar(node, isFor, kind, allowMissingInitializer);
  }

  override parseVarId(declarator: { id?: { type: string } }, kind: string): void {
    super.parseVarId(declarator, kind);
    if (kind !== 'const') return;
    this.#constEnd = this.lastTokEnd;
    this.#constIsPattern = declarator.id?.type !== 'Identifier';
  }

  override checkLValSimple(node: { type: string; name?: string }, bindingType?: number, clashes?: unknown): void {
    if (bindingType === undefined || bindingType === 0) if (node.name !== undefined) this.assigned.add(node.name);
    super.checkLValSimple(node, bindingType, clashes);
  }

  override parseImport(node: { start: number }): never {
    return this.raise(node.start, `Cannot use import statement: ${noModules}`);
  }

  override parseImportMeta(node: { start: number }): never {
    return this.raise(node.start, "Cannot use 'import.meta' outside a module");
  }

  override parseExport(node: { start: number }, exports: unknown): { source?: unknown; start: number } {
    if (this.scopeStack.length > 1) this.raise(node.start, "Unexpected token 'export'");
    const parsed = super.parseExport(node, exports);
    if (parsed.source) this.raise(node.start, `Cannot use export from: ${noModules}`);
    return parsed;
  }

  /** The object literal that the source is from here to its end; undefined where it starts otherwise. */
  parseObjectLiteral(): Expression | undefined {
    return this.catchStackOverflow(() => {
      this.nextToken();
      if (this.type !== tokTypes.braceL) return undefined;
      const expression = this.parseExpression();
      return this.type === tokTypes.eof ? expression : this.unexpected();
    });
  }

  unexpected(offset = this.start): never {
    if (this.#constEnd === this.lastTokEnd) {
      this.raise(offset, `Missing initializer in ${this.#constIsPattern ? 'destructuring' : 'const'} declaration`);
    }
    if (this.type !== tokTypes.eof && this.input.slice(this.lastTokStart, this.lastTokEnd) === 'await') {
      this.raise(this.lastTokStart, 'await is only valid in async functions and at the top level of a cell');
    }
    this.raise(offset, offset === this.start ? this.#unexpectedToken() : 'Invalid or unexpected token');
  }

  #unexpectedToken(): string {
    const text = this.input.slice(this.start, this.end);
    switch (this.type) {
      case tokTypes.eof:
        return 'Unexpected end of input';
      case tokTypes.num:
        return 'Unexpected number';
      case tokTypes.string:
        return 'Unexpected string';
      case tokTypes.name:
      case tokTypes.privateId:
        return `Unexpected identifier '${text}'`;
      case tokTypes.backQuote:
      case tokTypes.template:
        return 'Unexpected template string';
      default:
        return `Unexpected token '${text}'`;
    }
  }

  raise(offset: number, message: string): never {
    throw new CellSyntaxError(syntaxMessage(message), offset, this.#canContinue(offset, message));
  }

  raiseRecoverable(offset: number, message: string): never {
    this.raise(offset, message);
  }

  #canContinue(offset: number, message: string): boolean {
    switch (message) {
      case 'Unexpected end of input':
      case 'Unterminated template':
      case 'Unterminated comment':
        return true;
      case 'Missing catch or finally clause':
        return this.type === tokTypes.eof;
      case 'Unterminated string constant':
        return /\\(?:\r\n?|\n|\u2028|\u2029)?$/.test(this.input.slice(offset));
      default:
        return false;
    }
  }
}
