/**
 * The journals of the sessions that this daemon owns, where every daemon of its group can read them: one shared log a session.
 *
 * I1: what the store has committed is handed on in the order in which it was; `flush` resolves once all of it is there.
 * I2: of a session that another daemon has taken over nothing is written any more, and it is told once.
 */
import type { JournalChange, StoredImage, StoredSession } from './journal-records.ts';
import type { SharedLogParts } from './log-places.ts';
import { SharedLog } from './shared-log.ts';

/** Logs that are written at once. */
const LANES = 16;

/** What the log of a session says of it. */
export interface SharedSession {
  readonly state: StoredSession;
  /** Since when nothing of it is under way; null where something may be. */
  readonly asleepMs: number | null;
  /** As they stand in the journal, oldest first. */
  readonly rows: readonly string[];
  readonly images: readonly StoredImage[];
}

interface SharedJournalsParts extends SharedLogParts {
  readonly log: (line: string) => void;
}

/** As it stands in the log, as JSON: what happened in a commit. */
type Written = readonly ('removed' | StateWritten | { readonly row: string })[];
/** With `images`, these are what has changed: daemons of before there were any take it for what it says besides. */
type StateWritten = {
  readonly state: StoredSession;
  readonly asleepMs: number | null;
  readonly images?: Omit<Extract<JournalChange, { kind: 'images' }>, 'kind' | 'sessionId'>;
};

interface Journal {
  readonly log: SharedLog;
  /** The newest that was written: the log may begin anew with it. */
  state: StateWritten | undefined;
}

export class SharedJournals {
  readonly #parts: SharedJournalsParts;
  readonly #journals = new Map<string, Journal>();
  /** What is still to be appended, by session. */
  #added = new Map<string, JournalChange[]>();
  /** Sessions whose logs are not written to their ends: looked through with every flush, unlike all that there are. */
  readonly #behind = new Set<string>();
  #lost: (sessionId: string) => void = () => undefined;

  constructor(parts: SharedJournalsParts) {
    this.#parts = parts;
  }

  /** @param told of each session that another daemon is found to have taken over */
  onLost(told: (sessionId: string) => void): void {
    this.#lost = told;
  }

  /** The session is made here: its log begins with what is added of it. */
  begin(sessionId: string): void {
    this.#journals.set(sessionId, { log: new SharedLog(this.#parts, sessionId), state: undefined });
  }

  /** What is known of a session that was another daemon's, which writes nothing of it from now on; null where it is no more. */
  async takeOver(sessionId: string): Promise<SharedSession | null> {
    const taken = await SharedLog.takeOver(this.#parts, sessionId);
    if (taken === null) return null;
    const { log, texts } = taken;
    let state: StateWritten | undefined;
    const rows: string[] = [];
    let images: StoredImage[] = [];
    for (const change of texts.flatMap((text) => JSON.parse(text) as Written)) {
      if (change === 'removed') return null;
      if ('row' in change) rows.push(change.row);
      else {
        state = stateOf(change);
        const changed = change.images;
        if (changed === undefined) continue;
        images = images.filter(({ number }) => changed.kept.includes(number));
        if (changed.added !== undefined) images.push(changed.added);
      }
    }
    if (state === undefined) return null;
    this.#journals.set(sessionId, { log, state });
    return { ...state, rows, images };
  }

  /** Nothing is written of the session any more: it is not ours. */
  forget(sessionId: string): void {
    this.#journals.delete(sessionId);
    this.#added.delete(sessionId);
    this.#behind.delete(sessionId);
  }

  // --- what the store hands on ---------------------------------------------------------------------------------------

  add(change: JournalChange): void {
    if (!this.#journals.has(change.sessionId)) return;
    const added = this.#added.get(change.sessionId);
    if (added === undefined) this.#added.set(change.sessionId, [change]);
    else added.push(change);
  }

  /** Fails with UNAVAILABLE where the server cannot be reached; what is not there yet is written by the next flush. */
  async flush(): Promise<void> {
    const added = this.#added;
    this.#added = new Map();
    for (const [sessionId, changes] of added) {
      this.#append(sessionId, changes);
      this.#behind.add(sessionId);
    }
    const sessions = [...this.#behind];
    const failures: unknown[] = [];
    const lane = async (): Promise<void> => {
      for (let next = sessions.pop(); next !== undefined; next = sessions.pop())
        await this.#flush(next).catch((error) => failures.push(error));
    };
    await Promise.all(Array.from({ length: Math.min(LANES, sessions.length) }, lane));
    if (failures.length > 0) throw failures[0];
  }

  #append(sessionId: string, changes: readonly JournalChange[]): void {
    const journal = this.#journals.get(sessionId);
    if (journal === undefined) return;
    const written: Written[number][] = [];
    // What came before is part of what is put in its place.
    const whole = changes.findLastIndex(({ kind }) => kind === 'whole');
    for (const [index, change] of changes.entries()) {
      if (change.kind === 'state') journal.state = stateOf(change);
      if (index > whole) written.push(...writtenOf(change, journal.state));
    }
    const first = changes[whole];
    if (first?.kind !== 'whole' || journal.state === undefined) journal.log.append(JSON.stringify(written));
    else {
      const text: Written = [journal.state, { row: first.row }, ...written];
      journal.log.replaceAll([...imageTexts(first.images, journal.state), JSON.stringify(text)]);
    }
  }

  async #flush(sessionId: string): Promise<void> {
    const log = this.#journals.get(sessionId)?.log;
    await log?.flush();
    // It may have been closed, or taken over anew, meanwhile.
    if (log === undefined || this.#journals.get(sessionId)?.log !== log) return;
    this.#behind.delete(sessionId);
    if (log.lost) {
      this.forget(sessionId);
      this.#parts.log(`the session ${sessionId} was taken over by another daemon`);
      this.#lost(sessionId);
    }
  }

  /** The session was closed, and that is in its log: nobody needs it any more. */
  end(sessionId: string): void {
    const journal = this.#journals.get(sessionId);
    this.forget(sessionId);
    void journal?.log.end();
  }
}

const stateOf = ({ state, asleepMs }: StateWritten): StateWritten => ({ state, asleepMs });

/** Each image by itself: together they may be longer than a text can be. */
function imageTexts(images: readonly StoredImage[], state: StateWritten): string[] {
  return images.map((added, index) => {
    const kept = images.slice(0, index).map(({ number }) => number);
    return JSON.stringify([{ ...state, images: { kept, added } }] satisfies Written);
  });
}

function writtenOf(change: JournalChange, state: StateWritten | undefined): Written {
  switch (change.kind) {
    case 'state':
      return [stateOf(change)];
    case 'removed':
      return ['removed'];
    case 'images': {
      const { kept, added } = change;
      return state === undefined ? [] : [{ ...state, images: added === undefined ? { kept } : { kept, added } }];
    }
    default:
      return [{ row: change.row }];
  }
}
