import { type AnyNode, type Expression, type ExpressionStatement, type Statement, tokenizer } from 'acorn';
import { isDeclaration, withoutExport } from './declarations.ts';
import type { ParsedCell } from './parse-cell.ts';
import type { SourceEdits } from './source-edits.ts';

/** The statements of a cell without `export`; `bare` are those expressions that need parentheses to stand alone. */
export interface TopLevel {
  readonly statements: readonly Statement[];
  readonly bare: ReadonlySet<Statement>;
}

/** Takes `export` out of a cell: what is exported is declared or evaluated, a list of names is nothing. */
export function topLevel(source: string, cell: ParsedCell, edits: SourceEdits): TopLevel {
  const statements: Statement[] = [];
  const bare = new Set<Statement>();
  for (const node of cell.body) {
    if (!node.type.startsWith('Export')) {
      statements.push(node as Statement);
      continue;
    }
    const declared = withoutExport(node);
    if (declared !== node) {
      // A declaration starts with a word no expression goes on with, so that nothing but the keywords has to go.
      edits.blank(node.start, exportedStart(source, node));
      statements.push(declared as Statement);
    } else if (node.type === 'ExportDefaultDeclaration' && !isDeclaration(node.declaration)) {
      const start = exportedStart(source, node);
      edits.open(node.start, ';');
      edits.blank(node.start, start);
      const statement = expressionStatement(node.declaration as Expression, start, node.end);
      statements.push(statement);
      bare.add(statement);
    } else {
      edits.open(node.start, ';');
      edits.blank(node.start, node.end);
    }
  }
  if (cell.isObjectLiteral) bare.add(statements[0] as Statement);
  return { statements, bare };
}

/** Puts an expression statement in parentheses, behind `before`. */
export function enclose(source: string, statement: ExpressionStatement, edits: SourceEdits, before: string): void {
  edits.open(statement.start, `${before}(`);
  closeStatement(source, statement, edits, ')');
}

/** Adds to the end of a statement, and ends it by a semicolon: what was added could otherwise go on with the next line. */
export function closeStatement(source: string, statement: AnyNode, edits: SourceEdits, text: string): void {
  if (source[statement.end - 1] === ';') edits.close(statement.end - 1, text);
  else edits.close(statement.end, `${text};`);
}

function expressionStatement(expression: Expression, start: number, end: number): ExpressionStatement {
  return { type: 'ExpressionStatement', start, end, expression };
}

// Where what is exported starts: after `export` or `export default`, and the comments around them.
function exportedStart(source: string, node: AnyNode): number {
  const tokens = tokenizer(source.slice(node.start, node.end), { ecmaVersion: 'latest' });
  tokens.getToken();
  const second = tokens.getToken();
  return node.start + (node.type === 'ExportDefaultDeclaration' ? tokens.getToken().start : second.start);
}
