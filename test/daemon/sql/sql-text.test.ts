import test from 'ava';
import { leadingKeyword, skipBlank } from '../../../daemon/sql/sql-text.ts';

for (const [sql, nested, flat] of [
  ['select 1', 'SELECT', 'SELECT'],
  [' \t\r\n\f\v;; -- a\n/* b */Drop table t', 'DROP', 'DROP'],
  ['(select 1)', '(', '('],
  ['/* /* */ commit */ select 1', 'SELECT', 'COMMIT'],
  ['/* /* */ select 1', '', 'SELECT'],
  ['-- a\rcommit', 'COMMIT', 'COMMIT'],
  ['/*/ commit */ select 1', 'SELECT', 'SELECT'],
  ['"commit"', '"', '"'],
  ['U&"x"', 'U', 'U'],
  ['\u00a0select', '\u00a0', '\u00a0'],
  ['', '', ''],
  ['/* open', '', ''],
  ['-', '-', '-'],
] as const) {
  test(`the first word of ${JSON.stringify(sql)} is ${JSON.stringify(nested)}`, (t) => {
    t.is(leadingKeyword(sql, { nested: true }), nested);
    t.is(leadingKeyword(sql, { nested: false }), flat);
  });
}

test('what is blank ends where something begins', (t) => {
  t.is(skipBlank(' ; x', { nested: false }), 3);
  t.is(skipBlank(' -- x', { nested: false }), 5);
});
