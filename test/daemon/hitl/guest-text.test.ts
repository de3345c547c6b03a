import test from 'ava';
import fc from 'fast-check';
import { guestData, guestJson, guestText } from '../../../daemon/hitl/guest-text.ts';

/** Nothing that moves the cursor, reorders, hides or ends a line. */
const HARMLESS = /^[^\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]*$/u;

test('K07: bidirectional overrides, ANSI sequences and what cannot be seen are spelled out', (t) => {
  t.is(guestText('pay \u202e000,1$\u202c', 200), 'pay \\u{202e}000,1$\\u{202c}');
  t.is(guestText('\x1b[2J\x1b]52;c;ZXZpbA==\x07ok', 200), '\\u{1b}[2J\\u{1b}]52;c;ZXZpbA==\\u{7}ok');
  t.is(guestText('\x9b31m a\rb\tc\0', 200), '\\u{9b}31m a\\u{d}b\\u{9}c\\u{0}');
  t.is(guestText('a\u200bb\u2066c\ufeffd\u00ade', 200), 'a\\u{200b}b\\u{2066}c\\u{feff}d\\u{ad}e');
  t.is(
    guestText('\ue000\u{10ffff}\ud800\u3164\u2800\u00a0\u3000', 200),
    [...['\\u{e000}', '\\u{10ffff}', '\\u{d800}', '\\u{3164}', '\\u{2800}', '\\u{a0}', '\\u{3000}']].join(''),
  );
});

test('K07: newlines cannot forge a line, neither can what looks like the sign for one', (t) => {
  t.is(guestText('delete?\r\n\u2028status   approved', 200), 'delete?\\u{d}⏎\\u{2028}status   approved');
  t.is(guestText('a⏎b', 200), 'a\\u{23ce}b');
});

test('K07: letters that imitate Latin ones are spelled out beside Latin ones, and nowhere else', (t) => {
  t.is(guestText('pаypal.com', 200), 'p\\u{430}ypal.com');
  t.is(guestText('аdmin ρassword', 200), '\\u{430}dmin \\u{3c1}assword');
  t.is(guestText('Удалить файл? Διαγραφή 删除文件 ファイル', 200), 'Удалить файл? Διαγραφή 删除文件 ファイル');
});

test('K07: a heap of combining marks is cut down, and none is drawn on what the daemon wrote', (t) => {
  const text = guestText(`e${'\u0301'.repeat(40)}`, 1000);
  t.true(text.startsWith('e\u0301\u0301\u0301\\u{301}\\u{301}'));
  t.is(guestText('\u0301\n\u0301', 200), '\\u{301}⏎\\u{301}');
});

test('K07: HTML is text like any other', (t) => {
  t.is(guestText('<img src=x onerror=alert(1)>&amp;', 200), '<img src=x onerror=alert(1)>&amp;');
});

test('K07: a summary of 1 MB is cut, and what is missing is counted', (t) => {
  const text = guestText('x'.repeat(2 ** 20), 200);
  t.is(text, `${'x'.repeat(200)}… (1048376 characters more)`);
  t.is(guestText('x'.repeat(200), 200), 'x'.repeat(200));
  t.is(guestText('x'.repeat(201), 200), `${'x'.repeat(200)}… (1 characters more)`);
  t.is(guestText(`${'x'.repeat(199)}\n\n`, 200), `${'x'.repeat(199)}⏎… (1 characters more)`);
  t.is(guestText(`${'x'.repeat(198)}\x1b`, 200), `${'x'.repeat(198)}… (1 characters more)`);
});

test('any text becomes one harmless line of bounded length', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 1, max: 200 }), (text, charsMax) => {
      const shown = guestText(text, charsMax);
      return HARMLESS.test(shown) && shown.length <= charsMax + '… (300 characters more)'.length + 3;
    }),
  );
  t.pass();
});

test('two texts that differ are shown as different', (t) => {
  const tricky = fc.constantFrom(
    'a',
    'а',
    '\\',
    'u',
    '{',
    '}',
    '2',
    '0',
    'e',
    '\n',
    '⏎',
    '\u202e',
    '\u0301',
    ' ',
    '\u00a0',
  );
  const texts = fc.array(tricky, { maxLength: 12 }).map((characters) => characters.join(''));
  fc.assert(
    fc.property(texts, texts, (one, other) => one === other || guestText(one, 1000) !== guestText(other, 1000)),
    { numRuns: 2000 },
  );
  t.pass();
});

test('data is shown as JSON whose lines are the daemon’s own', (t) => {
  t.is(guestJson({ to: 'a\nb', sum: 1 }, 4000), '{\n  "to": "a\\nb",\n  "sum": 1\n}');
  t.is(guestJson('\u202e', 4000), '"\\u{202e}"');
  t.is(guestJson('\\u{202e}', 4000), '"\\\\u{202e}"');
  t.is(
    guestJson(
      Array.from({ length: 5000 }, () => 1),
      10,
    ),
    '[1,1,1,1,1… (9991 characters more)',
  );
});

test('data that is nested without end is shown without end of the daemon', (t) => {
  let nested: unknown = 0;
  for (let depth = 0; depth < 100_000; depth++) nested = [nested];
  t.is(guestJson(nested, 4000), '(nested too deeply to be shown)');
  t.is(guestData(nested, 4000), '(nested too deeply to be shown)');
  t.is(guestJson(JSON.parse('['.repeat(1000) + ']'.repeat(1000)), 20), `${'['.repeat(20)}… (1980 characters more)`);
});

test('arguments stay data with every name and text escaped, and none hides another', (t) => {
  t.deepEqual(guestData(['/a', { limit: 3, 'x\n': ['\u202e', null, true] }], 8192), [
    '/a',
    { limit: 3, 'x⏎': ['\\u{202e}', null, true] },
  ]);
  t.deepEqual(Object.keys(guestData({ '\u202e': 1, '\\u{202e}': 2 }, 8192) as object), ['\\u{202e}', '\\\\u{202e}']);
  const prototype = guestData(JSON.parse('{"__proto__": {"a": 1}}'), 8192) as object;
  t.is(JSON.stringify(prototype), '{"__proto__":{"a":1}}');
  t.is(guestData(['x'.repeat(100)], 20), `["${'x'.repeat(18)}… (84 characters more)`);
  t.is(typeof guestData(['\u202e'.repeat(4)], 20), 'string');
});
