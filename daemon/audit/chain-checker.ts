/**
 * Goes over the lines of a log in order and says what was done to it. It reads no file and knows no clock.
 *
 * I1: one change makes at least one problem, and the first problem names the first number that is not as it was written.
 * I2: it goes on after a problem, so that what is whole is known to be whole; how much it remembers is bounded.
 */
import canonicalize from 'canonicalize';
import type { AuditRecord } from '../../client/protocol.ts';
import { type ChainPoint, parseRecord, ZERO_HASH } from './audit-record.ts';
import { LINE_BYTES_MAX, type Line } from './log-lines.ts';
import { HEAD_RECORDS, headProblem, type PublicKeys } from './signed-head.ts';

export interface Problem {
  readonly file: string;
  /** Counted from 1 in its file; 0 for what no line says. */
  readonly line: number;
  readonly seq: number | null;
  readonly what: string;
}

export interface Verification {
  readonly ok: boolean;
  /** How many whole records there are. */
  readonly records: number;
  readonly firstSeq: number | null;
  readonly lastSeq: number;
  /** The last record that a signature vouches for: what comes after it could have been made by anyone who can write the file. */
  readonly signedSeq: number;
  readonly problems: readonly Problem[];
  /** How many there are beyond those listed. */
  readonly moreProblems: number;
}

/** A point that the log must contain, and who says so. */
export interface Anchor extends ChainPoint {
  readonly source: string;
}

export interface CheckerOptions {
  /** The number that the log begins with; null takes any. */
  readonly first: number | null;
  /** Null leaves signatures alone. */
  readonly keys: PublicKeys | null;
  readonly anchors: readonly Anchor[];
  /** Whether each record is encoded anew and compared, or its hash is enough. */
  readonly reencode: boolean;
}

const PROBLEMS_MAX = 100;

export class ChainChecker {
  readonly #options: CheckerOptions;
  readonly #anchors: Map<number, Anchor[]>;
  readonly #problems: Problem[] = [];
  #moreProblems = 0;
  #file = '';
  #line = 0;
  #records = 0;
  #firstSeq: number | null = null;
  #last: ChainPoint = { seq: 0, hash: ZERO_HASH };
  /** The number that is to come. */
  #expected: number;
  /** Lines since the last whole record that were none: each may have been one. */
  #spoilt = 0;
  #headSeq: number | null = null;
  #signedSeq = 0;

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.#expected = options.first ?? 1;
    this.#anchors = Map.groupBy(options.anchors, ({ seq }) => seq);
  }

  get last(): ChainPoint {
    return this.#last;
  }

  /** The last `audit.head`, or what stands in for it: the record before the first. */
  get headSeq(): number {
    return this.#headSeq ?? 0;
  }

  get problemCount(): number {
    return this.#problems.length + this.#moreProblems;
  }

  get firstProblem(): Problem | undefined {
    return this.#problems[0];
  }

  beginFile(name: string): void {
    this.#file = name;
    this.#line = 0;
  }

  /** A problem that no line has. */
  complain(file: string, seq: number | null, what: string): void {
    this.#report({ file, line: 0, seq, what });
  }

  check(line: Line): void {
    this.#line++;
    const whole = this.#wholeRecord(line);
    if (typeof whole === 'string') {
      this.#problem(this.#expected, whole);
      this.#spoilt++;
      return;
    }
    if (!this.#inOrder(whole)) return;
    this.#records++;
    this.#firstSeq ??= whole.seq;
    this.#checkHead(whole);
    this.#checkAnchors(whole);
    this.#last = whole;
    this.#expected = whole.seq + 1;
    this.#spoilt = 0;
  }

  /** Ends the log. */
  end(): Verification {
    const { seq } = this.#last;
    for (const anchor of this.#options.anchors) {
      if (anchor.seq <= seq) continue;
      const gone = anchor.seq === seq + 1 ? `record ${anchor.seq} is` : `records ${seq + 1} to ${anchor.seq} are`;
      this.#problem(
        seq + 1,
        `the log was cut: it ends with record ${seq}, but ${anchor.source} says that it reached ${anchor.seq}, so ${gone} gone`,
      );
    }
    return {
      ok: this.problemCount === 0,
      records: this.#records,
      firstSeq: this.#firstSeq,
      lastSeq: seq,
      signedSeq: this.#signedSeq,
      problems: this.#problems,
      moreProblems: this.#moreProblems,
    };
  }

  #wholeRecord({ bytes, start, end, finished }: Line): AuditRecord | string {
    if (!finished) return 'the last line was cut off: it has no end';
    if (end - start > LINE_BYTES_MAX) return 'the line is longer than any record';
    const parsed = parseRecord(bytes);
    if (!parsed.ok) return parsed.what;
    if (this.#options.reencode && !isCanonical(parsed.record, parsed.text)) return 'the line is not canonical JSON';
    return parsed.record;
  }

  /** Whether the record is one to go on from. */
  #inOrder(record: AuditRecord): boolean {
    const { seq, prev, kind, fields } = record;
    const isFirst = this.#firstSeq === null && this.#spoilt === 0;
    if (isFirst && this.#options.first === null) {
      this.#headSeq = seq - 1;
      return true;
    }
    if (isFirst) this.#headSeq = this.#expected - 1;
    if (seq < this.#expected) {
      this.#problem(seq, `record ${seq} stands here again, or out of its order: ${this.#expected} should follow`);
      return false;
    }
    if (seq > this.#expected + this.#spoilt) {
      const gone = this.#expected === seq - 1 ? `record ${seq - 1} is` : `records ${this.#expected} to ${seq - 1} are`;
      this.#problem(this.#expected, `${gone} missing before record ${seq}`);
    }
    const isLinked = seq === this.#expected && (isFirst ? seq !== 1 || prev === ZERO_HASH : prev === this.#last.hash);
    if (kind === 'audit.broken') {
      // Where the log begins with it, whoever verifies has set aside what came before.
      if (!isFirst)
        this.#problem(seq, `the daemon found the log broken here when it started: ${String(fields['what'])}`);
      this.#headSeq = seq - 1;
    } else if (seq === this.#expected && !isLinked) {
      this.#problem(Math.max(seq - 1, 1), `record ${seq - 1} is not the one that record ${seq} was linked to`);
    }
    return true;
  }

  #checkHead({ seq, prev, kind, fields }: AuditRecord): void {
    const headSeq = this.headSeq;
    if (kind !== 'audit.head') {
      if (seq === headSeq + HEAD_RECORDS + 1) {
        this.#problem(seq, `a signed head is missing: there is none between records ${headSeq} and ${seq}`);
      }
      return;
    }
    this.#headSeq = seq;
    if (this.#options.keys === null) return;
    const what = headProblem(fields, { seq: seq - 1, hash: prev }, this.#options.keys);
    if (what === null) this.#signedSeq = seq;
    else this.#problem(seq, `the signed head does not fit (${what}): records ${headSeq + 1} to ${seq} may be forged`);
  }

  #checkAnchors({ seq, hash }: AuditRecord): void {
    for (const anchor of this.#anchors.get(seq) ?? []) {
      if (anchor.hash === hash) this.#signedSeq = seq;
      else this.#problem(seq, `record ${seq} is not the one that ${anchor.source} was signed for`);
    }
  }

  #problem(seq: number, what: string): void {
    this.#report({ file: this.#file, line: this.#line, seq, what });
  }

  #report(problem: Problem): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
    else this.#moreProblems++;
  }
}

/** Encoded by another hand than the one that wrote the log. */
function isCanonical(record: AuditRecord, text: string): boolean {
  try {
    return canonicalize(record) === text;
  } catch {
    // A lone surrogate in an escape, or deeper than the stack: nothing that the log writes.
    return false;
  }
}
