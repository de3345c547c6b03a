/** What random programs over crashes have found, one case each. */
import test from 'ava';
import { Lab, type Planned } from './_doomed-daemon.ts';
import { play } from './_played-program.ts';
import type { Cell, CellEnd } from './_random-program.ts';

const lab = new Lab();
test.after.always(() => lab.close());

const cell = (end: CellEnd, changes: Partial<Cell> = {}): Cell => ({
  statements: [],
  end,
  rollback: false,
  ...changes,
});
const strike = { do: 'call', effect: 'strike', to: 'a' } as const;

/** Cells are numbered from 0; one of the client's own comes before them. */
const CASES: readonly (readonly [title: string, cells: readonly Cell[], plan: readonly Planned[]])[] = [
  [
    'a cell that fails and is taken back is not run once more by a daemon that comes after its end',
    [cell('throw', { statements: [strike], rollback: true })],
    [{ what: 'kill', at: 'after cell.done', after: 2 }],
  ],
  [
    'a cell that is interrupted is ended, though its host dies before it hears of it',
    [cell('hang')],
    [{ what: 'hosts', at: 'to host cell.stop', after: 1 }],
  ],
  [
    'a cell that was interrupted is ended by the next daemon, and so is one behind it',
    [cell('hang'), cell('hang')],
    [
      { what: 'kill', at: 'to host cell.stop', after: 1 },
      { what: 'hosts', at: 'to host cell.stop', after: 2 },
    ],
  ],
  [
    'a call of a stopped cell, which could be made again, is not',
    [cell('value'), cell('hold')],
    [{ what: 'kill', at: 'ended ~1', after: 1 }],
  ],
  ['nobody is asked about a call of a stopped cell', [cell('hold')], [{ what: 'kill', at: 'ended ~0', after: 1 }]],
  [
    'a session is made again in a host that died while it was made again',
    [cell('value', { statements: [strike, { do: 'print' }, strike] })],
    [
      { what: 'kill', at: 'done 0.2', after: 1 },
      { what: 'hosts', at: 'after call', after: 1 },
      { what: 'kill', at: 'before call', after: 1 },
    ],
  ],
];

test.serial('a checkpoint is made, and gone back to, though hosts die that are asked for it', async (t) => {
  const cells = [cell('value', { statements: [strike] }), cell('value', { statements: [strike] })];
  const checkpoint = { madeAfter: 0, backAfter: 1 };
  const hosts = { what: 'hosts', at: 'to host ask', after: 1 } as const;
  const disturbed = { plan: [hosts, { ...hosts, after: 2 }], delays: [0] };
  t.deepEqual(await play(lab, { cells, ahead: false, live: false, checkpoint }, disturbed), []);
});

test.serial(
  'a session that is taken back to a checkpoint is not lost with the host that it has just left',
  async (t) => {
    const cells = [cell('value', { statements: [strike] }), cell('value')];
    const checkpoint = { madeAfter: 0, backAfter: 0 };
    // The second question is that of the going back: the host dies right before its isolate is given up.
    const plan = [{ what: 'hosts', at: 'after answer', after: 2 } as const];
    t.deepEqual(await play(lab, { cells, ahead: false, live: false, checkpoint }, { plan, delays: [0] }), []);
  },
);

for (const ahead of [false, true])
  for (const [title, cells, plan] of CASES)
    test.serial(`${title}${ahead ? ', where all cells were sent at once' : ''}`, async (t) => {
      t.deepEqual(await play(lab, { cells, ahead, live: false, checkpoint: null }, { plan, delays: [0, 1, 3] }), []);
    });
