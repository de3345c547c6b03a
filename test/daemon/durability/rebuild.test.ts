import test from 'ava';
import type { JournalRecord, Said } from '../../../daemon/durability/journal-records.ts';
import { rebuild } from '../../../daemon/durability/rebuild.ts';
import { NOTHING_SAID, type Rebuilt } from '../../../daemon/durability/rebuilt.ts';
import type { IsolateSpec, LifeRecord } from '../../../sandbox/protocol.ts';

const SPEC = { capabilities: ['a'], patient: [] } as unknown as IsolateSpec;
const BEGINNING: readonly JournalRecord[] = [
  { r: 'life', number: 1, spec: SPEC, used: [], once: [], secrets: [] },
  { r: 'lived', records: [{ op: 'open', ref: 0, nowMs: 1, entropy: '' }] },
];
const WHY = 'it was stopped';
const TORN: LifeRecord = { op: 'torn', why: WHY };

const run = (cell: number): LifeRecord => ({ op: 'run', ref: cell, nowMs: cell, entropy: '' });
const lived = (...records: LifeRecord[]): JournalRecord => ({ r: 'lived', records });
const said = (stdout: number): JournalRecord => ({ r: 'said', said: { ...NOTHING_SAID, stdout } satisfies Said });
/** A cell that ran to its end, in 100 ms of CPU time. */
const cell = (number: number, ...also: LifeRecord[]): JournalRecord[] => [
  { r: 'cell', cell: number, executionId: `e${number}`, source: `s${number}`, wallMs: 1000, rollback: false },
  lived(run(number), ...also),
  { r: 'ended', cell: number, pending: 0, cpuMs: 100 },
];
const image = (number: number): JournalRecord => ({ r: 'image', number });
const mark = (name: string): JournalRecord => ({ r: 'mark', name, cell: 0, atMs: 0 });
const back = (name: string): JournalRecord => ({ r: 'return', name });

const rebuilt = (records: readonly JournalRecord[], images: readonly number[] = []): Rebuilt =>
  rebuild([...BEGINNING, ...records], (number) => images.includes(number)) as Rebuilt;
const cellsAgain = ({ steps }: Rebuilt): number[] =>
  steps({ cpuMs: 1, outputBytes: 1 }).flatMap((step) => (step.op === 'run' ? [step.ref] : []));

test('a cell that was ended in the middle takes that with it when it is cut away', (t) => {
  const records = [...cell(1), ...cell(2, TORN)];
  t.is(rebuilt(records).torn, WHY);
  t.is(rebuilt([...records, { r: 'cut', cell: 2 }]).torn, undefined);
  t.is(rebuilt([...cell(1, TORN), ...cell(2), { r: 'cut', cell: 2 }]).torn, WHY);
});

test('from an image only what came after it is lived again, and nothing before it counts as torn', (t) => {
  const grant = { capabilities: ['a', 'b'], patient: ['b'], docs: [] };
  const granted: JournalRecord[] = [
    { r: 'grant', number: 1, grant },
    lived({ op: 'grant', ref: 1, nowMs: 1, entropy: '' }),
  ];
  const records = [...cell(1, TORN), said(5), ...granted, image(1), ...cell(2), said(8)];
  const from = rebuilt(records, [1]);
  t.deepEqual(cellsAgain(from), [2]);
  t.deepEqual([from.torn, from.cpuMs, from.said.stdout, from.saidBefore.stdout], [undefined, 100, 8, 5]);
  t.deepEqual(from.image, { number: 1, entries: 2, cells: [[1, 's1']], granted: grant });
  const without = rebuilt(records);
  t.deepEqual(cellsAgain(without), [1, 2]);
  t.deepEqual([without.torn, without.cpuMs, without.saidBefore.stdout], [WHY, 200, 0]);
  t.is(without.image, undefined);
  t.is(rebuilt([...records, ...cell(3, TORN)], [1]).torn, WHY);
});

test('what a live clock said before an image is not said again', (t) => {
  const reads = (text: string, entry: number): LifeRecord => ({ op: 'reads', reads: text, entry });
  const records = [...cell(1, reads('1,5;', 2)), image(1), ...cell(2, reads('1,6;', 3))];
  const readsOf = (of: Rebuilt) => of.steps({ cpuMs: 1, outputBytes: 1 }).find((step) => step.op === 'reads');
  t.deepEqual(readsOf(rebuilt(records, [1])), { op: 'reads', reads: '1,6;' });
  t.deepEqual(readsOf(rebuilt(records)), { op: 'reads', reads: '1,5;1,6;' });
});

test('who returns to a mark goes on from the image of before it', (t) => {
  const records = [...cell(1), image(1), mark('one'), ...cell(2), image(2), mark('two'), ...cell(3, TORN), image(3)];
  const whole = rebuilt(records, [1, 2, 3]);
  t.deepEqual(
    whole.marks.map(({ mark: { name }, image: number }) => [name, number]),
    [
      ['one', 1],
      ['two', 2],
    ],
  );
  t.is(whole.image?.number, 3);
  t.is(whole.last.image, 3);
  const two = rebuilt([...records, back('two')], [1, 2, 3]);
  t.deepEqual([two.image?.number, cellsAgain(two), two.torn], [2, [], undefined]);
  const one = rebuilt([...records, back('one'), ...cell(4)], [1, 2, 3]);
  t.deepEqual([one.image?.number, cellsAgain(one), one.cpuMs], [1, [4], 100]);
  const first = rebuilt([...records, back('two')], [1]);
  t.deepEqual([first.image?.number, cellsAgain(first)], [1, [2]]);
  t.deepEqual(cellsAgain(rebuilt([...records, back('two')])), [1, 2]);
});
