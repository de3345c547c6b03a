import test from 'ava';
import { prepare, prepareCell, warmTypescript } from '../../../sandbox/javascript/prepare.ts';
import { PrepareSession } from './_prepare-session.ts';

const decorators = 'function plus(value, context) { return (initial) => initial + 1 }\n';

const values: readonly [promise: string, cells: readonly string[], value: unknown][] = [
  ['takes types out', ['let a: number = 1', 'a as number + <number>1'], 2],
  ['takes interfaces and type imports out', ['interface A { a: 1 }\nimport type { X } from "y"\n1'], 1],
  ['gives undefined for a cell of types alone', ['type A = 3'], null],
  ['keeps enums', ['enum Color { Red, Green = 5, Blue }', '[Color.Blue, Color[5]]'], [6, 'Green']],
  ['keeps const enums', ['const enum CE { A = 3 }\nCE.A'], 3],
  [
    'keeps enums of strict and of awaiting cells',
    ['"use strict"; enum A { X = 2 }', 'await 1; enum B { Y = 3 }', '[A.X, B.Y]'],
    [2, 3],
  ],
  ['merges enums across cells', ['enum E { A }', 'enum E { B = 7 }', '[E.A, E.B]'], [0, 7]],
  [
    'merges namespaces across cells',
    ['namespace N { export const a = 1 }', 'namespace N { export const b = 2 }', '[N.a, N.b]'],
    [1, 2],
  ],
  ['replaces what was no namespace by declaring it anew', ['const E = 5', 'let E: object = { a: 1 }', 'E'], { a: 1 }],
  [
    'has parameter properties',
    [
      'class P { constructor(public x: number, private readonly z = 2) {} sum() { return this.x + this.z } }',
      'new P(3).sum()',
    ],
    5,
  ],
  [
    'has abstract classes and overloads',
    ['abstract class B { abstract a(): number }\nclass D extends B { a(): number; a() { return 9 } }', 'new D().a()'],
    9,
  ],
  ['has decorators as the language has them', [`${decorators}class A { @plus x: number = 1 }`, 'new A().x'], 2],
  ['has decorators in an awaiting cell', [`${decorators}await 0; class A { @plus x = 1 }`, 'new A().x'], 2],
  [
    'keeps using as it is',
    ['var log: number[] = []; { using r = { [Symbol.dispose]() { log.push(2) } }; log.push(1) } log'],
    [1, 2],
  ],
  ['reads a leading brace as an object', ['{ a: <string>"x", b: 3 as any }'], { a: 'x', b: 3 }],
  ['reads statements in braces as a block', ['{ let q: number = 1; q + 1 }'], 2],
  ['reads braces and a semicolon as a block', ['{};'], null],
  ['is awaited', ['const m: number = await Promise.resolve(4)', 'm!'], 4],
  ['checks no types', ['const n: number = "str"', 'n'], 'str'],
  ['declares what is exported', ['export enum A { X = 4 }\nexport {}', 'A.X'], 4],
  ['runs sloppy code', ['(function () { return this === undefined })()'], false],
  ['allows a byte order mark and a hashbang', ['\uFEFF#!x\nlet a: number = 1; a'], 1],
];

for (const [promise, cells, value] of values) {
  test(`a TypeScript cell ${promise}: ${JSON.stringify(cells)}`, async (t) => {
    const session = new PrepareSession();
    let last: unknown;
    for (const cell of cells) last = await session.run(cell, 'typescript');
    t.deepEqual(JSON.parse(JSON.stringify(last) ?? 'null'), value);
  });
}

const refused: readonly [source: string, message: string, line: number, column: number][] = [
  ['let a: = 5', 'Type expected.', 1, 8],
  ['\n{ a: 1, b: }', 'Expression expected.', 2, 12],
  ['interface A {\n}\n  let z: number = 1; let z = 2', "Identifier 'z' has already been declared", 3, 26],
  ['type A = 1\nreturn 3', 'Illegal return statement', 2, 1],
  ['let a: number\nimport x from "y"; x', 'Cannot use import statement: no modules can be loaded here', 2, 1],
  ['})(); escaped = 1; (async () => {', 'Declaration or statement expected.', 1, 1],
];

for (const [source, message, line, column] of refused) {
  test(`${JSON.stringify(source)} is refused: ${message}`, async (t) => {
    const preparation = await prepareCell(source, { language: 'typescript', cellName: 'cell:1', constants: new Set() });
    if (preparation.ok) throw new Error('accepted');
    const { frame, ...error } = preparation.error;
    t.deepEqual(error, { name: 'SyntaxError', message, line, column });
    t.is(frame.split('\n')[0], source.split('\n')[line - 1]);
  });
}

test('a constant of a TypeScript cell cannot be assigned', async (t) => {
  const session = new PrepareSession();
  await session.run('const k: number = 1', 'typescript');
  await t.throwsAsync(session.run('k = 2', 'typescript'), { message: 'Assignment to constant variable.', any: true });
});

test('what the transpiler declares is told apart from what the user declares', async (t) => {
  const source = `${decorators}class A { @plus x = 1 }`;
  const preparation = await prepareCell(source, { language: 'typescript', cellName: 'cell:1', constants: new Set() });
  if (!preparation.ok) throw new Error('refused');
  const { declared, helpers } = preparation.cell;
  t.deepEqual([...helpers].sort(), ['__esDecorate', '__runInitializers']);
  const written = declared.map(({ name }) => name).filter((name) => !helpers.includes(name));
  t.deepEqual(written.sort(), ['A', 'plus']);
});

test('positions in transpiled scripts are those of the source', async (t) => {
  const sources = [
    'interface A { a: number }\n\n  boom(1 as any)',
    'interface A { a: number }\n\n  await 0; boom(1 as any)',
    'type A = 1\n{ let a: number = 1; boom() }',
    '{ a: <any>1, b: boom() }',
  ];
  for (const source of sources) {
    const error = (await t.throwsAsync(new PrepareSession().run(source, 'typescript'), { any: true })) as Error;
    const [, line, column] = /cell:1:(\d+):(\d+)/.exec(error.stack ?? '') ?? [];
    const preparation = await prepareCell(source, { language: 'typescript', cellName: 'cell:1', constants: new Set() });
    if (!preparation.ok) throw new Error('refused');
    const lines = source.split('\n');
    const row = lines.findIndex((text) => text.includes('boom'));
    const expected = { line: row + 1, column: (lines[row] ?? '').indexOf('boom') + 1 };
    t.deepEqual(preparation.cell.originalPosition(Number(line), Number(column)), expected, source);
  }
});

test('TypeScript too deeply nested is refused', async (t) => {
  for (const source of ['['.repeat(100_000), `${'{'.repeat(100_000)}`, `let a: ${'['.repeat(100_000)}`]) {
    const preparation = await prepareCell(source, { language: 'typescript', cellName: 'cell:1', constants: new Set() });
    t.false(preparation.ok);
  }
});

// Serial tests start before the others of a file, so that nothing has loaded the compiler yet.
test.serial('TypeScript is prepared at once when the compiler is loaded, and waits for it otherwise', async (t) => {
  const options = { language: 'typescript', cellName: 'cell:1', constants: new Set<string>() } as const;
  t.throws(() => prepare('let cold: number', options), { message: /warmTypescript/ });
  t.true(prepareCell('let cold: number', options) instanceof Promise);
  t.false(prepareCell('let cold', { ...options, language: 'javascript' }) instanceof Promise);
  await warmTypescript();
  t.true((await prepareCell('let cold: number', options)).ok);
  t.false(prepareCell('let warm: number', options) instanceof Promise);
});
