/**
 * Answers questions about the log from its files. It holds nothing between questions, reads a bounded part for each, and takes
 * the records as they stand there: whether they are what was written is what `verify` says.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { AuditRecord } from '../../client/protocol.ts';
import { Fault } from '../fault.ts';
import type { AuditLog } from './audit-log.ts';
import type { Verification } from './chain-checker.ts';
import { type LogFileEntry, listLogFiles } from './log-folder.ts';
import { readLines } from './log-lines.ts';
import { firstSeqOf, linesBackward, offsetOf } from './log-seek.ts';

/** What is asked for; what is not given matches all. Times are ISO 8601. */
export interface AuditQuery {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly level?: string | undefined;
  readonly capability?: string | undefined;
  readonly verdict?: string | undefined;
  readonly kind?: string | undefined;
  readonly limit?: number | undefined;
  /** From the answer before. */
  readonly cursor?: string | undefined;
}

export interface AuditPage {
  /** Newest first. */
  readonly records: readonly AuditRecord[];
  /** Goes on with older records; null where there are none. A page may be empty and yet not be the last. */
  readonly cursor: string | null;
}

export interface AuditTail {
  /** Oldest first. */
  readonly records: readonly AuditRecord[];
  /** What to ask for records after. */
  readonly lastSeq: number;
}

const LIMIT = 100;
const LIMIT_MAX = 1000;
const TAIL_RECORDS = 20;
/** An answer must fit into a message. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/** How much is looked through for one page. */
const SCANNED_BYTES_MAX = 32 * 1024 * 1024;

export class AuditReader {
  readonly #log: Pick<AuditLog, 'folder' | 'lastSeq' | 'untilWritten' | 'verify'>;

  constructor(log: Pick<AuditLog, 'folder' | 'lastSeq' | 'untilWritten' | 'verify'>) {
    this.#log = log;
  }

  /** Fails with INVALID_PARAMS where the cursor is none. */
  async query(query: AuditQuery): Promise<AuditPage> {
    const { limit = LIMIT, cursor } = query;
    const isMatch = matcherOf(query);
    const page = new Page(Math.min(limit, LIMIT_MAX));
    let before = cursor === undefined ? Number.POSITIVE_INFINITY : seqFrom(cursor);
    for (const file of listLogFiles(this.#log.folder).toReversed()) {
      await using handle = await openIfThere(file);
      if (handle === null) continue;
      const first = await firstSeqOf(handle);
      if (first === null || first >= before) continue;
      const from = Number.isFinite(before) ? await offsetOf(handle, before) : (await handle.stat()).size;
      for await (const line of linesBackward(handle, from)) {
        page.scanned(line);
        const record = isMatch.mayMatch(line) ? recordFrom(line) : null;
        if (record !== null && isMatch.matches(record)) page.add(record, line);
        if (!page.isFull) continue;
        const seq = record?.seq ?? recordFrom(line)?.seq;
        if (seq !== undefined) return { records: page.records, cursor: seq > 1 ? String(seq) : null };
      }
      before = first;
    }
    return { records: page.records, cursor: null };
  }

  /** The newest records; or those after `afterSeq`, for which it waits up to `waitMs`. */
  async tail(afterSeq: number | undefined, waitMs: number, signal?: AbortSignal): Promise<AuditTail> {
    if (afterSeq === undefined) {
      const { records } = await this.query({ limit: TAIL_RECORDS });
      return { records: records.toReversed(), lastSeq: records[0]?.seq ?? 0 };
    }
    await this.#log.untilWritten(afterSeq, waitMs, signal);
    const records = afterSeq < this.#log.lastSeq ? await this.#after(afterSeq) : [];
    return { records, lastSeq: records.at(-1)?.seq ?? afterSeq };
  }

  verify(): Promise<Verification> {
    return this.#log.verify();
  }

  async #after(afterSeq: number): Promise<readonly AuditRecord[]> {
    const page = new Page(LIMIT_MAX);
    for (const file of await this.#filesAfter(afterSeq)) {
      await using handle = await openIfThere(file);
      if (handle === null) continue;
      for await (const line of readLines(handle, { from: await offsetOf(handle, afterSeq + 1) })) {
        const record = line.finished ? recordFrom(line.bytes) : null;
        if (record !== null && record.seq > afterSeq) page.add(record, line.bytes);
        if (page.isFull) return page.records;
      }
    }
    return page.records;
  }

  /** The file that the record after `afterSeq` is in, and those that follow. */
  async #filesAfter(afterSeq: number): Promise<readonly LogFileEntry[]> {
    const files = listLogFiles(this.#log.folder);
    for (let index = files.length - 1; index > 0; index--) {
      const file = files[index];
      if (file === undefined) break;
      await using handle = await openIfThere(file);
      const first = handle === null ? null : await firstSeqOf(handle);
      if (first !== null && first <= afterSeq + 1) return files.slice(index);
    }
    return files;
  }
}

/** What one answer holds, and how much of it there may be. */
class Page {
  readonly records: AuditRecord[] = [];
  readonly #limit: number;
  #bytes = 0;
  #scannedBytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  scanned(line: Buffer): void {
    this.#scannedBytes += line.length;
  }

  add(record: AuditRecord, line: Buffer): void {
    this.records.push(record);
    this.#bytes += line.length;
  }

  get isFull(): boolean {
    return (
      this.records.length >= this.#limit || this.#bytes >= PAGE_BYTES_MAX || this.#scannedBytes >= SCANNED_BYTES_MAX
    );
  }
}

interface Matcher {
  /** Rules out most lines without parsing them. */
  mayMatch(line: Buffer): boolean;
  matches(record: AuditRecord): boolean;
}

function matcherOf({ since, until, sessionId, level, capability, verdict, kind }: AuditQuery): Matcher {
  const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since);
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
  const texts = [sessionId, level, capability, verdict, kind].filter((text) => text !== undefined);
  const parts = texts.map((text) => Buffer.from(JSON.stringify(text.toWellFormed())));
  const isLevel = (fields: AuditRecord['fields']) => ['level', 'from', 'to'].some((name) => fields[name] === level);
  const isCapability = ({ capability: one, capabilities: many }: AuditRecord['fields']) =>
    one === capability || (Array.isArray(many) && many.includes(capability));
  return {
    mayMatch: (line) => parts.every((part) => line.includes(part)),
    matches: ({ at, kind: actual, fields }) => {
      const atMs = Date.parse(at);
      if (atMs < sinceMs || atMs > untilMs) return false;
      if (kind !== undefined && actual !== kind) return false;
      if (sessionId !== undefined && fields['sessionId'] !== sessionId) return false;
      if (verdict !== undefined && fields['verdict'] !== verdict) return false;
      return (level === undefined || isLevel(fields)) && (capability === undefined || isCapability(fields));
    },
  };
}

function seqFrom(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new Fault('INVALID_PARAMS', 'audit.query: the cursor is none that an answer held.');
}

function recordFrom(line: Buffer): AuditRecord | null {
  try {
    const record = JSON.parse(line.toString());
    return Number.isSafeInteger(record?.seq) && typeof record.fields === 'object' && record.fields !== null
      ? record
      : null;
  } catch {
    return null;
  }
}

/** Null where it has been archived meanwhile. */
async function openIfThere({ path }: LogFileEntry): Promise<FileHandle | null> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
