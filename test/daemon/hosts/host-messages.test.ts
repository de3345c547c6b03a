import test from 'ava';
import fc from 'fast-check';
import { parseHostMessages } from '../../../daemon/hosts/host-messages.ts';

const isolate = 'a'.repeat(32);
const usage = { cpuMs: 0.5, wallMs: 1, heapBytes: 1000, stateful: true, pending: 0 };
const error = { code: 'RUNTIME_ERROR', name: 'Error', message: 'm', stack: '' };
const deepCause = (depth: number): object => (depth === 0 ? error : { ...error, cause: deepCause(depth - 1) });

const good: readonly Record<string, unknown>[] = [
  { kind: 'host.ready', v8: '14' },
  { kind: 'host.pong', id: 0 },
  { kind: 'host.doomed', isolate: null, by: 'memory', message: 'm' },
  { kind: 'host.doomed', isolate, by: 'stuck', message: 'm' },
  { kind: 'isolate.lost', isolate, by: 'memory', message: 'm' },
  { kind: 'cell.done', isolate, cell: 1, outcome: { status: 'value', json: '1' }, usage },
  { kind: 'cell.done', isolate, cell: 1, outcome: { status: 'preview', type: 'Map', text: 'Map(0) {}' }, usage },
  { kind: 'cell.done', isolate, cell: 1, outcome: { status: 'stopped', by: 'wall' }, usage },
  { kind: 'cell.done', isolate, cell: 1, outcome: { status: 'error', error: deepCause(8) }, usage },
  {
    kind: 'cell.done',
    isolate,
    cell: 1,
    outcome: {
      status: 'error',
      error: { ...error, errors: [error], line: 1, column: 2, frame: 'f', capability: 'input', thrownType: 'object' },
    },
    usage,
  },
  { kind: 'output', isolate, cell: null, stream: 'stderr', text: '' },
  { kind: 'output.truncated', isolate, cell: 3 },
  { kind: 'display', isolate, cell: 3, dataJson: '{}' },
  { kind: 'log', isolate, cell: 3, level: 'info', text: 't' },
  { kind: 'call', isolate, cell: 3, origin: 2, call: 1, name: 'input', argsJson: '[]' },
  { kind: 'denied', isolate, cell: null, name: 'hash' },
  {
    kind: 'isolate.lived',
    isolate,
    records: [
      { op: 'open', ref: 0, nowMs: 1, entropy: '' },
      { op: 'reads', reads: '1,5;', entry: 1 },
      { op: 'torn', why: 'w' },
    ],
  },
  { kind: 'isolate.replayed', isolate, problem: null },
  { kind: 'isolate.replayed', isolate, problem: 'p' },
  { kind: 'refusal', isolate, id: 1, code: 'TIMED_OUT', message: 'm' },
  {
    kind: 'answer',
    isolate,
    id: 1,
    answer: { about: 'namespace.list', names: [{ name: 'a', kind: 'let', type: 'number', preview: '1' }] },
  },
  { kind: 'answer', isolate, id: 1, answer: { about: 'namespace.get', found: false } },
  {
    kind: 'answer',
    isolate,
    id: 1,
    answer: { about: 'namespace.get', found: true, outcome: { status: 'value', json: '1' } },
  },
  { kind: 'answer', isolate, id: 1, answer: { about: 'namespace.set', names: ['a'] } },
  { kind: 'answer', isolate, id: 1, answer: { about: 'namespace.delete', names: [] } },
  { kind: 'answer', isolate, id: 1, answer: { about: 'complete', matches: ['a'], start: 0, end: 1 } },
  { kind: 'answer', isolate, id: 1, answer: { about: 'inspect', found: true, text: 't' } },
  { kind: 'answer', isolate, id: 1, answer: { about: 'isComplete', status: 'complete' } },
  { kind: 'answer', isolate, id: 1, answer: { about: 'pending', timers: 0, entered: false } },
];

for (const [index, message] of good.entries()) {
  test(`accepts message ${index + 1}, ${JSON.stringify(message).slice(0, 120)}, and refuses it without any of its fields`, (t) => {
    t.deepEqual(parseHostMessages([message]), [message] as never);
    for (const field of Object.keys(message)) {
      const { [field]: _, ...rest } = message;
      t.throws(() => parseHostMessages([rest]), { name: 'HostMessageError' }, field);
      for (const wrong of [Number.NaN, -1, 1.5, {}, [], true, 'x'.repeat(70_000), undefined])
        if (
          !(field === 'text' || field === 'dataJson' || field === 'argsJson' || field === 'message') ||
          typeof wrong !== 'string'
        )
          t.throws(
            () => parseHostMessages([{ ...message, [field]: wrong }]),
            undefined,
            `${field}: ${String(wrong).slice(0, 9)}`,
          );
    }
  });
}

test('refuses errors nested deeper, and more of them at once, than a host may send', (t) => {
  const done = (report: object) => [
    { kind: 'cell.done', isolate, cell: 1, outcome: { status: 'error', error: report }, usage },
  ];
  t.notThrows(() => parseHostMessages(done(deepCause(8))));
  t.throws(() => parseHostMessages(done(deepCause(9))));
  t.throws(() => parseHostMessages(done({ ...error, errors: Array(11).fill(error) })));
  t.throws(
    () => parseHostMessages(done({ ...error, code: 'INTERNAL' })),
    undefined,
    'a code of the daemon is not the guest to give',
  );
});

test('refuses texts and batches above their caps', (t) => {
  t.throws(() =>
    parseHostMessages([{ kind: 'output', isolate, cell: 1, stream: 'stdout', text: 'x'.repeat(64 * 1024 * 1024 + 1) }]),
  );
  t.throws(() => parseHostMessages(Array(100_001).fill({ kind: 'host.pong', id: 1 })));
});

test('whatever a host sends is accepted whole or refused as what it is', (t) => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true }), (value) => {
      for (const batch of [value, [value]]) {
        try {
          t.is(parseHostMessages(batch), batch as never);
        } catch (refusal) {
          t.is((refusal as Error).name, 'HostMessageError');
        }
      }
    }),
  );
});
