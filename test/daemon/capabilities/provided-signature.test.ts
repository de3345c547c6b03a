import test from 'ava';
import type { SchemaNode } from '../../../daemon/capabilities/provided-schema.ts';
import { oneLine, pythonStub, typeScriptSignature } from '../../../daemon/capabilities/provided-signature.ts';

const signatures = (parameters: SchemaNode, result: SchemaNode | null = null): [string, string] => {
  const described = { name: 'look_up', summary: 'Looks up.', parameters, result };
  const [, declaration = ''] = typeScriptSignature(described).split('\n');
  return [declaration, pythonStub(described)];
};

for (const [parameters, result, typeScript, python] of [
  [true, null, '(...args: unknown[]): Promise<unknown>', '(*args: object) -> object'],
  [{ type: 'array', items: false }, { type: 'null' }, '(): Promise<null>', '() -> None'],
  [
    { type: 'array', prefixItems: [{ type: 'string', title: 'city' }, { type: 'integer' }], items: false, minItems: 1 },
    { type: 'array', items: { type: 'number' } },
    '(city: string, arg2?: number): Promise<number[]>',
    '(city: str, arg2: int = ...) -> list[float]',
  ],
  [
    { type: 'array', items: { enum: ['a', 1] } },
    { type: ['string', 'null'] },
    '(...rest: ("a" | 1)[]): Promise<string | null>',
    '(*rest: object) -> str | None',
  ],
  [
    {
      type: 'object',
      properties: { id: { type: 'integer' }, 'a-b': { anyOf: [{ type: 'boolean' }, { const: 'x' }] } },
      required: ['id'],
    },
    { type: 'object', additionalProperties: { type: 'number' } },
    '(options: { id: number; "a-b"?: boolean | "x" }): Promise<Record<string, number>>',
    '(options: dict) -> dict',
  ],
] as const satisfies [SchemaNode, SchemaNode | null, string, string][]) {
  test(`describes ${JSON.stringify(parameters)} and ${JSON.stringify(result)}`, (t) => {
    t.deepEqual(signatures(parameters, result), [
      `declare function look_up${typeScript};`,
      `async def look_up${python}: ...`,
    ]);
  });
}

test('titles that are no names, or the same name, are not used', (t) => {
  const titled = (...titles: string[]): string =>
    signatures({
      type: 'array',
      prefixItems: titles.map((title) => ({ type: 'string', title })),
      items: false,
      minItems: 2,
    })[0];
  const numbered = 'declare function look_up(arg1: string, arg2: string): Promise<unknown>;';
  t.is(titled('the city', 'class'), numbered);
  t.is(titled('x): any; declare function f(', 'lambda'), numbered);
  t.is(titled('same', 'same'), numbered);
});

test('no words of a client close the comment or begin a line', (t) => {
  const summary = 'Harmless. */ declare const x: 1;\n* \u2028 \u202e \u0007/ */';
  const signature = typeScriptSignature({ name: 'f', summary, parameters: true, result: null });
  t.is(signature.split('*/').length, 2);
  t.is(signature.split(/[\n\u2028]/).length, 2);
  t.is(oneLine('x'.repeat(1000)).length, 500);
});

test('types that would be a page are left out', (t) => {
  const properties = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [`name${index}`, { type: 'string' }]),
  );
  t.is(
    signatures({ type: 'object', properties })[0],
    'declare function look_up(...args: unknown[]): Promise<unknown>;',
  );
});
