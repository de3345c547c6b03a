import test from 'ava';
import { type CellError, prepare } from '../../../sandbox/javascript/prepare.ts';
import { cellError, offsetAt, positionAt } from '../../../sandbox/javascript/prepare-error.ts';

function errorOf(source: string): CellError {
  const preparation = prepare(source, { language: 'javascript', cellName: 'cell:1', constants: new Set() });
  if (preparation.ok) throw new Error(`accepted: ${preparation.cell.scripts.join()}`);
  return preparation.error;
}

const refused: readonly [source: string, message: string, line: number, column: number][] = [
  ['}', "Unexpected token '}'", 1, 1],
  ['1 2', 'Unexpected number', 1, 3],
  ['1 "a"', 'Unexpected string', 1, 3],
  ['a\nb c', "Unexpected identifier 'c'", 2, 3],
  ['a `b` 3 `c`', 'Unexpected number', 1, 7],
  ['foo(', 'Unexpected end of input', 1, 5],
  ['`abc', 'Unterminated template literal', 1, 2],
  ["'", 'Invalid or unexpected token', 1, 1],
  ['\0', 'Invalid or unexpected token', 1, 1],
  ['1 @', 'Invalid or unexpected token', 1, 3],
  ['return 1', 'Illegal return statement', 1, 1],
  ['let x; let x', "Identifier 'x' has already been declared", 1, 12],
  ['var k5 = 1; let k5 = 2', "Identifier 'k5' has already been declared", 1, 17],
  ['const a', 'Missing initializer in const declaration', 1, 8],
  ['const {a}', 'Missing initializer in destructuring declaration', 1, 10],
  ['let [a]', 'Missing initializer in destructuring declaration', 1, 8],
  ['1 = 2', 'Invalid left-hand side in assignment', 1, 1],
  ['function f() { await 1 }', 'await is only valid in async functions and at the top level of a cell', 1, 16],
  ['let b = 1\n  import x from "y"', 'Cannot use import statement: no modules can be loaded here', 2, 3],
  ['{ import x from "y" }', 'Cannot use import statement: no modules can be loaded here', 1, 3],
  ['export * from "y"', 'Cannot use export from: no modules can be loaded here', 1, 1],
  ['import.meta.url', "Cannot use 'import.meta' outside a module", 1, 1],
  ['new.target', 'new.target expression is not allowed here', 1, 1],
  ['"use strict"; with (a) b', 'Strict mode code may not include a with statement', 1, 15],
  ['})(); escaped = 1; (async () => {', "Unexpected token '}'", 1, 1],
  ['await 1; })(); escaped = 1; (async () => {', "Unexpected token '}'", 1, 10],
  ['}; escaped = 1; {', "Unexpected token '}'", 1, 1],
  ['#!\n1 2', 'Unexpected number', 2, 3],
  ['{ a: 1, b: }', "Unexpected token '}'", 1, 12],
];

for (const [source, message, line, column] of refused) {
  test(`${JSON.stringify(source)} is refused: ${message}`, (t) => {
    const { frame, ...error } = errorOf(source);
    t.deepEqual(error, { name: 'SyntaxError', message, line, column });
    t.true(frame.endsWith('^'));
  });
}

test('source too deeply nested is refused, however it nests', (t) => {
  const deep = 200_000;
  for (const source of [
    '['.repeat(deep),
    `${'1+'.repeat(deep)}1`,
    `${'(a=>'.repeat(deep)}`,
    `${'{'.repeat(deep)}`,
    `${'if(a);else '.repeat(deep)};await 1`,
  ]) {
    t.is(errorOf(source).message, 'The code is nested too deeply', source.slice(0, 20));
  }
});

test('a frame shows the line with a caret under the place', (t) => {
  t.is(cellError('a\n\tb c\nd', 5, 'm').frame, '\tb c\n\t  ^');
});

test('a frame of a long line shows the part around the caret', (t) => {
  const { frame, column } = cellError(`${'a'.repeat(1000)}!${'b'.repeat(1000)}`, 1000, 'm');
  const [shown = '', caret = ''] = frame.split('\n');
  t.is(column, 1001);
  t.is(shown.length, 120);
  t.is(shown[caret.indexOf('^')], '!');
});

test('positions and offsets turn into each other over every kind of line end', (t) => {
  const text = 'ab\ncd\r\nef\rgh\u2028ij\u2029kl';
  for (let offset = 0; offset <= text.length; offset += 1) {
    if (text[offset] === '\n' && text[offset - 1] === '\r') continue;
    t.is(offsetAt(text, positionAt(text, offset)), offset);
  }
});
