/**
 * The journal of one session: what happens in a turn is one row, committed with what the rest of the daemon wrote in that turn.
 *
 * I1: what is read back is what was written, in its order, whether or not it was compacted meanwhile.
 * I2: after a new life nothing of the isolates before it is read back.
 * I3: nothing is written of a session that was removed, or that is another daemon's, and nothing that waits for it happens.
 */
import type { EventBody } from '../../client/protocol.ts';
import type { Fault } from '../fault.ts';
import type { DurableStore } from './durable-store.ts';
import type { JournalRecord, StoredAnswer, StoredEvents, StoredImage, StoredSession } from './journal-records.ts';
import type { JournalStatements, LogNumbers } from './session-store.ts';

/** What one session wrote in one commit. What is empty is left out. */
interface LogRow {
  readonly records?: JournalRecord[];
  /** Bodies of events; `seq` is the number of the first. */
  readonly events?: { readonly seq: number; readonly bodies: EventBody[] };
  readonly answers?: StoredAnswer[];
}

type Batch = { -readonly [K in keyof LogRow]: LogRow[K] };

/** Everything that a session has in the journal. */
export interface Recorded {
  readonly records: readonly JournalRecord[];
  readonly events: readonly StoredEvents[];
  /** Oldest first. */
  readonly answers: readonly StoredAnswer[];
}

/** What is still of use, by the reckoning of those who use it. */
export interface Kept {
  readonly firstKeptSeq: () => number;
  readonly hasAnswer: (executionId: string) => boolean;
}

/** A journal is compacted when it has so many rows, or characters, more than after it was compacted last. */
const ROWS_MORE = 512;
const CHARACTERS_MORE = 4 * 1024 * 1024;
/** The longest image, in base64, that goes to a server: it holds up what else of its session is written. */
const SHARED_IMAGE_MAX = 8 * 1024 * 1024;

export interface SessionJournalParts {
  readonly store: DurableStore;
  readonly statements: JournalStatements;
  readonly numbers: LogNumbers;
}

export class SessionJournal {
  readonly #store: DurableStore;
  readonly #statements: JournalStatements;
  readonly #numbers: LogNumbers;
  readonly #sessionId: string;
  readonly #session: number;
  #newest: number;
  #batch: Batch | undefined;
  #removed = false;
  #lost: Fault | undefined;
  /** Ends the waiting for what will not be in the journal any more. */
  readonly #losers = new Set<(fault: Fault) => void>();
  #rows = 0;
  #characters = 0;
  #rowsMax = ROWS_MORE;
  #charactersMax = CHARACTERS_MORE;
  #kept: Kept = { firstKeptSeq: () => 0, hasAnswer: () => true };

  /** @param newest its newest row, 0 where it has none */
  constructor(
    { store, statements, numbers }: SessionJournalParts,
    { sessionId, session, newest }: { readonly sessionId: string; readonly session: number; readonly newest: number },
  ) {
    this.#store = store;
    this.#statements = statements;
    this.#numbers = numbers;
    this.#sessionId = sessionId;
    this.#session = session;
    this.#newest = newest;
  }

  /** Fails with UNAVAILABLE while nothing can be recorded. */
  assertWritable(): void {
    this.#store.assertWritable();
  }

  /** Asked when a row is written: what is to stand at its end. */
  lastly: (() => JournalRecord | undefined) | undefined;

  /** Says what is still of use when the journal is compacted. */
  set kept(kept: Kept) {
    this.#kept = kept;
  }

  append(record: JournalRecord): void {
    const batch = this.#open();
    if (batch.records === undefined) batch.records = [record];
    else batch.records.push(record);
  }

  /** @param seq of the event; the next one in turn */
  event(seq: number, body: EventBody): void {
    const batch = this.#open();
    if (batch.events === undefined) batch.events = { seq, bodies: [body] };
    else batch.events.bodies.push(body);
  }

  answer(answer: StoredAnswer): void {
    const batch = this.#open();
    if (batch.answers === undefined) batch.answers = [answer];
    else batch.answers.push(answer);
  }

  /** The row of this turn; one that goes nowhere where the session is no more. */
  #open(): Batch {
    if (this.#removed || this.#lost !== undefined) return {};
    if (this.#batch !== undefined) return this.#batch;
    const batch: Batch = {};
    this.#batch = batch;
    const place = this.#placeOnce();
    this.#store.write(() => {
      if (this.#batch === batch) this.#close();
      const text = JSON.stringify(batch);
      const { number, previous } = place();
      this.#statements.add.run(number, this.#session, previous, text);
      this.#rows += 1;
      this.#characters += text.length;
      return { sessionId: this.#sessionId, kind: 'row', row: text };
    }, false);
    if (this.#rows >= this.#rowsMax || this.#characters >= this.#charactersMax) this.#compact();
    return batch;
  }

  /** Nothing is added to the row any more, however often it has to be written. */
  #close(): void {
    const last = this.lastly?.();
    if (last !== undefined) this.append(last);
    this.#batch = undefined;
  }

  /** Where a row goes. Where the disk refuses, it is written again, to the same place. */
  #placeOnce(): () => { readonly number: number; readonly previous: number } {
    let place: { readonly number: number; readonly previous: number } | undefined;
    return () => {
      if (place !== undefined) return place;
      const previous = this.#newest;
      this.#newest = this.#numbers.next(this.#session);
      place = { number: this.#newest, previous };
      return place;
    };
  }

  /** Puts one row in place of all: what is of use no more is left out. */
  #compact(): void {
    this.#rows = 0;
    this.#characters = 0;
    const place = this.#placeOnce();
    this.#store.write(() => {
      const { number, previous } = place();
      const rows = this.#rowsFrom(previous);
      const { records, events, answers } = recordedIn(rows.map(({ row }) => row));
      const { firstKeptSeq, hasAnswer } = this.#kept;
      const keptEvents = events.filter(({ firstSeq, bodies }) => firstSeq + bodies.length > firstKeptSeq());
      const bodies = keptEvents.flatMap((row) => row.bodies);
      const row: LogRow = {
        records: [...records],
        answers: answers.filter(({ executionId }) => hasAnswer(executionId)),
        ...(keptEvents[0] === undefined ? {} : { events: { seq: keptEvents[0].firstSeq, bodies } }),
      };
      for (const old of rows) this.#statements.remove.run(old.number);
      const text = JSON.stringify(row);
      this.#statements.add.run(number, this.#session, 0, text);
      const images = this.#store.isCopied ? this.#images() : [];
      // As much again before the next time, so that compacting costs a share of writing, however much is of use.
      this.#charactersMax = images.reduce((sum, { image }) => sum + image.length, CHARACTERS_MORE + text.length);
      this.#rowsMax = ROWS_MORE + Math.ceil(records.length / 4);
      return { sessionId: this.#sessionId, kind: 'whole', row: text, images };
    });
  }

  /** Whether an image of that size, in base64, can be kept: where daemons share their journals, each is sent to their server. */
  canKeep(imageLength: number): boolean {
    return !this.#store.isCopied || imageLength <= SHARED_IMAGE_MAX;
  }

  /** Keeps an image, and of those before it only the listed ones; without one, just those. */
  keepImages(kept: readonly number[], added?: StoredImage): void {
    if (this.#removed || this.#lost !== undefined) return;
    const bytes = added && Buffer.from(added.image, 'base64');
    this.#store.write(() => {
      const useless = this.imageNumbers().filter((number) => !kept.includes(number));
      for (const number of useless) this.#statements.removeImage.run(this.#session, number);
      if (useless.length === 0 && added === undefined) return;
      if (added && bytes) this.#statements.addImage.run(this.#session, added.number, bytes);
      return { sessionId: this.#sessionId, kind: 'images', kept, ...(added && { added }) };
    });
    if (!this.#store.isCopied || added === undefined) return;
    this.#characters += added.image.length;
    if (this.#characters >= this.#charactersMax) this.#compact();
  }

  #images(): StoredImage[] {
    return this.imageNumbers().map((number) => ({ number, image: this.#imageOf(number) ?? '' }));
  }

  imageNumbers(): readonly number[] {
    return this.#statements.images.all(this.#session).map(({ number }) => Number(number));
  }

  /** In base64; undefined where there is none of that number. */
  image(number: number): string | undefined {
    this.#store.commitNow();
    return this.#imageOf(number);
  }

  #imageOf(number: number): string | undefined {
    const bytes = this.#statements.findImage.get(this.#session, number)?.['bytes'];
    return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('base64') : undefined;
  }

  update(state: StoredSession): void {
    if (this.#removed || this.#lost !== undefined) return;
    this.#store.write(() => {
      this.#statements.update.run(JSON.stringify(state), this.#session);
      return { sessionId: this.#sessionId, kind: 'state', state, asleepMs: null };
    });
  }

  /** Nothing of the session is under way since then, in milliseconds since the epoch; null where something may be again. */
  setAsleep(sinceMs: number | null, state: StoredSession): void {
    if (this.#lost !== undefined) return;
    this.#store.write(() => {
      this.#statements.setAsleep.run(sinceMs, JSON.stringify(state), this.#session);
      return { sessionId: this.#sessionId, kind: 'state', state, asleepMs: sinceMs };
    });
  }

  remove(): void {
    if (this.#lost !== undefined) return;
    this.#removed = true;
    this.#store.write(() => {
      this.#forget();
      return { sessionId: this.#sessionId, kind: 'removed' };
    });
  }

  #forget(): void {
    for (const number of this.#numbersFrom(this.#newest)) this.#statements.remove.run(number);
    this.#numbers.forget(this.#session);
    this.#statements.removeImages.run(this.#session);
    this.#statements.removeSession.run(this.#session);
  }

  /** The session is another daemon's: what is here of it goes, and who waits for it is told. */
  lose(fault: Fault): void {
    if (this.#lost !== undefined) return;
    this.#lost = fault;
    this.#store.write(() => this.#forget());
    for (const lose of this.#losers) lose(fault);
    this.#losers.clear();
  }

  /** Fails with what it was lost with, where the session is another daemon's. */
  assertOurs(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  /**
   * @param then runs once all that was written so far is committed; never where the session is another daemon's by then
   * @param urgent somebody waits for it; what is not may be a millisecond later
   */
  whenCommitted(then: () => void, urgent = true): void {
    this.#store.whenCommitted(() => {
      if (this.#lost === undefined) then();
    }, urgent);
  }

  /** Resolves once all that was written so far is committed. Fails where the session is another daemon's by then. */
  committed(): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#losers.add(reject);
      this.#store.whenCommitted(() => {
        this.#losers.delete(reject);
        if (this.#lost === undefined) resolve();
        else reject(this.#lost);
      });
    });
  }

  /**
   * Commits at once; a promise where that takes a while. Fails with UNAVAILABLE where the disk refuses, and where the session is
   * another daemon's.
   */
  secure(): Promise<void> | undefined {
    this.assertOurs();
    return this.#store.secure() ? undefined : this.committed();
  }

  read(): Recorded {
    this.#store.commitNow();
    return recordedIn(this.#rowsFrom(this.#newest).map(({ row }) => row));
  }

  /** Oldest first. */
  #rowsFrom(newest: number): { readonly number: number; readonly row: LogRow }[] {
    const rows: { readonly number: number; readonly row: LogRow }[] = [];
    for (let number = newest; number !== 0; ) {
      const found = this.#statements.find.get(number);
      if (found === undefined) break;
      rows.push({ number, row: JSON.parse(String(found['row'])) as LogRow });
      number = Number(found['previous']);
    }
    return rows.reverse();
  }

  #numbersFrom(newest: number): number[] {
    const numbers: number[] = [];
    for (let number = newest; number !== 0; ) {
      const found = this.#statements.find.get(number);
      if (found === undefined) break;
      numbers.push(number);
      number = Number(found['previous']);
    }
    return numbers;
  }
}

function recordedIn(rows: readonly LogRow[]): Recorded {
  const records = rows.flatMap((row) => row.records ?? []);
  const life = records.findLastIndex(({ r }) => r === 'life');
  return {
    records: life === -1 ? records : records.slice(life),
    events: rows.flatMap(({ events }) =>
      events === undefined ? [] : [{ firstSeq: events.seq, bodies: events.bodies }],
    ),
    answers: rows.flatMap((row) => row.answers ?? []),
  };
}
