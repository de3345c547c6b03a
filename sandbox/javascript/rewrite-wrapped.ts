import type { AnyNode, Node, Statement, VariableDeclaration } from 'acorn';
import { unlabelled } from './declarations.ts';
import type { SourceEdits } from './source-edits.ts';
import { closeStatement } from './top-level.ts';

/**
 * Rewrites a cell that is evaluated inside a function, so that what it declares still belongs to the session: its
 * declarations become assignments to the global object's properties. Top-level functions are left to the caller, who
 * hoists them into a script of their own; `using` stays local, so that it is disposed of when the cell ends.
 */
export function rewriteWrapped(
  source: string,
  statements: readonly Statement[],
  blockFunctions: ReadonlySet<Node>,
  edits: SourceEdits,
): void {
  for (const statement of statements) {
    if (statement.type === 'ClassDeclaration') {
      edits.open(statement.start, `void (${statement.id.name} = `);
      edits.close(statement.end, ');');
    } else if (statement.type === 'VariableDeclaration' && !statement.kind.endsWith('using')) {
      assign(source, statement, edits);
    } else {
      const labelled = unlabelled(statement);
      // The language hoists a labelled function, too; here it is there from its own line on.
      if (labelled !== statement && labelled.type === 'FunctionDeclaration')
        publish([labelled], statement.start, edits);
      new Inner(source, blockFunctions, edits).visit(statement);
    }
  }
}

class Inner {
  readonly #source: string;
  readonly #blockFunctions: ReadonlySet<Node>;
  readonly #edits: SourceEdits;

  constructor(source: string, blockFunctions: ReadonlySet<Node>, edits: SourceEdits) {
    this.#source = source;
    this.#blockFunctions = blockFunctions;
    this.#edits = edits;
  }

  visit(node: AnyNode): void {
    switch (node.type) {
      case 'VariableDeclaration':
        if (node.kind === 'var') assign(this.#source, node, this.#edits);
        return;
      case 'BlockStatement':
        this.#list(node.body, node.start + 1);
        return;
      case 'IfStatement':
        this.#branch(node.consequent);
        if (node.alternate) this.#branch(node.alternate);
        return;
      case 'ForStatement':
        if (node.init?.type === 'VariableDeclaration') assignInHead(node.init, this.#edits);
        this.visit(node.body);
        return;
      case 'ForInStatement':
      case 'ForOfStatement':
        if (node.left.type === 'VariableDeclaration') assignEach(node.left, this.#edits);
        this.visit(node.body);
        return;
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'WithStatement':
      case 'LabeledStatement':
        this.visit(node.body);
        return;
      case 'SwitchStatement':
        for (const branch of node.cases) this.#list(branch.consequent, branch.consequent[0]?.start ?? branch.end);
        return;
      case 'TryStatement':
        this.visit(node.block);
        if (node.handler) this.visit(node.handler.body);
        if (node.finalizer) this.visit(node.finalizer);
        return;
      default:
        return;
    }
  }

  #list(statements: readonly AnyNode[], start: number): void {
    publish(
      statements.map(unlabelled).filter((node) => this.#blockFunctions.has(node)),
      start,
      this.#edits,
    );
    for (const statement of statements) this.visit(statement);
  }

  // `if (x) function f() {}` is read as if the function stood in a block.
  #branch(node: AnyNode): void {
    const inner = unlabelled(node);
    if (!this.#blockFunctions.has(inner)) {
      this.visit(node);
      return;
    }
    this.#edits.open(node.start, '{');
    publish([inner], node.start, this.#edits);
    this.#edits.close(node.end, '}');
  }
}

// At the top level `this` is the global object, whatever the cell has put into the variable `globalThis`.
function publish(functions: readonly AnyNode[], offset: number, edits: SourceEdits): void {
  for (const node of functions) {
    if (node.type !== 'FunctionDeclaration' || !node.id) continue;
    const { name } = node.id;
    edits.open(offset, `this.${name} = ${name};`);
  }
}

function assign(source: string, node: VariableDeclaration, edits: SourceEdits): void {
  edits.replace(node.start, node.start + node.kind.length, 'void (');
  assignDeclarators(node, edits);
  closeStatement(source, node, edits, ')');
}

function assignInHead(node: VariableDeclaration, edits: SourceEdits): void {
  if (node.kind !== 'var') return;
  edits.replace(node.start, node.start + node.kind.length, '');
  // `for (let = 0;;)` with a variable named let would read as a declaration.
  edits.open(node.start, '0, ');
  assignDeclarators(node, edits);
}

// A `var` without a value declares and does nothing: a number stands where it stood.
function assignDeclarators(node: VariableDeclaration, edits: SourceEdits): void {
  for (const { id, init, end } of node.declarations) {
    if (init) continue;
    if (node.kind === 'var') edits.replace(id.start, id.end, '0');
    else edits.close(end, ' = void 0');
  }
}

function assignEach(node: VariableDeclaration, edits: SourceEdits): void {
  const declarator = node.declarations[0];
  if (node.kind !== 'var' || declarator === undefined) return;
  edits.replace(node.start, node.start + node.kind.length, '');
  const { id, init } = declarator;
  // `for (async of …)` is not a loop head, and neither is `for (let of …)`.
  if (id.type === 'Identifier') {
    edits.open(id.start, '(');
    edits.close(id.end, ')');
  }
  // The language's oldest code may write `for (var i = 0 in object)`; the value is never seen once the loop runs.
  if (init) edits.blank(id.end, declarator.end);
}
