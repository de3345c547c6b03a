/**
 * The one file of everything that outlives the daemon: writes of a turn are committed together, and what depends on them waits.
 *
 * I1: writes are applied in the order in which they were queued, each once, all of one commit or none.
 * I2: nothing that waits for a commit happens before it, nor out of order.
 * I3: where the disk refuses, nothing queued is lost: it is tried again until there is room, and meanwhile new work is refused.
 * I4: the same where a copy is kept elsewhere that cannot be reached; what waits for a commit waits for the copy of it as well.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openDatabaseFile } from '../database-file.ts';
import { Fault } from '../fault.ts';
import { copyInUse } from './backup.ts';
import { Copied, type Copy } from './copied.ts';
import { MIGRATIONS } from './durable-schema.ts';
import type { JournalChange } from './journal-records.ts';

/** "PRDS": tells our file from any other database that somebody puts there. */
const APPLICATION_ID = 0x50524453;
const RETRY_MS = 500;
/** How long what nobody waits for may wait to be committed together with what follows it: a commit costs more than what is in it. */
const COMPANY_MS = 1;
/** Writes that wait while the disk refuses; new work is refused from the first failure on, so only what was accepted adds to them. */
const WAITING_MAX = 200_000;

export interface DurableStoreParts {
  /** null: in memory, gone with the process. */
  readonly file: string | null;
  /** For the operator: that something is wrong with the disk, and that it is right again. */
  readonly log: (line: string) => void;
  readonly copy?: Copy;
}

// biome-ignore lint/suspicious/noConfusingVoidType: most writes are nobody's but ours, and return nothing.
type Write = () => JournalChange | void;
type Task = { readonly write: Write } | { readonly then: () => void };

export class DurableStore {
  readonly #database: DatabaseSync;
  readonly #file: string | null;
  readonly #log: (line: string) => void;
  readonly #copy: Copied | undefined;
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  #tasks: Task[] = [];
  #scheduled = false;
  #company: NodeJS.Timeout | undefined;
  #committing = false;
  #trouble: string | undefined;
  /** Why nothing new is taken any more, although it could be recorded. */
  #refusing: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(database: DatabaseSync, { file, log, copy }: DurableStoreParts) {
    this.#database = database;
    this.#file = file;
    this.#log = log;
    this.#copy = copy && new Copied(copy, log, (thens) => this.#follow(thens));
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#end = database.prepare('COMMIT');
  }

  /** Fails with UNAVAILABLE where the file is damaged, newer or another program's. */
  static open(parts: DurableStoreParts): DurableStore {
    const database = openDatabaseFile(parts.file, {
      what: 'The sessions and executions',
      applicationId: APPLICATION_ID,
      migrations: MIGRATIONS,
      remedy:
        'Restore the file from a backup (pyrepl3 backup makes one), or move it (with its -wal and -shm) away to start without sessions.',
    });
    return new DurableStore(database, parts);
  }

  /** Whether what is committed is kept elsewhere as well. */
  get isCopied(): boolean {
    return this.#copy !== undefined;
  }

  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /**
   * @param apply runs in the next commit, and again where that fails: it executes statements and nothing else, and returns what of it
   * is to be kept elsewhere as well
   * @param urgent at the end of this turn, or within a millisecond
   */
  write(apply: Write, urgent = true): void {
    this.#add({ write: apply }, urgent);
  }

  /**
   * @param then runs once everything written so far is committed
   * @param urgent at the end of this turn as a rule, or within a millisecond
   */
  whenCommitted(then: () => void, urgent = true): void {
    this.#add({ then }, urgent);
  }

  #add(task: Task, urgent: boolean): void {
    if (this.#closed) return;
    if (this.#tasks.length >= WAITING_MAX)
      throw new Fault('UNAVAILABLE', `Sessions cannot be recorded (${this.#trouble ?? 'too much is waiting'}).`);
    this.#tasks.push(task);
    if (this.#scheduled || this.#trouble !== undefined) return;
    if (!urgent) {
      this.#company ??= setTimeout(() => this.#commit(), COMPANY_MS);
      return;
    }
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#closed) this.#commit();
    });
  }

  /** From now on nothing new is taken, with the message as the reason; what was begun goes on and is recorded. */
  refuseNew(message: string): void {
    this.#refusing = message;
  }

  /** Fails with UNAVAILABLE where nothing new is taken: what cannot be recorded is not to be begun. */
  assertWritable(): void {
    if (this.#refusing !== undefined) throw new Fault('UNAVAILABLE', this.#refusing);
    this.#assertRecording();
    this.#copy?.assertReached();
  }

  #assertRecording(): void {
    if (this.#closed) throw new Fault('UNAVAILABLE', 'The daemon has ended, and nothing is recorded any more.');
    if (this.#trouble === undefined) return;
    throw new Fault(
      'UNAVAILABLE',
      `Nothing new can be begun, because it cannot be recorded (${this.#trouble}); what was begun is kept and goes on once there is room. An administrator has to look at the disk of the state directory.`,
    );
  }

  /** Commits at once what has been written so far. Fails with UNAVAILABLE where the disk refuses, or the store is closed. */
  commitNow(): void {
    if (!this.#closed) this.#commit();
    this.#assertRecording();
  }

  /** The same; false where a copy elsewhere does not have it yet, for which `whenCommitted` waits. */
  secure(): boolean {
    this.commitNow();
    return !this.#copy?.isBehind;
  }

  #commit(): void {
    if (this.#committing) return;
    clearTimeout(this.#company);
    this.#company = undefined;
    if (this.#tasks.length === 0) return;
    this.#committing = true;
    const tasks = this.#tasks;
    // What is added while these are written is another commit.
    this.#tasks = [];
    let changes: JournalChange[];
    try {
      const writes = tasks.filter((task) => 'write' in task);
      changes = writes.length > 0 ? this.#transact(writes) : [];
    } catch (error) {
      this.#tasks = [...tasks, ...this.#tasks];
      this.#committing = false;
      this.#failed(error);
      return;
    }
    this.#committing = false;
    this.#recovered();
    const thens = tasks.flatMap((task) => ('then' in task ? [task.then] : []));
    if (this.#copy === undefined) this.#follow(thens);
    else this.#copy.take(changes, thens);
  }

  /** One that fails keeps none of the others from what they waited for. */
  #follow(thens: readonly (() => void)[]): void {
    for (const then of thens)
      try {
        then();
      } catch (error) {
        this.#log(`what followed a commit failed: ${error instanceof Error ? error.stack : String(error)}`);
      }
  }

  #transact(writes: readonly { readonly write: Write }[]): JournalChange[] {
    this.#begin.run();
    try {
      const changes: JournalChange[] = [];
      for (const { write } of writes) {
        const change = write();
        if (change !== undefined) changes.push(change);
      }
      this.#end.run();
      return changes;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#trouble === undefined)
      this.#log(`sessions cannot be recorded: ${reason}; new executions are refused until they can`);
    this.#trouble = reason;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#commit(), RETRY_MS);
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    clearTimeout(this.#retry);
    this.#log('sessions are recorded again; nothing was lost');
  }

  /**
   * Copies everything that is committed into another file, and answers its size in bytes. Fails with INVALID_PARAMS where the file
   * cannot be made, and with UNAVAILABLE where it cannot be filled or there is nothing that could be copied.
   */
  async backUpTo(file: string): Promise<number> {
    if (this.#file === null)
      throw new Fault('UNAVAILABLE', 'This daemon is ephemeral: it keeps its sessions in memory, and no copy of them.');
    if (this.#copy !== undefined)
      throw new Fault('UNAVAILABLE', 'This daemon shares its sessions on a Resonate server: back that up.');
    this.commitNow();
    return copyInUse(this.#file, file);
  }

  /**
   * Commits what waits, where the disk lets it, and closes the file. What is written from then on is dropped. What is to be kept
   * elsewhere is on its way there: `copied` says when it has arrived.
   */
  close(): void {
    if (this.#closed) return;
    this.#commit();
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#database.close();
  }

  /** Resolves when everything that was committed is kept elsewhere as well, where it is to be. */
  async copied(): Promise<void> {
    await this.#copy?.complete();
  }

  /** Nothing is kept elsewhere any more; what waits for that waits for ever. */
  stopCopying(): void {
    this.#copy?.stop();
  }
}
