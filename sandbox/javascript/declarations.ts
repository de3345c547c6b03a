import type { AnyNode, FunctionDeclaration, Node, Pattern } from 'acorn';

export type DeclarationKind = 'let' | 'const' | 'class' | 'var' | 'function';

/** The names a cell or a function declares for its whole body. */
export interface HoistedNames {
  readonly names: ReadonlyMap<string, DeclarationKind>;
  /** Functions declared in blocks that sloppy code also sees outside their block (Annex B.3.3 of the language). */
  readonly blockFunctions: ReadonlySet<Node>;
}

/** Adds every name that a binding pattern binds. */
export function addPatternNames(pattern: Pattern, add: (name: string) => void): void {
  switch (pattern.type) {
    case 'Identifier':
      add(pattern.name);
      break;
    case 'ArrayPattern':
      for (const element of pattern.elements) if (element !== null) addPatternNames(element, add);
      break;
    case 'ObjectPattern':
      for (const property of pattern.properties) {
        addPatternNames(property.type === 'RestElement' ? property.argument : property.value, add);
      }
      break;
    case 'AssignmentPattern':
      addPatternNames(pattern.left, add);
      break;
    case 'RestElement':
      addPatternNames(pattern.argument, add);
      break;
    case 'MemberExpression':
      break;
  }
}

/** The statement that an `export` in front of it only labels. */
export function withoutExport(node: AnyNode): AnyNode {
  if (node.type === 'ExportNamedDeclaration' && node.declaration) return node.declaration;
  if (node.type === 'ExportDefaultDeclaration' && isDeclaration(node.declaration)) return node.declaration as AnyNode;
  return node;
}

/** Whether what stands after `export default` declares a name. */
export function isDeclaration(node: AnyNode): boolean {
  return (node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') && Boolean(node.id);
}

/** Adds the names that a list of statements declares in its own block: let, const, class, using and functions. */
export function addLexicalNames(
  statements: readonly AnyNode[],
  add: (name: string, kind: DeclarationKind) => void,
): void {
  for (const statement of statements) {
    const node = withoutExport(statement);
    if (node.type === 'VariableDeclaration') {
      const kind = node.kind === 'let' ? 'let' : 'const';
      if (node.kind === 'var') continue;
      for (const { id } of node.declarations) addPatternNames(id, (name) => add(name, kind));
    } else if (node.type === 'ClassDeclaration') {
      if (node.id) add(node.id.name, 'class');
    } else {
      const declared = unlabelled(node);
      if (declared.type === 'FunctionDeclaration' && declared.id) add(declared.id.name, 'function');
    }
  }
}

/** The names hoisted out of a list of statements: `var` anywhere but in inner functions, and sloppy block functions. */
export function hoistedNames(statements: readonly AnyNode[], strict: boolean): HoistedNames {
  const names = new Map<string, DeclarationKind>();
  const blockFunctions = new Set<Node>();
  const collect = new HoistCollector(names, blockFunctions, strict);
  collect.list(statements, []);
  return { names, blockFunctions };
}

class HoistCollector {
  readonly #names: Map<string, DeclarationKind>;
  readonly #blockFunctions: Set<Node>;
  readonly #strict: boolean;

  constructor(names: Map<string, DeclarationKind>, blockFunctions: Set<Node>, strict: boolean) {
    this.#names = names;
    this.#blockFunctions = blockFunctions;
    this.#strict = strict;
  }

  list(statements: readonly AnyNode[], shadows: readonly ReadonlySet<string>[]): void {
    for (const statement of statements) this.#statement(withoutExport(statement), shadows);
  }

  #block(statements: readonly AnyNode[], shadows: readonly ReadonlySet<string>[]): void {
    if (statements.length === 0) return;
    const lexical = new Set<string>();
    addLexicalNames(statements, (name, kind) => kind !== 'function' && lexical.add(name));
    const functions = statements.map(unlabelled).filter((node) => node.type === 'FunctionDeclaration');
    for (const node of functions) this.#blockFunction(node, shadows);
    const inner = new Set([...lexical, ...functions.map((node) => node.id?.name ?? '')]);
    const innerShadows = inner.size === 0 ? shadows : [...shadows, inner];
    for (const statement of statements) this.#statement(statement, innerShadows);
  }

  #blockFunction(node: AnyNode, shadows: readonly ReadonlySet<string>[]): void {
    if (this.#strict || node.type !== 'FunctionDeclaration' || node.async || node.generator) return;
    const { name } = (node as FunctionDeclaration).id;
    if (shadows.some((names) => names.has(name))) return;
    this.#blockFunctions.add(node);
    if (!this.#names.has(name)) this.#names.set(name, 'function');
  }

  #variables(node: AnyNode | null | undefined): void {
    if (node?.type !== 'VariableDeclaration' || node.kind !== 'var') return;
    for (const { id } of node.declarations) addPatternNames(id, (name) => this.#names.set(name, 'var'));
  }

  // The body of an `if`, a loop or a label: a function there stands as if in a block of its own.
  #body(node: AnyNode | null | undefined, shadows: readonly ReadonlySet<string>[]): void {
    if (!node) return;
    if (unlabelled(node).type === 'FunctionDeclaration') this.#blockFunction(unlabelled(node), shadows);
    else this.#statement(node, shadows);
  }

  #loop(head: AnyNode | null | undefined, body: AnyNode, shadows: readonly ReadonlySet<string>[]): void {
    this.#variables(head);
    const lexical = new Set<string>();
    if (head) addLexicalNames([head], (name) => lexical.add(name));
    this.#body(body, lexical.size === 0 ? shadows : [...shadows, lexical]);
  }

  #statement(node: AnyNode, shadows: readonly ReadonlySet<string>[]): void {
    switch (node.type) {
      case 'VariableDeclaration':
        this.#variables(node);
        return;
      case 'BlockStatement':
        this.#block(node.body, shadows);
        return;
      case 'IfStatement':
        this.#body(node.consequent, shadows);
        this.#body(node.alternate, shadows);
        return;
      case 'ForStatement':
        this.#loop(node.init, node.body, shadows);
        return;
      case 'ForInStatement':
      case 'ForOfStatement':
        this.#loop(node.left, node.body, shadows);
        return;
      case 'LabeledStatement':
        if (unlabelled(node).type !== 'FunctionDeclaration') this.#statement(node.body, shadows);
        return;
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'WithStatement':
        this.#body(node.body, shadows);
        return;
      case 'SwitchStatement':
        this.#block(
          node.cases.flatMap((branch) => branch.consequent),
          shadows,
        );
        return;
      case 'TryStatement':
        this.#block(node.block.body, shadows);
        if (node.handler) this.#block(node.handler.body.body, [...shadows, patternShadow(node.handler.param)]);
        if (node.finalizer) this.#block(node.finalizer.body, shadows);
        return;
      default:
        return;
    }
  }
}

// A simple catch parameter does not keep a function of the same name from being hoisted; a pattern does.
function patternShadow(param: Pattern | null | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  if (param && param.type !== 'Identifier') addPatternNames(param, (name) => names.add(name));
  return names;
}

/** The statement under any number of labels. */
export function unlabelled(node: AnyNode): AnyNode {
  let inner = node;
  while (inner.type === 'LabeledStatement') inner = inner.body;
  return inner;
}
