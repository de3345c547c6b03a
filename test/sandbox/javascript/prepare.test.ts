import test from 'ava';
import { type PreparedCell, prepare } from '../../../sandbox/javascript/prepare.ts';
import { PrepareSession } from './_prepare-session.ts';

function prepared(source: string, constants: readonly string[] = []): PreparedCell {
  const preparation = prepare(source, { language: 'javascript', cellName: 'cell:1', constants: new Set(constants) });
  if (!preparation.ok) throw new Error(preparation.error.message);
  return preparation.cell;
}

const json = (value: unknown) => JSON.parse(JSON.stringify(value) ?? 'null');

// The cells run in one session; the last one's value is compared as JSON, and undefined stands as null.
const values: readonly [promise: string, cells: readonly string[], value: unknown][] = [
  ['gives the value of the last expression', ['1; 2'], 2],
  ['gives undefined for an empty cell', [''], null],
  ['keeps let for later cells', ['let x = 7', 'x'], 7],
  ['declares let again as let', ['let x = 7', 'let x = 8', 'x'], 8],
  ['declares const again as const', ['const x = 7', 'const x = 8', 'x'], 8],
  ['declares const again as let, which can be assigned', ['const x = 7', 'let x = 8; x = 9', 'x'], 9],
  ['declares class again as function', ['class A {}', 'function A() { return 5 }', 'A()'], 5],
  ['declares const again as function', ['const f = 1', 'function f() { return 2 }', 'f()'], 2],
  ['resets a let without a value', ['let x = 7', 'let x', 'typeof x'], 'undefined'],
  ['resets an awaiting let without a value', ['let x = 7', 'await 0; let x', 'typeof x'], 'undefined'],
  ['leaves a var without a value as it was', ['var x = 7', 'await 0; var x', 'x'], 7],
  ['ends a let without a value at its line', ['let f = (v) => v, y = 3', 'let x\n(y)'], 3],
  ['shows closures the new value', ['let x = 1; function getter() { return x }', 'let x = 10', 'getter()'], 10],
  ['shows closures of awaiting cells the new value', ['await 0; let x = 1; var g = () => x', 'let x = 10', 'g()'], 10],
  ['names an anonymous function after its constant', ['const f = () => {}; f.name'], 'f'],
  ['names an anonymous function of an awaiting cell', ['await 0; const f = () => {}; f.name'], 'f'],
  ['names an anonymous class of an awaiting cell', ['await 0; let A = class {}; A.name'], 'A'],
  ['keeps a class for later cells', ['class A { v() { return 6 } }', 'new A().v()'], 6],
  ['keeps the text of a class', ['class A { v() {} }', 'String(A)'], 'class A { v() {} }'],
  ['keeps block scopes', ['let x = 1; { let x = 2 } x'], 1],
  ['reads a leading brace as an object', ['{ a: 1, b: { c: 2 } }'], { a: 1, b: { c: 2 } }],
  ['reads an awaiting leading brace as an object', ['{ a: await Promise.resolve(1) }'], { a: 1 }],
  ['reads a brace behind a comment as an object', ['/* c */ { a: 1 } // d'], { a: 1 }],
  ['reads an empty pair of braces as an object', ['{}'], {}],
  ['reads braces and a semicolon as a block', ['{};'], null],
  ['reads a labelled statement in braces with a semicolon as a block', ['{ a: 1 };'], 1],
  ['reads statements in braces as a block', ['{ let q = 1; q + 1; }'], 2],
  ['awaits in patterns', ['let [i, { abc: { k } }] = [0, { abc: { k: await 1 } }]', '[i, k]'], [0, 1]],
  ['awaits object patterns', ['const { a, ...rest } = await { a: 1, b: 2 }', '[a, rest]'], [1, { b: 2 }]],
  ['keeps a var of an awaiting block', ['{ var v = await 1 }', 'v'], 1],
  ['keeps a var of an awaiting loop', ['for (var i = 0, n; i < 3; i++) await i', 'i'], 3],
  ['keeps a var of an awaiting for-of', ['for (var [a] of [[1], [2]]) await a', 'a'], 2],
  ['keeps a var named async of an awaiting for-of', ['for (var async of [1, 2]) await 0', 'async'], 2],
  ['keeps a var named let of an awaiting loop', ['for (var let = 3; let < 4; let++) await 0', 'let'], 4],
  [
    'keeps a var of a try, a switch and a label',
    [
      'await 0; try { var a = 1 } finally { var b = 2 } switch (1) { case 1: var c = 3 } l: { var d = 4 }',
      '[a, b, c, d]',
    ],
    [1, 2, 3, 4],
  ],
  ['hoists functions of awaiting cells', ['var v = await f(); async function f() { return 1 }', 'v'], 1],
  [
    'lets functions of awaiting cells see each other',
    ['await 0; function a() { return b() } function b() { return 2 } a()'],
    2,
  ],
  ['keeps lines apart around a hoisted function', ['let f = 1; await 0; f\nfunction g() {}\n(2)'], 2],
  ['keeps a sloppy block function', ['if (await true) { function bar() { return 3 } }', 'bar()'], 3],
  ['keeps a sloppy block function without a block', ['if (await true) function bar() { return 3 }', 'bar()'], 3],
  ['keeps a sloppy function of a case', ['switch (await 1) { case 1: function bar() { return 3 } }', 'bar()'], 3],
  ['keeps a labelled function', ['await 0; l: function bar() { return 3 }', 'bar()'], 3],
  [
    'keeps a block function though globalThis is gone',
    ['globalThis = 1; { function bar() { return 3 } await 0 }', 'bar()'],
    3,
  ],
  ['uses a class in the cell that declares it', ['class A { v() { return 6 } }; await 1; new A().v()'], 6],
  [
    'declares what is exported',
    ['export const x = 1; export function f() { return x } export class A {}', '[f(), typeof A]'],
    [1, 'function'],
  ],
  ['gives the default export', ['const t = 5\nexport default t + 1'], 6],
  ['gives an object as the default export', ['export default { a: 1 }'], { a: 1 }],
  ['gives an awaited default export', ['await 0\nexport default (1, 2)'], 2],
  ['declares a default export that has a name', ['export default function f() { return 4 }', 'f()'], 4],
  ['ignores a list of exports', ['let x = 1\nexport { x }\nx'], 1],
  ['allows await as a name where nothing awaits', ['var await = 3; await + 1'], 4],
  ['allows a hashbang', ['#! /usr/bin/env node\n1 + 1'], 2],
  ['allows a hashbang in an awaiting cell', ['#! /usr/bin/env node\nawait 2'], 2],
  ['allows a byte order mark before a hashbang', ['\uFEFF#!x\n1 + 1'], 2],
  ['allows comments in the manner of HTML', ['<!-- a\n1 + 1\n--> b'], 2],
  ['allows such a comment at the start of an awaiting cell', ['--> b\nawait 2'], 2],
  ['allows U+2028 in a string', ['"a\u2028b".length'], 3],
  ['lets a last comment end with its line', ['await 3 // done'], 3],
  ['runs a strict cell strictly', ['"use strict"; (function () { return this === undefined })()'], true],
  [
    'keeps the declarations of a strict cell',
    ['"use strict"; let a = 1; const b = 2; class C {} function d() { return a + b }', '[d(), typeof C]'],
    [3, 'function'],
  ],
  [
    'keeps functions of a strict cell strict',
    ['"use strict"; function f() { return this === undefined }', 'f()'],
    true,
  ],
  [
    'keeps the text of functions of a strict cell',
    ['"use strict"; function f(a) { return a }', 'String(f)'],
    'function f(a) { return a }',
  ],
  ['gives the directive of a cell that is nothing else', ['"use strict"'], 'use strict'],
  [
    'disposes of what a cell uses when it ends',
    ['var log = []; using r = { [Symbol.dispose]() { log.push(2) } }; log.push(1)', 'log'],
    [1, 2],
  ],
  ['does not keep what a cell uses', ['using r = null; 5', 'typeof r'], 'undefined'],
  [
    'disposes of what a cell awaits to use',
    ['var log = []; await using r = { async [Symbol.asyncDispose]() { log.push(2) } }; log.push(1)', 'log'],
    [1, 2],
  ],
  ['does not await a thenable that is the value', ['await 0; ({ then: 5 })'], { then: 5 }],
  ['picks a name for the value that the cell does not use', ['var $$value = 1; await 0; $$value + 1'], 2],
  [
    'updates and reads a constant where it only looks like a write',
    ['const k = 1; ((k) => { k = 2; return k })(0)'],
    2,
  ],
  ['lets an inner let shadow a constant', ['const k = 1', '{ let k = 2; k = 3; k }'], 3],
  ['lets a hoisted var shadow a constant', ['const k = 1', '(() => { k = 5; var k; return k })()'], 5],
  ['lets a catch parameter shadow a constant', ['const k = 1', 'try { throw 1 } catch (k) { k = 4; k }'], 4],
  ['lets a for head shadow a constant', ['const k = 1', 'for (let k = 0; k < 2; k++) k; 7'], 7],
  [
    'lets a class name shadow a constant',
    ['const k = 1', 'try { (class k { static m() { k = 2 } }).m() } catch (e) { e.name }'],
    'TypeError',
  ],
  ['lets an object shadow a constant', ['const k = 1', 'var o = { k: 2 }; with (o) { k = 3 } o.k'], 3],
  ['does not assign a constant that a logical assignment skips', ['const k = 1', 'k ||= 2'], 1],
];

for (const [promise, cells, value] of values) {
  test(`a cell ${promise}: ${JSON.stringify(cells)}`, async (t) => {
    const session = new PrepareSession();
    let last: unknown;
    for (const cell of cells) last = await session.run(cell);
    t.deepEqual(json(last), value);
  });
}

for (const write of [
  'k = 2',
  'k += 2',
  'k &&= 2',
  'k++',
  '--k',
  '[k] = [2]',
  '({ k } = { k: 2 })',
  '({ k = 3 } = {})',
  '({ a: [...k] } = { a: [1] })',
  'for (k of [1]);',
  'for (k in { a: 1 });',
  '(() => k = 2)()',
  'k = await 2',
  'for ([k] of [[await 1]]);',
  '"use strict"; k = 2',
  '1\nk = 2',
]) {
  test(`${JSON.stringify(write)} on a constant throws the native TypeError and changes nothing`, async (t) => {
    for (const cells of [['const k = 1', write], ...(write.startsWith('"') ? [] : [[`const k = 1; ${write}`]])]) {
      const session = new PrepareSession();
      await t.throwsAsync(
        async () => {
          for (const cell of cells) await session.run(cell);
        },
        { name: 'TypeError', message: 'Assignment to constant variable.', any: true },
      );
      t.is(await session.run('k'), 1);
    }
  });
}

test('what is assigned to a constant is evaluated before the assignment fails', async (t) => {
  const session = new PrepareSession();
  await session.run('const x = 1; var log = []');
  await t.throwsAsync(session.run('x = log.push(1)'), { any: true });
  await t.throwsAsync(session.run('x = await Promise.resolve(log.push(2))'), { any: true });
  t.is(await session.run('log.length'), 2);
});

test('the completion value of a wrapped cell is that of the same script', async (t) => {
  const scripts = [
    '1; if (false) 2',
    '1; if (true) 2; else 3',
    '1; { }',
    '1; var a = 2',
    '1; { 2; var b = 3 }',
    '1; for (var i = 0; i < 3; i++) i',
    '1; for (;false;);',
    'for (var j of [1, 2, 3]) { if (j === 2) continue; j * 2 }',
    'for (var n of [1, 2]) { 5; if (n === 2) {} }',
    'var w = 0; while (w < 3) { w++; if (w === 2) break }',
    'do 7; while (false)',
    'l: { 1; break l; 2 }',
    'switch (2) { case 1: 10; case 2: 20; case 3: 30; break; default: 40 }',
    'switch (9) { case 1: 10 }',
    'try { 1 } catch { 2 } finally { 3 }',
    'try { throw 0 } catch { 2 } finally { 3 }',
    '1; try { } finally { 3 }',
    'with ({ q: 4 }) q',
    '1; function f() {}',
    '1; class A {}',
    '1; ;',
    'if (true) { 1; { 2 } }',
    'a1 = (b1) => b1\n;[3]',
    '1; if (true) if (false) 2',
    'var z = 5\nz\n++z',
  ];
  for (const script of scripts) {
    const plain = await new PrepareSession().run(script);
    t.deepEqual(await new PrepareSession().run(`var first = await 0;${script}`), plain, script);
  }
});

test('a prepared cell says how it runs and what it declares', (t) => {
  const cell = prepared(
    'let a = await 1, [b] = [2]; const c = 3; class D {} function e() {} { function f() {} var g; let h }',
  );
  t.is(cell.mode, 'async');
  t.true(cell.boxed);
  t.deepEqual(
    new Map(cell.declared.map(({ name, kind }) => [name, kind])),
    new Map(
      Object.entries({ a: 'let', b: 'let', c: 'const', D: 'class', e: 'function', f: 'function', g: 'var' }),
    ) as never,
  );
  t.is(cell.scripts.length, 2);
  const direct = prepared('1 + 1');
  t.deepEqual([direct.mode, direct.boxed, direct.scripts], ['direct', false, ['1 + 1\n//# sourceURL=cell:1\n']]);
  t.deepEqual([prepared('"use strict"; 1').mode, prepared('"use strict"; 1').boxed], ['direct', true]);
});

test('await inside functions and class members does not make a cell async', (t) => {
  for (const source of ['async () => await 1', 'async function f() { for await (const x of y); }', '"await 1"']) {
    t.is(prepared(source).mode, 'direct', source);
  }
  for (const source of [
    'class A { [await 1] = 2 }',
    'for await (const x of y);',
    '`${await 1}`',
    'await using x = y',
  ]) {
    t.is(prepared(source).mode, 'async', source);
  }
});

test('no comment of a cell can give its scripts another name', async (t) => {
  const marks = [
    '//# sourceURL=evil',
    '//@ sourceURL=evil',
    '/*# sourceURL=evil */',
    '#!# sourceURL=evil',
    '//# sourceMappingURL=x',
  ];
  for (const mark of marks) {
    for (const source of [`${mark}\nnew Error().stack`, `${mark}\nawait 0; new Error().stack`]) {
      const stack = String(await new PrepareSession().run(source));
      t.regex(stack, /cell:1:2/, source);
      t.notRegex(stack, /evil/, source);
    }
  }
});

test('positions in rewritten scripts are those of the source', async (t) => {
  const sources = [
    'let a = 1;\n  class B {}; boom()',
    'await 0; let a, b; /* x */ boom()',
    'function g() {\n   boom() } await 0; g()',
    'let q = 1; await 0; function g() { boom() } let r = 2; g()',
    '"use strict"; function g() { boom() } let r = 2; g()',
    'export default boom()',
    '{ a: boom() }',
    'const k = 1; function z() { k = 1 } boom(); await 0',
  ];
  for (const source of sources) {
    const session = new PrepareSession();
    const error = (await t.throwsAsync(session.run(source), { any: true })) as Error;
    const [, line, column] = /cell:1:(\d+):(\d+)/.exec(error.stack ?? '') ?? [];
    const { originalPosition } = prepared(source);
    const lines = source.split('\n');
    const row = lines.findIndex((text) => text.includes('boom'));
    t.deepEqual(
      originalPosition(Number(line), Number(column)),
      { line: row + 1, column: (lines[row] ?? '').indexOf('boom') + 1 },
      source,
    );
  }
});

test('positions below the source are no text of the user', (t) => {
  const { originalPosition } = prepared('await 1\nawait 2');
  t.deepEqual(originalPosition(1, 1), { line: 1, column: 1 });
  t.deepEqual(originalPosition(2, 99), { line: 2, column: 8 });
  t.is(originalPosition(3, 1), undefined);
});

test('one source is prepared anew for a session in which a name it assigns is a constant', (t) => {
  const free = prepared('k = 1; other');
  t.deepEqual(prepared('k = 1; other', ['other']).scripts, free.scripts);
  t.notDeepEqual(prepared('k = 1; other', ['k']).scripts, free.scripts);
  t.deepEqual(prepared('k = 1; other').scripts, free.scripts);
});
