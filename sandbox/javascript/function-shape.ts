/** Looks at the text of a function that is to be made again of that text alone, in another isolate. */
import { type AnyNode, type Class, type Options, type Program, parse } from 'acorn';
import type { FunctionShape } from './guest/image/image-form.ts';

/** A longer one is not worth the time that it holds up everybody else in the host. */
const TEXT_MAX = 262_144;
const OPTIONS: Options = { ecmaVersion: 'latest' };

export type FunctionPlace = NonNullable<FunctionShape['place']>;

/**
 * Null where its text does not say all: where it refers to what only its place has (`this` of an arrow function, `super`, private
 * names), or where to evaluate it would do more than make it.
 *
 * @param text as `Function.prototype.toString` gives it; any text
 */
export function functionShape(text: string, place: FunctionPlace | null): FunctionShape | null {
  if (text.length > TEXT_MAX) return null;
  const expression = expressionIn(`(${text}\n)`, text.length + 2);
  switch (expression?.type) {
    case 'ArrowFunctionExpression':
      return refersToItsPlace(expression) ? null : { form: 'expression', name: null, parent: null, place };
    case 'FunctionExpression':
      return {
        form: expression.id ? 'declaration' : 'expression',
        name: expression.id?.name ?? null,
        parent: null,
        place,
      };
    case 'ClassExpression': {
      const parent = expression.superClass ?? null;
      if ((parent !== null && parent.type !== 'Identifier') || !isInert(expression)) return null;
      return { form: 'class', name: expression.id?.name ?? null, parent: parent?.name ?? null, place };
    }
    default:
      return isMember(text) ? { form: 'member', name: null, parent: null, place } : null;
  }
}

/** The one expression that the script is; undefined where it is anything else. */
function expressionIn(script: string, end: number): AnyNode | undefined {
  let program: Program;
  try {
    program = parse(script, OPTIONS);
  } catch {
    return undefined;
  }
  const [statement, ...others] = program.body;
  if (statement?.type !== 'ExpressionStatement' || others.length > 0) return undefined;
  const { expression } = statement;
  // What ends before the closing bracket would have closed it itself.
  return expression.start === 1 && expression.end === end - 1 ? expression : undefined;
}

function isMember(text: string): boolean {
  let program: Program;
  try {
    program = parse(`({${text}\n})`, OPTIONS);
  } catch {
    return false;
  }
  const [statement, ...others] = program.body;
  if (statement?.type !== 'ExpressionStatement' || others.length > 0) return false;
  const { expression } = statement;
  if (expression.type !== 'ObjectExpression' || expression.properties.length !== 1) return false;
  const [property] = expression.properties;
  if (property?.type !== 'Property' || property.computed || property.end !== text.length + 2) return false;
  return (property.method || property.kind !== 'init') && !some(property, ({ type }) => type === 'Super');
}

/** Whether to evaluate the class makes it, and does nothing else. */
function isInert({ body }: Class): boolean {
  return (
    body.body.every((member) => {
      if (member.type === 'StaticBlock' || member.computed) return false;
      return member.type === 'MethodDefinition' || !member.static || !member.value || member.value.type === 'Literal';
    }) && !some(body, ({ type }) => type === 'PrivateIdentifier')
  );
}

function refersToItsPlace(arrow: AnyNode): boolean {
  return some(arrow, (node) => {
    if (node.type === 'ThisExpression' || node.type === 'Super' || node.type === 'MetaProperty') return true;
    return node.type === 'Identifier' && node.name === 'arguments';
  });
}

function some(node: AnyNode, test: (node: AnyNode) => boolean): boolean {
  if (test(node)) return true;
  return Object.values(node).some((part: unknown) => {
    const parts = Array.isArray(part) ? part : [part];
    return parts.some((child) => isNode(child) && some(child, test));
  });
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && typeof (value as Partial<AnyNode>).type === 'string';
