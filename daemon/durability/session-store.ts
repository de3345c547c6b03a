/** The sessions in the durable store: made, listed and found again. */
import type { StatementSync } from 'node:sqlite';
import { Fault } from '../fault.ts';
import type { DurableStore } from './durable-store.ts';
import type { StoredSession } from './journal-records.ts';
import { SessionJournal, type SessionJournalParts } from './session-journal.ts';
import type { SharedSession } from './shared-journals.ts';

/** Prepared once for all journals. */
export interface JournalStatements {
  readonly add: StatementSync;
  readonly find: StatementSync;
  readonly remove: StatementSync;
  readonly update: StatementSync;
  readonly removeSession: StatementSync;
  readonly setAsleep: StatementSync;
  readonly addImage: StatementSync;
  readonly findImage: StatementSync;
  readonly images: StatementSync;
  readonly removeImage: StatementSync;
  readonly removeImages: StatementSync;
}

/** The numbers of the rows of the log. */
export interface LogNumbers {
  /** The next one, which is that session's newest. */
  next(session: number): number;
  /** The session is no more. */
  forget(session: number): void;
}

export interface FoundSession {
  readonly state: StoredSession;
  /** Since when nothing of it is under way; null where something may be. */
  readonly asleepMs: number | null;
  readonly journal: SessionJournal;
}

const NOT_OURS = new Fault('UNAVAILABLE', 'The session was another daemon’s meanwhile.');

/** So many rows are looked through at most at the start. */
const HEADS_EVERY = 4096;

export class SessionStore {
  readonly #store: DurableStore;
  readonly #statements: JournalStatements;
  readonly #insert: StatementSync;
  readonly #all: StatementSync;
  readonly #one: StatementSync;
  readonly #setNewest: StatementSync;
  readonly #setHeads: StatementSync;
  readonly #numbers: LogNumbers;
  readonly #parts: SessionJournalParts;
  /** Newest rows that the table of sessions does not know yet. */
  readonly #newest = new Map<number, number>();
  #lastSession: number;
  #lastNumber: number;
  #headsAt: number;

  constructor(store: DurableStore) {
    this.#store = store;
    this.#statements = {
      add: store.prepare('INSERT INTO log (number, session, previous, row) VALUES (?, ?, ?, ?)'),
      find: store.prepare('SELECT previous, row FROM log WHERE number = ?'),
      remove: store.prepare('DELETE FROM log WHERE number = ?'),
      update: store.prepare('UPDATE session SET state = ? WHERE session = ?'),
      removeSession: store.prepare('DELETE FROM session WHERE session = ?'),
      setAsleep: store.prepare('UPDATE session SET asleep = ?, state = ? WHERE session = ?'),
      addImage: store.prepare('INSERT OR REPLACE INTO image (session, number, bytes) VALUES (?, ?, ?)'),
      findImage: store.prepare('SELECT bytes FROM image WHERE session = ? AND number = ?'),
      images: store.prepare('SELECT number FROM image WHERE session = ?'),
      removeImage: store.prepare('DELETE FROM image WHERE session = ? AND number = ?'),
      removeImages: store.prepare('DELETE FROM image WHERE session = ?'),
    };
    this.#insert = store.prepare('INSERT INTO session (session, id, state) VALUES (?, ?, ?)');
    this.#all = store.prepare('SELECT session, asleep, id, state FROM session ORDER BY session');
    this.#one = store.prepare('SELECT session, newest, asleep, state FROM session WHERE id = ?');
    this.#setNewest = store.prepare('UPDATE session SET newest = ? WHERE session = ?');
    this.#setHeads = store.prepare('UPDATE heads SET number = ?');
    const last = (column: string, table: string): number =>
      Number(store.prepare(`SELECT max(${column}) AS last FROM ${table}`).get()?.['last'] ?? 0);
    this.#lastSession = last('session', 'session');
    this.#headsAt = last('number', 'heads');
    this.#lastNumber = Math.max(this.#headsAt, last('number', 'log'));
    const later = store.prepare('SELECT number, session FROM log WHERE number > ? ORDER BY number');
    for (const { number, session } of later.iterate(this.#headsAt)) this.#newest.set(Number(session), Number(number));
    this.#numbers = {
      next: (session) => {
        const number = ++this.#lastNumber;
        this.#newest.set(session, number);
        if (number - this.#headsAt >= HEADS_EVERY) this.#writeHeads();
        return number;
      },
      forget: (session) => void this.#newest.delete(session),
    };
    this.#parts = { store, statements: this.#statements, numbers: this.#numbers };
  }

  /** In a commit of its own: the rows that are just being numbered are not in the table yet. */
  #writeHeads(): void {
    this.#headsAt = this.#lastNumber;
    this.#store.whenCommitted(() => {
      const number = this.#lastNumber;
      const newest = [...this.#newest];
      this.#store.write(() => {
        for (const [session, row] of newest) this.#setNewest.run(row, session);
        this.#setHeads.run(number);
      });
      this.#store.whenCommitted(() => {
        for (const [session, row] of newest) if (this.#newest.get(session) === row) this.#newest.delete(session);
      });
    });
  }

  /** Fails with UNAVAILABLE while nothing can be recorded. */
  assertWritable(): void {
    this.#store.assertWritable();
  }

  /** Fails with UNAVAILABLE while nothing can be recorded. */
  create(state: StoredSession): SessionJournal {
    this.#store.assertWritable();
    const session = ++this.#lastSession;
    const text = JSON.stringify(state);
    const { sessionId } = state;
    this.#store.write(() => {
      this.#insert.run(session, sessionId, text);
      return { sessionId, kind: 'state', state, asleepMs: null };
    });
    return new SessionJournal(this.#parts, { sessionId, session, newest: 0 });
  }

  /** Takes in what another daemon's journal has of a session, in place of what may be here of it. */
  adopt({ state, asleepMs, rows, images }: SharedSession): void {
    this.#store.assertWritable();
    const session = ++this.#lastSession;
    this.find(state.sessionId)?.journal.lose(NOT_OURS);
    this.#store.write(() => {
      this.#insert.run(session, state.sessionId, JSON.stringify(state));
      this.#statements.setAsleep.run(asleepMs, JSON.stringify(state), session);
      let previous = 0;
      for (const row of rows) {
        const number = this.#numbers.next(session);
        this.#statements.add.run(number, session, previous, row);
        previous = number;
      }
      for (const { number, image } of images)
        this.#statements.addImage.run(session, number, Buffer.from(image, 'base64'));
    });
    this.#store.commitNow();
  }

  /** Every session that was not closed, oldest first; `asleepMs` is null where something of it may be under way. */
  *all(): Generator<{ readonly sessionId: string; readonly principal: string; readonly asleepMs: number | null }> {
    for (const { id, asleep, state } of this.#all.iterate()) {
      const { principal } = JSON.parse(String(state)) as StoredSession;
      yield { sessionId: String(id), principal, asleepMs: asleep === null ? null : Number(asleep) };
    }
  }

  /** What of it is committed, also while nothing can be; undefined where there is none of that id. */
  stateOf(sessionId: string): StoredSession | undefined {
    const row = this.#one.get(sessionId);
    return row && (JSON.parse(String(row['state'])) as StoredSession);
  }

  /** Undefined where there is none of that id. Fails with UNAVAILABLE while nothing can be recorded. */
  find(sessionId: string): FoundSession | undefined {
    this.#store.commitNow();
    const row = this.#one.get(sessionId);
    if (row === undefined) return undefined;
    const session = Number(row['session']);
    const newest = this.#newest.get(session) ?? Number(row['newest']);
    return {
      state: JSON.parse(String(row['state'])) as StoredSession,
      asleepMs: row['asleep'] === null ? null : Number(row['asleep']),
      journal: new SessionJournal(this.#parts, { sessionId, session, newest }),
    };
  }
}
