/**
 * The life of a session's isolate: written down while it is lived, and lived again when the isolate, its host or the daemon was lost.
 *
 * I1: what an entry caused is written down after the entry, and is not acted on outside before that is committed.
 * I2: a call has one key and one outcome, however often it is made again.
 * I3: what was written before is not passed on when it is written again.
 */
import type {
  CapabilityGrant,
  CellLimits,
  CellUsage,
  IsolateImage,
  IsolateSpec,
  LifeRecord,
  Question,
  ReplayStep,
} from '../../sandbox/protocol.ts';
import type {
  JournalRecord,
  KeptOverLives,
  MarkRecord,
  RecordedCall,
  Said,
  UsedBudget,
} from '../durability/journal-records.ts';
import { rebuild } from '../durability/rebuild.ts';
import { NOTHING_SAID, newCall, type Rebuilt, type RebuiltCall, type RebuiltMark } from '../durability/rebuilt.ts';
import type { SessionJournal } from '../durability/session-journal.ts';
import { type ImageJournal, LifeImages } from './life-images.ts';

/** What guest code writes, by the counters of `Said`. */
export type SaidKind = keyof Said;

export interface LostLife {
  readonly spec: IsolateSpec;
  readonly openedMs: number;
  /** What the steps go on from; undefined where that is the opening. */
  readonly image: IsolateImage | undefined;
  readonly steps: readonly ReplayStep[];
  readonly granted: Rebuilt['granted'];
}

type AcceptedCell = Omit<Extract<JournalRecord, { r: 'cell' }>, 'r'> & {
  readonly recorded?: boolean;
  readonly stopAsked?: boolean;
};
type Journal = ImageJournal &
  Pick<SessionJournal, 'secure'> & { lastly: (() => JournalRecord | undefined) | undefined };

export class SessionLife {
  readonly #sessionId: string;
  readonly #journal: Journal;
  readonly #nowMs: () => number;
  #number = 0;
  #cuts = 0;
  #torn: string | undefined;
  /** What has been written since the isolate was opened, and what of that the journal has. */
  #said: Said = NOTHING_SAID;
  #saidRecorded: Said = NOTHING_SAID;
  /** What a replay has still to write again before anything is new. */
  #echo: Said = NOTHING_SAID;
  /** The keys of the calls that are under way. */
  readonly #open = new Map<number, string>();
  /** Set while a lost life is lived again. */
  #rebuilt: Rebuilt | undefined;
  /** What the journal has of this life, by the reckoning of `rebuild`: to read all of it costs the more the longer the life. */
  #entries = 0;
  readonly #marks = new Map<string, RebuiltMark>();
  readonly images: LifeImages;
  /** The cell that began last in the isolate, and why the state before it could not be had again. */
  #latestRun: { readonly cell: number; readonly tornBefore: string | undefined } | undefined;
  #lastGrant = 0;
  #lastQuestion = 0;

  constructor(sessionId: string, journal: Journal, nowMs: () => number) {
    this.#sessionId = sessionId;
    this.#journal = journal;
    this.images = new LifeImages(journal);
    this.#nowMs = nowMs;
    journal.lastly = () => this.#takeSaid();
  }

  // --- written down --------------------------------------------------------------------------------------------------

  /**
   * A fresh isolate, and nothing of the one before.
   *
   * @param unended cells that were accepted and have still to run
   */
  begin(spec: IsolateSpec, kept: KeptOverLives, unended: readonly AcceptedCell[]): void {
    this.#number += 1;
    this.#startOver();
    // What help() says is looked up anew: it is long, and the same in every session.
    this.#journal.append({ r: 'life', number: this.#number, spec: { ...spec, docs: [] }, ...kept });
    for (const cell of unended) {
      this.accepted(cell);
      if (cell.recorded === true) this.audited(cell.cell);
      if (cell.stopAsked === true) this.stopAsked(cell.cell);
    }
  }

  #startOver(): void {
    this.#cuts = 0;
    this.#torn = undefined;
    this.#said = this.#saidRecorded = this.#echo = NOTHING_SAID;
    this.#open.clear();
    this.#rebuilt = undefined;
    this.#entries = 0;
    this.#marks.clear();
    this.images.startOver();
    this.#latestRun = undefined;
  }

  /** The isolate is gone, and is not to be made again. */
  forget(): void {
    this.#startOver();
    this.#journal.append({ r: 'gone' });
  }

  /** Why a lost isolate cannot be rebuilt, or undefined. */
  get torn(): string | undefined {
    return this.#torn;
  }

  /** The places that can be returned to, oldest first. */
  get marks(): readonly MarkRecord[] {
    return Array.from(this.#marks.values(), ({ mark }) => mark);
  }

  /** How far the life has come. */
  get entries(): number {
    return this.#entries;
  }

  /** What it means to take the cell back that began last: whether it began in the isolate, and whether what was before can be had. */
  latestRun(cell: number): { readonly ran: boolean; readonly tornBefore: string | undefined } {
    const run = this.#latestRun;
    return run?.cell === cell ? { ran: true, tornBefore: run.tornBefore } : { ran: false, tornBefore: this.#torn };
  }

  get replaying(): boolean {
    return this.#rebuilt !== undefined;
  }

  lived(records: readonly LifeRecord[]): void {
    for (const record of records) this.#count(record);
    if (records.some(({ op }) => op === 'run')) this.#recordSaid();
    this.#journal.append({ r: 'lived', records });
  }

  #count(record: LifeRecord): void {
    if (record.op === 'torn') this.#torn ??= record.why;
    else if (record.op !== 'reads' && record.op !== 'open') this.#entries += 1;
    if (record.op === 'run') this.#latestRun = { cell: record.ref, tornBefore: this.#torn };
  }

  /** How much had been written when a cell began is what is kept where the cell is cut away. */
  #recordSaid(): void {
    const said = this.#takeSaid();
    if (said !== undefined) this.#journal.append(said);
  }

  /** What the journal does not have yet: it is committed together with the events that tell of it. */
  #takeSaid(): JournalRecord | undefined {
    if (this.#said === this.#saidRecorded) return undefined;
    this.#saidRecorded = this.#said;
    return { r: 'said', said: this.#said };
  }

  /** Counts what guest code writes; answers how much of it was written before, by the life that is lived again. */
  wrote(kind: SaidKind, amount: number): number {
    const echoed = Math.min(this.#echo[kind], amount);
    if (echoed > 0) this.#echo = { ...this.#echo, [kind]: this.#echo[kind] - echoed };
    if (echoed === amount) return echoed;
    this.#said = { ...this.#said, [kind]: this.#said[kind] + amount - echoed };
    return echoed;
  }

  accepted({ cell, executionId, source, wallMs, rollback }: AcceptedCell): void {
    this.#journal.append({ r: 'cell', cell, executionId, source, wallMs, rollback });
  }

  /** The cell is to end, in whichever isolate it is. */
  stopAsked(cell: number): void {
    this.#journal.append({ r: 'stop', cell });
  }

  /** Its start is in the audit log, and is not to be there twice. */
  audited(cell: number): void {
    this.#journal.append({ r: 'audited', cell });
  }

  /** @param usage what code has left behind, and used; undefined where the cell was not in the isolate */
  ended(cell: number, usage: Pick<CellUsage, 'pending' | 'cpuMs'> | undefined): void {
    if (usage === undefined) {
      this.#journal.append({ r: 'ended', cell });
      return;
    }
    const cpuMs = Math.round(usage.cpuMs);
    this.images.cpuMs += cpuMs;
    this.#journal.append({ r: 'ended', cell, pending: usage.pending, cpuMs });
  }

  /** From now on the text does not leave the session as it is. */
  secret(name: string, value: string): void {
    this.#journal.append({ r: 'secret', name, value });
  }

  /** The cell ended with its isolate: the next one goes on from before it. */
  cut(cell: number): JournalRecord {
    this.#cuts += 1;
    this.#recordSaid();
    const record: JournalRecord = { r: 'cut', cell };
    this.#journal.append(record);
    return record;
  }

  /** The state of now gets a name, under which it can be had again. */
  mark(name: string, cell: number): MarkRecord {
    const mark: MarkRecord = { r: 'mark', name, cell, atMs: this.#nowMs() };
    this.#marks.set(name, { mark, image: this.images.current });
    this.#journal.append(mark);
    return mark;
  }

  /** The isolate has ended as this image, in base64, and the next one goes on from it: whatever had been torn is in it as it is. */
  imageTaken(image: string): void {
    this.#recordSaid();
    this.images.taken(
      image,
      Array.from(this.#marks.values(), (mark) => mark.image),
    );
    this.#torn = undefined;
  }

  /** The next isolate is as this one was at the mark. */
  returnTo(name: string): void {
    this.#cuts += 1;
    this.#journal.append({ r: 'return', name });
  }

  grant({ capabilities, patient }: CapabilityGrant): number {
    const number = ++this.#lastGrant;
    this.#journal.append({ r: 'grant', number, grant: { capabilities, patient, docs: [] } });
    return number;
  }

  question(question: Question): number {
    const id = ++this.#lastQuestion;
    if (question.about.startsWith('namespace.') && question.about !== 'namespace.list')
      this.#journal.append({ r: 'ask', id, question });
    return id;
  }

  // --- calls ---------------------------------------------------------------------------------------------------------

  /** A call is made: as one that the journal knows, or as a new one. */
  called(made: Pick<RecordedCall, 'call' | 'executionId' | 'origin' | 'name' | 'argsJson' | 'position'>): RebuiltCall {
    const known = this.#rebuilt?.calls.get(made.call);
    if (known !== undefined) return known;
    const key = `${this.#sessionId}/${this.#number}${this.#cuts === 0 ? '' : `.${this.#cuts}`}/${made.call}`;
    const record: RecordedCall = { r: 'call', key, ...made, atMs: this.#nowMs() };
    this.#journal.append(record);
    return newCall(record);
  }

  /** Whether the outcome of the call of that key is waited for. */
  waitsFor({ call, key }: Pick<RecordedCall, 'call' | 'key'>): boolean {
    return this.#open.get(call) === key;
  }

  /** The call is under way from now on; false where it is already. */
  opened({ call, key }: RecordedCall): boolean {
    if (this.#open.get(call) === key) return false;
    this.#open.set(call, key);
    return true;
  }

  /** The outcome of a call; false where nobody waits for it any more. */
  settled({ call, key }: RecordedCall, ok: boolean, json: string): boolean {
    if (this.#open.get(call) !== key) return false;
    this.#open.delete(call);
    this.#journal.append({ r: 'outcome', call, ok, json });
    // Where the lost life is just being lived again, the call may still be made in it: it has its outcome.
    const known = this.#rebuilt?.calls.get(call);
    if (known !== undefined) {
      known.outcome = { ok, json };
      known.delivered = true;
    }
    return true;
  }

  /** All that was written down so far is in the journal; a promise where that takes a while. Fails with UNAVAILABLE where it cannot be. */
  commit(): Promise<void> | undefined {
    return this.#journal.secure();
  }

  /** What cannot simply be done twice begins now. Fails with UNAVAILABLE where that cannot be recorded. */
  begun({ call }: RecordedCall): Promise<void> | undefined {
    this.#journal.append({ r: 'begun', call });
    return this.#journal.secure();
  }

  /** A person is asked because of the call from now on, or has been before; answers since when. */
  asked({ record: { call }, asked }: RebuiltCall, about: string): number {
    const known = asked.get(about);
    if (known !== undefined) return known;
    const atMs = this.#nowMs();
    asked.set(about, atMs);
    this.#journal.append({ r: 'asked', call, about, atMs });
    return atMs;
  }

  decided({ call }: RecordedCall, about: string, settlement: unknown): void {
    this.#journal.append({ r: 'decided', call, about, settlement });
  }

  /** Counts against a budget; with `call`, that it is let through, which it is once. */
  used(call: RecordedCall | undefined, [capability, calls, bytes]: UsedBudget): void {
    this.#journal.append({ r: 'used', call: call?.call ?? null, used: [capability, calls, bytes] });
  }

  approvedOnce(capability: string): void {
    this.#journal.append({ r: 'once', capability });
  }

  // --- lived again ---------------------------------------------------------------------------------------------------

  /**
   * What the journal has of the isolate; undefined where there was none.
   *
   * @param records all that the journal holds
   */
  recall(records: readonly JournalRecord[]): Rebuilt | undefined {
    const rebuilt = rebuild(records, this.images.has);
    if (rebuilt === undefined) return undefined;
    this.#number = rebuilt.life;
    this.#cuts = rebuilt.cuts;
    this.#torn = rebuilt.torn;
    this.#entries = rebuilt.entries.length;
    this.#marks.clear();
    for (const mark of rebuilt.marks) this.#marks.set(mark.mark.name, mark);
    this.images.recall(rebuilt);
    const run = rebuilt.entries.findLast(({ op }) => op === 'run');
    // What was torn before it could not have been made again.
    this.#latestRun = run && { cell: run.ref, tornBefore: rebuilt.torn };
    this.#lastGrant = rebuilt.last.grant;
    this.#lastQuestion = rebuilt.last.question;
    this.#said = this.#saidRecorded = rebuilt.said;
    this.#echo = saidSince(rebuilt.said, rebuilt.saidBefore);
    // Of what is under way in this daemon, only what the rebuilt life asks for again is still waited for.
    for (const [call, key] of this.#open) if (rebuilt.calls.get(call)?.record.key !== key) this.#open.delete(call);
    this.#rebuilt = rebuilt.openedMs === undefined ? undefined : rebuilt;
    return rebuilt;
  }

  /** Whether the cell begins by itself when the lost life is lived again. */
  brings(cell: number): boolean {
    return this.#rebuilt?.entries.some(({ op, ref }) => op === 'run' && ref === cell) ?? false;
  }

  /** The steps from the opening of the lost isolate to where it was lost; undefined where it had not been opened. */
  stepsAgain(limits: Omit<CellLimits, 'wallMs'>): LostLife | undefined {
    const rebuilt = this.#rebuilt;
    if (rebuilt?.openedMs === undefined) return undefined;
    const { openedMs, granted, spec } = rebuilt;
    const from = rebuilt.image;
    return {
      spec: from === undefined ? spec : { ...spec, ...from.granted },
      openedMs,
      image: from && this.images.load(from),
      steps: rebuilt.steps(limits),
      granted,
    };
  }

  /** The lost life is lived again only when it is needed, and recalled then. */
  letGo(): void {
    this.#rebuilt = undefined;
  }

  /** The isolate is as it was, and goes on. */
  caughtUp(): void {
    this.#rebuilt = undefined;
    this.#echo = NOTHING_SAID;
  }
}

const saidSince = (all: Said, before: Said): Said => ({
  stdout: all.stdout - before.stdout,
  stderr: all.stderr - before.stderr,
  displays: all.displays - before.displays,
  logs: all.logs - before.logs,
  cuts: all.cuts - before.cuts,
});
