import type { SendToHost } from './output.ts';

export interface LiveClock {
  /** Milliseconds since the epoch, whole: the machine's, or while a lost isolate is rebuilt, what the machine's said then. */
  nowMs(): number;
  /** A session begins. What was read before is nobody's, and is not told. */
  start(): void;
  /** An entry that is kept begins: what is read from now on is its own. */
  begin(): void;
  /** Tells the host what was read since it was told last. Comes before every message that could depend on it. */
  report(): void;
  /** What is read from now on, in the form of `report`; after it the clock is the machine's again. */
  replay(reads: string): void;
  /** How far it has come: what is reported from now on goes on from there. */
  state(): string;
  resume(state: string): void;
}

/**
 * A clock that moves, and whose readings can be repeated: they are kept as runs of readings that were alike, each the count of
 * them and the difference to the run before, `3,1700000000000;12,1;`. At most one run begins in a millisecond, however often the
 * clock is read.
 */
export function makeLiveClock(send: SendToHost): LiveClock {
  const native = Date.now;
  const { floor } = Math;
  const call = Function.prototype.call;
  const indexOf = call.bind(String.prototype.indexOf) as (text: string, part: string, from: number) => number;
  const slice = call.bind(String.prototype.slice) as (text: string, from: number, to?: number) => string;
  /** Characters of runs after which they are reported without waiting for a message. */
  const reportAt = 65_536;
  let started = false;
  let runs = '';
  let entry = 0;
  let count = 0;
  let value = 0;
  let before = 0;
  let recorded = '';
  let at = 0;
  let left = 0;
  let replayed = 0;

  function closeRun(): void {
    if (count === 0) return;
    runs += `${count},${value - before};`;
    before = value;
    count = 0;
  }
  function report(): void {
    closeRun();
    if (runs === '') return;
    const text = runs;
    runs = '';
    send('reads', text, entry);
  }
  /** The next recorded reading; undefined where there is none left. */
  function next(): number | undefined {
    while (left === 0) {
      if (at >= recorded.length) {
        recorded = '';
        at = 0;
        return undefined;
      }
      const comma = indexOf(recorded, ',', at);
      const end = indexOf(recorded, ';', comma);
      left = +slice(recorded, at, comma);
      replayed += +slice(recorded, comma + 1, end);
      at = end + 1;
    }
    left -= 1;
    return replayed;
  }

  return {
    nowMs() {
      if (recorded !== '') {
        const known = next();
        if (known !== undefined) {
          value = before = known;
          return known;
        }
      }
      const now = floor(native());
      if (!started) return now;
      if (now !== value) {
        closeRun();
        if (runs.length > reportAt) report();
        value = now;
      }
      count += 1;
      return now;
    },
    start() {
      started = true;
    },
    begin() {
      report();
      entry += 1;
    },
    report,
    replay(reads) {
      recorded = reads;
      at = left = 0;
      replayed = before;
    },
    state() {
      closeRun();
      return `${entry},${before}`;
    },
    resume(state) {
      const comma = indexOf(state, ',', 0);
      entry = +slice(state, 0, comma);
      value = before = +slice(state, comma + 1);
    },
  };
}
