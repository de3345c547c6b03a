import test from 'ava';
import { functionShape } from '../../../sandbox/javascript/function-shape.ts';

const made: [text: string, form: string, name: string | null, parent: string | null][] = [
  ['() => 1', 'expression', null, null],
  ['async (a, { b } = {}) => { await b }', 'expression', null, null],
  ['x => x', 'expression', null, null],
  ['function f() { return arguments }', 'declaration', 'f', null],
  ['async function* g(a) { yield a }', 'declaration', 'g', null],
  ['function () {}', 'expression', null, null],
  ['class {}', 'class', null, null],
  ['class A { static n = 1; x = this }', 'class', 'A', null],
  [
    'class A extends B { constructor() { super() } get x() { return super.x } static m() {} y = () => this.x }',
    'class',
    'A',
    'B',
  ],
  ['m(a) { return this.a }', 'member', null, null],
  ['async *m() {}', 'member', null, null],
  ['get x() { return 1 }', 'member', null, null],
  ['set x(v) {}', 'member', null, null],
];

for (const [text, form, name, parent] of made)
  test(`${text} is made of its text`, (t) =>
    t.deepEqual(functionShape(text, [1, 2, 3]), { form, name, parent, place: [1, 2, 3] }));

const refused = [
  'function f() { [native code] }',
  '() => this',
  '() => () => arguments',
  '() => new.target',
  'class A { #x = 1 }',
  'class A { m() { return #x in this } }',
  'class A { static { go() } }',
  'class A { static n = go() }',
  'class A { [go()]() {} }',
  'class A extends go() {}',
  'm() { return super.m() }',
  '[go()]() {}',
  // What closes the bracket that is put around it, and goes on.
  '() => 1), go(',
  'function f() {}), (() => 1',
  'm() {} }), ({ n() {}',
  'm() {}, n() {}',
  'a: 1',
  'go()',
  '...go()',
  '',
  `() => ${'a'.repeat(300_000)}`,
];

for (const text of refused)
  test(`${text.slice(0, 60)} is not made of its text`, (t) => t.is(functionShape(text, null), null));
