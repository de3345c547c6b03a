/**
 * The entries into one session's isolate: stamps each with its time and entropy, and keeps those that ran guest code until the
 * daemon is told of them.
 *
 * I1: an entry is told before anything that it caused, and in the order in which it was made.
 * I2: an entry that is not kept changes nothing that guest code can see: it brings neither time nor entropy.
 * I3: of a life that is made again nothing is told that the daemon knows already, and everything that is new.
 */
import type { EntryEnd, Isolate, Primitive } from '../isolate.ts';
import type { IsolateEntry, LifeRecord } from '../protocol.ts';

/** Entries that cause nothing are kept back; so many of them are told all the same. */
const KEPT_BACK_MAX = 256;

export interface EntriesPowers {
  nowMs(): number;
  /** The session is running code from now on, or no longer. */
  setActive(active: boolean): void;
  /** What was kept is to be told, though nothing else is. */
  tell(): void;
}

/** What a kept entry is about. */
export type Kept = Pick<IsolateEntry, 'op' | 'ref'>;

export class SessionEntries {
  readonly #isolate: Isolate;
  readonly #liveRandom: boolean;
  readonly #powers: EntriesPowers;
  #active = 0;
  #keptActive = 0;
  #made = 0;
  #nowMs = 0;
  #records: LifeRecord[] = [];
  /** The time and entropy of the next kept entry, while a lost isolate is rebuilt. */
  #given: { readonly nowMs: number; readonly entropy: string; readonly known: boolean } | undefined;
  #torn = false;

  constructor(isolate: Isolate, liveRandom: boolean, powers: EntriesPowers) {
    this.#isolate = isolate;
    this.#liveRandom = liveRandom;
    this.#powers = powers;
  }

  /** Entries that have not come to their end. */
  get active(): number {
    return this.#active;
  }

  /** Those of them that run guest code which a replay runs again: where one of them is ended in the middle, none comes to the same. */
  get keptActive(): number {
    return this.#keptActive;
  }

  /** Kept entries that were made after the opening. */
  get made(): number {
    return this.#made;
  }

  /** The time of the latest kept entry. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** @param kept undefined for an entry of the engine's own, which runs no guest code that matters */
  async enter(
    timeoutMs: number,
    [operation, ...args]: readonly [string, ...Primitive[]],
    kept?: Kept,
  ): Promise<EntryEnd> {
    const { nowMs, entropy } = kept === undefined ? { nowMs: 0, entropy: '' } : this.#stamp(kept);
    if (this.#active++ === 0) this.#powers.setActive(true);
    if (kept !== undefined) this.#keptActive++;
    const end = await this.#isolate.enter(timeoutMs, [operation, nowMs, entropy, ...args]);
    if (kept !== undefined) this.#keptActive--;
    if (--this.#active === 0) this.#powers.setActive(false);
    if (kept !== undefined && (end.end === 'timed-out' || end.end === 'terminated'))
      this.record({ op: 'torn', why: `code was ${end.end === 'timed-out' ? 'stopped at its time limit' : 'ended'}` });
    return end;
  }

  #stamp({ op, ref }: Kept): { readonly nowMs: number; readonly entropy: string } {
    const given = this.#given;
    this.#given = undefined;
    const fresh = this.#liveRandom ? crypto.getRandomValues(Buffer.alloc(16)).toString('hex') : '';
    const stamp =
      given === undefined
        ? { nowMs: Math.max(this.#nowMs, Math.floor(this.#powers.nowMs())), entropy: fresh }
        : { nowMs: given.nowMs, entropy: given.entropy };
    this.#nowMs = stamp.nowMs;
    if (op !== 'open') this.#made += 1;
    if (given?.known !== true) this.record({ op, ref, ...stamp });
    return stamp;
  }

  /** The next kept entry is to have this time and entropy; with `known`, the daemon has been told of it. */
  give({ nowMs, entropy }: Pick<IsolateEntry, 'nowMs' | 'entropy'>, known: boolean): void {
    this.#given = { nowMs, entropy, known };
  }

  /** Code was ended in the middle. */
  get torn(): boolean {
    return this.#torn;
  }

  record(record: LifeRecord): void {
    if (record.op === 'torn') this.#torn = true;
    if (this.#records.push(record) >= KEPT_BACK_MAX) this.#powers.tell();
  }

  /** What was kept since this was asked last. */
  take(): readonly LifeRecord[] {
    const records = this.#records;
    if (records.length > 0) this.#records = [];
    return records;
  }
}
