/**
 * The append-only record of what was decided and done: one JSON object a line, each linked to the one before by its hash, the
 * chain signed at intervals.
 *
 * I1: a decision is handed to the operating system before `append` returns, so it survives SIGKILL of the daemon, and is on the
 *     disk as well where the level asks for it; every other record is with the operating system before this turn of the event
 *     loop sends anything to a host or a client. All are on the disk within a second.
 * I2: while records cannot be written, or the file is no longer ours alone, `append` throws UNAVAILABLE, and what it was about
 *     does not happen.
 * I3: numbers have no gaps, whatever fails: a record that has its number is written before any later one.
 * I4: head.json never says more than what is on the disk; only where somebody has changed the file it says what should be there.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../fault.ts';
import { encodeFields } from './audit-fields.ts';
import { type ChainPoint, sealRecord } from './audit-record.ts';
import { type AuditKind, type AuditRecords, RECORD_KINDS } from './audit-records.ts';
import type { Verification } from './chain-checker.ts';
import { LogFile, type LogFileIo } from './log-file.ts';
import { logFileAt } from './log-folder.ts';
import { LogTroubles } from './log-troubles.ts';
import { type Recovery, recover } from './recovery.ts';
import { replaceFile, replaceFileSync } from './replace-file.ts';
import { HEAD_FILE, HEAD_RECORDS, headFields, headText } from './signed-head.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';
import { readFolder, verifyFiles } from './verify.ts';
import { WakeUp } from './wake-up.ts';

export type { AuditRecords } from './audit-records.ts';

/** Whether a record is on the disk before `append` returns, or within a second. */
export type AuditSync = 'always' | 'interval';

export interface Audit {
  /** Records what is about to happen. Throws UNAVAILABLE where it cannot be recorded; then it must not happen. */
  append<K extends AuditKind>(kind: K, fields: AuditRecords[K], sync?: AuditSync): void;
  /** Records what has happened already. Never throws; a record that cannot be written now is written first when one can. */
  note<K extends AuditKind>(kind: K, fields: AuditRecords[K]): void;
}

export interface AuditLogOptions {
  /** Told when the log cannot be written, and when it can be again. */
  readonly log?: (line: string) => void;
  /** A file that has grown to this is followed by another. */
  readonly rotateBytes?: number;
  readonly syncMs?: number;
  /** How long new records stay without a signed head in the log. */
  readonly headMs?: number;
  readonly io?: LogFileIo;
}

const ROTATE_BYTES = 64 * 1024 * 1024;
const SYNC_MS = 1000;
const HEAD_MS = 60_000;
/** What is noted while nothing can be written; more is counted only. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** The clock may say anything; what ISO 8601 has a form for is recorded. */
const TIME_MS_MAX = 8.64e15;

export class AuditLog implements Audit {
  readonly folder: string;
  readonly #nowMs: () => number;
  readonly #log: (line: string) => void;
  readonly #rotateBytes: number;
  readonly #io: LogFileIo | undefined;
  readonly #key: SigningKey;
  #file: LogFile;
  #nextNumber: number;
  /** The last record that has its number, and the last that was written. */
  #last: ChainPoint;
  #written: ChainPoint;
  #headSeq: number;
  /** The last record that head.json knows of. */
  #filedSeq = -1;
  /** Lines with their ends, still to be written; first the rest of what was written in part. */
  #rest: Buffer | undefined;
  #pending = '';
  #isFlushDue = false;
  readonly #troubles: LogTroubles;
  #lost = 0;
  #retiring: Promise<unknown> = Promise.resolve();
  #settling: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  readonly #interval: NodeJS.Timeout;
  readonly #headTicks: number;
  #ticksWithoutHead = 0;
  readonly #wakeUp = new WakeUp();
  #stamp = { ms: Number.NaN, at: '' };

  /**
   * Continues the log of the folder, or begins one. Fails with UNAVAILABLE, saying what to mend.
   *
   * @param folder within the daemon's own state directory, whose lock keeps every other writer away; made where it is missing
   */
  static open(folder: string, nowMs: () => number, options: AuditLogOptions = {}): AuditLog {
    try {
      return new AuditLog(folder, nowMs, options);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const what = (error as Error).message;
      throw new Fault('UNAVAILABLE', `The audit log in ${folder} cannot be opened: ${what}`, undefined, {
        cause: error,
      });
    }
  }

  private constructor(folder: string, nowMs: () => number, options: AuditLogOptions) {
    const { syncMs = SYNC_MS, headMs = HEAD_MS } = options;
    this.folder = folder;
    this.#nowMs = nowMs;
    this.#log = options.log ?? (() => undefined);
    this.#troubles = new LogTroubles(this.#log, (reason) => this.#recordOutage(reason));
    this.#rotateBytes = options.rotateBytes ?? ROTATE_BYTES;
    this.#io = options.io;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#key = openSigningKey(folder);
    const { made, keyId, publicKey } = this.#key;
    const recovery = recover(folder, made === null ? new Map([[keyId, publicKey]]) : null);
    this.#last = recovery.last;
    this.#written = recovery.last;
    this.#headSeq = recovery.headSeq;
    this.#nextNumber = recovery.nextNumber;
    // Written before the first record, so that a folder without head.json is one from which it was taken.
    if (recovery.isNew) this.#fileHeadNow();
    this.#file = recovery.continues === null ? this.#createFile() : LogFile.continue(recovery.continues.path, this.#io);
    this.#recordStart(recovery);
    this.#headTicks = Math.max(1, Math.ceil(headMs / syncMs));
    this.#interval = setInterval(() => this.#tick(), syncMs);
    this.#interval.unref();
  }

  /** The last record that can be read. */
  get lastSeq(): number {
    return this.#written.seq;
  }

  append<K extends AuditKind>(kind: K, fields: AuditRecords[K], sync: AuditSync = 'interval'): void {
    if (this.#isClosed) throw new Fault('UNAVAILABLE', 'The daemon is stopping; nothing new is begun.');
    if (this.#troubles.any) this.#retry();
    this.#troubles.assertNone();
    this.#add(kind, fields);
    if (!RECORD_KINDS[kind].immediate && sync === 'interval') return;
    this.#flush();
    if (sync === 'always') this.#syncNow();
    this.#troubles.assertNone();
  }

  note<K extends AuditKind>(kind: K, fields: AuditRecords[K]): void {
    // While nothing can be written nothing new starts, but clients may still be refused many times over.
    const isFull = this.#troubles.any && this.#pending.length + (this.#rest?.length ?? 0) > WAITING_BYTES_MAX;
    if (isFull) this.#lost++;
    else if (!this.#isClosed) this.#add(kind, fields);
  }

  /** Resolves when there is a record after the given one, after `waitMs`, or when the signal is aborted. */
  async untilWritten(afterSeq: number, waitMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#written.seq <= afterSeq) await this.#wakeUp.wait(waitMs, signal);
  }

  /** Verifies the whole log as it is on the disk, against what this process knows of it. */
  async verify(): Promise<Verification> {
    this.#flush();
    const { size, path } = this.#file;
    const head = { source: 'the running daemon', text: headText(this.#key, this.#written, this.#at()) };
    const { files, heads, publicKeys } = readFolder(this.folder);
    return verifyFiles({
      files: files.slice(0, files.indexOf(path) + 1),
      heads: [...heads, head],
      publicKeys: [...publicKeys, this.#key.publicKey],
      lastFileBytes: size,
    });
  }

  /**
   * Hands everything to the operating system at once; resolves when it is signed and on the disk. What is noted until then is
   * recorded as well; what comes after is not.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#interval);
    do {
      if (this.#last.seq > this.#headSeq) this.#addHead();
      this.#flush();
      this.#wakeUp.all();
      await this.#settling;
      await this.#settle();
    } while (this.#last.seq > this.#headSeq && !this.#troubles.any);
    this.#isClosed = true;
    if (this.#pending !== '' || this.#rest !== undefined) {
      this.#log('audit log: records of the end of this run could not be written and are lost');
    }
    await this.#file.close();
  }

  #recordStart({ torn, broken }: Recovery): void {
    // First in its file, and linked to nothing in the one that was changed.
    if (broken !== null) {
      this.#add('audit.broken', broken);
      this.#log(
        `audit log: it was changed while no daemon ran (${broken.what}); it goes on in ${this.#file.path}, and "pyrepl3 audit verify" says more`,
      );
    }
    for (const fields of torn) this.#add('audit.recovered', fields);
    const { made, keyId } = this.#key;
    if (made !== null) this.#add('audit.key', { keyId, previousKeyId: made.previousKeyId });
    this.#flush();
    if (torn.length > 0 || broken !== null) this.#syncNow();
  }

  #add<K extends AuditKind>(kind: K, fields: AuditRecords[K]): void {
    const seq = this.#last.seq + 1;
    const fieldsJson = encodeFields(kind, fields);
    const { line, hash } = sealRecord({ seq, at: this.#at(), kind, fieldsJson, prev: this.#last.hash });
    this.#last = { seq, hash };
    this.#pending += `${line}\n`;
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      process.nextTick(() => {
        this.#isFlushDue = false;
        this.#flush();
      });
    }
    if (kind === 'audit.head') this.#headSeq = seq;
    else if (kind === 'audit.broken') this.#headSeq = seq - 1;
    if (seq - this.#headSeq >= HEAD_RECORDS) this.#addHead();
  }

  #addHead(): void {
    this.#lookAtFile();
    this.#ticksWithoutHead = 0;
    this.#add('audit.head', headFields(this.#key, this.#last));
  }

  #at(): string {
    const ms = this.#nowMs();
    if (ms !== this.#stamp.ms) {
      const bounded = Number.isFinite(ms) ? Math.max(-TIME_MS_MAX, Math.min(TIME_MS_MAX, ms)) : 0;
      this.#stamp = { ms, at: new Date(bounded).toISOString() };
    }
    return this.#stamp.at;
  }

  /** Writes what is pending, unless the file is not ours any more; then it waits. */
  #flush(): void {
    if (this.#troubles.has('file')) return;
    if (this.#pending === '' && this.#rest === undefined) return;
    if (!this.#write()) return;
    this.#wakeUp.all();
    if (this.#file.size >= this.#rotateBytes) this.#rotate();
  }

  /** Whole lines in one write to a file opened for appending: a crash can tear the last line only. */
  #write(): boolean {
    const fresh = Buffer.from(this.#pending);
    const bytes = this.#rest === undefined ? fresh : Buffer.concat([this.#rest, fresh]);
    this.#pending = '';
    let written = 0;
    try {
      while (written < bytes.length) written += this.#file.write(bytes, written);
      this.#rest = undefined;
      this.#written = this.#last;
      this.#troubles.works('write');
      return true;
    } catch (error) {
      // What is still unwritten stays first in line; nothing new is let through until it has been written.
      this.#rest = bytes.subarray(written);
      this.#troubles.fails('write', codeOf(error));
      return false;
    }
  }

  #rotate(): void {
    if (this.#last.seq > this.#headSeq) this.#addHead();
    if (this.#troubles.any || !this.#write()) return;
    const ended = this.#file;
    let next: LogFile;
    try {
      next = this.#createFile();
    } catch (error) {
      // The old file goes on growing; the next record tries again.
      this.#log(`audit log: no new file can be begun (${codeOf(error)}); ${ended.name} goes on`);
      return;
    }
    this.#file = next;
    const { seq, hash } = this.#written;
    this.#add('audit.rotated', { file: ended.name, lastSeq: seq, lastHash: hash });
    this.#write();
    const retired = ended.sync().finally(() => ended.close());
    this.#retiring = Promise.all([this.#retiring, retired]);
    // Whoever settles next sees the failure; until then nobody listens.
    this.#retiring.catch(() => undefined);
  }

  #createFile(): LogFile {
    const file = LogFile.create(logFileAt(this.folder, this.#nextNumber).path, this.#io);
    this.#nextNumber++;
    return file;
  }

  #tick(): void {
    this.#lookAtFile();
    this.#flush();
    if (this.#last.seq > this.#headSeq && ++this.#ticksWithoutHead >= this.#headTicks) {
      this.#addHead();
      this.#flush();
    }
    if (this.#settling === undefined) this.#settleNext(() => this.#settle());
  }

  /** One after the other, so that an older head never takes the place of a newer one. */
  #settleNext(work: () => Promise<void>): void {
    const settling = (this.#settling ?? Promise.resolve()).then(work).finally(() => {
      if (this.#settling === settling) this.#settling = undefined;
    });
    this.#settling = settling;
  }

  /** Brings what was written to the disk, and then says in head.json that it is there. Never rejects. */
  async #settle(): Promise<void> {
    const { seq, hash } = this.#written;
    if (seq === this.#filedSeq || this.#troubles.has('file')) return;
    try {
      await Promise.all([this.#retiring, this.#file.sync()]);
      this.#troubles.works('sync');
    } catch (error) {
      this.#retiring = Promise.resolve();
      this.#troubles.fails('sync', codeOf(error));
      return;
    }
    await this.#fileHead({ seq, hash });
  }

  /** Never rejects. */
  async #fileHead(point: ChainPoint): Promise<void> {
    try {
      await replaceFile(join(this.folder, HEAD_FILE), headText(this.#key, point, this.#at()));
      this.#filedSeq = point.seq;
    } catch (error) {
      this.#log(`audit log: ${HEAD_FILE} cannot be written (${codeOf(error)})`);
    }
  }

  #fileHeadNow(): void {
    replaceFileSync(join(this.folder, HEAD_FILE), headText(this.#key, this.#written, this.#at()));
    this.#filedSeq = this.#written.seq;
  }

  #syncNow(): void {
    if (this.#troubles.has('write') || this.#troubles.has('file')) return;
    try {
      this.#file.syncNow();
      this.#troubles.works('sync');
    } catch (error) {
      this.#troubles.fails('sync', codeOf(error));
    }
  }

  #lookAtFile(): void {
    let change: string | null;
    try {
      change = this.#file.foreignChange();
    } catch (error) {
      change = `it cannot be looked at (${codeOf(error)})`;
    }
    if (change === null) {
      this.#troubles.works('file');
      return;
    }
    // Whoever verifies is to find what is missing, also what was not on the disk yet.
    if (!this.#troubles.has('file')) this.#settleNext(() => this.#fileHead(this.#written));
    this.#troubles.fails('file', `${this.#file.name}: ${change}`);
  }

  #retry(): void {
    if (this.#troubles.has('file')) this.#lookAtFile();
    this.#flush();
    if (this.#troubles.has('sync')) this.#syncNow();
  }

  /** The log itself tells of the time in which it could not be written. */
  #recordOutage(reason: string): void {
    this.#add('audit.recovered', { atSeq: this.#last.seq + 1, bytes: 0, lost: this.#lost, reason });
    this.#lost = 0;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
