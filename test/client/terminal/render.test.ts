import test from 'ava';
import { LANGUAGES, type Language } from '../../../client/protocol.ts';
import { highlight } from '../../../client/terminal/highlight.ts';
import { renderError, renderForRepl, renderForShell } from '../../../client/terminal/render.ts';
import { plainText } from '../../../client/terminal/terminal-filter.ts';

test('a preview is shown as its text, in the shell and in the REPL', (t) => {
  const map = { kind: 'preview', text: 'Map(1) { 1 => 2 }', type: 'Map' } as const;
  t.is(renderForShell(map, { pretty: false, language: 'javascript' }), 'Map(1) { 1 => 2 }');
  t.is(renderForRepl(map, { colours: false, language: 'javascript' }), 'Map(1) { 1 => 2 }');
});

test('the REPL shows strings in quotes and objects as Node does', (t) => {
  t.is(renderForRepl({ kind: 'json', json: 'a' }, { colours: false, language: 'javascript' }), "'a'");
  t.is(renderForRepl({ kind: 'json', json: { a: [1] } }, { colours: false, language: 'javascript' }), '{ a: [ 1 ] }');
  t.true(renderForRepl({ kind: 'json', json: 1 }, { colours: true, language: 'javascript' })?.includes('\x1b['));
  t.is(
    renderForRepl(
      { kind: 'preview', text: 'undefined', type: 'undefined' },
      { colours: false, language: 'javascript' },
    ),
    'undefined',
  );
});

test('an error is shown with its frame, its cause, and its code where its name does not say it', (t) => {
  const cause = { code: 'RUNTIME_ERROR', name: null, message: '7', stack: '' } as const;
  t.is(
    renderError({
      code: 'TIMED_OUT',
      name: 'Timeout',
      message: 'too long',
      stack: 'at f (cell:1:1:1)',
      frame: 'f()\n^',
      cause,
    }),
    'Timeout: too long [TIMED_OUT]\n    at f (cell:1:1:1)\nf()\n^\ncaused by: Uncaught 7',
  );
});

test('highlighting adds colours and nothing else, whatever the line', (t) => {
  for (const line of [
    'const a: number = `x${1}` // c',
    "'open",
    '/re/g.test("")',
    '<a>b</a>',
    'π + "🎉"',
    '',
    '   ',
    '}) => {',
    'async def f(x: "open) -> None:  # c',
    'f\'{x!r}\' r"""\\n',
  ]) {
    for (const language of LANGUAGES) t.is(plainText(highlight(line, language)), line);
  }
  t.true(highlight('const a', 'javascript').includes('\x1b['));
});

test('each language has its own keywords and comments', (t) => {
  const colours = (line: string, language: Language) => highlight(line, language).split('\x1b[').length - 1;
  t.true(colours('elif', 'python') > 0);
  t.is(colours('elif', 'javascript'), 0);
  t.is(highlight('# a "b"', 'python').indexOf('\x1b['), 0);
  t.is(colours('# a "b"', 'python'), 2);
});

test('of Python, None is not shown, and data looks as Python writes it', (t) => {
  const shown = (json: unknown) => renderForRepl({ kind: 'json', json }, { colours: false, language: 'python' });
  t.is(shown(null), null);
  t.is(renderForShell({ kind: 'json', json: null }, { pretty: false, language: 'python' }), null);
  t.is(
    renderForRepl({ kind: 'json', json: [1], text: '[1.0]' }, { colours: false, language: 'python' }),
    '[1.0]',
    'what JSON does not tell comes as text',
  );
  t.is(shown({ a: [1, 2.5, null, true, false] }), "{'a': [1, 2.5, None, True, False]}");
  t.is(shown("it's"), '"it\'s"');
  t.is(shown('a "b" \'c\'\n\x1b'), "'a \"b\" \\'c\\'\\n\\x1b'");
});

test('an error of Python has its traceback above it', (t) => {
  const stack = '  File "cell:1", line 1, in <module>\n    1/0\n    ~^~';
  const cause = { code: 'RUNTIME_ERROR', name: 'KeyError', message: '1', stack: '' } as const;
  t.is(
    renderError({
      code: 'RUNTIME_ERROR',
      name: 'ZeroDivisionError',
      message: 'division by zero',
      stack,
      frame: 'x',
      cause,
    }),
    `KeyError: 1\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n${stack}\nZeroDivisionError: division by zero`,
  );
  const line = '  File "cell:1", line 1\n    1 +\n       ^';
  t.is(
    renderError({ code: 'SYNTAX_ERROR', name: 'SyntaxError', message: 'invalid syntax', stack: line, frame: 'x' }),
    `${line}\nSyntaxError: invalid syntax`,
  );
});
