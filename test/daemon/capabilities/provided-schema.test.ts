import test from 'ava';
import { ProvidedSchema } from '../../../daemon/capabilities/provided-schema.ts';
import { Fault } from '../../../daemon/fault.ts';

const problem = (schema: unknown, value: unknown): string | null =>
  new ProvidedSchema(schema, 'parameters').problem(value);
const nested = (depth: number, inner: unknown): unknown => (depth === 0 ? inner : [nested(depth - 1, inner)]);

for (const [schema, good, bad, why] of [
  [{ type: 'string', minLength: 2, maxLength: 3 }, 'ab', 'a', /too short/],
  [{ type: ['integer', 'null'], minimum: 1, exclusiveMaximum: 5 }, 4, 5, /greater than or equal to 5/],
  [{ enum: ['a', 1, null] }, null, 'b', /does not match any/],
  [{ const: 7 }, 7, 8, /does not match/],
  [{ type: 'array', items: { type: 'number' }, maxItems: 2 }, [1, 2], [1, 'x'], /^at \/1: .*"string".*"number"/],
  [
    { prefixItems: [{ type: 'string' }], items: false, minItems: 1 },
    ['a'],
    ['a', 2],
    /^at \/1: nothing may stand here/,
  ],
  [{ contains: { const: 1 }, minContains: 2 }, [1, 1], [1], /items/],
  [{ properties: { a: { type: 'string' } }, required: ['a'] }, { a: '' }, { a: 1 }, /^at \/a: /],
  [{ properties: { a: {} }, required: ['a'] }, { a: 1 }, {}, /required property "a"/],
  [{ properties: { a: {} }, additionalProperties: false }, { a: 1 }, { b: 1 }, /^at \/b: nothing may/],
  [{ propertyNames: { maxLength: 1 }, maxProperties: 2 }, { a: 1 }, { ab: 1 }, /long|Property name/],
  [{ anyOf: [{ type: 'string' }, { type: 'number', multipleOf: 2 }] }, 4, 3, /multiple|type/],
  [{ not: { type: 'string' } }, 1, '', /not/],
  [{ if: { type: 'string' }, then: { minLength: 1 }, else: { minimum: 1 } }, 1, '', /short/],
  [{ format: 'date' }, '2026-01-31', '2026-02-31', /date/],
  [
    { $defs: { n: { type: 'object', additionalProperties: { $ref: '#/$defs/n' } } }, $ref: '#/$defs/n' },
    { a: { b: {} } },
    { a: { b: 1 } },
    /^at \/a\/b: .*object/,
  ],
  [
    { type: 'object', properties: { next: { $ref: '#' } } },
    { next: { next: {} } },
    { next: { next: 1 } },
    /^at \/next\/next/,
  ],
] as const) {
  test(`a value is held against ${JSON.stringify(schema)}`, (t) => {
    t.is(problem(schema, good), null);
    t.regex(problem(schema, bad) ?? '', why);
  });
}

for (const [schema, why] of [
  [{ pattern: '(a+)+$' }, /pattern.*not supported/],
  [{ properties: { a: { items: { patternProperties: {} } } } }, /properties\.a\.items\.patternProperties/],
  [{ uniqueItems: true }, /uniqueItems.*not supported/],
  [{ unevaluatedProperties: false }, /not supported/],
  [{ $id: 'https://example.com/x' }, /not supported/],
  [{ $anchor: 'x' }, /not supported/],
  [{ $recursiveRef: '#' }, /not supported/],
  [{ $dynamicRef: '#x' }, /not supported/],
  [{ $ref: 'https://example.com/x' }, /\$ref must be/],
  [{ $ref: 'file:///etc/passwd' }, /\$ref must be/],
  [{ $ref: '#/properties/a', properties: { a: {} } }, /\$ref must be/],
  [{ $ref: '#/$defs/gone' }, /there is no #\/\$defs\/gone/],
  [{ $ref: '#/$defs/constructor', $defs: {} }, /there is no/],
  [{ format: 'regex' }, /format must be/],
  [{ type: 'text' }, /type must be/],
  [{ items: [{}] }, /items/],
  [{ required: 'a' }, /required must be a list/],
  [{ minimum: '1' }, /minimum must be a number/],
  [{ enum: [{}] }, /enum/],
  [{ enum: Array.from({ length: 1001 }, (_, index) => index) }, /at most 1000/],
  [JSON.parse('{"properties":{"__proto__":{"pattern":"x"}}}'), /may not hold the name __proto__/],
  [{ description: 'x'.repeat(65_536) }, /at most 65536 bytes/],
  [
    Array.from({ length: 31 }).reduce<object>((inner) => ({ items: inner }), { items: { items: {} } }),
    /at most 32 levels/,
  ],
  [null, /must be a schema/],
  ['{}', /must be a schema/],
  [[], /must be a schema/],
  [undefined, /must be a schema/],
] as const) {
  test(`no schema is ${JSON.stringify(schema)?.slice(0, 80)}`, (t) => {
    const fault = t.throws(() => new ProvidedSchema(schema, 'parameters'), { instanceOf: Fault, message: why });
    t.is(fault.code, 'INVALID_PARAMS');
    t.true(fault.message.startsWith('parameters: '));
    t.true(fault.message.length <= 300);
  });
}

test('a schema nested 32 levels deep, and one of 64 KiB, can be', (t) => {
  const deep = Array.from({ length: 31 }).reduce<object>((inner) => ({ items: inner }), { type: 'number' });
  t.regex(problem(deep, nested(31, 'x')) ?? '', /string/);
  const description = 'x'.repeat(65_536 - JSON.stringify({ description: '' }).length);
  t.is(problem({ description }, 1), null);
});

for (const [what, schema, value] of [
  ['refers to itself at once', { $ref: '#' }, 1],
  [
    'goes in a circle',
    { $defs: { a: { $ref: '#/$defs/b' }, b: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' },
    1,
  ],
  [
    'doubles at every level',
    {
      anyOf: [
        { items: { $ref: '#' }, type: 'array' },
        { items: { $ref: '#' }, type: 'array' },
      ],
    },
    nested(60, 1),
  ],
  [
    'looks at many names again and again',
    { allOf: Array.from({ length: 3000 }, () => ({ type: 'object' })) },
    Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, 1])),
  ],
  [
    'meets a value deeper than the stack',
    { $defs: { n: { items: { $ref: '#/$defs/n' } } }, $ref: '#/$defs/n' },
    nested(3000, 1),
  ],
] as const) {
  test(`F14: a schema that ${what} is given up on`, (t) => {
    const held = new ProvidedSchema(schema, 'parameters');
    t.is(held.problem(value), 'it takes too long to check');
  });
}

test('what the schema says of examples and defaults is no schema', (t) => {
  t.is(problem({ default: { $ref: 'https://example.com' }, examples: { $id: '::', $ref: 5 } }, 1), null);
});

test('the error of a value is cut short', (t) => {
  t.true((problem({ enum: ['x'.repeat(1000)] }, 'y')?.length ?? 0) <= 300);
});
