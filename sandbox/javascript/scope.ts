import type { AnyNode, Identifier, Node, Pattern } from 'acorn';
import { make, type RecursiveVisitors } from 'acorn-walk';
import { addLexicalNames, addPatternNames, hoistedNames } from './declarations.ts';

/** A free name that is assigned to. `shorthand`: it stands as `{ name }` in a pattern, as its own key. */
export interface FreeTarget {
  readonly node: Identifier;
  readonly shorthand: boolean;
}

interface Scope {
  readonly names: ReadonlySet<string>;
  readonly outer: Scope | undefined;
  readonly strict: boolean;
}

type Continue = (node: Node, scope: Scope, kind?: string) => void;

/**
 * Finds every assignment, update and loop head that writes one of `wanted` where nothing inside the cell binds that name:
 * no parameter, function or class name, catch parameter, block or function scope. The names that the cell's own top
 * level declares count as free. Inside `with` nothing is free, because the object may have the name.
 */
export function freeTargets(body: readonly AnyNode[], wanted: ReadonlySet<string>, strict: boolean): FreeTarget[] {
  const found: FreeTarget[] = [];
  const visitors = targetVisitors((target, scope) => {
    if (wanted.has(target.node.name) && !isBound(target.node.name, scope)) found.push(target);
  }, wanted);
  const visit: Continue = (node, scope, kind) => visitors[kind ?? node.type]?.(node, scope, visit);
  const top: Scope = { names: new Set(), outer: undefined, strict };
  for (const statement of body) visit(statement, top);
  return found;
}

function isBound(name: string, from: Scope): boolean {
  for (let scope: Scope | undefined = from; scope !== undefined; scope = scope.outer) {
    if (scope.names.has(name)) return true;
  }
  return false;
}

function targetVisitors(
  found: (target: FreeTarget, scope: Scope) => void,
  wanted: ReadonlySet<string>,
): Record<string, (node: Node, scope: Scope, visit: Continue) => void> {
  const targets = (pattern: Pattern, scope: Scope) => forEachTarget(pattern, (target) => found(target, scope));
  const base = make<Scope>({});
  const visitors: RecursiveVisitors<Scope> = {
    AssignmentExpression(node, scope, visit) {
      targets(node.left, scope);
      base.AssignmentExpression?.(node, scope, visit);
    },
    UpdateExpression(node, scope, visit) {
      targets(node.argument as Pattern, scope);
      base.UpdateExpression?.(node, scope, visit);
    },
    ForStatement(node, scope, visit) {
      base.ForStatement?.(node, blockScope(node.init ? [node.init] : [], scope), visit);
    },
    ForInStatement(node, scope, visit) {
      if (node.left.type !== 'VariableDeclaration') targets(node.left, scope);
      base.ForInStatement?.(node, blockScope([node.left], scope), visit);
    },
    ForOfStatement(node, scope, visit) {
      if (node.left.type !== 'VariableDeclaration') targets(node.left, scope);
      base.ForOfStatement?.(node, blockScope([node.left], scope), visit);
    },
    BlockStatement(node, scope, visit) {
      base.BlockStatement?.(node, blockScope(node.body, scope), visit);
    },
    StaticBlock(node, scope, visit) {
      base.StaticBlock?.(node, bodyScope(node.body, [], scope, true), visit);
    },
    SwitchStatement(node, scope, visit) {
      const statements = node.cases.flatMap((branch) => branch.consequent);
      base.SwitchStatement?.(node, blockScope(statements, scope), visit);
    },
    CatchClause(node, scope, visit) {
      const names: string[] = [];
      if (node.param) addPatternNames(node.param, (name) => names.push(name));
      base.CatchClause?.(node, inner(scope, names), visit);
    },
    Class(node, scope, visit) {
      const named = node.id ? inner(scope, [node.id.name]) : scope;
      base.Class?.(node, { ...named, strict: true }, visit);
    },
    Function(node, scope, visit) {
      base.Function?.(node, functionScope(node as FunctionNode, scope), visit);
    },
    WithStatement(node, scope, visit) {
      visit(node.object, scope);
      visit(node.body, inner(scope, wanted));
    },
  };
  return make(visitors) as Record<string, (node: Node, scope: Scope, visit: Continue) => void>;
}

function inner(outer: Scope, names: Iterable<string>): Scope {
  return { names: new Set(names), outer, strict: outer.strict };
}

function blockScope(statements: readonly AnyNode[], outer: Scope): Scope {
  const names: string[] = [];
  addLexicalNames(statements, (name) => names.push(name));
  return names.length === 0 ? outer : inner(outer, names);
}

function bodyScope(statements: readonly AnyNode[], bound: readonly string[], outer: Scope, strict: boolean): Scope {
  const names = new Set(bound);
  for (const name of hoistedNames(statements, strict).names.keys()) names.add(name);
  addLexicalNames(statements, (name) => names.add(name));
  return { names, outer, strict };
}

type FunctionNode = Extract<AnyNode, { params: Pattern[] }>;

// Parameters and body share one scope here: a default value cannot assign to a name of the body alone in any code that
// a person would write, and the cost of being wrong is a native error message.
function functionScope(node: FunctionNode, outer: Scope): Scope {
  const bound: string[] = [];
  if (node.type === 'FunctionExpression' && node.id) bound.push(node.id.name);
  if (node.type !== 'ArrowFunctionExpression') bound.push('arguments');
  for (const param of node.params) addPatternNames(param, (name) => bound.push(name));
  if (node.body.type !== 'BlockStatement') return { ...inner(outer, bound) };
  const { body } = node.body;
  const strict =
    outer.strict || body.some((line) => line.type === 'ExpressionStatement' && line.directive === 'use strict');
  return bodyScope(body, bound, outer, strict);
}

function forEachTarget(pattern: Pattern, found: (target: FreeTarget) => void, shorthand = false): void {
  switch (pattern.type) {
    case 'Identifier':
      found({ node: pattern, shorthand });
      break;
    case 'ArrayPattern':
      for (const element of pattern.elements) if (element !== null) forEachTarget(element, found);
      break;
    case 'ObjectPattern':
      for (const property of pattern.properties) {
        if (property.type === 'RestElement') forEachTarget(property.argument, found);
        else forEachTarget(property.value, found, property.shorthand);
      }
      break;
    case 'AssignmentPattern':
      forEachTarget(pattern.left, found, shorthand);
      break;
    case 'RestElement':
      forEachTarget(pattern.argument, found);
      break;
    default:
      break;
  }
}
