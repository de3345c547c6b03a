import test from 'ava';
import { type Completeness, isComplete } from '../../../sandbox/javascript/is-complete.ts';
import { warmTypescript } from '../../../sandbox/javascript/typescript.ts';

const both: readonly [source: string, completeness: Completeness][] = [
  ['', 'complete'],
  ['1 + 1', 'complete'],
  ['await f()', 'complete'],
  ['{ a: 1, b: 2 }', 'complete'],
  ['if (a) { b }', 'complete'],
  ['x => {', 'incomplete'],
  ['foo(1,', 'incomplete'],
  ['[1, 2', 'incomplete'],
  ['1 +', 'incomplete'],
  ['a.', 'incomplete'],
  ['`abc', 'incomplete'],
  ['`abc ${', 'incomplete'],
  ['/* abc', 'incomplete'],
  ['{ a: 1, b: 2', 'incomplete'],
  ['{ a: 1,\n', 'incomplete'],
  ['function f() {\n  return 1', 'incomplete'],
  ['class A {', 'incomplete'],
  ['if (a)', 'incomplete'],
  ['try { a }', 'incomplete'],
  ['let x =', 'incomplete'],
  ['}', 'invalid'],
  ['foo(1 2', 'invalid'],
  ['let let = ]', 'invalid'],
  ["'abc", 'invalid'],
];

for (const [source, completeness] of both) {
  for (const language of ['javascript', 'typescript'] as const) {
    test(`${JSON.stringify(source)} is ${completeness} in ${language}`, async (t) => {
      await warmTypescript();
      t.is(isComplete(source, language), completeness);
    });
  }
}

test('a string that goes on over its line end is incomplete', (t) => {
  t.is(isComplete("'abc\\", 'javascript'), 'incomplete');
  t.is(isComplete("'abc\\\n", 'javascript'), 'incomplete');
});

test('types are no mistake in TypeScript and one in JavaScript', async (t) => {
  await warmTypescript();
  t.is(isComplete('let a: number = 5', 'typescript'), 'complete');
  t.is(isComplete('let a: number = {', 'typescript'), 'incomplete');
  t.is(isComplete('let a: number = 5', 'javascript'), 'invalid');
});
