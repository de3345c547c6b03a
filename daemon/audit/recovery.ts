/**
 * Decides at the start how the log goes on: in its last file, after what a crash tore off has been moved aside; or, where
 * somebody changed it, in a new file that begins with what was found.
 *
 * I1: no complete record is taken away, and what is taken away is kept beside the log.
 * I2: a file that does not verify, or that ends before the point that head.json vouches for, is never written to again.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../fault.ts';
import { type ChainPoint, ZERO_HASH } from './audit-record.ts';
import type { AuditRecords } from './audit-records.ts';
import { type Anchor, ChainChecker } from './chain-checker.ts';
import { type LogFileEntry, listLogFiles } from './log-folder.ts';
import { type Line, readLinesSync } from './log-lines.ts';
import { HEAD_FILE, type PublicKeys, parseHead, readHeadFile } from './signed-head.ts';

export interface Recovery {
  /** The file to go on in, or null for a new one. */
  readonly continues: LogFileEntry | null;
  /** The number of the next new file. */
  readonly nextNumber: number;
  readonly last: ChainPoint;
  readonly headSeq: number;
  readonly torn: readonly AuditRecords['audit.recovered'][];
  readonly broken: AuditRecords['audit.broken'] | null;
  /** Whether the folder held no log. */
  readonly isNew: boolean;
}

type Damage = Omit<AuditRecords['audit.broken'], 'code'>;

interface Examined {
  readonly checker: ChainChecker;
  /** Where the whole records end. */
  readonly wholeBytes: number;
  readonly bytes: number;
  /** Whether all that follows them is what a crash leaves: a line without its end, or blocks of zeros. */
  readonly isTorn: boolean;
  /** Whether that is one whole record that lacks its line end only. */
  readonly lacksLineEnd: boolean;
}

/**
 * Fails with UNAVAILABLE, or with the system's error.
 *
 * @param keys null where the key is new, so that no signature there is can be checked
 */
export function recover(folder: string, keys: PublicKeys | null): Recovery {
  const files = listLogFiles(folder);
  for (const { path } of files) {
    if (!lstatSync(path).isFile()) throw new Fault('UNAVAILABLE', `${path} is not a plain file; move it away.`);
  }
  const nextNumber = (files.at(-1)?.number ?? 0) + 1;
  const headText = readHeadFile(join(folder, HEAD_FILE));
  if (files.length === 0 && headText === null) {
    const last = { seq: 0, hash: ZERO_HASH };
    return { continues: null, nextNumber, last, headSeq: 0, torn: [], broken: null, isNew: true };
  }
  const anchors: Anchor[] = [];
  const damage = readAnchor(headText, keys, anchors);
  return { ...examineLog(folder, files, keys, anchors, damage), nextNumber, isNew: false };
}

/** Reads head.json; what is wrong with it, or null. */
function readAnchor(text: string | null, keys: PublicKeys | null, anchors: Anchor[]): Damage | null {
  const damaged = (what: string): Damage => ({ file: HEAD_FILE, line: null, seq: null, what: `${HEAD_FILE}: ${what}` });
  if (text === null) return damaged('it is missing, so nobody can tell whether the end of the log is');
  // A new key says nothing about an old signature; that the key is new is a record of its own.
  if (keys === null) return null;
  const parsed = parseHead(text, keys);
  if (!parsed.ok) return damaged(parsed.what);
  anchors.push({ source: HEAD_FILE, seq: parsed.head.seq, hash: parsed.head.hash });
  return null;
}

function examineLog(
  folder: string,
  files: readonly LogFileEntry[],
  keys: PublicKeys | null,
  anchors: readonly Anchor[],
  headDamage: Damage | null,
): Pick<Recovery, 'continues' | 'last' | 'headSeq' | 'torn' | 'broken'> {
  const toMend: { readonly file: LogFileEntry; readonly examined: Examined }[] = [];
  let continues: LogFileEntry | null = null;
  let last: ChainPoint = { seq: 0, hash: ZERO_HASH };
  let headSeq = 0;
  let damage = headDamage;
  // A file that was only just begun when the daemon died may hold no record; then the one before it has the last.
  for (const file of files.toReversed()) {
    const examined = examine(file, keys, anchors);
    const { checker, wholeBytes, bytes } = examined;
    continues ??= file;
    last = checker.last;
    headSeq = checker.headSeq;
    damage ??= damageOf(file, examined);
    if (damage !== null) break;
    if (wholeBytes < bytes) toMend.push({ file, examined });
    if (last.seq > 0) break;
  }
  const anchorSeq = Math.max(0, ...anchors.map(({ seq }) => seq));
  if (damage === null && anchorSeq > last.seq) {
    const what = `the log ends with record ${last.seq}, but ${HEAD_FILE} says that it reached ${anchorSeq}`;
    damage = { file: continues?.name ?? null, line: null, seq: last.seq + 1, what };
  }
  if (damage === null) {
    const torn = toMend.map(({ file, examined }) => setAside(folder, file, examined));
    return { continues, last, headSeq, torn, broken: null };
  }
  const seq = Math.max(last.seq, anchorSeq);
  return {
    ...{ continues: null, torn: [], last: { seq, hash: ZERO_HASH }, headSeq: seq },
    broken: { code: 'AUDIT_BROKEN', ...damage },
  };
}

function examine(file: LogFileEntry, keys: PublicKeys | null, anchors: readonly Anchor[]): Examined {
  const checker = new ChainChecker({ first: null, keys, anchors, reencode: false });
  checker.beginFile(file.name);
  let wholeBytes = 0;
  let bytes = 0;
  let lacksLineEnd = false;
  let isTorn = true;
  for (const line of readLinesSync(file.path)) {
    bytes = line.end;
    if (checker.problemCount === 0) {
      checker.check({ ...line, finished: true });
      if (checker.problemCount === 0) {
        if (line.finished) wholeBytes = line.end;
        else lacksLineEnd = true;
        continue;
      }
    }
    isTorn &&= isLeftByCrash(line);
  }
  return { checker, wholeBytes, bytes, isTorn, lacksLineEnd };
}

/** A crash leaves a line without its end, or blocks that were never filled; JSON has no zero bytes. */
function isLeftByCrash({ bytes, finished }: Line): boolean {
  return !finished || bytes.includes(0);
}

function damageOf({ name }: LogFileEntry, { checker, isTorn }: Examined): Damage | null {
  const problem = checker.firstProblem;
  return problem === undefined || isTorn
    ? null
    : { file: name, line: problem.line, seq: problem.seq, what: problem.what };
}

/** Makes the file end with its last whole record; what stood after it goes to a file of its own. */
function setAside(folder: string, { name, path }: LogFileEntry, examined: Examined): AuditRecords['audit.recovered'] {
  const { checker, wholeBytes, bytes, lacksLineEnd } = examined;
  const atSeq = checker.last.seq + 1;
  const log = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    if (lacksLineEnd) {
      writeSync(log, '\n', bytes);
      fdatasyncSync(log);
      return { atSeq, bytes: 0, lost: 0, reason: `the last record of ${name} had no line end; it was given one` };
    }
    const aside = `${name}-${wholeBytes}.torn`;
    copyEnd(log, wholeBytes, bytes, join(folder, aside));
    ftruncateSync(log, wholeBytes);
    fdatasyncSync(log);
    const reason = `the end of ${name} was torn by a crash; it was moved to ${aside}`;
    return { atSeq, bytes: bytes - wholeBytes, lost: 0, reason };
  } finally {
    closeSync(log);
  }
}

function copyEnd(log: number, from: number, to: number, aside: string): void {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  const copy = openSync(aside, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  try {
    const chunk = Buffer.alloc(64 * 1024);
    for (let position = from; position < to; ) {
      const read = readSync(log, chunk, 0, Math.min(chunk.length, to - position), position);
      if (read === 0) break;
      if (writeSync(copy, chunk, 0, read) !== read) throw new Error(`${aside} could not be written whole`);
      position += read;
    }
    fsyncSync(copy);
  } finally {
    closeSync(copy);
  }
}
