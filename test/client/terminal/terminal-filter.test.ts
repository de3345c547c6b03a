import test from 'ava';
import * as fc from 'fast-check';
import { plainText, TerminalFilter } from '../../../client/terminal/terminal-filter.ts';

const coloured = (...pieces: string[]): string => {
  const filter = new TerminalFilter({ colours: true });
  return pieces.map((piece) => filter.filter(piece)).join('');
};

for (const [what, attack, left] of [
  ['the clipboard (OSC 52)', 'a\x1b]52;c;ZXZpbA==\x07b', 'ab'],
  ['the clipboard in 8-bit form', 'a\x9d52;c;ZXZpbA==\x9cb', 'ab'],
  ['the title, ended by ST', 'a\x1b]0;title\x1b\\b', 'ab'],
  ['a hyperlink', '\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\', 'text'],
  ['device control strings', 'a\x1bP$q"p\x1b\\b', 'ab'],
  ['cursor movement', 'a\x1b[2A\x1b[10Gb', 'ab'],
  ['clearing the screen in 8-bit form', 'a\x9b2Jb', 'ab'],
  ['a query that the terminal answers', 'a\x1b[6n\x1b[cb', 'ab'],
  ['private modes', 'a\x1b[?1049hb', 'ab'],
  ['character sets', 'a\x1b(0b', 'ab'],
  ['reset', 'a\x1bcb', 'ab'],
  ['carriage returns, backspaces, bells', 'safe\rev\x08il\x07', 'safeevil'],
  ['a sequence interrupted by another', 'a\x1b[3\x1b]0;x\x07b', 'ab'],
  ['an escape inside a string', 'a\x1b]0;x\x1b[2Jb', 'ab'],
  ['a private colour sequence', 'a\x1b[?31mb', 'ab'],
] as const) {
  test(`takes out ${what}`, (t) => {
    t.is(coloured(attack), left);
    t.is(plainText(attack), left);
    t.is(coloured(...attack), left, 'also when it comes one character at a time');
  });
}

test('lets newlines, tabs, any printable character and colours through, and puts colours back', (t) => {
  t.is(coloured('a\n\tπ 🎉 é\u2028'), 'a\n\tπ 🎉 é\u2028');
  const filter = new TerminalFilter({ colours: true });
  t.is(filter.filter('\x1b[1;31mred'), '\x1b[1;31mred');
  t.is(filter.end(), '\x1b[0m');
  t.is(filter.end(), '');
  t.is(plainText('\x1b[31mred\x1b[0m'), 'red');
});

test('a string without an end swallows its line, not everything after it', (t) => {
  t.is(coloured('a\x1b]0;never ended\nb'), 'a\nb');
});

test('whatever comes in, in whatever pieces, no control character but newline, tab and colours comes out', (t) => {
  const units = fc.constantFrom(
    '\x1b',
    '[',
    ']',
    'P',
    '\\',
    '\x07',
    '\x9b',
    '\x9d',
    '\x9c',
    '5',
    ';',
    '?',
    'm',
    'J',
    '\n',
    'x',
    '(',
    '\x7f',
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.array(units).map((parts) => parts.join(''))), (pieces) => {
        const out = coloured(...pieces);
        return (
          out === coloured(pieces.join('')) &&
          !/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(out.replaceAll(/\x1b\[[\d;:]*m/g, ''))
        );
      }),
      { numRuns: 2000 },
    ),
  );
});
