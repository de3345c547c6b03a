/** The checkpoints of one session: places that it can be taken back to, by name. */
import { randomBytes } from 'node:crypto';
import type { CheckpointInfo } from '../../client/protocol.ts';
import type { MarkRecord } from '../durability/journal-records.ts';
import { Fault } from '../fault.ts';
import type { CellQueue } from './cell-queue.ts';
import type { IsolateKeeper } from './isolate-keeper.ts';
import type { SessionLife } from './session-life.ts';
import { SESSION_LIMITS } from './session-limits.ts';

export interface CheckpointPowers {
  readonly cells: Pick<CellQueue, 'unended' | 'cells'>;
  readonly keeper: Pick<
    IsolateKeeper,
    'marks' | 'returnTo' | 'open' | 'caughtUp' | 'settled' | 'sleep' | 'torn' | 'isolate'
  >;
  readonly life: Pick<SessionLife, 'mark'>;
  readonly committed: () => Promise<void>;
}

/** Hosts that may die one after another under the same request. */
const ATTEMPTS_MAX = 4;

export class SessionCheckpoints {
  readonly #powers: CheckpointPowers;

  constructor(powers: CheckpointPowers) {
    this.#powers = powers;
  }

  list(): readonly CheckpointInfo[] {
    return this.#powers.keeper.marks.map(infoOf);
  }

  /** Fails with BUSY while cells run or wait, and at the cap; with SESSION_LOST where the state of now cannot be had again. */
  async create(name = `cp_${randomBytes(6).toString('base64url')}`): Promise<CheckpointInfo> {
    const { keeper, cells, life, committed } = this.#powers;
    await this.#quiet('checkpoint.create');
    await keeper.sleep.secure();
    const { torn } = keeper;
    if (torn !== undefined)
      throw new Fault(
        'SESSION_LOST',
        `The session of now cannot be made again: ${torn}. Reset it, or return to an earlier checkpoint.`,
      );
    const others = keeper.marks.filter((mark) => mark.name !== name);
    if (others.length >= SESSION_LIMITS.checkpointsMax)
      throw new Fault('BUSY', `A session may have at most ${SESSION_LIMITS.checkpointsMax} checkpoints.`);
    const mark = life.mark(name, cells.cells);
    await committed();
    return infoOf(mark);
  }

  /** Fails with INVALID_PARAMS where there is none of that name, and BUSY while cells run or wait. */
  async restore(name: string): Promise<void> {
    await this.#quiet('checkpoint.restore');
    await this.#powers.keeper.returnTo(name);
    await this.#powers.committed();
  }

  /** What the isolate has lived through is all told, and nothing runs. */
  async #quiet(method: string): Promise<void> {
    const { keeper, cells } = this.#powers;
    const assertIdle = (): void => {
      if (cells.unended.length > 0) throw new Fault('BUSY', `${method}: a cell of the session is running or waiting.`);
    };
    assertIdle();
    keeper.open();
    for (let attempts = 1; ; attempts++) {
      await keeper.caughtUp();
      try {
        await keeper.settled();
        break;
      } catch (error) {
        // Its host died meanwhile. Where the isolate is being made again, nothing is lost.
        if (attempts >= ATTEMPTS_MAX || !keeper.isolate.isOpen) throw error;
      }
    }
    assertIdle();
  }
}

function infoOf({ name, cell, atMs }: MarkRecord): CheckpointInfo {
  return { name, cell, createdAt: new Date(atMs).toISOString() };
}
