/** Says in words what is wrong with a request's parameters, from valibot's issues and the schema that raised them. */
import type * as v from 'valibot';

const SHOWN_MAX = 40;

/** The parts of a valibot schema or action that are looked at; their generic types hide them. */
interface Node {
  readonly type: string;
  readonly message?: unknown;
  readonly requirement?: unknown;
  readonly wrapped?: Node;
  readonly item?: Node;
  readonly key?: Node;
  readonly value?: Node;
  readonly entries?: Readonly<Record<string, Node>>;
  readonly options?: readonly unknown[];
  readonly pipe?: readonly Node[];
}

/** One sentence such as `session.execute: timeoutMs must be a whole number from 1 to 86400000, got -1`. */
export function explainParams(method: string, schema: v.GenericSchema, issue: v.BaseIssue<unknown>): string {
  const root = schema as unknown as Node;
  const path = issue.path ?? [];
  const steps = path.map((step) => String((step as { key?: unknown }).key));
  const last = path.at(-1) as { key?: unknown; origin?: string; value?: unknown } | undefined;
  if (last === undefined) return `${method}: params must be an object of named parameters, got ${shown(issue.input)}`;
  const where = shortened(steps.join('.'));
  const owner = nodeAt(root, steps.slice(0, -1));
  if (issue.type === 'strict_object' && issue.kind === 'schema' && last.origin === 'key') {
    if (issue.expected !== 'never') return `${method}: ${where} is missing`;
    const known = Object.keys(owner.entries ?? {});
    return `${method}: there is no parameter ${JSON.stringify(where)}; ${known.length === 0 ? 'it takes none' : `known are ${known.join(', ')}`}`;
  }
  if (last.origin === 'key') {
    const parent = steps.slice(0, -1).join('.');
    return `${method}: each name in ${parent} must be ${described(owner.key)}, got ${shown(last.key)}`;
  }
  return `${method}: ${where} must be ${described(nodeAt(root, steps))}, got ${shown(last.value)}`;
}

function nodeAt(root: Node, steps: readonly string[]): Node {
  let node = unwrapped(root);
  for (const step of steps) {
    const next: Node | undefined = node.entries?.[step] ?? node.item ?? node.value;
    if (next === undefined) return node;
    node = unwrapped(next);
  }
  return node;
}

/** What lies under `optional`; a `nullable` is kept, since null is then one of the things that may be said. */
function unwrapped(node: Node): Node {
  return node.type === 'optional' && node.wrapped !== undefined ? unwrapped(node.wrapped) : node;
}

function described(node: Node | undefined): string {
  if (node === undefined) return 'something else';
  if (node.type === 'nullable') return `${described(node.wrapped)} or null`;
  const own = node.pipe?.find((action) => typeof action.message === 'string')?.message;
  if (typeof own === 'string') return own.replace(/^must be /, '');
  const bound = (type: string) => node.pipe?.find((action) => action.type === type)?.requirement;
  switch (node.type) {
    case 'string':
      return `a string${range(bound('min_length'), bound('max_length'), ' of', ' characters')}`;
    case 'number':
      return `a ${bound('integer') === undefined ? '' : 'whole '}number${range(bound('min_value'), bound('max_value'), '', '')}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${range(bound('min_length'), bound('max_length'), ' of', ' items')}`;
    case 'record':
      return `an object${range(bound('min_entries'), bound('max_entries'), ' of', ' names')}`;
    case 'picklist':
      return `one of ${(node.options ?? []).map((option) => JSON.stringify(option)).join(', ')}`;
    default:
      return 'an object';
  }
}

function range(min: unknown, max: unknown, before: string, after: string): string {
  if (min !== undefined && max !== undefined)
    return `${before} from ${min} to ${max}${after}`.replace(' of from', ' of');
  if (max !== undefined) return `${before} at most ${max}${after}`;
  return min === undefined ? '' : `${before} at least ${min}${after}`;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'string' && value.length > SHOWN_MAX) {
    return `${JSON.stringify(value.slice(0, SHOWN_MAX))}… (${value.length} characters)`;
  }
  return JSON.stringify(value);
}

/** A text of the client's for use in a message, cut to a length that a message can bear. */
export function shortened(text: string): string {
  return text.length > SHOWN_MAX * 2 ? `${text.slice(0, SHOWN_MAX * 2)}…` : text;
}
