/**
 * Whose turn it is to enter an isolate. isolated-vm keeps threads for one entry more than the machine has cores; for each entry
 * beyond that it starts one and ends it, which costs several times what a short entry does. So only as many begin at once, and the
 * others wait until those have ended or turn out to be long.
 *
 * I1: turns begin in the order in which they were taken.
 * I2: a turn waits for short entries only. Where none ends, twice as many begin at each look as at the one before.
 */

/** How often entries are looked at while others wait: one that was there at two looks is long. */
const LOOK_MS = 2;

export interface Turn {
  readonly owner: object;
  readonly begin: () => unknown;
}

export class EntryTurns {
  readonly #atOnce: number;
  readonly #later: (look: () => void) => void;
  readonly #waiting: Turn[] = [];
  /** The short ones, as far as is known, with the number of looks before they began. */
  readonly #running = new Map<Turn, number>();
  #looks = 0;
  #looking = false;
  /** Whether one has ended since others wait for a look. */
  #ended = false;
  /** How many of the short ones may run now. */
  #allowed: number;

  constructor(atOnce: number, later: (look: () => void) => void = (look) => void setTimeout(look, LOOK_MS)) {
    this.#atOnce = this.#allowed = atOnce;
    this.#later = later;
  }

  /** @param begin is called when it is its turn, mostly from a microtask; must not throw */
  take(owner: object, begin: () => unknown): Turn {
    const turn = { owner, begin };
    this.#waiting.push(turn);
    this.#next();
    return turn;
  }

  /** The entry has ended, or is not wanted any more. */
  end(turn: Turn): void {
    if (this.#running.delete(turn)) this.#ended = true;
    else {
      const waits = this.#waiting.indexOf(turn);
      if (waits !== -1) this.#waiting.splice(waits, 1);
    }
    this.#next();
  }

  /** The turns of one owner begin now, whoever else is running. */
  hurry(owner: object): void {
    for (const turn of this.#waiting.filter((waits) => waits.owner === owner)) {
      this.#waiting.splice(this.#waiting.indexOf(turn), 1);
      turn.begin();
    }
  }

  #next(): void {
    while (this.#running.size < this.#allowed) {
      const turn = this.#waiting.shift();
      if (turn === undefined) break;
      this.#running.set(turn, this.#looks);
      queueMicrotask(turn.begin);
    }
    if (this.#waiting.length === 0) this.#allowed = this.#atOnce;
    else if (!this.#looking) this.#lookLater();
  }

  #lookLater(): void {
    this.#looking = true;
    this.#ended = false;
    this.#later(() => this.#look());
  }

  #look(): void {
    this.#looking = false;
    for (const [turn, looks] of this.#running) if (looks < this.#looks) this.#running.delete(turn);
    this.#looks++;
    this.#allowed = this.#ended ? this.#atOnce : this.#allowed * 2;
    this.#next();
  }
}
