import test from 'ava';
import { jsonOfText } from '../../../daemon/sql/postgres-values.ts';

const [INT8, BYTEA, TIMESTAMPTZ, JSONB] = [20, 17, 1184, 3802];

for (const [type, text, value] of [
  [INT8, '9007199254740991', 9007199254740991],
  [INT8, '9007199254740992', '9007199254740992'],
  [INT8, '-9223372036854775808', '-9223372036854775808'],
  [BYTEA, '\\x00ff', { base64: 'AP8=' }],
  [BYTEA, 'escape\\000', 'escape\\000'],
  [TIMESTAMPTZ, '2026-01-02 03:04:05.6+00', '2026-01-02T03:04:05.6Z'],
  [TIMESTAMPTZ, '2026-01-02 03:04:05+02', '2026-01-02T03:04:05+02'],
  [TIMESTAMPTZ, 'infinity', 'infinity'],
  [TIMESTAMPTZ, '0044-03-15 00:00:00+00 BC', '0044-03-15T00:00:00+00 BC'],
  [
    JSONB,
    '{"a": [1, 1.5, "x", null], "n": 12345678901234567890}',
    { a: [1, 1.5, 'x', null], n: '12345678901234567890' },
  ],
  [JSONB, `${'['.repeat(100)}${']'.repeat(100)}`, JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`)],
  [JSONB, `${'['.repeat(101)}${']'.repeat(101)}`, `${'['.repeat(101)}${']'.repeat(101)}`],
  [JSONB, `"${'[\\"'.repeat(200)}"`, '["'.repeat(200)],
] as const) {
  test(`type ${type}: ${text.slice(0, 60)} (${text.length} characters) comes as JSON data without loss`, (t) => {
    t.deepEqual(jsonOfText(type, text), value);
  });
}
