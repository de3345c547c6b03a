/**
 * Says in TypeScript and in Python what a JSON Schema describes: for people, so what has no short name becomes
 * `unknown`. Every text in a schema is a client's, and ends up quoted, or in a comment that it cannot close.
 */
import { isReserved } from './capability-name.ts';
import type { SchemaNode, SchemaObject } from './provided-schema.ts';

export interface ProvidedFunction {
  readonly name: string;
  readonly summary: string;
  readonly parameters: SchemaNode;
  readonly result: SchemaNode | null;
}

const WORDS_MAX = 500;
/** It is part of what code reads when its arguments do not fit. */
const SIGNATURE_CHARS_MAX = 2000;
/** A list of more alternatives than this says less than the type of them. */
const ALTERNATIVES_MAX = 16;
const PYTHON_TYPES: Readonly<Record<string, string>> = {
  string: 'str',
  number: 'float',
  integer: 'int',
  boolean: 'bool',
  null: 'None',
  array: 'list',
  object: 'dict',
};

interface Parameter {
  readonly name: string;
  readonly schema: SchemaNode;
  readonly kind: 'required' | 'optional' | 'rest';
}

/** As it would stand in a `.d.ts`; without the types where they would be a page. */
export function typeScriptSignature({ name, summary, parameters, result }: ProvidedFunction): string {
  const written = parametersOf(parameters).map(({ name: each, schema, kind }) =>
    kind === 'rest'
      ? `...${each}: ${listOf(schema)}`
      : `${each}${kind === 'optional' ? '?' : ''}: ${typeScriptType(schema)}`,
  );
  const answer = result === null ? 'unknown' : typeScriptType(result);
  const types = `(${written.join(', ')}): Promise<${answer}>`;
  const shown = types.length > SIGNATURE_CHARS_MAX ? '(...args: unknown[]): Promise<unknown>' : types;
  return `/** ${oneLine(summary)} */\ndeclare function ${name}${shown};`;
}

/** As it would stand in a Python stub file; without the types where they would be a page. */
export function pythonStub({ name, parameters, result }: ProvidedFunction): string {
  const written = parametersOf(parameters).map(({ name: each, schema, kind }) =>
    kind === 'rest'
      ? `*${each}: ${pythonType(schema)}`
      : `${each}: ${pythonType(schema)}${kind === 'optional' ? ' = ...' : ''}`,
  );
  const types = `(${written.join(', ')}) -> ${result === null ? 'object' : pythonType(result)}`;
  return `async def ${name}${types.length > SIGNATURE_CHARS_MAX ? '(*args: object) -> object' : types}: ...`;
}

/** A schema of a list describes the arguments one by one, one of an object the only argument, `true` any arguments. */
function parametersOf(schema: SchemaNode): readonly Parameter[] {
  if (typeof schema === 'boolean') return [{ name: 'args', schema: true, kind: 'rest' }];
  if (schema.type === 'object') return [{ name: 'options', schema, kind: 'required' }];
  const { prefixItems = [], items = true, minItems = 0 } = schema;
  const single = prefixItems.map((item, index) => ({
    name: titleOf(item) ?? `arg${index + 1}`,
    schema: item,
    kind: index < minItems ? ('required' as const) : ('optional' as const),
  }));
  const names = new Set(single.map(({ name }) => name));
  const distinct =
    names.size === single.length ? single : single.map((each, index) => ({ ...each, name: `arg${index + 1}` }));
  return items === false ? distinct : [...distinct, { name: 'rest', schema: items, kind: 'rest' }];
}

/** A title that can be the name of a parameter in both languages. */
function titleOf(schema: SchemaNode): string | undefined {
  const title = typeof schema === 'boolean' ? undefined : schema.title;
  return title !== undefined && /^[a-z]\w{0,31}$/.test(title) && title !== 'rest' && !isReserved(title)
    ? title
    : undefined;
}

function typeScriptType(schema: SchemaNode): string {
  if (schema === false) return 'never';
  if (schema === true) return 'unknown';
  const alternatives = alternativesOf(schema);
  if (alternatives !== null) return [...new Set(alternatives.map(typeScriptType))].join(' | ');
  const values = schema.const !== undefined ? [schema.const] : schema.enum;
  if (values !== undefined && values.length <= ALTERNATIVES_MAX) {
    return values.length === 0 ? 'never' : values.map((value) => JSON.stringify(value)).join(' | ');
  }
  switch (schema.type) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
      return 'number';
    case 'array':
      return schema.prefixItems === undefined ? listOf(schema.items ?? true) : 'unknown[]';
    case 'object':
      return objectType(schema);
    default:
      return 'unknown';
  }
}

function objectType({ properties = {}, required = [], additionalProperties = true }: SchemaObject): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
    return `${key}${required.includes(name) ? '' : '?'}: ${typeScriptType(schema)}`;
  });
  if (members.length > 0) return `{ ${members.join('; ')} }`;
  return additionalProperties === false ? '{}' : `Record<string, ${typeScriptType(additionalProperties)}>`;
}

function listOf(items: SchemaNode): string {
  const type = typeScriptType(items);
  return type.includes(' | ') ? `(${type})[]` : `${type}[]`;
}

function pythonType(schema: SchemaNode): string {
  if (typeof schema === 'boolean') return 'object';
  const alternatives = alternativesOf(schema);
  if (alternatives !== null) return [...new Set(alternatives.map(pythonType))].join(' | ');
  if (schema.type === 'array' && schema.items !== undefined) return `list[${pythonType(schema.items)}]`;
  return typeof schema.type === 'string' ? (PYTHON_TYPES[schema.type] ?? 'object') : 'object';
}

/** The schemas that this one is a choice of, where it is one. */
function alternativesOf({ anyOf, oneOf, type }: SchemaObject): readonly SchemaNode[] | null {
  const alternatives = anyOf ?? oneOf ?? (Array.isArray(type) ? type.map((each: string) => ({ type: each })) : null);
  return alternatives !== null && alternatives.length > 0 && alternatives.length <= ALTERNATIVES_MAX
    ? alternatives
    : null;
}

/** Words of a client's, without line breaks, control characters, and what would end a comment. */
export function oneLine(text: string): string {
  return text
    .slice(0, WORDS_MAX)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll('*/', '* /')
    .trim();
}
