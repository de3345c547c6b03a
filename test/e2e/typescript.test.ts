/** TypeScript as the language has it, from cell to cell, with the positions of the source as it was typed. */
import test from 'ava';
import type { Value } from '../../client/protocol.ts';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

const json = (value: unknown): Value => ({ kind: 'json', json: value });

const features: readonly [what: string, cells: readonly string[], value: unknown][] = [
  [
    'an enum and its reverse mapping',
    ['enum A { X = 2, Y, Z = X * 8, S = "s" }', '[A.X, A.Y, A.Z, A.S, A[3]]'],
    [2, 3, 16, 's', 'Y'],
  ],
  ['an enum in one cell with its use', ['enum A { X = 2 } const y: number = A.X; y'], 2],
  ['a const enum', ['const enum C { A = 3, B = A << 1 }', '[C.A, C.B]'], [3, 6]],
  ['an enum that is declared again', ['enum E { A = 1 }', 'enum E { A = 5 }', 'E.A'], 5],
  [
    'a namespace',
    [
      'namespace N { export const a = 1; const hidden = 2; export function f() { return hidden } }',
      '[N.a, N.f(), "hidden" in N]',
    ],
    [1, 2, false],
  ],
  [
    'namespaces that merge',
    ['namespace M { export const a = 1 }\nnamespace M { export const b = a + 1 }', '[M.a, M.b]'],
    [1, 2],
  ],
  [
    'a namespace that merges with a class',
    ['class K { v = 1 }\nnamespace K { export const extra = 2 }', '[new K().v, K.extra]'],
    [1, 2],
  ],
  [
    'parameter properties',
    [
      'class P { constructor(public x: number, private readonly z = 2) {} sum() { return this.x + this.z } }',
      'new P(3).sum()',
    ],
    5,
  ],
  [
    'abstract classes and interfaces',
    [
      'interface S { a(): number }\nabstract class B { abstract a(): number; b() { return this.a() + 1 } }\nclass D extends B implements S { override a() { return 9 } }',
      'new D().b()',
    ],
    10,
  ],
  [
    'generics',
    [
      'function first<T extends { id: number }>(list: readonly T[]): T | undefined { return list[0] }\nconst id = <T,>(v: T): T => v',
      'first<{ id: number }>([id({ id: 4 })])!.id',
    ],
    4,
  ],
  ['satisfies', ['const palette = { red: [1, 2] } satisfies Record<string, number[]>', 'palette.red'], [1, 2]],
  [
    'assertions',
    [
      'const a = <string>("x" as unknown); const b = { y: 1 } as const; const c: { z?: number } = { z: 2 }',
      '[a, b.y, c.z!]',
    ],
    ['x', 1, 2],
  ],
  [
    'overloads',
    ['function o(a: string): string;\nfunction o(a: number): number;\nfunction o(a: unknown) { return a }', 'o(3)'],
    3,
  ],
  [
    'type-only imports',
    ['import type { X } from "./nowhere"\nimport { type Y } from "./nowhere"\ntype Z = X | Y; 1'],
    1,
  ],
  [
    'declarations of types alone',
    ['interface I { a: 1 }\ntype T = I["a"];\ndeclare const d: number;\ndeclare module "m" {}', '1'],
    1,
  ],
  [
    'top-level await with types',
    ['const xs: number[] = await Promise.all<number>([1, Promise.resolve(2)])', 'xs'],
    [1, 2],
  ],
  ['await of a typed expression', ['(await Promise.resolve<{ a: number }>({ a: 5 })).a as number'], 5],
  [
    'a class decorator',
    [
      'const seen: string[] = [];\nfunction note(value: Function, context: ClassDecoratorContext) { seen.push(`${context.kind} ${String(context.name)}`) }\n@note class C {}',
      'seen',
    ],
    ['class C'],
  ],
  [
    'a method decorator',
    [
      'function twice(f: (this: unknown) => number, _: ClassMethodDecoratorContext) { return function (this: unknown) { return f.call(this) * 2 } }\nclass C { @twice m() { return 4 } }',
      'new C().m()',
    ],
    8,
  ],
  [
    'a field decorator',
    [
      'function plus(_: undefined, context: ClassFieldDecoratorContext) { return (v: number) => v + 1 }\nclass C { @plus a = 1 }',
      'new C().a',
    ],
    2,
  ],
  [
    'an accessor decorator',
    [
      'function logged<T>(target: ClassAccessorDecoratorTarget<unknown, number>, _: T) { return { get(this: unknown) { return target.get.call(this) + 10 } } }\nclass C { @logged accessor a = 1 }',
      'new C().a',
    ],
    11,
  ],
  [
    'using',
    ['const seen: string[] = [];\n{ using r = { [Symbol.dispose]() { seen.push("d") } }; seen.push("u") }', 'seen'],
    ['u', 'd'],
  ],
  [
    'a type that does not fit, for types are not checked',
    ['const n: number = "str" as any as number; const m: number = "x"', 'm'],
    'x',
  ],
];

for (const [what, cells, value] of features) {
  test(`TypeScript has ${what}`, async (t) => {
    const session = await file.session({ language: 'typescript' });
    let last: Value | undefined;
    for (const cell of cells) last = await session.value(cell);
    t.deepEqual(last, json(value));
  });
}

test('a syntax error has the line, the column and the code of the source as it was typed', async (t) => {
  const session = await file.session({ language: 'typescript' });
  const { error } = await session.run('type A = number;\n\nlet a: = 5');
  t.like(error, { code: 'SYNTAX_ERROR', name: 'SyntaxError', line: 3, column: 8 });
  t.is(error?.frame, 'let a: = 5\n       ^');
});

test('a runtime error has the line and column of the source as it was typed, however much of it was types', async (t) => {
  const session = await file.session({ language: 'typescript' });
  const source = [
    'interface Long {',
    '  a: number;',
    '}',
    'enum Kind { A, B }',
    'class Box<T> {',
    '  constructor(private readonly value: T, public kind: Kind = Kind.B) {}',
    '  open(): T {',
    '    if (this.kind === Kind.B) throw new RangeError(`kind ${this.kind as number}`);',
    '    return this.value;',
    '  }',
    '}',
    'const box: Box<Long> = new Box<Long>({ a: 1 });',
    'const out = box.open() as Long;',
  ].join('\n');
  const { error } = await session.run(source);
  t.like(error, { name: 'RangeError', message: 'kind 1', line: 8, column: 37 });
  t.is(error?.stack, 'at Box.open (cell:1:8:37)\nat cell:1:13:17');
  const awaited = await session.run(`await 0;\n${source}`);
  t.is(awaited.error?.line, 9);
});

test('an error that is printed has the lines of the source as it was typed', async (t) => {
  const session = await file.session({ language: 'typescript' });
  const { output } = await session.run(
    'enum A {\n  X\n}\ninterface I {\n  a: 1\n}\nconsole.error(new Error(`at ${A.X}`))',
  );
  t.regex(output.stderr, /^Error: at 0\n {4}at cell:1:7:15\n$/);
});

test('what one cell declares keeps its TypeScript meaning in the next', async (t) => {
  const session = await file.session({ language: 'typescript' });
  await session.value('enum Level { Low = 1, High }\nclass Base<T> { constructor(protected v: T) {} }');
  await session.value('class Next extends Base<Level> { get(): Level { return this.v } }');
  t.deepEqual(await session.value('new Next(Level.High).get() satisfies Level'), json(2));
  t.deepEqual(await session.value('_'), json(2));
});
