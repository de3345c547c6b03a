import type { VariableDeclaration } from 'acorn';
import type { SourceEdits } from './source-edits.ts';
import { closeStatement, enclose, type TopLevel } from './top-level.ts';

/**
 * Rewrites a cell that is evaluated as it stands: its top-level `let`, `const` and `class` become `var`, which makes
 * them properties of the global object that any later cell can declare again.
 */
export function rewriteDirect(source: string, { statements, bare }: TopLevel, edits: SourceEdits): void {
  for (const statement of statements) {
    if (statement.type === 'VariableDeclaration') rewriteVariables(source, statement, edits);
    else if (statement.type === 'ClassDeclaration') {
      edits.open(statement.start, `var ${statement.id.name} = `);
      edits.close(statement.end, ';');
    } else if (statement.type === 'ExpressionStatement' && bare.has(statement)) enclose(source, statement, edits, '');
  }
}

function rewriteVariables(source: string, node: VariableDeclaration, edits: SourceEdits): void {
  if (node.kind === 'var') return;
  edits.replace(node.start, node.start + node.kind.length, 'var');
  const last = node.declarations.at(-1);
  for (const declarator of node.declarations) {
    if (!declarator.init) edits.close(declarator.end, ' = void 0');
  }
  // `let x` ends at its line; `= void 0` could go on with the next one.
  if (last && !last.init) closeStatement(source, node, edits, '');
}
