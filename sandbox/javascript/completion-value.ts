import type { AnyNode, ExpressionStatement, Node } from 'acorn';
import type { SourceEdits } from './source-edits.ts';
import { enclose } from './top-level.ts';

export interface CompletionValue {
  /** The statements whose value is now kept. */
  readonly kept: ReadonlySet<Node>;
  /** The expression the variable starts from: a directive such as "use strict" is a value too. */
  readonly initial: string;
}

/**
 * Makes a function body keep, in `variable`, the value that the same statements would have had as a script.
 *
 * Only statements that can be the last one to give a value are touched. Wherever control can leave early (loops, labels,
 * switches) that is every one of them. A `finally` gives none.
 */
export function keepCompletionValue(
  source: string,
  statements: readonly AnyNode[],
  variable: string,
  edits: SourceEdits,
): CompletionValue {
  const kept = new Set<Node>();
  let initial = '';

  const list = (body: readonly AnyNode[], all: boolean): boolean => {
    let gives = false;
    for (let index = body.length - 1; index >= 0; index -= 1) {
      if (statement(body[index] as AnyNode, all, true)) gives = true;
      if (gives && !all) return true;
    }
    return gives;
  };

  // These give undefined where their bodies give nothing, whatever came before.
  const compound = (node: AnyNode, reset: boolean, bodies: () => void): true => {
    if (reset) edits.open(node.start, `${variable} = void 0; `);
    bodies();
    return true;
  };

  const statement = (node: AnyNode, all: boolean, inList: boolean): boolean => {
    const reset = all && inList;
    switch (node.type) {
      case 'ExpressionStatement':
        if (node.directive !== undefined) initial = source.slice(node.expression.start, node.expression.end);
        else keep(node);
        return true;
      case 'BlockStatement':
        return list(node.body, all);
      case 'IfStatement':
        return compound(node, reset, () => {
          statement(node.consequent, all, false);
          if (node.alternate) statement(node.alternate, all, false);
        });
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        return compound(node, reset, () => statement(node.body, true, false));
      case 'WithStatement':
        return compound(node, reset, () => statement(node.body, all, false));
      case 'LabeledStatement':
        return statement(node.body, true, false);
      case 'SwitchStatement':
        return compound(node, reset, () => {
          for (const branch of node.cases) list(branch.consequent, true);
        });
      case 'TryStatement':
        return compound(node, reset, () => {
          list(node.block.body, all);
          if (node.handler) list(node.handler.body.body, all);
        });
      default:
        return false;
    }
  };

  const keep = (node: ExpressionStatement) => {
    enclose(source, node, edits, `${variable} = `);
    kept.add(node);
  };

  list(statements, false);
  return { kept, initial };
}
