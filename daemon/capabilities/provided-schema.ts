/**
 * The JSON Schemas (draft 2020-12) that clients describe their functions with. They are untrusted, and are held against
 * untrusted data while everybody else waits.
 *
 * I1: nothing is compiled from a schema, and no regular expression in one is ever run: keywords outside of the list are
 * refused.
 * I2: holding a schema against a value takes a bounded time, whatever both of them are.
 */
import { type OutputUnit, type Schema, Validator } from '@cfworker/json-schema';
import * as v from 'valibot';
import { Fault } from '../fault.ts';
import { jsonShapeProblem } from '../transport/json-shape.ts';

const SCHEMA_BYTES_MAX = 64 * 1024;
const SCHEMA_DEPTH_MAX = 32;
/** A hundred thousand numbers in a list take a third of it; everybody else waits meanwhile. */
const CHECK_MS_MAX = 250;
const MESSAGE_CHARS_MAX = 300;

export type SchemaNode = boolean | SchemaObject;
export interface SchemaObject {
  readonly type?: string | readonly string[];
  readonly enum?: readonly Scalar[];
  readonly const?: Scalar;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode;
  readonly items?: SchemaNode;
  readonly prefixItems?: readonly SchemaNode[];
  readonly minItems?: number;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly title?: string;
  readonly description?: string;
}
type Scalar = string | number | boolean | null;

const scalar = v.union(
  [v.string(), v.number(), v.boolean(), v.null()],
  'must be a text, a number, true, false or null',
);
const count = v.pipe(
  v.number('must be a number'),
  v.safeInteger('must be a whole number'),
  v.minValue(0, 'must not be negative'),
);
const number = v.number('must be a number');
const text = v.string('must be a text');
const typeName = v.picklist(
  ['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'],
  'must be one of the types of JSON Schema',
);
const NODE_EXPECTED = 'must be a schema: an object, true or false';
const node: v.GenericSchema = v.lazy((input) => {
  if (typeof input === 'boolean') return v.boolean();
  return Array.isArray(input) ? v.never(NODE_EXPECTED) : objectNode;
});
const nodes = v.pipe(v.array(node, 'must be a list of schemas'), v.minLength(1, 'must not be empty'));
const definitions = v.record(text, node, 'must be an object of schemas');

/**
 * What a schema may say. Left out are `pattern` and its kin, what loads other schemas, and what takes time without end.
 */
const objectNode = v.strictObject(
  {
    type: v.optional(v.union([typeName, v.array(typeName)], 'must be a type of JSON Schema, or a list of them')),
    enum: v.optional(v.pipe(v.array(scalar, 'must be a list'), v.maxLength(1000, 'may have at most 1000 values'))),
    const: v.optional(scalar),
    properties: v.optional(definitions),
    required: v.optional(v.array(text, 'must be a list of names')),
    additionalProperties: v.optional(node),
    propertyNames: v.optional(node),
    minProperties: v.optional(count),
    maxProperties: v.optional(count),
    items: v.optional(node),
    prefixItems: v.optional(nodes),
    contains: v.optional(node),
    minContains: v.optional(count),
    maxContains: v.optional(count),
    minItems: v.optional(count),
    maxItems: v.optional(count),
    minimum: v.optional(number),
    maximum: v.optional(number),
    exclusiveMinimum: v.optional(number),
    exclusiveMaximum: v.optional(number),
    multipleOf: v.optional(v.pipe(number, v.gtValue(0, 'must be greater than 0'))),
    minLength: v.optional(count),
    maxLength: v.optional(count),
    format: v.optional(
      v.picklist(
        ['date', 'time', 'date-time', 'duration', 'uuid', 'ipv4', 'ipv6'],
        'must be date, time, date-time, duration, uuid, ipv4 or ipv6',
      ),
    ),
    allOf: v.optional(nodes),
    anyOf: v.optional(nodes),
    oneOf: v.optional(nodes),
    not: v.optional(node),
    if: v.optional(node),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: v.optional(node),
    else: v.optional(node),
    $ref: v.optional(
      v.pipe(text, v.regex(/^#(?:\/(?:\$defs|definitions)\/[\w.-]+)?$/, 'must be "#" or "#/$defs/NAME"')),
    ),
    $defs: v.optional(definitions),
    definitions: v.optional(definitions),
    title: v.optional(text),
    description: v.optional(text),
    default: v.optional(v.unknown()),
    examples: v.optional(v.unknown()),
    deprecated: v.optional(v.boolean()),
    $schema: v.optional(text),
    $comment: v.optional(text),
  },
  ({ received, expected }) =>
    expected === 'never' ? `has the keyword ${received}, which is not supported here` : NODE_EXPECTED,
);

/** Names of a map that valibot leaves out without a word, so that what they stand for would not be looked at. */
const UNUSABLE_NAMES = ['__proto__', 'constructor', 'prototype'];

export class ProvidedSchema {
  /** The schema itself, for those who describe it. */
  readonly root: SchemaNode;
  readonly #validator: Validator;
  #untilMs = Number.POSITIVE_INFINITY;

  /**
   * @param schema JSON data
   * @param what it is, for the message: `parameters`
   * Fails with INVALID_PARAMS naming the place and what is wrong with it.
   */
  constructor(schema: unknown, what: string) {
    const json = JSON.stringify(schema) ?? 'null';
    const watched = JSON.parse(json);
    const problem = schemaProblem(watched, json) ?? this.#watch(watched, watched);
    if (problem !== null) throw new Fault('INVALID_PARAMS', `${what}: ${problem}`.slice(0, MESSAGE_CHARS_MAX));
    this.root = JSON.parse(json);
    this.#validator = new Validator(watched, '2020-12');
  }

  /** Where a value does not fit, and why; null where it does. */
  problem(value: unknown): string | null {
    this.#untilMs = performance.now() + CHECK_MS_MAX;
    let errors: readonly OutputUnit[];
    try {
      ({ errors } = this.#validator.validate(value));
    } catch (error) {
      // A RangeError: value or schema are deeper than the stack.
      if (error instanceof OutOfTime || error instanceof RangeError) return 'it takes too long to check';
      throw error;
    }
    const [innermost] = errors.toSorted((one, other) => depthOf(other) - depthOf(one));
    if (innermost === undefined) return null;
    const where = innermost.instanceLocation === '#' ? '' : `at ${innermost.instanceLocation.slice(1)}: `;
    const what = innermost.keyword === 'false' ? 'nothing may stand here' : innermost.error;
    return `${where}${what}`.slice(0, MESSAGE_CHARS_MAX);
  }

  /**
   * Has the clock looked at on every visit of a node. The validator reads `$recursiveRef`, a keyword that is not
   * supported here, of each node that it visits, and offers nothing else to stop it by. Answers what is wrong with a
   * reference.
   */
  #watch(schema: Schema | boolean, root: Schema): string | null {
    if (typeof schema === 'boolean') return null;
    const { $ref } = schema;
    if ($ref !== undefined && !isDefined($ref, root)) return `there is no ${$ref}`;
    Object.defineProperty(schema, '$recursiveRef', {
      get: () => {
        if (performance.now() > this.#untilMs) throw new OutOfTime();
        return undefined;
      },
    });
    // Examples may look like schemas, and say nothing of what fits.
    for (const annotation of ['default', 'examples']) delete schema[annotation];
    return childrenOf(schema).reduce<string | null>((found, child) => found ?? this.#watch(child, root), null);
  }
}

class OutOfTime extends Error {}

/**
 * How far inside the value an error is; one that only says that a part of the schema had errors counts as further out.
 */
function depthOf({ instanceLocation, keyword }: OutputUnit): number {
  const depth = instanceLocation.split('/').length - 1;
  return ['$ref', 'allOf', 'anyOf', 'oneOf', 'if'].includes(keyword) ? depth - 0.5 : depth;
}

function schemaProblem(schema: unknown, json: string): string | null {
  if (Buffer.byteLength(json) > SCHEMA_BYTES_MAX) return `a schema may have at most ${SCHEMA_BYTES_MAX} bytes`;
  if (jsonShapeProblem(json, SCHEMA_DEPTH_MAX, json.length) !== null) {
    return `a schema may be nested at most ${SCHEMA_DEPTH_MAX} levels deep`;
  }
  const unusable = UNUSABLE_NAMES.find((name) => json.includes(`"${name}":`));
  if (unusable !== undefined) return `a schema may not hold the name ${unusable}`;
  const parsed = v.safeParse(node, schema, { abortEarly: true });
  if (parsed.success) return null;
  const [issue] = parsed.issues;
  // For a keyword that is not supported, the path ends in the keyword itself, which the message names.
  return `${v.getDotPath(issue) ?? 'it'} ${issue.message}`;
}

function isDefined(reference: string, { $defs = {}, definitions = {} }: Schema): boolean {
  const [, map, name = ''] = reference.split('/');
  return map === undefined || Object.hasOwn(map === '$defs' ? $defs : definitions, name);
}

function childrenOf(schema: Schema): (Schema | boolean)[] {
  const { items, additionalProperties, propertyNames, contains, not, if: condition, else: otherwise } = schema;
  const { properties = {}, $defs = {}, definitions = {} }: Readonly<Record<string, Record<string, Schema>>> = schema;
  const { prefixItems = [], allOf = [], anyOf = [], oneOf = [] } = schema;
  const single: (Schema | boolean | undefined)[] = [
    items,
    additionalProperties,
    propertyNames,
    contains,
    not,
    condition,
    schema.then,
    otherwise,
  ];
  return [
    ...single.filter((child) => child !== undefined),
    ...[properties, $defs, definitions].flatMap((map) => Object.values(map)),
    ...[prefixItems, allOf, anyOf, oneOf].flat(),
  ];
}
