import test from 'ava';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { encodeFields, RECORD_BYTES_MAX } from '../../../daemon/audit/audit-fields.ts';
import { parseRecord, sealRecord, ZERO_HASH } from '../../../daemon/audit/audit-record.ts';
import { type AuditKind, RECORD_KINDS, TEXT_LENGTH_MAX } from '../../../daemon/audit/audit-records.ts';
import { decision } from './audit-folder.ts';

const decoded = (kind: AuditKind, fields: Record<string, unknown>) => JSON.parse(encodeFields(kind, fields));
const argsOf = (args: unknown): unknown => decoded('capability.decision', { ...decision, args }).args;

/** Any value at all, as fields of any kind, as if callers had no types. */
const anything = fc.anything({ withBigInt: true, maxDepth: 12, withDate: true, withNullPrototype: true });
const anyText = fc.string({ unit: 'binary', maxLength: 6000 });
const anyRecord = fc
  .constantFrom(...(Object.keys(RECORD_KINDS) as AuditKind[]))
  .chain((kind) =>
    fc.tuple(
      fc.constant(kind),
      fc.record(
        Object.fromEntries(Object.keys(RECORD_KINDS[kind].fields).map((name) => [name, fc.oneof(anything, anyText)])),
      ),
    ),
  );

test('J13: what is written is RFC 8785 canonical JSON, whatever it is made of', (t) => {
  fc.assert(
    fc.property(anyRecord, ([kind, fields]) => {
      const json = encodeFields(kind, fields);
      return canonicalize(JSON.parse(json)) === json;
    }),
    { numRuns: 500 },
  );
  const reason = '\u{1f600}\ud800\0\u00e9e\u0301';
  t.is(
    encodeFields('session.closed', { sessionId: 'b', reason }),
    '{"reason":"\u{1f600}\ufffd\\u0000\u00e9e\u0301","sessionId":"b"}',
  );
  t.deepEqual(argsOf([-0, 1, 1e21, 0.1, Number.NaN, undefined, 2n ** 64n]), [
    0,
    1,
    1e21,
    0.1,
    null,
    null,
    '18446744073709551616',
  ]);
  t.deepEqual(Object.keys(argsOf({ '\u{1f600}': 1, '\ufb33': 2, a: 3 }) as object), ['a', '\u{1f600}', '\ufb33']);
});

test('J01: a record is one line of at most 16 KiB, whatever guest code put into it', (t) => {
  const line = (kind: AuditKind, fields: Record<string, unknown>) =>
    sealRecord({
      seq: Number.MAX_SAFE_INTEGER,
      at: '+275760-09-13T00:00:00.000Z',
      kind,
      fieldsJson: encodeFields(kind, fields),
      prev: ZERO_HASH,
    }).line;
  fc.assert(
    fc.property(anyRecord, ([kind, fields]) => {
      const text = line(kind, fields);
      return !/[\n\r]/.test(text) && Buffer.byteLength(text) < RECORD_BYTES_MAX && parseRecord(Buffer.from(text)).ok;
    }),
    { numRuns: 500 },
  );
  for (const unit of ['a', '\u0001', '\u4e2d', '\ud800', '"', 'x://u:p@']) {
    const long = unit.repeat(100_000);
    const nested = Array.from({ length: 200 }, () => ({ [long]: [long, long], [`${long}x`]: { long } }));
    for (const [kind, { fields }] of Object.entries(RECORD_KINDS)) {
      const worst = Object.entries(fields).map(([name, { type }]) => [name, type === 'text' ? long : nested]);
      t.true(
        Buffer.byteLength(line(kind as AuditKind, Object.fromEntries(worst))) < RECORD_BYTES_MAX,
        `${kind} of ${unit}`,
      );
    }
  }
});

test('J01: a text at its cap is whole; one past it is cut, and says by how much', (t) => {
  const reason = 'x'.repeat(TEXT_LENGTH_MAX);
  t.is(decoded('session.closed', { sessionId: 's', reason }).reason, reason);
  t.is(decoded('session.closed', { sessionId: 's', reason: `${reason}yz` }).reason, `${reason}… [2 more characters]`);
  t.is(
    decoded('session.closed', { sessionId: 's'.repeat(129), reason: '' }).sessionId,
    `${'s'.repeat(128)}… [1 more characters]`,
  );
  const items = argsOf(Array.from({ length: 100 }, (_, index) => index)) as unknown[];
  t.is(items.length, 65);
  t.is(items.at(-1), '[36 more]');
  t.is(Object.keys(argsOf(Object.fromEntries(items.map((_, index) => [`n${index}`, 1]))) as object).length, 65);
  let deep: unknown = 1;
  for (let depth = 0; depth < 10_000; depth++) deep = [deep];
  t.true(JSON.stringify(argsOf(deep)).includes('[too deep]'));
});

test('what a kind has no field for is not written', (t) => {
  t.deepEqual(decoded('session.closed', { sessionId: 's', reason: 'r', source: 'text of a cell' }), {
    sessionId: 's',
    reason: 'r',
  });
  t.deepEqual(decoded('execution.finished', { sessionId: 's', executionId: 'e', status: 'ok', code: undefined }), {
    sessionId: 's',
    executionId: 'e',
    status: 'ok',
  });
});

test('J10: credentials are taken out by the name of their field, and out of URLs', (t) => {
  t.deepEqual(
    argsOf([
      'https://ann:pw@example.com/a?token=abc&b=1',
      {
        headers: [
          ['Authorization', 'Bearer x'],
          ['accept', 'y'],
        ],
        Password: 1,
      },
    ]),
    [
      'https://[redacted]@example.com/a?token=[redacted]&b=1',
      {
        headers: [
          ['Authorization', '[redacted]'],
          ['accept', 'y'],
        ],
        Password: '[redacted]',
      },
    ],
  );
  t.is(
    decoded('session.closed', { sessionId: 's', reason: 'no wss://h/x?api_key=1#f' }).reason,
    'no wss://h/x?api_key=[redacted]#f',
  );
  t.deepEqual(argsOf(JSON.parse('{"__proto__":{"cookie":"a"}}')), JSON.parse('{"__proto__":{"cookie":"[redacted]"}}'));
});
