/**
 * Ends a daemon, or its hosts, in the middle of what it writes: a module that is loaded before it watches the statements that it
 * gives SQLite. The product knows nothing of this.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** A statement that is waited for. */
export interface Moment {
  /** What the statement begins with. */
  readonly sql: string;
  /** What one of its parameters holds. */
  readonly holds?: string;
  /** The so-manieth such statement from here on; the first where it is not said. */
  readonly nth?: number;
  /**
   * What happens then; `pass` only goes on to the next moment of the list. `refuse`: every such statement fails, as on a full disk,
   * until something else is planned.
   */
  readonly then: 'die-before' | 'die-after' | 'hosts-before' | 'hosts-after' | 'refuse' | 'pass';
}

const module = (file: string): string => `
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync, StatementSync } from 'node:sqlite';

const file = ${JSON.stringify(file)};
let seen = 0;
let moments = JSON.parse(readFileSync(file, 'utf8'));
const next = () => {
  seen = 0;
  moments = moments.slice(1);
  writeFileSync(file, JSON.stringify(moments));
};
const die = () => {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
};
const killHosts = () => {
  const children = readFileSync('/proc/' + process.pid + '/task/' + process.pid + '/children', 'utf8');
  for (const pid of children.split(' ').filter((pid) => pid !== ''))
    if (readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('sandbox')) process.kill(Number(pid), 'SIGKILL');
};
const isNow = (sql, args) => {
  if (moments.length === 0) moments = JSON.parse(readFileSync(file, 'utf8'));
  const [moment] = moments;
  if (moment === undefined || !sql.startsWith(moment.sql)) return false;
  if (moment.holds !== undefined && !args.some((arg) => String(arg).includes(moment.holds))) return false;
  return moment.then === 'refuse' || ++seen >= (moment.nth ?? 1);
};
const watched = (original, sqlOf) =>
  function (...args) {
    if (!isNow(sqlOf(this, args), args)) return original.apply(this, args);
    const { then } = moments[0];
    if (then === 'refuse') {
      moments = JSON.parse(readFileSync(file, 'utf8'));
      if (moments[0]?.then === 'refuse') throw new Error('database or disk is full');
      return original.apply(this, args);
    }
    next();
    if (then === 'die-before') die();
    if (then === 'hosts-before') killHosts();
    const result = original.apply(this, args);
    if (then === 'die-after') die();
    if (then === 'hosts-after') killHosts();
    return result;
  };
StatementSync.prototype.run = watched(StatementSync.prototype.run, (statement) => statement.sourceSQL);
DatabaseSync.prototype.exec = watched(DatabaseSync.prototype.exec, (_, [sql]) => String(sql));
`;

export class Moments {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pyrepl3-moments-'));
  readonly #file = join(this.#folder, 'moments.json');
  /** For the daemon, to be loaded before it. */
  readonly preload = join(this.#folder, 'moments.mjs');

  constructor(t: Pick<ExecutionContext, 'teardown'>) {
    t.teardown(() => rmSync(this.#folder, { recursive: true, force: true }));
    this.plan([]);
    writeFileSync(this.preload, module(this.#file));
  }

  /** Each moment is waited for once the one before it has come. */
  plan(moments: readonly Moment[]): void {
    writeFileSync(this.#file, JSON.stringify(moments));
  }

  /** What has not come yet. */
  get left(): readonly Moment[] {
    return JSON.parse(readFileSync(this.#file, 'utf8')) as Moment[];
  }
}

const ADD = 'INSERT INTO log ';
const REMOVE = 'DELETE FROM log ';

/** The moment before that one that is not to be missed, and the commit after it. */
const committing = (moment: Omit<Moment, 'then'>, then: Moment['then']): readonly Moment[] => [
  { ...moment, then: 'pass' },
  { sql: 'COMMIT', then },
];

/** All that can be ended in the middle, each as it is ended. */
export const MOMENTS: readonly (readonly [title: string, moments: readonly Moment[]])[] = [
  ['before a row of the journal is written', [{ sql: ADD, nth: 30, then: 'die-before' }]],
  ['after a row of the journal was written, in its transaction', [{ sql: ADD, nth: 25, then: 'die-after' }]],
  ['before a commit', [{ sql: 'COMMIT', nth: 40, then: 'die-before' }]],
  ['after a commit, before anybody is told', [{ sql: 'COMMIT', nth: 35, then: 'die-after' }]],
  [
    'at one commit after another',
    [10, 7, 9, 8, 6].map((nth, index) => ({ sql: 'COMMIT', nth, then: index % 2 === 0 ? 'die-before' : 'die-after' })),
  ],
  ['before a checkpoint is committed', committing({ sql: ADD, holds: '"r":"mark"' }, 'die-before')],
  ['after a checkpoint was committed', committing({ sql: ADD, holds: '"r":"mark"' }, 'die-after')],
  ['before a return to a checkpoint is committed', committing({ sql: ADD, holds: '"r":"return"' }, 'die-before')],
  ['after a return to a checkpoint was committed', committing({ sql: ADD, holds: '"r":"return"' }, 'die-after')],
  ['before it is committed that a session sleeps', committing({ sql: 'UPDATE session SET asleep' }, 'die-before')],
  ['after it was committed that a session sleeps', committing({ sql: 'UPDATE session SET asleep' }, 'die-after')],
  ['before a compaction begins', [{ sql: REMOVE, then: 'die-before' }]],
  ['in the middle of a compaction', [{ sql: REMOVE, nth: 200, then: 'die-after' }]],
  [
    'in a compaction, before the row that takes the place of all',
    [
      { sql: REMOVE, then: 'pass' },
      { sql: ADD, then: 'die-before' },
    ],
  ],
  ['before a compaction is committed', committing({ sql: REMOVE }, 'die-before')],
  ['after a compaction was committed', committing({ sql: REMOVE }, 'die-after')],
];

/** Hosts know nothing of the journal; what they lose with it is what they had not told. */
export const HOST_MOMENTS: typeof MOMENTS = [
  ['before a commit', [{ sql: 'COMMIT', nth: 40, then: 'hosts-before' }]],
  ['before a checkpoint is committed', committing({ sql: ADD, holds: '"r":"mark"' }, 'hosts-before')],
  ['after a return to a checkpoint was committed', committing({ sql: ADD, holds: '"r":"return"' }, 'hosts-after')],
  ['in the middle of a compaction', [{ sql: REMOVE, nth: 200, then: 'hosts-after' }]],
];
